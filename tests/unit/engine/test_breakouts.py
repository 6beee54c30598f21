"""The known ways out of a root, one by one (catalogue T01 to T34), named as containerd's breakout tests are.

Each layer is scoped or refused, never followed out: beside the tree nothing appears and nothing changes. A
layer is unpacked in a folder of its own, so what others apply over an existing tree is here either in one
layer, or in two whose trees are apart.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.layers import END, listing, member, put
from lading.engine.embedded.trees import ensure_tree
from lading.errors import EngineError
from lading.store import Store

ETC = member("etc", kind=b"5", mode=0o755)
PASSWD = member("/etc/passwd", b"inside")
BREAKOUTS = member("breakouts", kind=b"5", mode=0o755)


def link(name: str, target: str) -> bytes:
    return member(name, kind=b"2", link=target)


def hard(name: str, target: str) -> bytes:
    return member(name, kind=b"1", link=target)


def folder(name: str) -> bytes:
    return member(name, kind=b"5", mode=0o755)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("outside")
    return Store.open({"LADING_HOME": str(tmp_path / "home")})


def tree(store: Store, *members: bytes) -> Path:
    """The unpacked layer, after a look at what lies around it."""
    root = ensure_tree(store, put(store, b"".join(members) + END))
    _untouched(store)
    return root


def refused(store: Store, rule: str, *members: bytes) -> None:
    with pytest.raises(EngineError, match=rf"\[{rule}\]"):
        ensure_tree(store, put(store, b"".join(members) + END))
    _untouched(store)
    assert list((store.root / "trees").iterdir()) == []
    assert list(store.staging.iterdir()) == []


def _untouched(store: Store) -> None:
    outside = store.root.parent
    assert sorted(path.name for path in outside.iterdir()) == ["etc", "home"]
    assert listing(outside / "etc") == {"passwd": "outside"}


def same(root: Path, one: str, other: str) -> bool:
    return (root / one).stat().st_ino == (root / other).stat().st_ino


@pytest.mark.catalogue("T01")
def test_symlink_absolute(store: Store) -> None:
    root = tree(store, ETC, link("localetc", "/etc"), member("/localetc/unbroken", b"x"))
    assert (root / "etc/unbroken").read_text() == "x"


@pytest.mark.catalogue("T02")
def test_symlink_up_and_out(store: Store) -> None:
    root = tree(
        store, ETC, folder("dummy"), link("localetc", "/dummy/../etc"), member("/localetc/unbroken", b"x")
    )
    assert (root / "etc/unbroken").read_text() == "x"


@pytest.mark.catalogue("T03")
def test_symlink_multiple_absolute(store: Store) -> None:
    root = tree(
        store,
        ETC,
        folder("dummy"),
        link("/dummy/etc", "/etc"),
        link("localetc", "/dummy/etc"),
        member("/localetc/unbroken", b"x"),
    )
    assert (root / "etc/unbroken").read_text() == "x"


@pytest.mark.catalogue("T04")
def test_symlink_multiple_relative(store: Store) -> None:
    root = tree(
        store,
        ETC,
        folder("dummy"),
        link("/dummy/etc", "/etc"),
        link("localetc", "./dummy/etc"),
        member("/localetc/unbroken", b"x"),
    )
    assert (root / "etc/unbroken").read_text() == "x"


@pytest.mark.catalogue("T05")
def test_symlink_empty_file(store: Store) -> None:
    """What would empty a file through a link is that path a second time."""
    refused(
        store,
        "tar-duplicate",
        ETC,
        member("etc/emptied", b"full"),
        link("localetc", "/etc"),
        member("localetc/emptied"),
    )


HARD_LINKS: dict[str, tuple[str, str]] = {
    "T06-hardlink-relative": ("../../etc", "breakouts/d1"),
    "T07-hardlink-down-and-out": ("../downandout/../../etc", "breakouts/d1"),
    "T08-hardlink-absolute": ("/etc", "localetc"),
    "T09-hardlink-relative-long": ("../../../../../../../etc", "localetc"),
}


@pytest.mark.parametrize("case", HARD_LINKS)
def test_a_hard_link_through_a_link_is_the_file_inside(store: Store, case: str) -> None:
    target, name = HARD_LINKS[case]
    root = tree(
        store,
        ETC,
        PASSWD,
        BREAKOUTS,
        folder("downandout"),
        link(name, target),
        hard("copy", f"/{name}/passwd"),
    )
    assert (root / "copy").read_text() == "inside"
    assert same(root, "copy", "etc/passwd")


@pytest.mark.catalogue("T10")
def test_hardlink_relative_up_and_out(store: Store) -> None:
    """A link through a folder that is not there leads nowhere, so nothing can be linked through it."""
    refused(
        store,
        "tar-path",
        ETC,
        PASSWD,
        link("localetc", "upandout/../../../etc"),
        hard("copy", "/localetc/passwd"),
    )


@pytest.mark.catalogue("T11")
def test_hardlink_direct_relative(store: Store) -> None:
    refused(store, "tar-path", ETC, PASSWD, hard("copy", "../../../../../etc/passwd"))


@pytest.mark.catalogue("T12")
def test_hardlink_direct_absolute(store: Store) -> None:
    assert same(tree(store, ETC, PASSWD, hard("copy", "/etc/passwd")), "copy", "etc/passwd")


@pytest.mark.catalogue("T13")
def test_symlink_parent_directory(store: Store) -> None:
    refused(store, "tar-path", ETC, PASSWD, link("..", "/etc/"), hard("copy", "/etc/passwd"))


@pytest.mark.catalogue("T14")
def test_symlink_empty_filename(store: Store) -> None:
    refused(store, "tar-root", ETC, PASSWD, link("", "/etc/"), hard("copy", "/etc/passwd"))


@pytest.mark.catalogue("T15")
def test_symlink_parent_relative(store: Store) -> None:
    refused(
        store,
        "tar-path",
        ETC,
        PASSWD,
        link("localetc/sub/..", "/etc/"),
        hard("/localetc/copy", "/etc/passwd"),
    )


@pytest.mark.catalogue("T16")
def test_symlink_slash_ended(store: Store) -> None:
    root = tree(store, ETC, PASSWD, folder("localetc/"), hard("/localetc/copy", "/etc/passwd"))
    assert same(root, "localetc/copy", "etc/passwd")


@pytest.mark.catalogue("T17")
def test_symlink_override_directory(store: Store) -> None:
    refused(store, "tar-duplicate", ETC, PASSWD, folder("localetc/"), link("localetc", "/etc"))


@pytest.mark.catalogue("T18")
def test_symlink_override_directory_relative(store: Store) -> None:
    """In a layer of its own the link is a link; that the folder below was one does not matter to it."""
    lower = tree(store, ETC, PASSWD, folder("localetc"))
    upper = tree(store, link("localetc", "../../etc"), folder("etc2"))
    assert (listing(lower)["localetc"], listing(upper)["localetc"]) == ("folder", "-> ../../etc")


@pytest.mark.catalogue("T19")
def test_directory_override_symlink(store: Store) -> None:
    refused(store, "tar-duplicate", ETC, PASSWD, link("localetc", "/etc"), folder("/localetc/"))


@pytest.mark.catalogue("T20")
def test_directory_override_symlink_and_hardlink(store: Store) -> None:
    """In a layer of its own the folder is a folder, and its file is another file than the one below."""
    lower = tree(store, ETC, PASSWD, link("localetc", "etc"), hard("copy", "/etc/passwd"))
    upper = tree(store, folder("/localetc/"), member("/localetc/copy", b"different"))
    assert (lower / "etc/passwd").read_text() == "inside"
    assert listing(upper) == {"localetc": "folder", "localetc/copy": "different"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(".wh...", id="T21-whiteout-root-parent"),
        pytest.param("etc/.wh...", id="T22-whiteout-parent"),
        pytest.param(".wh..", id="T23-whiteout-root"),
        pytest.param("etc/.wh..", id="T24-whiteout-current-directory"),
    ],
)
def test_a_whiteout_of_a_folder_that_holds_it_is_refused(store: Store, name: str) -> None:
    refused(store, "tar-whiteout", ETC, PASSWD, member(name))


def hides(root: Path, name: str) -> bool:
    """Whether the tree hides what is called `name` in the layers below."""
    facts = (root / name).lstat()
    return stat.S_ISCHR(facts.st_mode) and facts.st_rdev == 0


@pytest.mark.catalogue("T25")
def test_whiteout_symlink(store: Store) -> None:
    """The link is hidden, not what it names."""
    lower = tree(store, ETC, PASSWD, link("localetc", "/etc"))
    upper = tree(store, member(".wh.localetc"))
    assert hides(upper, "localetc")
    assert (lower / "etc/passwd").read_text() == "inside"


@pytest.mark.catalogue("T26")
def test_whiteout_symlink_path(store: Store) -> None:
    """Through a link of the same layer, the file inside the root is hidden."""
    root = tree(store, ETC, link("localetc", "/etc"), member("localetc/.wh.whitedout"))
    assert hides(root, "etc/whitedout")


@pytest.mark.catalogue("T27")
def test_whiteout_directory_name(store: Store) -> None:
    """Only the last part of a name makes a whiteout."""
    root = tree(store, ETC, PASSWD, member(".wh.etc/somefile", b"full"))
    assert (root / ".wh.etc/somefile").read_text() == "full"
    assert (root / "etc/passwd").read_text() == "inside"


@pytest.mark.catalogue("T28")
def test_whiteout_dead_symlink_parent(store: Store) -> None:
    """A folder that the link names is made, inside the root, and only there something is hidden."""
    root = tree(store, ETC, PASSWD, link("localetc", "/dne"), member("localetc/.wh.etc"))
    assert hides(root, "dne/etc")
    assert (root / "etc/passwd").read_text() == "inside"


@pytest.mark.catalogue("T29")
def test_whiteout_relative_path(store: Store) -> None:
    refused(store, "tar-path", ETC, PASSWD, member("dne/../.wh.etc"))


@pytest.mark.catalogue("T30")
def test_hardlink_symlink_before_create_target(store: Store) -> None:
    root = tree(
        store,
        ETC,
        link("localpasswd", "/etc/passwd"),
        hard("dup", "localpasswd"),
        member("/etc/passwd", b"after"),
    )
    assert str((root / "dup").readlink()) == "/etc/passwd"
    assert (root / "etc/passwd").read_text() == "after"


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("../../../../../etc/passwd", id="T31-hardlink-symlink-relative"),
        pytest.param("/etc/passwd", id="T32-hardlink-symlink-absolute"),
    ],
)
def test_a_hard_link_to_a_link_is_the_same_link(store: Store, target: str) -> None:
    root = tree(store, ETC, PASSWD, link("passwdlink", target), hard("copy", "/passwdlink"))
    assert str((root / "copy").readlink()) == str((root / "passwdlink").readlink()) == target


@pytest.mark.catalogue("T33")
def test_hardlink_symlink_chmod(store: Store) -> None:
    """The mode of a link's member never reaches the file outside that the link names."""
    outside = store.root / "perm400"
    outside.write_text("…")
    outside.chmod(0o400)
    name = f"{store.root}/also-outside"
    tree(store, member(name, kind=b"2", link=str(outside), mode=0o777), hard("sketchylink", name))
    assert stat.S_IMODE(outside.stat().st_mode) == 0o400
    assert not (store.root / "also-outside").is_symlink()


@pytest.mark.catalogue("T34")
@pytest.mark.parametrize("make", [hard, lambda name, target: link(name, target)], ids=["hard", "soft"])
def test_a_link_of_a_lower_layer_leads_no_upper_member_out(
    store: Store, make: Callable[[str, str], bytes]
) -> None:
    """The upper layer's tree is made without the lower one's links: a member below one stays in its tree."""
    tree(store, link("out", str(store.root.parent / "etc")))
    root = tree(store, member("out/passwd", b"mine"), make("out/again", "/out/passwd"))
    assert (root / "out/passwd").read_text() == "mine"
