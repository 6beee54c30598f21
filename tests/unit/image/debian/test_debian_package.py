"""T44 and the tar rules that apply to packages: strict readers, nothing run, nothing outside the root."""

from __future__ import annotations

import lzma
import tarfile
from pathlib import Path

import pytest
from deb_files import Member, ar_of, base_passwd, control_of, deb_of, tar_of, write_deb

from lading.errors import LadingError, PackageRefused
from lading.image.debian import debian_layers, debian_tree
from lading.image.layer.tree import EntryKind, TreeEntry

ROOT: Member = ("dir", "./", b"")


def tree_of(folder: Path, members: list[Member], **options: object) -> dict[str, TreeEntry]:
    deb = deb_of(control_of(), tar_of([ROOT, *members], **options))  # type: ignore[arg-type]
    return debian_tree([base_passwd(folder), write_deb(folder, deb)], flavour="standard", staging=folder)


def content_of(entry: TreeEntry) -> bytes:
    return entry.content() if callable(entry.content) else entry.content


def refused(folder: Path, content: bytes, rule: str, match: str) -> None:
    with pytest.raises(PackageRefused, match=match) as caught:
        debian_tree([base_passwd(folder), write_deb(folder, content)], flavour="standard", staging=folder)
    assert rule == caught.value.rule


@pytest.mark.parametrize(
    ("names", "match"),
    [
        (["control.tar.xz", "debian-binary", "data.tar.xz"], "not debian-binary"),
        (["debian-binary", "data.tar.xz", "control.tar.xz"], "where one of control.tar"),
        (["debian-binary", "control.tar.xz", "control.tar.xz", "data.tar.xz"], "twice"),
        (["debian-binary", "control.tar.xz", "data.tar.xz", "extra"], "after data.tar"),
        (["debian-binary", "control.tar.xz"], "its members are"),
        (["debian-binary", "control.tar.zst", "data.tar.zst"], "control.tar.zst"),
    ],
)
def test_t44_ar_members_have_one_order(tmp_path: Path, names: list[str], match: str) -> None:
    parts = {"debian-binary": b"2.0\n", "control.tar.xz": lzma.compress(control_of())}
    data = lzma.compress(tar_of([ROOT]))
    refused(tmp_path, ar_of([(name, parts.get(name, data)) for name in names]), "D-ar", match)


def test_t44_ar_is_not_cut_off(tmp_path: Path) -> None:
    whole = deb_of(control_of(), tar_of([ROOT]))
    for size in (0, 7, 40, len(whole) // 2, len(whole) - 8):
        with pytest.raises(PackageRefused):
            tree = [base_passwd(tmp_path), write_deb(tmp_path, whole[:size])]
            debian_tree(tree, flavour="standard", staging=tmp_path)


@pytest.mark.parametrize(
    "name", ["../evil", "./../evil", "/etc/evil", "./a/../../evil", "./a//b", ".//etc/x", "./a\x07b"]
)
def test_t44_names_stay_inside(tmp_path: Path, name: str) -> None:
    """In data.tar and in control.tar alike."""
    refused(tmp_path, deb_of(control_of(), tar_of([ROOT, ("file", name, b"x")])), "D-tar", "member")
    control = tar_of([ROOT, ("file", "./control", b"Package: thing\n"), ("file", name, b"x")])
    refused(tmp_path, deb_of(control, tar_of([ROOT])), "D-tar", "member")


def test_t44_nothing_is_written_through_a_link_of_the_same_package(tmp_path: Path) -> None:
    members: list[Member] = [ROOT, ("link", "./opt", "/etc"), ("file", "./opt/passwd", b"evil")]
    refused(tmp_path, deb_of(control_of(), tar_of(members)), "D-escape", "under its own link")


def test_t35_the_root_is_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, deb_of(control_of(), tar_of([("link", "./", "/etc")])), "D-tar", "root is no directory")


def test_t36_hard_links_lead_to_files_of_the_package(tmp_path: Path) -> None:
    for target in ("./etc/passwd", "./link"):
        members: list[Member] = [ROOT, ("link", "./link", "../../nothing"), ("hard", "./hard", target)]
        refused(tmp_path, deb_of(control_of(), tar_of(members)), "D-hardlink", "no file of it")


def test_t37_links_that_do_not_end_are_refused(tmp_path: Path) -> None:
    deb = deb_of(control_of(), tar_of([ROOT, ("link", "./a", "b"), ("link", "./b", "a")]))
    other = deb_of(control_of("user"), tar_of([ROOT, ("file", "./a/x", b"")]))
    with pytest.raises(PackageRefused, match="do not end"):
        debian_tree(
            [base_passwd(tmp_path), write_deb(tmp_path, deb), write_deb(tmp_path, other, name="user")],
            flavour="standard",
        )


