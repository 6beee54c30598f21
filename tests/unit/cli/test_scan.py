"""`lading scan`: what it prints, and how it ends."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from lading.store import Store
from scanned.images import SITE, Layer, put, wheel
from scanned.planted import GITHUB, LINE
from scanned.records import CRITICAL, record

from .conftest import Lading

TORCH = wheel("torch", "2.5.0", {"torch/__init__.py": b""})


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The digest of an image with one secret and one package; the folder it is scanned from is empty."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return put(Store.open({"LADING_HOME": str(tmp_path / "home")}), [{"app/a.txt": LINE, **TORCH}])


def advisories(folder: Path) -> Path:
    path = folder / "advisories.jsonl"
    path.write_text(
        json.dumps(record("CVE-2026-1", "torch", ("introduced", "0"), ("fixed", "2.6.0"), vector=CRITICAL))
        + "\n"
    )
    return path


def test_z12_a_secret_fails_the_gate_with_a_code_of_its_own(lading: Lading, image: str) -> None:
    said = lading("scan", image)
    assert said.status == 5
    assert "app/a.txt:1 (layer 1): holds what looks like a Hugging Face token" in said.stdout
    assert "the gate `secrets == 0 and altered == 0` failed: secrets 1 == 0" in said.stderr
    assert GITHUB not in said.stdout


def test_a_known_flaw_fails_the_gate_and_one_command_says_it_all(
    lading: Lading, image: str, tmp_path: Path
) -> None:
    said = lading("scan", image, "--only", "vulnerabilities", "--vulnerabilities", str(advisories(tmp_path)))
    assert said.status == 5
    assert "vulnerabilities: 1 (1 advisory, the newest of 2026-11-20)" in said.stdout
    assert "  critical 9.8  CVE-2026-1  torch 2.5.0 → 2.6.0: torch can be made to do wrong" in said.stdout


def test_json_is_one_document_also_when_the_gate_fails(lading: Lading, image: str, tmp_path: Path) -> None:
    said = lading("scan", image, "--json", "--vulnerabilities", str(advisories(tmp_path)))
    assert (said.status, said.document["type"], said.document["gate"]["outcome"]) == (5, "scan", "fail")
    assert said.document["metrics"]["fixable.critical"] == 1


def test_sarif_is_one_document(lading: Lading, image: str) -> None:
    said = lading("scan", image, "--format", "sarif", "--gate", "secrets < 5")
    assert (said.status, said.document["version"]) == (0, "2.1.0")


def test_a_gate_over_what_was_not_looked_for_is_inconclusive(lading: Lading, image: str) -> None:
    said = lading("scan", image, "--only", "secrets", "--gate", "critical == 0")
    assert said.status == 6
    assert "no value for critical" in said.stderr


@pytest.mark.parametrize(
    "words",
    ["--gate secretz==0", "--epss no.csv --vulnerabilities ../advisories.jsonl", "--vulnerabilities no.zip"],
)
def test_mistakes_are_told_before_an_image_is_looked_for(lading: Lading, tmp_path: Path, words: str) -> None:
    advisories(tmp_path)
    said = lading("scan", "oci:no/such/layout", *words.replace("../", f"{tmp_path}/").split())
    assert (said.status, said.stdout) == (2, "")
    assert "no/such/layout" not in said.stderr


@pytest.mark.parametrize("check", ["setuid", "startup"])
def test_what_the_default_gate_has_no_clause_of_is_told_and_fails_nothing(
    lading: Lading, tmp_path: Path, image: str, check: str
) -> None:
    program = tarfile.TarInfo()
    program.mode, program.size = 0o4755, 3
    layer: Layer = {"usr/bin/su": program, f"{SITE}/a.pth": b"import os; os.system('id')\n"}
    digest = put(Store.open({"LADING_HOME": str(tmp_path / "home")}), [layer])
    said = lading("scan", digest, "--only", check)
    assert said.status == 0, said.stderr
    assert f"{check}: 1" in said.stdout
    assert "no gate" in said.stdout
    assert lading("scan", digest, "--only", check, "--gate", f"{check} == 0").status == 5
    document = lading("scan", digest, "--only", check, "--json").document
    assert document["gate"] == {"gate": "", "outcome": "pass", "terms": []}


def test_the_hint_of_a_failed_gate_names_the_finding_and_what_mends_it(
    lading: Lading, image: str, tmp_path: Path
) -> None:
    """What it proposes for lading.toml lets the finding be."""
    said = lading("scan", image, "--vulnerabilities", str(advisories(tmp_path)), "--only", "vulnerabilities")
    assert "hint: torch 2.6.0 or newer mends CVE-2026-1" in said.stderr
    assert '[[scan.allow]]\n  finding = "CVE-2026-1"\n  package = "torch"\n' in said.stderr
    said = lading("scan", image)
    assert 'finding = "secret"\n  path = "app/a.txt"\n' in said.stderr
    Path("lading.toml").write_text(said.stderr[said.stderr.index("[[scan.allow]]") :])
    assert lading("scan", image).status == 0


def test_the_hint_of_a_gate_that_no_finding_fails_is_where_the_metrics_are(
    lading: Lading, image: str
) -> None:
    said = lading("scan", image, "--gate", "setuid > 5")
    assert said.status == 5
    assert "--json: its `metrics`" in said.stderr
    assert "scan.allow" not in said.stderr


def test_quiet_says_only_what_fails(lading: Lading, image: str) -> None:
    assert lading("scan", image, "-q", "--gate", "secrets < 5").stdout == ""
    said = lading("scan", image, "-q")
    assert said.status == 5
    (line,) = said.stdout.splitlines()
    assert line == "secrets: app/a.txt:1 (layer 1): holds what looks like a Hugging Face token"
    assert "the gate `secrets == 0 and altered == 0` failed" in said.stderr


SETTINGS = """
[scan]
gate = "secrets == 0 and critical == 0"
vulnerabilities = "../advisories.jsonl"

