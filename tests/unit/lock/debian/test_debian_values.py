"""Debian's small languages: versions, relations, clear-signed texts, Release files, apt's sources."""

from __future__ import annotations

import datetime
import itertools
import subprocess
from pathlib import Path

import pytest

from lading.errors import OutsideError, ProjectError, SignatureRefused
from lading.lock.debian import base_packages, interpreter_packages, python_suite
from lading.lock.debian.base import is_needed
from lading.lock.debian.clearsign import split_clearsigned
from lading.lock.debian.mirror import choose_mirrors, discover_mirrors, parse_sources
from lading.lock.debian.packages import SuiteIndex, reduce_index
from lading.lock.debian.relation import Term, parse_relations
from lading.lock.debian.release import check_release, parse_release
from lading.lock.debian.version import compare_versions

ASCENDING = (
    "0~~", "0~~a", "0~", "0", "0+", "0.0~rc1", "0.0", "0.0a", "0.0+b1", "1.0~beta1~svn1245",
    "1.0~beta1", "1.0", "1.0-1~deb12u1", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-2", "1.0a", "1.0a1",
    "1.0b", "1.2", "1.10", "1.10-2+deb12u9", "1.10-2+deb12u10", "2:0.1", "10:0",
)  # fmt: skip


def test_versions_sort_as_policy_says() -> None:
    for left, smaller in enumerate(ASCENDING):
        for right, larger in enumerate(ASCENDING):
            expected = (left > right) - (left < right)
            assert compare_versions(smaller, larger) == expected, (smaller, larger)


def test_versions_sort_as_dpkg_sorts_them() -> None:
    """The same pairs, asked of dpkg, in one shell."""
    pairs = itertools.pairwise(ASCENDING)
    script = " && ".join(f"dpkg --compare-versions '{left}' lt '{right}'" for left, right in pairs)
    assert subprocess.run(["sh", "-c", script], check=False).returncode == 0


def test_equal_versions_written_otherwise_are_equal() -> None:
    for left, right in (("1", "0:1"), ("1.0", "1.00"), ("1", "1-0"), ("1.a", "1.a0")):
        assert compare_versions(left, right) == 0


def test_a_relation_has_alternatives_versions_and_qualifiers() -> None:
    parsed = parse_relations(
        "libc6 (>= 2.36), python3:any (<< 4), a | b:amd64 (= 1:2-3) [!hurd-any] <!nocheck>"
    )
    assert parsed == (
        (Term("libc6", ">=", "2.36"),),
        (Term("python3", "<<", "4", "any"),),
        (Term("a"), Term("b", "=", "1:2-3", "amd64")),
    )
    assert str(parsed[1][0]) == "python3:any (<< 4)"


@pytest.mark.parametrize("text", ["a (>= )", "a b", "(>= 1)", "a (~ 1)", "|"])
def test_a_relation_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a relation"):
        parse_relations(text)


def test_an_index_is_reduced_and_still_says_all_that_matters() -> None:
    stanza = (
        "Package: x\nVersion: 1\nArchitecture: amd64\nDescription: y\n long\nDepends: a,\n b\n"
        f"Filename: pool/x\nSize: 3\nSHA256: {'0' * 64}\nProvides: virtual (= 2)\nMaintainer: Z\n\n"
    )
    index = SuiteIndex(
        "bookworm", reduce_index((stanza + stanza.replace("Package: x", "Package: w")).encode())
    )
    (package,) = index.packages("x")
    assert [str(term) for group in package.depends for term in group] == ["a", "b"]
    assert index.providers("virtual") == {"x", "w"}
    assert index.packages("absent") == []


DOCUMENT = b"""-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

Codename: x
- -dashed
-----BEGIN PGP SIGNATURE-----

abc
-----END PGP SIGNATURE-----
"""


def test_a_clear_signed_text_is_unescaped() -> None:
    assert split_clearsigned(DOCUMENT, name="x").text == b"Codename: x\n-dashed"


