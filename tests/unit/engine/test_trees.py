"""Layers become folders: exactly, inside their own root only, whole or not at all (catalogue T35 to T43)."""

from __future__ import annotations

import gzip
import json
import os
import stat
import struct
from pathlib import Path

import pytest

from engine.layers import END, header, listing, member, pax, put, record
from lading.engine.embedded.trees import Leases, ensure_tree, make_durable
from lading.errors import DigestMismatch, EngineError, LadingError, StoreError
from lading.oci.digest import DiffId
from lading.store import Store
from lading.store.locks import file_lock


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


def tree_of(store: Store, *members: bytes) -> dict[str, str]:
    return listing(ensure_tree(store, put(store, b"".join(members) + END)))


def refusal(store: Store, *members: bytes) -> str:
    before = sorted(store.root.parent.iterdir()), sorted((store.root / "trees").iterdir())
    with pytest.raises(EngineError) as caught:
        ensure_tree(store, put(store, b"".join(members) + END))
    assert list(store.staging.iterdir()) == []
    assert (sorted(store.root.parent.iterdir()), sorted((store.root / "trees").iterdir())) == before
    return caught.value.message


def test_files_folders_and_links_come_out_as_they_went_in(store: Store) -> None:
    root = ensure_tree(
        store,
        put(
            store,
            member("./", kind=b"5", mode=0o755)
            + member("a/", kind=b"5", mode=0o750)
            + member("a/file", b"content", mode=0o640)
            + member("a/same", kind=b"1", link="a/file")
            + member("link", kind=b"2", link="../../outside")
            + member("deep/er/file", b"x")
            + END,
        ),
    )
    assert listing(root) == {
        "a": "folder",
        "a/file": "content",
        "a/same": "content",
        "link": "-> ../../outside",
        "deep": "folder",
        "deep/er": "folder",
        "deep/er/file": "x",
    }
    facts = (root / "a/file").stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_nlink, facts.st_mtime) == (0o640, 2, 0o2264167600)
    assert stat.S_IMODE((root / "a").stat().st_mode) == 0o750


def test_a_set_uid_bit_does_not_reach_the_store(store: Store) -> None:
    root = ensure_tree(store, put(store, member("su", b"x", mode=0o6755) + END))
    assert stat.S_IMODE((root / "su").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "members",
    [
        (member("../x", b"x"),),
        (member("a/../../x", b"x"),),
        (member("a", kind=b"2", link=".."), member("a/../x", b"x")),
        (member("x", kind=b"1", link="../y"),),
    ],
)
def test_dot_dot_is_refused(store: Store, members: tuple[bytes, ...]) -> None:
    assert "[tar-path]" in refusal(store, *members)


def test_an_absolute_name_is_taken_within_the_root(store: Store) -> None:
    assert tree_of(store, member("/etc/x", b"x")) == {"etc": "folder", "etc/x": "x"}


@pytest.mark.parametrize("target", ["/", "/..", "../../../..", "/../.."])
def test_a_link_followed_on_the_way_stays_within_the_root(store: Store, target: str) -> None:
    tree = tree_of(store, member("out", kind=b"2", link=target), member("out/x", b"x"))
    assert tree == {"out": f"-> {target}", "x": "x"}


@pytest.mark.parametrize("name", [".", "./", "/", "//"])
@pytest.mark.parametrize("kind", [b"2", b"0", b"1"])
def test_t35_the_root_itself_is_a_folder(store: Store, name: str, kind: bytes) -> None:
    assert "[tar-root]" in refusal(store, member(name, kind=kind, link="etc" if kind != b"0" else ""))


def test_t36_a_hard_link_to_a_link_is_that_link_and_is_not_followed(store: Store) -> None:
    tree = tree_of(
        store,
        member("a/b/link", kind=b"2", link="../../nothing"),
        member("h", kind=b"1", link="a/b/link"),
    )
    assert tree["h"] == "-> ../../nothing"


def test_t36_a_hard_link_to_nothing_or_a_folder_is_refused(store: Store) -> None:
    refusal(store, member("h", kind=b"1", link="missing"))
    refusal(store, member("d/", kind=b"5"), member("h", kind=b"1", link="d"))


def test_t37_a_loop_and_a_long_chain_of_links_are_refused(store: Store) -> None:
    assert "loop" in refusal(store, member("a", kind=b"2", link="a"), member("a/x", b"x"))
    chain = [member(f"l{n}", kind=b"2", link=f"l{n + 1}") for n in range(60)]
    assert "loop" in refusal(store, *chain, member("l0/x", b"x"))


