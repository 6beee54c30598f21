"""The laws of `du` and `gc`: what is needed stays, what is not goes, and nobody is cut off at work."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lading.errors import StoreError
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.store import Store
from lading.store.collect import du, gc, reachable
from lading.store.locks import file_lock
from lading.store.verify import verify


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


def put_image(store: Store, name: str) -> Digest:
    """A manifest with a config and one layer, recorded as a build records them."""
    diff_id = Digest.of(f"tar of {name}".encode())
    layer = store.blobs.put(f"layer of {name}".encode())
    config = store.blobs.put(canonical_json({"rootfs": {"diff_ids": [str(diff_id)]}, "name": name}))
    manifest = store.blobs.put(
        canonical_json({"config": {"digest": str(config)}, "layers": [{"digest": str(layer)}]})
    )
    key = Digest.of(f"key of {name}".encode()).hex
    store.indexes.put(key, [{"path": name}])
    store.layers.put(key, {"digest": str(layer), "diff_id": str(diff_id)})
    store.images.put(Digest.of(name.encode()).hex, {"digest": str(manifest)})
    tree = store.root / "trees" / diff_id.hex
    tree.mkdir()
    (tree / "file").write_text(name)
    (tree / "tree.json").write_text("{}")
    return manifest


def all_files(store: Store) -> set[str]:
    return {
        str(path.relative_to(store.root))
        for path in store.root.rglob("*")
        if path.is_file() and "locks" not in path.parts
    }


def test_what_a_root_names_through_json_is_kept_and_the_rest_goes(store: Store) -> None:
    kept = put_image(store, "kept")
    files = all_files(store)
    put_image(store, "gone")

    collected = gc(store, [kept], keep_seconds=0)

    assert files == all_files(store)
    assert len(collected.blobs) == 3
    assert len(collected.records) == 3
    assert len(collected.trees) == 1


def test_a_dry_run_names_the_same_and_removes_nothing(store: Store) -> None:
    put_image(store, "gone")
    files = all_files(store)

    planned = gc(store, [], keep_seconds=0, dry_run=True)

    assert files == all_files(store)
    assert gc(store, [], keep_seconds=0) == planned


def test_what_is_younger_than_the_keep_time_stays(store: Store) -> None:
    put_image(store, "young")
    files = all_files(store)

    gc(store, [], keep_seconds=3600)

    assert files == all_files(store)


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_that_jumped_a_year_removes_only_what_nothing_names(store: Store, years: int) -> None:
    """S28: the clock is no proof of anything; roots are."""
    kept = put_image(store, "kept")
    files = all_files(store)
    put_image(store, "gone")
    then = os.stat(store.root / "FORMAT").st_mtime + years * 365 * 86_400

    gc(store, [kept], keep_seconds=3600, now=lambda: then)

    assert files == all_files(store)


def test_two_collections_in_a_row_remove_nothing_twice(store: Store) -> None:
    put_image(store, "gone")
    gc(store, [], keep_seconds=0)

    again = gc(store, [], keep_seconds=0)

    assert (again.blobs, again.records, again.trees, again.size_bytes) == ((), (), (), 0)


def test_a_tree_that_a_container_holds_is_kept(store: Store) -> None:
    put_image(store, "running")
    (tree,) = (store.root / "trees").iterdir()

    with file_lock(store.root / f"locks/tree-{tree.name}", shared=True):
        collected = gc(store, [], keep_seconds=0)
        assert (tree / "file").exists()
    assert collected.kept_in_use == (tree.name,)

    assert gc(store, [], keep_seconds=0).trees == (tree.name,)


def test_a_tree_with_unwritable_folders_goes_whole(store: Store) -> None:
    put_image(store, "locked")
    (tree,) = (store.root / "trees").iterdir()
    (tree / "sub").mkdir()
    (tree / "sub/file").write_text("x")
    (tree / "sub").chmod(0o500)

    gc(store, [], keep_seconds=0)

    assert os.listdir(store.root / "trees") == []
    assert os.listdir(store.staging) == []


BUILD = """
import sys
from lading.store import Store
store = Store.open({"LADING_HOME": sys.argv[1]})
with store.using():
    digest = store.blobs.put(b"not yet recorded")
    print(digest, flush=True)
    sys.stdin.readline()
    store.layers.put("0" * 64, {"digest": str(digest)})