def test_t38_t39_pax_headers_are_refused(tmp_path: Path) -> None:
    """They can say another size than the tar header: no reader is asked to choose."""
    name = "./" + "long" * 40
    tar = tar_of([ROOT, ("file", name, b"x")], form=tarfile.PAX_FORMAT)
    refused(tmp_path, deb_of(control_of(), tar), "D-tar", "is of type b'x'")


def test_t40_gnu_long_names_are_read(tmp_path: Path) -> None:
    name = "opt/" + "/".join(["long" * 20] * 4)
    tree = tree_of(tmp_path, [("file", f"./{name}", b"x")])
    assert content_of(tree[name]) == b"x"


def test_t41_one_path_twice(tmp_path: Path) -> None:
    members: list[Member] = [ROOT, ("file", "./x", b"1"), ("file", "./x", b"2")]
    refused(tmp_path, deb_of(control_of(), tar_of(members)), "D-duplicate", "twice")


def test_t42_bombs_and_trailing_bytes(tmp_path: Path) -> None:
    bomb = ar_of(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", lzma.compress(control_of())),
            ("data.tar.xz", lzma.compress(bytes(70 << 20))),
        ]
    )
    refused(tmp_path, bomb, "D-compression", "grows to more than")
    data = lzma.compress(tar_of([ROOT])) + b"more"
    parts = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.xz", lzma.compress(control_of())),
        ("data.tar.xz", data),
    ]
    refused(tmp_path, ar_of(parts), "D-compression", "something follows")
    refused(tmp_path, deb_of(control_of(), tar_of([ROOT]) + b"x" * 512), "D-tar", "follows the end")


def test_t43_devices_fifos_and_bad_numbers(tmp_path: Path) -> None:
    refused(tmp_path, deb_of(control_of(), tar_of([ROOT, ("fifo", "./pipe", b"")])), "D-tar", "is of type")
    tar = bytearray(tar_of([ROOT, ("file", "./x", b"x")]))
    tar[512 + 124 : 512 + 136] = b"-0000000001\0"
    checksum = sum(tar[512 : 512 + 148]) + sum(tar[512 + 156 : 1024]) + 8 * 32
    tar[512 + 148 : 512 + 156] = b"%06o\0 " % checksum
    refused(tmp_path, deb_of(control_of(), bytes(tar)), "D-tar", "has the number")


def test_t44_the_package_is_the_one_that_was_named(tmp_path: Path) -> None:
    refused(tmp_path, deb_of(control_of("other"), tar_of([ROOT])), "D-identity", "not what its index says")


def test_t44_maintainer_scripts_are_never_run_silently(tmp_path: Path) -> None:
    """A script whose effect is unknown is named, with its first unknown line; and nothing ran."""
    proof = tmp_path / "proof"
    script = f"#!/bin/sh\nset -e\ntouch {proof}\n"
    deb = deb_of(control_of(scripts={"postinst": script}), tar_of([ROOT]))
    refused(tmp_path, deb, "E-effect", "its postinst would do something .* 'touch ")
    assert not proof.exists()


def test_t44_generated_scripts_are_understood(tmp_path: Path) -> None:
    """debhelper's sections and alternatives make no package unusable; what an upgrade does is skipped."""
    script = """#!/bin/sh
set -e
if [ "$1" = "configure" ] && [ -n "$2" ]; then
    rm -rf /var/lib/thing
fi
case "$1" in
  configure)
    update-alternatives --install /usr/bin/editor editor /usr/bin/thing 20 \\
        --slave /usr/share/man/man1/editor.1.gz editor.1.gz /usr/share/man/man1/thing.1.gz
    ;;
  *)
    echo "postinst called with unknown argument \\`$1'" >&2
    exit 1
    ;;
esac
# Automatically added by dh_makeshlibs/13
ldconfig
# End automatically added section
exit 0
"""
    tar = tar_of([ROOT, ("file", "./usr/bin/thing", b"x")])
    deb = deb_of(control_of(scripts={"postinst": script}), tar)
    tree = debian_tree([base_passwd(tmp_path), write_deb(tmp_path, deb)], flavour="standard")
    assert tree["usr/bin/editor"].link_target == "/etc/alternatives/editor"
    assert tree["etc/alternatives/editor"].link_target == "/usr/bin/thing"
    assert "etc/alternatives/editor.1.gz" not in tree
    assert "var/lib/dpkg/info/thing.postinst" in tree


def test_t44_a_conffile_that_is_a_link_stays_inside(tmp_path: Path) -> None:
    control = control_of(scripts={"conffiles": "/etc/thing.conf\n"})
    deb = deb_of(control, tar_of([ROOT, ("link", "./etc/thing.conf", "../../../../etc/shadow")]))
    tree = debian_tree([base_passwd(tmp_path), write_deb(tmp_path, deb)], flavour="standard")
    assert tree["etc/thing.conf"].link_target == "../../../../etc/shadow"
    assert b"/etc/thing.conf " in content_of(tree["var/lib/dpkg/status"])