def test_t38_the_pax_size_rules(store: Store) -> None:
    inner = member("smuggled", b"x")
    tree = tree_of(
        store, pax(record("size", str(len(inner)))), header("outer", size=0) + inner, member("z", b"z")
    )
    assert set(tree) == {"outer", "z"}


@pytest.mark.parametrize(
    "records",
    [
        b"garbage",
        b"99 path=x\n",
        b"5 =x\n",
        b"-5 a=b\n",
        b"7 path\n",
        record("path", "a") + record("path", "b"),
        record("size", "-1"),
        record("size", "0x5"),
        record("mtime", "now"),
        record("GNU.sparse.major", "1"),
        record("path", "a\0b"),
    ],
)
def test_t39_a_malformed_pax_record_is_refused(store: Store, records: bytes) -> None:
    refusal(store, pax(records), member("x", b"x"))


def test_t39_a_global_record_may_comment_but_not_name(store: Store) -> None:
    assert set(tree_of(store, pax(record("comment", "c"), b"g"), member("x", b"x"))) == {"x"}
    refusal(store, pax(record("path", "y"), b"g"), member("x", b"x"))


def test_t40_a_gnu_long_name_with_an_old_type_is_judged_by_its_full_name(store: Store) -> None:
    long = "d/" * 60 + "file"
    tree = tree_of(
        store, member("././@LongLink", long.encode() + b"\0", b"L"), member(long[:100], b"x", b"\0")
    )
    assert tree[long] == "x"


def test_t41_a_path_that_comes_twice_is_refused(store: Store) -> None:
    assert "[tar-duplicate]" in refusal(store, member("a", b"1"), member("./a", b"2"))
    assert "[tar-duplicate]" in refusal(store, member("a/", kind=b"5"), member("a/", kind=b"5"))
    through = (
        member("d/", kind=b"5"),
        member("l", kind=b"2", link="d"),
        member("d/x", b"1"),
        member("l/x", b"2"),
    )
    assert "[tar-duplicate]" in refusal(store, *through)


@pytest.mark.parametrize("kind", [b"3", b"4", b"S", b"V", b"Z"])
def test_t43_devices_sparse_and_unknown_members_are_refused(store: Store, kind: bytes) -> None:
    assert "[tar-kind]" in refusal(store, member("x", kind=kind))


@pytest.mark.parametrize("kind", [b"3", b"4"])
def test_t43_devices_in_dev_are_left_out(store: Store, kind: bytes) -> None:
    """A container's /dev is the engine's own; elsewhere, or with a payload, they are refused."""
    assert tree_of(store, member("./dev/console", kind=kind), member("x", b"x")) == {"x": "x"}
    for name, content in (("deva", b""), ("dev/../x", b""), ("dev", b""), ("dev/x", b"payload")):
        refusal(store, member(name, content, kind))


@pytest.mark.parametrize("size", [b"\xff" * 12, b"-0000000001\0", b"99999999999\0", b"zz\0" + bytes(9)])
def test_t43_a_size_that_is_no_length_is_refused(store: Store, size: bytes) -> None:
    refusal(store, header("x", size=size))


def test_t43_a_time_before_1970_or_far_away_is_no_problem(store: Store) -> None:
    before = struct.pack(">BBQxx", 0xFF, 0xFF, 0)[:2] + b"\xff" * 6 + b"\xff\xff\xf0\x00"
    tree_of(store, header("x", mtime=before), header("y", mtime=b"\x80" + b"\x7f" * 11))


def test_t43_extended_attributes_of_a_layer_are_not_taken(store: Store) -> None:
    records = record("SCHILY.xattr.trusted.overlay.opaque", "y") + record(
        "SCHILY.xattr.user.overlay.opaque", "y"
    )
    root = ensure_tree(store, put(store, pax(records) + member("d/", kind=b"5", mode=0o755) + END))
    assert os.listxattr(root / "d") == []


def test_a_wrong_checksum_and_data_after_the_end_are_refused(store: Store) -> None:
    broken = bytearray(member("x", b"x"))
    broken[0] ^= 1
    assert "[tar-checksum]" in refusal(store, bytes(broken))
    assert "[tar-end]" in refusal(store, END, member("x", b"x"))


@pytest.mark.parametrize("name", [".wh.", ".wh...", ".wh..", ".wh..wh.x"])
def test_a_whiteout_of_nothing_is_refused(store: Store, name: str) -> None:
    assert "[tar-whiteout]" in refusal(store, member(name))


def test_whiteouts_become_what_the_overlay_reads(store: Store) -> None:
    root = ensure_tree(store, put(store, member("d/.wh.gone") + member("e/.wh..wh..opq") + END))
    facts = (root / "d/gone").lstat()
    assert (stat.S_ISCHR(facts.st_mode), facts.st_rdev) == (True, 0)
    assert os.getxattr(root / "e", "user.overlay.opaque") == b"y"


