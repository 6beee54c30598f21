"""Known flaws: which versions they are of, what is one flaw, how bad it is, and what a gate says."""

from __future__ import annotations

import contextlib
import gzip
import json
import sqlite3
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.errors import LadingError, ProjectError, UsageError
from lading.inspect.scan.advisories import Database, normal_name, parse_advisory, read_database
from lading.inspect.scan.affected import SCHEMES, fixed_version, is_affected
from lading.inspect.scan.cvss import base_score, level_of
from lading.inspect.scan.epss import read_chances
from lading.inspect.scan.model import Check
from lading.inspect.scan.report import Advice, ScanReport
from lading.inspect.scan.vulnerabilities import find_subjects
from lading.lock.debian.version import version_key
from lading.run.gate import Outcome
from scanned.images import put, read, scan, store_in, wheel
from scanned.records import CRITICAL, MEDIUM, record

OS_RELEASE = b'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\n'
_GLIBC = b"Status: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9+deb12u1\n\n"
DPKG = (
    b"Package: libc6\n"
    + _GLIBC
    + b"Package: libc-bin\n"
    + _GLIBC
    + b"Package: perl-base\nStatus: install ok installed\nArchitecture: amd64\nSource: perl (5.36.0-7)\n"
    b"Version: 5.36.0-7+b1\n"
)
DEBIAN = {"etc/os-release": OS_RELEASE, "var/lib/dpkg/status": DPKG}
TORCH = wheel("torch", "2.5.0+cu124", {"torch/__init__.py": b""})
ALL = (Check.VULNERABILITIES,)


def judged(
    tmp_path: Path, *records: dict[str, Any], layers: Any = ({**DEBIAN, **TORCH},), **more: Any
) -> ScanReport:
    """What a scan of this image says with a database of these records."""
    tmp_path.mkdir(exist_ok=True)
    store = store_in(tmp_path)
    explanation, _ = read(store, put(store, layers))
    path = tmp_path / "advisories.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    subjects = find_subjects(explanation)
    database = read_database([path], frozenset(normal_name(one.name) for one in subjects.judged))
    advice = Advice(database=database, subjects=subjects, chances=more.pop("chances", {}))
    return scan(store, *layers, checks=ALL, advice=advice, **more)


def found_in(report: ScanReport) -> list[tuple[str, str, str, str | None]]:
    return [(f.id, f.package, f.details["severity"], f.details["fixed"]) for f in report.findings]


def test_a_planted_package_with_a_flaw_fails_the_gate(tmp_path: Path) -> None:
    """A local version is the public one built otherwise."""
    report = judged(
        tmp_path, record("CVE-2026-1", "torch", ("introduced", "0"), ("fixed", "2.6.0"), vector=CRITICAL)
    )
    assert found_in(report) == [("CVE-2026-1", "torch", "critical", "2.6.0")]
    assert report.findings[0].details["score"] == 9.8
    assert report.verdict.outcome is Outcome.FAIL


def test_a_fixed_version_passes(tmp_path: Path) -> None:
    report = judged(
        tmp_path, record("CVE-2026-1", "torch", ("introduced", "0"), ("fixed", "2.5.0"), vector=CRITICAL)
    )
    assert (found_in(report), report.verdict.outcome) == ([], Outcome.PASS)


def test_debian_is_judged_by_source_package_and_release(tmp_path: Path) -> None:
    events = (("introduced", "0"), ("fixed", "2.36-9+deb12u3"))
    report = judged(
        tmp_path,
        record(
            "DEBIAN-CVE-2024-1",
            "glibc",
            *events,
            ecosystem="Debian:12",
            upstream=["CVE-2024-1"],
            vector=MEDIUM,
        ),
        record("DEBIAN-CVE-2024-2", "glibc", *events, ecosystem="Debian:13", upstream=["CVE-2024-2"]),
        record("DEBIAN-CVE-2024-3", "libc6", *events, ecosystem="Debian:12"),
        record(
            "DEBIAN-CVE-2024-4", "perl", ("introduced", "0"), ("fixed", "5.36.0-7"), ecosystem="Debian:12"
        ),
        record("DEBIAN-CVE-2024-5", "perl", ("introduced", "0"), ecosystem="Debian:12"),
    )
    assert found_in(report) == [
        ("CVE-2024-1", "glibc", "medium", "2.36-9+deb12u3"),
        ("DEBIAN-CVE-2024-5", "perl", "unknown", None),
    ]
    assert report.findings[0].details["packages"] == ["libc-bin", "libc6"]
    assert report.verdict.outcome is Outcome.PASS, "one is medium, the other has no fix"


