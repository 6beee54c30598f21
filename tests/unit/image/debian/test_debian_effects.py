"""Effects against the programs that would have made them: ldconfig, openssl, readelf; and what is refused."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from deb_files import Member, base_passwd, control_of, deb_of, tar_of, write_deb

from lading.image.debian import debian_tree, elf_needs
from lading.image.debian.certificates import subject_hash
from lading.image.debian.effects import EFFECTS, effect_of
from lading.image.debian.ldcache import encode_cache, soname_key
from lading.image.debian.scripts import read_script
from lading.image.layer.tree import EntryKind, TreeEntry

MULTIARCH = Path(f"/usr/lib/{os.uname().machine}-linux-gnu")


def content_of(entry: TreeEntry) -> bytes:
    return entry.content() if callable(entry.content) else entry.content


def run(*command: str | Path) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_ldconfig_reads_our_cache(tmp_path: Path) -> None:
    """In the order of glibc's own comparison: it searches by bisection."""
    libraries = {
        f"lib{name}": f"/usr/lib/lib{name}" for name in ("a.so.9", "a.so.10", "a.so", "ab.so.1", "b-2.so")
    }
    (tmp_path / "cache").write_bytes(encode_cache(libraries, 0x0303))
    lines = run("/sbin/ldconfig", "-p", "-C", tmp_path / "cache").splitlines()[1:]
    assert [line.split()[0] for line in lines] == [
        "libb-2.so",
        "libab.so.1",
        "liba.so.10",
        "liba.so.9",
        "liba.so",
    ]
    assert all(line.endswith(f"=> {libraries[line.split()[0]]}") for line in lines)


def test_our_order_is_ldconfigs() -> None:
    """The host's own cache, as ldconfig wrote it, is sorted by our key."""
    names = [line.split()[0] for line in run("/sbin/ldconfig", "-p").splitlines()[1:] if "=>" in line]
    keys = [soname_key(name) for name in names]
    assert keys == sorted(keys, reverse=True)


def test_libraries_of_packages_are_in_the_cache(tmp_path: Path) -> None:
    """By soname, and the link from the soname to the file is made where the package has none."""
    library = MULTIARCH / "libc.so.6"
    folder = "./usr/lib/x86_64-linux-gnu/"
    members: list[Member] = [("dir", "./", b""), ("file", f"{folder}libthing-1.0.so", library.read_bytes())]
    members.append(("file", "./etc/ld.so.conf.d/x.conf", b"# comment\n/lib/x86_64-linux-gnu\n"))
    deb = write_deb(tmp_path, deb_of(control_of(), tar_of(members)))
    tree = debian_tree([base_passwd(tmp_path), deb], flavour="standard", staging=tmp_path)
    assert tree["usr/lib/x86_64-linux-gnu/libc.so.6"].link_target == "libthing-1.0.so"
    assert b"/lib/x86_64-linux-gnu/libc.so.6\0" in content_of(tree["etc/ld.so.cache"])


def test_elf_needs_are_readelfs() -> None:
    for path in (*sorted(MULTIARCH.glob("lib[cmz].so.*")), Path("/bin/ls"), MULTIARCH / "libstdc++.so.6"):
        text = run("readelf", "-dW", path)
        needs = elf_needs(path.read_bytes())
        assert needs is not None
        assert list(needs.needed) == re.findall(r"\(NEEDED\).*\[(.*)\]", text)
        assert needs.soname == next(iter(re.findall(r"\(SONAME\).*\[(.*)\]", text)), None)
        assert needs.machine == os.uname().machine


def test_a_broken_elf_file_is_none_of_ours() -> None:
    """Cut off or changed anywhere in its tables: an answer or None, never an exception."""
    whole = Path(sys.executable).read_bytes()[:4096]
    assert elf_needs(b"") is None
    assert elf_needs(b"#!/bin/sh\n" * 10) is None
    for offset in range(0, 1024, 3):
        elf_needs(whole[:offset])
        elf_needs(whole[:offset] + b"\xff\xff" + whole[offset + 2 :])