def test_each_cut_of_a_clear_signed_text_is_refused() -> None:
    lines = DOCUMENT.splitlines(keepends=True)
    for count in range(len(lines)):
        with pytest.raises(SignatureRefused):
            split_clearsigned(b"".join(lines[:count]), name="x")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("Codename: x\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nCodename: y", "malformed"),
        ("Codename: x\nDate: Mon, 01 Jan 2024 00:00:00 UTC\nSHA256:\n zz 1 main", "malformed file list"),
        ("Codename: x", "has no Date"),
        ("Date: Mon, 01 Jan 2024 00:00:00 UTC", "has no Codename"),
    ],
)
def test_a_release_that_says_two_things_or_none_is_refused(text: str, match: str) -> None:
    with pytest.raises(SignatureRefused, match=match):
        parse_release(text.encode(), name="x")


def test_a_date_nobody_can_read_is_refused() -> None:
    release = parse_release(b"Codename: x\nDate: yesterday", name="x")
    with pytest.raises(SignatureRefused, match="nobody can read"):
        check_release(
            release,
            codename="x",
            now=datetime.datetime.now(datetime.UTC),
            last=None,
            allow_expired=False,
            name="x",
        )


ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/other.gpg] https://vendor.example/apt bookworm main
deb http://mirror.example/debian/ bookworm main contrib
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian-security bookworm-security main
"""
DEB822 = """Types: deb deb-src
URIs: http://mirror.example/debian
Suites: trixie trixie-updates
Components: main
# a comment
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no
"""


def test_the_mirror_of_apts_sources_is_the_archives() -> None:
    """Both forms; comments, sources and switched-off entries do not count, a vendor's repository neither."""
    assert choose_mirrors(parse_sources(ONE_LINE, deb822=False), "bookworm") == (
        "http://mirror.example/debian",
        "http://mirror.example/debian-security",
    )
    assert choose_mirrors(parse_sources(DEB822, deb822=True), "bookworm") == (
        "http://mirror.example/debian",
        None,
    )
    vendor = parse_sources("deb https://vendor.example/apt stable main", deb822=False)
    assert choose_mirrors(vendor, "bookworm") == (None, None)


def test_without_a_mirror_the_remedy_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="no Debian mirror is known") as caught:
        discover_mirrors({}, "bookworm", apt=tmp_path)
    assert "LADING_DEBIAN_MIRROR" in caught.value.hints[0]
    (tmp_path / "sources.list").write_text(ONE_LINE)
    assert discover_mirrors({}, "trixie", apt=tmp_path).archive == "http://mirror.example/debian"
    named = {"LADING_DEBIAN_MIRROR": str(tmp_path)}
    assert discover_mirrors(named, "trixie", apt=tmp_path).archive == tmp_path.as_uri()
    assert discover_mirrors(named, "trixie", apt=tmp_path).security is None


def test_bases_and_interpreters() -> None:
    assert (python_suite("3.11"), python_suite("3.13")) == ("bookworm", "trixie")
    with pytest.raises(ProjectError, match=r"no Debian suite has Python 2\.7"):
        python_suite("2.7")
    assert "dpkg" in base_packages("standard")
    assert not {"bash", "dash", "dpkg", "apt"} & set(base_packages("minimal"))
    assert "python3.13" in interpreter_packages("3.13")
    assert is_needed("ca-certificates", "openssl", "standard")
    assert not is_needed("ca-certificates", "openssl", "minimal")


def test_credentials_of_a_mirror_are_in_no_url(tmp_path: Path) -> None:
    named = {"LADING_DEBIAN_MIRROR": "https://user:secret@mirror.example/debian/"}
    mirrors = discover_mirrors(named, "bookworm", apt=tmp_path)
    assert mirrors.archive == "https://mirror.example/debian"
    assert mirrors.credentials == {"https://mirror.example:443": ("user", "secret")}
    assert "secret" not in repr(mirrors)