def test_a_withdrawn_advisory_is_none(tmp_path: Path) -> None:
    one = record("CVE-2026-1", "torch", ("introduced", "0"), withdrawn="2026-01-01T00:00:00Z")
    assert found_in(judged(tmp_path, one)) == []


def test_records_of_one_flaw_are_one_finding(tmp_path: Path) -> None:
    events = (("introduced", "0"), ("fixed", "2.6.0"))
    report = judged(
        tmp_path,
        record("PYSEC-2026-1", "torch", *events, aliases=["CVE-2026-1"]),
        record(
            "GHSA-a-b-c", "Torch", *events, aliases=["CVE-2026-1"], database_specific={"severity": "HIGH"}
        ),
        record("GHSA-d-e-f", "torch", *events, aliases=["CVE-2026-2"], vector=MEDIUM),
    )
    assert found_in(report) == [
        ("CVE-2026-1", "torch", "high", "2.6.0"),
        ("CVE-2026-2", "torch", "medium", "2.6.0"),
    ]
    assert report.findings[0].details["aliases"] == ["GHSA-a-b-c", "PYSEC-2026-1"]


def test_a_notice_of_several_flaws_goes_when_each_is_told(tmp_path: Path) -> None:
    events = (("introduced", "0"), ("fixed", "2.36-9+deb12u3"))
    flaws = [
        record(f"DEBIAN-CVE-2024-{n}", "glibc", *events, ecosystem="Debian:12", upstream=[f"CVE-2024-{n}"])
        for n in (1, 2)
    ]
    notice = record("DSA-1-1", "glibc", *events, ecosystem="Debian:12", upstream=["CVE-2024-1", "CVE-2024-2"])
    assert [one[0] for one in found_in(judged(tmp_path, *flaws, notice))] == ["CVE-2024-1", "CVE-2024-2"]
    assert "DSA-1-1" in judged(tmp_path, flaws[0], notice).findings[1].ids


SEVERITIES = [
    ({"vector": CRITICAL}, ("critical", 9.8)),
    ({"database_specific": {"severity": "MODERATE"}}, ("medium", None)),
    ({"vector": MEDIUM, "database_specific": {"severity": "HIGH"}}, ("medium", 6.1)),
    (
        {"severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H"}]},
        ("unknown", None),
    ),
    ({"severity": [{"type": "Ubuntu", "score": "high"}]}, ("high", None)),
    ({"affected": {"severity": [{"type": "CVSS_V3", "score": MEDIUM}]}, "vector": CRITICAL}, ("medium", 6.1)),
    ({"affected": {"ecosystem_specific": {"urgency": "unimportant"}}, "vector": CRITICAL}, ("low", 9.8)),
    ({}, ("unknown", None)),
]


@pytest.mark.parametrize(("more", "expected"), SEVERITIES)
def test_a_severity_is_the_vectors_else_the_databases_word(
    tmp_path: Path, more: dict[str, Any], expected: tuple[str, float | None]
) -> None:
    report = judged(tmp_path, record("CVE-2026-1", "torch", ("introduced", "0"), ("fixed", "3"), **more))
    assert (report.findings[0].details["severity"], report.findings[0].details["score"]) == expected
    assert (report.verdict.outcome is Outcome.FAIL) == (expected[0] in ("critical", "high", "unknown"))


def test_a_malicious_package_is_critical(tmp_path: Path) -> None:
    one = record("MAL-2026-1", "torch", versions=("2.5.0",))
    assert found_in(judged(tmp_path, one)) == [("MAL-2026-1", "torch", "critical", None)]


SCORES = {
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 9.8,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H": 10.0,
    "CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N": 6.1,
    "CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N": 6.4,
    "CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N": 3.1,
    "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H": 7.8,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H": 7.5,
    "CVSS:3.1/AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H": 6.8,
    "CVSS:3.1/AV:A/AC:L/PR:N/UI:N/S:C/C:H/I:N/A:H": 9.3,
    "CVSS:3.1/AV:N/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:N": 3.8,
    "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:C/C:H/I:H/A:H": 7.2,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N": 0.0,
    "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O/RC:C": 9.8,
}
"""The specification's own examples (document of examples, 3.1), and published scores."""