def test_t42_gzip_of_many_members_and_plain_tar_are_read(store: Store) -> None:
    tar = member("x", b"content" * 500) + END
    many = b"".join(gzip.compress(tar[n : n + 700]) for n in range(0, len(tar), 700))
    assert set(listing(ensure_tree(store, put(store, tar, many)))) == {"x"}
    other = member("y", b"y") + END
    assert set(listing(ensure_tree(store, put(store, other, other)))) == {"y"}


def test_t42_zstd_junk_and_damage_are_refused(store: Store) -> None:
    tar = member("x", b"content" * 500) + END
    packed = gzip.compress(tar)
    for blob in (b"\x28\xb5\x2f\xfd" + tar, packed + b"junk", packed[:-9], packed[: len(packed) // 2]):
        with pytest.raises(LadingError):
            ensure_tree(store, put(store, tar, blob))
    assert list(store.staging.iterdir()) == []


def test_t42_a_bomb_is_refused_before_it_fills_the_disk(store: Store) -> None:
    size = 256 << 20
    tar = header("zeros", size=b"%011o\0" % size)
    with pytest.raises(EngineError, match="layer-bomb"):
        ensure_tree(store, put(store, tar, gzip.compress(tar + bytes(size), 9)))


def test_a_layer_that_is_not_what_its_image_promises_is_refused(store: Store) -> None:
    tar = member("x", b"x") + END
    layer = put(store, tar, diff_id=DiffId.of(b"other"))
    with pytest.raises(DigestMismatch):
        ensure_tree(store, layer)
    assert list((store.root / "trees").iterdir()) == []


def test_a_flipped_bit_in_the_blob_is_found(store: Store) -> None:
    layer = put(store, member("x", b"x" * 5000) + END, (member("x", b"x" * 5000) + END))
    path = store.blobs.path(layer.digest)
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(DigestMismatch):
        ensure_tree(store, layer)


def test_a_missing_or_shorter_blob_is_said_plainly(store: Store) -> None:
    layer = put(store, member("x", b"x") + END)
    store.blobs.path(layer.digest).chmod(0o644)
    os.truncate(store.blobs.path(layer.digest), 5)
    with pytest.raises(StoreError, match="5 bytes"):
        ensure_tree(store, layer)
    store.blobs.remove(layer.digest)
    with pytest.raises(StoreError, match="not in the store"):
        ensure_tree(store, layer)


def test_a_tree_is_made_once_and_leased_while_in_use(store: Store) -> None:
    layer = put(store, member("x", b"x") + END)
    leases = Leases()
    first = ensure_tree(store, layer, leases)
    made = first.stat().st_ino
    assert ensure_tree(store, layer).stat().st_ino == made
    lock = store.root / f"locks/tree-{layer.diff_id.hex}"
    with file_lock(lock, blocking=False) as held:
        assert not held
    leases.close()
    with file_lock(lock, blocking=False) as held:
        assert held


def facts_of(store: Store, layer_hex: str) -> Path:
    return store.root / "trees" / layer_hex / "tree.json"


def test_a_tree_of_an_earlier_boot_is_made_again_unless_it_was_flushed(store: Store) -> None:
    layer = put(store, member("x", b"x") + END)
    root = ensure_tree(store, layer)
    (root / "x").write_text("")  # what a power loss leaves of a file that was never flushed
    place = facts_of(store, layer.diff_id.hex)
    place.write_text(json.dumps({**json.loads(place.read_text()), "boot": "another"}))
    assert (ensure_tree(store, layer) / "x").read_text() == "x"
    make_durable([root.parent])
    place.write_text(json.dumps({**json.loads(place.read_text()), "boot": "another"}))
    inode = root.stat().st_ino
    assert ensure_tree(store, layer).stat().st_ino == inode


def test_a_tree_without_its_facts_is_made_again(store: Store) -> None:
    layer = put(store, member("x", b"x") + END)
    ensure_tree(store, layer)
    facts_of(store, layer.diff_id.hex).write_text("{")
    assert set(listing(ensure_tree(store, layer))) == {"x"}


def test_kill_9_before_the_rename_leaves_no_tree_and_the_next_attempt_needs_no_repair(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = put(store, member("x", b"x") + END)
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(Path, "rename", lambda *_: os.kill(os.getpid(), 9))
        ensure_tree(store, layer)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -9
    assert list((store.root / "trees").iterdir()) == []
    assert set(listing(ensure_tree(store, layer))) == {"x"}