def test_t44_two_packages_with_one_path(tmp_path: Path) -> None:
    """Refused, as dpkg does, unless one says Replaces; equal bytes are no conflict."""
    first = write_deb(tmp_path, deb_of(control_of(), tar_of([ROOT, ("file", "./usr/x", b"1")])))

    def other(content: bytes, **fields: str) -> dict[str, TreeEntry]:
        deb = deb_of(control_of("zz", **fields), tar_of([ROOT, ("file", "./usr/x", content)]))
        debs = [base_passwd(tmp_path), first, write_deb(tmp_path, deb, name="zz")]
        return debian_tree(debs, flavour="standard")

    with pytest.raises(PackageRefused, match="also belongs to thing"):
        other(b"2")
    assert content_of(other(b"1")["usr/x"]) == b"1"
    assert content_of(other(b"2", Replaces="thing (<< 2)")["usr/x"]) == b"2"


def test_paths_are_canonical(tmp_path: Path) -> None:
    """Merged /usr: one spelling of each path, and no folder over a link."""
    tree = tree_of(
        tmp_path,
        [
            ("dir", "./bin/", b""),
            ("file", "./bin/tool", b"x"),
            ("dir", "./lib/", b""),
            ("file", "./lib/lib.txt", b"y"),
        ],
    )
    assert {"usr/bin/tool", "usr/lib/lib.txt"} <= tree.keys()
    assert not any(path.startswith(("bin/", "lib/")) for path in tree)
    assert {name: tree[name].link_target for name in ("bin", "lib")} == {"bin": "usr/bin", "lib": "usr/lib"}


def test_owners_modes_and_hard_links_are_kept(tmp_path: Path) -> None:
    """Of a file with several names the first in layer order holds the bytes."""
    members: list[Member] = [("file", "./usr/bin/zz", b"x"), ("hard", "./usr/bin/aa", "./usr/bin/zz")]
    tree = tree_of(tmp_path, members, modes={"./usr/bin/zz": 0o4755})
    assert (
        tree["usr/bin/aa"].kind,
        tree["usr/bin/aa"].mode,
        content_of(tree["usr/bin/aa"]),
    ) == (EntryKind.FILE, 0o4755, b"x")
    assert (tree["usr/bin/zz"].kind, tree["usr/bin/zz"].link_target) == (EntryKind.HARDLINK, "usr/bin/aa")


def test_documentation_is_left_out_and_licences_stay(tmp_path: Path) -> None:
    names = ["doc/thing/copyright", "doc/thing/changelog.gz", "man/man1/thing.1.gz", "locale/de/x.mo"]
    tree = tree_of(tmp_path, [("file", f"./usr/share/{name}", b"x") for name in names])
    assert [f"usr/share/{name}" in tree for name in names] == [True, False, False, False]


def test_a_layer_is_what_its_packages_add(tmp_path: Path) -> None:
    """Lower layer + upper layer = the whole root; the upper holds nothing the lower has."""
    thing = write_deb(tmp_path, deb_of(control_of(), tar_of([ROOT, ("file", "./opt/x", b"1")])))
    base = base_passwd(tmp_path)
    lower, upper = debian_layers([[base], [thing]], flavour="standard", staging=tmp_path)
    assert {"opt", "opt/x", "var/lib/dpkg/info/thing.list", "var/lib/dpkg/status"} <= {e.path for e in upper}
    assert not any(entry.path.startswith("usr/share/base-passwd") for entry in upper)
    whole = debian_tree([thing, base], flavour="standard", staging=tmp_path)
    union = {entry.path: entry for entry in (*lower, *upper)}
    assert whole.keys() == union.keys()
    assert all(content_of(whole[path]) == content_of(union[path]) for path in whole)
    order = [entry.path.split("/") for entry in upper]
    assert sorted(order) == order


def test_the_order_of_packages_does_not_matter(tmp_path: Path) -> None:
    debs = [base_passwd(tmp_path)]
    for name in ("bb", "aa"):
        deb = deb_of(control_of(name), tar_of([ROOT, ("file", f"./opt/{name}", b"1")]))
        debs.append(write_deb(tmp_path, deb, name=name))
    assert debian_tree(debs, flavour="standard") == debian_tree(debs[::-1], flavour="standard")


def test_random_bytes_are_refused_not_crashed_on(tmp_path: Path) -> None:
    """One byte changed anywhere in an uncompressed package: accepted or refused, never a traceback."""
    whole = deb_of(control_of(), tar_of([ROOT, ("file", "./opt/x", b"1")]), compress="")
    for offset in range(0, len(whole), 97):
        content = whole[:offset] + bytes([whole[offset] ^ 0x55]) + whole[offset + 1 :]
        try:
            debian_tree([base_passwd(tmp_path), write_deb(tmp_path, content)], flavour="standard")
        except LadingError as error:
            assert isinstance(error, PackageRefused)