@pytest.mark.parametrize("vector", SCORES)
def test_a_base_score_is_the_specifications(vector: str) -> None:
    assert base_score(vector) == SCORES[vector]


@pytest.mark.parametrize(
    "text",
    ["", "CVSS:4.0/AV:N", "AV:N/AC:L", "CVSS:3.1/AV:N/AC:L", "CVSS:3.1/AV:Q/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"],
)
def test_what_is_no_vector_has_no_score(text: str) -> None:
    assert base_score(text) is None


def test_words_of_scores() -> None:
    assert [level_of(score) for score in (0.0, 0.1, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0, 10.0)] == [
        "none", "low", "low", "medium", "medium", "high", "high", "critical", "critical"
    ]  # fmt: skip


RANGES = [
    ((("introduced", "0"),), "9999", True),
    ((("introduced", "1.0"), ("fixed", "1.2")), "1.0", True),
    ((("introduced", "1.0"), ("fixed", "1.2")), "1.2", False),
    ((("introduced", "1.0"), ("fixed", "1.2")), "0.9", False),
    ((("introduced", "1.0"), ("fixed", "1.2")), "1.2rc1", True),
    ((("introduced", "1.0"), ("last_affected", "1.2")), "1.2+cu121", True),
    ((("introduced", "1.0"), ("last_affected", "1.2")), "1.2.post1", False),
    ((("fixed", "1.2"), ("introduced", "0")), "1.1", True),
    ((("introduced", "0"), ("fixed", "1.0"), ("introduced", "2.0"), ("fixed", "2.5")), "1.5", False),
    ((("introduced", "0"), ("fixed", "1.0"), ("introduced", "2.0"), ("fixed", "2.5")), "2.4", True),
    ((("introduced", "0"), ("fixed", "no version")), "1.0", True),
    ((("introduced", "0"),), "not a version", False),
]


@pytest.mark.parametrize(("events", "version", "expected"), RANGES)
def test_a_range_is_read_as_osv_says(
    events: tuple[tuple[str, str], ...], version: str, expected: bool
) -> None:
    advisory = parse_advisory(record("X-1", "a", *events))
    assert advisory is not None
    assert is_affected(advisory.affected[0], version, SCHEMES["PyPI"]) is expected


def test_a_list_of_versions_counts_by_itself() -> None:
    advisory = parse_advisory(record("X-1", "a", versions=("1.0", "2.0.0", "weird-1")))
    assert advisory is not None
    hits = [
        is_affected(advisory.affected[0], v, SCHEMES["PyPI"]) for v in ("1.0.0", "2.0+cpu", "weird-1", "1.1")
    ]
    assert hits == [True, True, True, False]


def test_the_nearest_fix_above_is_named() -> None:
    events = (("introduced", "0"), ("fixed", "1.4"), ("introduced", "2.0"), ("fixed", "2.3"))
    advisory = parse_advisory(record("X-1", "a", *events))
    assert advisory is not None
    assert fixed_version(advisory.affected[0], "1.0", SCHEMES["PyPI"]) == "1.4"
    assert fixed_version(advisory.affected[0], "2.1", SCHEMES["PyPI"]) == "2.3"


versions = st.from_regex(r"\A[0-9]{1,2}(\.[0-9]{1,2}){0,2}(~rc[0-9])?(-[0-9](\+deb12u[0-9])?)?\Z")


@settings(max_examples=40)
@given(st.lists(versions, min_size=2, max_size=6, unique_by=lambda text: version_key(text)), versions)
def test_in_order_ranges_alternate(bounds: list[str], version: str) -> None:
    """Between an odd and an even bound one is affected, in Debian's order, however the events stand."""
    ordered = sorted(bounds, key=version_key)
    events = [("introduced" if n % 2 == 0 else "fixed", bound) for n, bound in enumerate(ordered)]
    advisory = parse_advisory(record("X-1", "a", *reversed(events), ecosystem="Debian:12"))
    assert advisory is not None
    below = sum(version_key(bound) <= version_key(version) for bound in ordered)
    assert is_affected(advisory.affected[0], version, SCHEMES["Debian"]) is (below % 2 == 1)


ONE = record("CVE-2026-1", "torch", ("introduced", "0"))