[[scan.allow]]
finding = "GHSA-x"
package = "torch"
reason = "its loader is not used"
expires = 2099-01-01

[[scan.allow]]
finding = "secret"
path = "app/*.txt"
reason = "a sample"
expires = {day}
"""


def test_a_project_says_gate_database_and_exceptions(lading: Lading, image: str, tmp_path: Path) -> None:
    advisories(tmp_path)
    Path("lading.toml").write_text(SETTINGS.format(day="2099-01-01"))
    said = lading("scan", image)
    assert said.status == 5
    assert "secrets: none, 1 allowed" in said.stdout
    assert "nothing was found for the exception GHSA-x torch: it can go" in said.stderr
    Path("lading.toml").write_text(SETTINGS.format(day="2099-01-01").replace("GHSA-x", "cve-2026-1"))
    assert lading("scan", image).status == 0


def test_z10_an_exception_that_expired_is_an_error_that_names_it(lading: Lading, image: str) -> None:
    Path("lading.toml").write_text(SETTINGS.format(day="2026-01-01"))
    said = lading("scan", image)
    assert said.status == 1
    assert (
        "lading.toml:16: scan.allow[1].expires: the exception for secret app/*.txt expired on 2026-01-01"
        in said.stderr
    )


def test_what_may_enter_an_image_may_be_in_it(lading: Lading, image: str) -> None:
    entry = '[[image.allow_secret]]\npath = "*.txt"\nreason = "a sample"\nexpires = 2099-01-01\n'
    Path("lading.toml").write_text(entry)
    assert lading("scan", image).status == 0


MISTAKES = [
    ("--only secret", 2, "`secret` is not one of secrets, altered"),
    ("--only vulnerabilities", 2, "needs a file of advisories"),
    ("--vulnerabilities no/such.zip", 2, "no/such.zip is not there"),
    ("--gate secrets=0", 1, "secrets=0"),
    ("--format xml", 2, "`xml` is not one of text, sarif"),
    ("--epss no.csv --vulnerabilities ../advisories.jsonl", 2, "no.csv is not there\nhint: ls ."),
    ("--epss . --vulnerabilities ../advisories.jsonl", 3, "hint: ls -l ."),
    ("--epss no.csv", 2, "none are looked for\nhint: lading scan --vulnerabilities all.zip --epss no.csv"),
    ("--epss no.csv --only secrets --vulnerabilities ../advisories.jsonl", 2, "none are looked for"),
    ("--gate secretz==0", 2, "`secretz` is no metric of a scan: did you mean 'secrets'?"),
]


@pytest.mark.parametrize(("words", "status", "text"), MISTAKES)
def test_mistakes_are_told_in_words(
    lading: Lading, image: str, tmp_path: Path, words: str, status: int, text: str
) -> None:
    advisories(tmp_path)
    said = lading("scan", image, *words.split())
    assert (said.status, text in said.stderr) == (status, True), said.stderr


WRITTEN = [
    ('[scan]\ngate = "secrets ="\n', "scan.gate"),
    ('[scan]\ngate = "secretz == 0"\n', "`secretz` is no metric of a scan"),
    ("[scan]\nfail = 1\n", "scan.fail: is not a key of this table"),
    ("[scan]\nallow = 1\n", "scan.allow: must be an array of tables"),
    ('[[scan.allow]]\nfinding = "CVE-1"\n', "scan.allow[0]: needs `reason`"),
    (
        '[[scan.allow]]\nfinding = "secret"\nreason = "x"\nexpires = 2099-01-01\n',
        "would allow every 'secret'",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRITTEN)
def test_mistakes_in_settings_have_their_place(lading: Lading, image: str, text: str, message: str) -> None:
    Path("lading.toml").write_text(text)
    said = lading("scan", image)
    assert said.status == 1
    assert message in said.stderr
    assert "lading.toml:" in said.stderr


def test_a_table_of_this_name_with_run_is_a_task(lading: Lading, image: str) -> None:
    Path("lading.toml").write_text('[scan]\nrun = "python scan.py"\n')
    assert lading("scan", image, "--gate", "secrets == 1").status == 0