"""


def test_gc_during_an_unfinished_build_keeps_its_blobs(store: Store) -> None:
    """S31: a collection waits for builds, and one that may not wait says so."""
    with subprocess.Popen(
        [sys.executable, "-c", BUILD, str(store.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as build:
        assert build.stdout is not None and build.stdin is not None
        digest = Digest(build.stdout.readline().decode().strip())

        with pytest.raises(StoreError, match="a build is using the store"):
            gc(store, [], keep_seconds=0, wait=False)

        assert store.blobs.has(digest)
        build.stdin.write(b"\n")
        build.stdin.flush()
        assert build.wait() == 0

    gc(store, [digest], keep_seconds=0)
    assert store.blobs.has(digest)
    assert verify(store).damages == ()


def dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("pid", "age_seconds", "stays"),
    [
        ("dead", 7200, False),
        ("dead", -7200, False),  # written before the clock was set back
        ("dead", 10, True),  # its writer may live in a container that shares the store
        ("alive", 7200, True),
        ("none", 7200, False),  # nobody's name
    ],
)
def test_unfinished_files_go_when_their_writer_is_dead_and_they_are_old(
    store: Store, pid: str, age_seconds: int, stays: bool
) -> None:
    """S27 and S28."""
    number = {"dead": dead_pid(), "alive": os.getpid(), "none": 0}[pid]
    path = store.staging / (f"{number}-00ff" if number else "litter")
    path.write_text("half")
    moment = path.stat().st_mtime + age_seconds

    gc(store, [], keep_seconds=604_800, now=lambda: moment)

    assert stays is path.exists()


def test_folders_left_in_staging_are_swept_too(store: Store) -> None:
    folder = store.staging / f"{dead_pid()}-00ff"
    folder.mkdir()
    (folder / "half").write_text("half")

    gc(store, [], keep_seconds=0)

    assert os.listdir(store.staging) == []


def test_du_counts_each_file_once_and_tells_kinds_apart(store: Store) -> None:
    put_image(store, "one")
    layer = store.blobs.put(b"\x1f\x8b layer")
    store.blobs.put(b"PK\x03\x04 wheel")
    store.blobs.put(b"!<arch>\n deb")
    os.link(store.blobs.path(layer), store.root / "trees/again")

    usage = {item.kind: item for item in du(store)}

    counts = {kind: usage[kind].count for kind in ("layers", "wheels", "debs", "documents", "blobs")}
    assert counts == {"layers": 1, "wheels": 1, "debs": 1, "documents": 2, "blobs": 1}
    assert usage["records"].count == 3
    assert usage["trees"].count == 2  # the layer's second name is not counted again
    total = sum(item.size_bytes for item in usage.values())
    files = [path.stat() for path in store.root.rglob("*") if path.is_file()]
    assert total == sum({(s.st_dev, s.st_ino): s.st_size for s in files}.values())


def test_reachable_names_what_is_gone_too_and_survives_damage(store: Store) -> None:
    manifest = put_image(store, "one")
    config = next(iter(set(reachable(store, [manifest])) - {manifest, Digest.of(b"layer of one")}))
    for digest in store.blobs:
        store.blobs.path(digest).chmod(0o644)
    store.blobs.path(config).write_bytes(b"{broken")

    assert {manifest, config, Digest.of(b"layer of one")} <= set(reachable(store, [manifest]))


def test_old_toolchains_go_and_young_ones_stay(store: Store) -> None:
    for name, mtime in (("old", 0), ("young", None)):
        folder = store.root / "toolchains" / name
        folder.mkdir(parents=True)
        (folder / "python").write_text(name)
        if mtime is not None:
            os.utime(folder, (mtime, mtime))

    assert gc(store, [], keep_seconds=3600).toolchains == ("old",)
    assert os.listdir(store.root / "toolchains") == ["young"]