def _write(path: Path, form: str) -> Path:
    text = json.dumps(ONE)
    if form == "folder":
        (path / "db/deep").mkdir(parents=True)
        (path / "db/deep/CVE-2026-1.json").write_text(text)
        return path / "db"
    target = path / f"db{form}"
    if form == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("CVE-2026-1.json", text)
    elif form == ".jsonl.gz":
        target.write_bytes(gzip.compress(text.encode() + b"\n"))
    elif form == "-list.json":
        target.write_text(json.dumps([ONE], indent=1))
    elif form == "-answer.json":
        target.write_text(json.dumps({"vulns": [ONE]}))
    else:
        target.write_text(json.dumps(ONE, indent=2))
    return target


@pytest.mark.parametrize(
    "form", ["folder", ".zip", ".jsonl", ".jsonl.gz", ".json", "-list.json", "-answer.json"]
)
def test_a_database_may_have_any_of_these_forms(tmp_path: Path, form: str) -> None:
    if form == ".jsonl":
        path = tmp_path / "db.jsonl"
        path.write_text(json.dumps(ONE) + "\n")
    else:
        path = _write(tmp_path, form)
    database = read_database([path], frozenset({"torch"}))
    assert [advisory.id for advisory in database.advisories] == ["CVE-2026-1"]
    assert (database.newest, database.ecosystems) == ("2026-11-20", {"PyPI"})
    assert read_database([path], frozenset({"numpy"})).advisories == []


BAD: dict[str, tuple[bytes, type[LadingError]]] = {
    "empty.zip": (b"PK\x05\x06" + bytes(18), UsageError),
    "broken.zip": (b"PK\x03\x04 no", ProjectError),
    "no.json": (b'{"name": "torch"}', ProjectError),
    "half.jsonl": (b'{"id": "X", "affected": [{"package": {"name": "torch"', ProjectError),
    "shape.jsonl": (b'{"id": "X", "affected": [{"package": {"name": "torch"}}]}', ProjectError),
    "list.json": (b"[1, 2", ProjectError),
    "id.json": (b'{"id": }', ProjectError),
    "lacking.json": (b'{"id": "X"}', ProjectError),
    "nameless.jsonl": (b'{"modified": "2026-11-20T08:00:00Z"}', ProjectError),
    "day.json": (b'{"id": "X", "modified": "2026-99-20T08:00:00Z"}', ProjectError),
    "number.jsonl": (b"7\n", ProjectError),
    "numbers.json": (b"[7]", ProjectError),
    "answer.json": (b'{"vulns": 7}', ProjectError),
    "other.json": (b'{"id": "X", "modified": "2026-11-20T08:00:00Z", "affected": [7]}', ProjectError),
    "letters.json": (b'{"id": "\xff"}', ProjectError),
    "deep.json": (b"[" * 100_000, ProjectError),
    "nothing.json": (b"", ProjectError),
    "nothing.jsonl": (b"\n", UsageError),
    "cut.jsonl.gz": (gzip.compress(bytes(range(256)))[:90], ProjectError),
}


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_database_is_no_clean_image(tmp_path: Path, name: str) -> None:
    content, error = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error) as caught:
        read_database([tmp_path / name], frozenset({"torch"}))
    assert name in str(caught.value)


@pytest.mark.parametrize("form", ["folder", "zip"])
@pytest.mark.parametrize("name", [name for name in BAD if name.endswith((".json", ".jsonl"))])
def test_one_damaged_entry_among_sound_ones_is_named(tmp_path: Path, name: str, form: str) -> None:
    """Also where none of the wanted packages is named in it."""
    content, error = BAD[name]
    folder = tmp_path / "db"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(ONE))
    (folder / name).write_bytes(content)
    path = folder
    if form == "zip":
        name = name.replace(".jsonl", ".json")
        error = ProjectError  # a member of no bytes is no JSON
        path = tmp_path / "db.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(folder / "a.json", "a.json")
            archive.writestr(name, content)
    with pytest.raises(error) as caught:
        read_database([path], frozenset({"torch"}))
    assert name in str(caught.value)


def test_a_record_that_affects_nothing_is_a_record(tmp_path: Path) -> None:
    """The schema requires an id and a day of change, no more."""
    (tmp_path / "a.json").write_text('{"id": "X", "modified": "2026-11-20T08:00:00Z"}')
    database = read_database([tmp_path / "a.json"], frozenset({"torch"}))
    assert (database.record_count, database.advisories, database.newest) == (1, [], "2026-11-20")