def test_subject_hashes_are_openssls() -> None:
    """Over the host's authorities: many forms of names, in several scripts."""
    paths = sorted(Path("/usr/share/ca-certificates/mozilla").glob("*.crt"))[::6]
    assert len(paths) > 10
    for path in paths:
        expected = run("openssl", "x509", "-noout", "-subject_hash", "-in", path).strip()
        assert f"{subject_hash(path.read_bytes()):08x}" == expected, path.name


def test_accounts_have_no_password_and_no_date(tmp_path: Path) -> None:
    tree = debian_tree([base_passwd(tmp_path)], flavour="minimal", staging=tmp_path)
    assert b"lading:x:1000:1000:lading:/home/lading:/usr/sbin/nologin\n" in content_of(tree["etc/passwd"])
    shadow = content_of(tree["etc/shadow"]).decode().splitlines()
    assert shadow[0] == "root:*::0:99999:7:::"
    assert (tree["etc/shadow"].mode, tree["etc/shadow"].gid) == (0o640, 42)
    assert (tree["home/lading"].uid, tree["home/lading"].gid) == (1000, 1000)


def test_every_root_has_its_folders(tmp_path: Path) -> None:
    tree = debian_tree([base_passwd(tmp_path)], flavour="minimal", staging=tmp_path)
    modes = {path: tree[path].mode for path in ("tmp", "var/tmp", "root", "proc", "etc")}
    assert modes == {"tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700, "proc": 0o755, "etc": 0o755}
    for path in ("etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/nsswitch.conf"):
        assert tree[path].kind is EntryKind.FILE
    parents = {path.rpartition("/")[0] for path in tree} - {""}
    assert parents <= tree.keys()


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("exit 0", True),
        ("ldconfig", True),
        ('dpkg-maintscript-helper rm_conffile /etc/x 1.0~ -- "$@"', True),
        ("update-alternatives --install /usr/bin/x x /usr/bin/y 5 || true", True),
        ("update-alternatives --install /usr/bin/x x $HERE/y 5", False),
        ("adduser --system thing", False),
        ('if [ -n "$2" ]; then rm -rf /; fi', False),
        ("systemd-tmpfiles --create x.conf", False),
        ('eval "$(cat /x)"', False),
        ("exit 0; touch /x", False),
        ("true && touch /x", False),
        ("configure) touch /x ;;", False),
        ("echo unknown argument; touch /x", False),
        ("echo $(touch /x) called with", False),
        ("set -e; touch /x", False),
    ],
)
def test_only_what_is_known_is_harmless(line: str, known: bool) -> None:
    assert (not read_script(f"#!/bin/sh\n{line}\n").unknown) is known


def test_what_only_an_upgrade_does_is_no_effect() -> None:
    """A conjunction with an earlier version is false at first; a disjunction or an else is not."""
    block = '#!/bin/sh\nif [ "$1" = configure ] {} [ -n "$2" ]; then\n  touch /x\n{}fi\n'
    assert read_script(block.format("&&", "")).unknown == ()
    assert read_script(block.format("||", "")).unknown != ()
    assert read_script(block.format("&&", "else\n  touch /y\n")).unknown != ()
    assert read_script('#!/bin/sh\nif dpkg --compare-versions "$2" lt 2; then\n touch /x\nfi\n').unknown != ()


def test_scripts_in_other_languages_are_unknown() -> None:
    for text in ("#!/usr/bin/perl\nexit 0\n", "#!/usr/bin/python3\n", "", "\x7fELF"):
        assert read_script(text).unknown


def test_every_effect_has_a_reason() -> None:
    assert all(effect.reason for effect in EFFECTS)
    known = effect_of("python3.13-minimal")
    assert known is not None and known.handler is not None
    assert effect_of("python3.13-minimal-evil") is None