def test_what_the_database_does_not_cover_is_said(tmp_path: Path) -> None:
    report = judged(tmp_path, ONE, gate="unjudged == 0")
    assert report.unjudged == {"Debian:12: not in the database": 2}
    assert report.verdict.outcome is Outcome.FAIL


def test_packages_without_records_and_releases_without_names_are_said(tmp_path: Path) -> None:
    bare = {**TORCH, "etc/os-release": b"ID=fedora\nVERSION_ID=42\n"}
    report = judged(tmp_path / "a", ONE, layers=(bare,))
    assert report.unjudged == {"packages of fedora, of which the image has no records": 1}
    unnamed = {**TORCH, "var/lib/dpkg/status": DPKG, "etc/os-release": b"ID=debian\n"}
    report = judged(tmp_path / "b", ONE, layers=(unnamed,))
    assert report.unjudged == {"Debian packages of a release that os-release does not tell": 3}


def test_conda_packages_are_judged_as_pypis_and_alpines_are_not(tmp_path: Path) -> None:
    meta = {
        "name": "torch",
        "version": "2.5.0",
        "files": ["lib/python3.12/site-packages/torch-2.5.0.dist-info/METADATA"],
    }
    info = "opt/conda/lib/python3.12/site-packages/torch-2.5.0.dist-info"
    conda = {
        "opt/conda/conda-meta/torch-2.5.0-0.json": json.dumps(meta).encode(),
        f"{info}/METADATA": b"Name: torch\nVersion: 2.5.0\n\n",
        "lib/apk/db/installed": b"P:musl\nV:1.2.5-r0\n\n",
    }
    report = judged(tmp_path, ONE, layers=(conda,))
    assert [(f.package, f.version) for f in report.findings] == [("torch", "2.5.0")]
    assert report.unjudged == {"Alpine packages": 1}


def test_rpm_packages_are_counted_as_not_judged(tmp_path: Path) -> None:
    header = struct.pack(">IIII", 1000, 6, 0, 1) + struct.pack(">IIII", 1001, 6, 5, 1)
    data = b"bash\0" + b"5.1\0"
    path = tmp_path / "rpmdb.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)")
        blob = struct.pack(">II", 2, len(data)) + header + data
        database.execute("INSERT INTO Packages (blob) VALUES (?)", (blob,))
        database.commit()
    files = {"var/lib/rpm/rpmdb.sqlite": path.read_bytes(), "etc/os-release": b"ID=fedora\n"}
    report = judged(tmp_path / "a", ONE, layers=(files,))
    assert report.unjudged == {"RPM packages": 1}


def test_ubuntu_is_judged_for_its_release(tmp_path: Path) -> None:
    layer = {"etc/os-release": b'ID=ubuntu\nVERSION_ID="24.04"\n', "var/lib/dpkg/status": DPKG}
    one = record(
        "UBUNTU-CVE-1-1", "glibc", ("introduced", "0"), ecosystem="Ubuntu:24.04:LTS", upstream=["CVE-1-1"]
    )
    other = record("UBUNTU-CVE-1-2", "glibc", ("introduced", "0"), ecosystem="Ubuntu:Pro:24.04:LTS")
    assert [found[0] for found in found_in(judged(tmp_path, one, other, layers=(layer,)))] == ["CVE-1-1"]


def test_what_was_not_asked_for_is_inconclusive(tmp_path: Path) -> None:
    assert judged(tmp_path, ONE, gate="secrets == 0").verdict.outcome is Outcome.INCONCLUSIVE


def test_a_gate_may_ask_for_epss_and_for_the_age_of_the_database(tmp_path: Path) -> None:
    path = tmp_path / "epss.csv.gz"
    path.write_bytes(
        gzip.compress(b"#model_version:v2025,score_date:2026\ncve,epss,percentile\nCVE-2026-1,0.42,0.9\n")
    )
    chances = read_chances(path, {"CVE-2026-1"})
    report = judged(tmp_path, ONE, chances=chances, gate="epss < 0.1 or age_days > 5")
    assert (report.metrics["epss"], report.metrics["age_days"]) == (0.42, 5.0)
    assert report.verdict.outcome is Outcome.FAIL
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ProjectError):
        read_chances(tmp_path / "bad.csv", {"CVE-2026-1"})


def test_an_empty_database_has_nothing() -> None:
    assert Database().advisories == []
