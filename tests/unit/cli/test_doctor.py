"""`lading doctor`: what it prints, and how it ends. On this very host, with a variable set wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lading.inspect.doctor.cause import all_causes

from .conftest import Lading

WRONG = {"HTTPS_PROXY": "http://:3128", "NO_PROXY": "localhost", "PATH": "/nothing"}


def test_an_error_is_told_with_proof_remedy_and_page_and_fails(lading: Lading) -> None:
    said = lading("doctor", **WRONG)
    assert said.status == 3
    assert "error proxy-malformed: A proxy variable holds no address\n" in said.stdout
    assert "  HTTPS_PROXY=http://:3128: it names no host\n" in said.stdout
    assert "  remedy  export HTTPS_PROXY=http://proxy.example:3128\n" in said.stdout
    assert "  more    lading doctor --explain proxy-malformed\n" in said.stdout


def test_the_level_that_fails_is_chosen(lading: Lading) -> None:
    assert lading("doctor", "--fail-on", "off", **WRONG).status == 0
    warning = {"PATH": "/nothing", "http_proxy": "http://127.0.0.1:1", "NO_PROXY": "localhost"}
    only_warnings = {**warning, "https_proxy": "http://127.0.0.1:1"}
    assert lading("doctor", LADING_DOCTOR_FAIL_ON="error", **only_warnings).status == 3, (
        "nobody listens there"
    )
    mistaken = lading("doctor", "--fail-on", "fatal")
    assert (mistaken.status, mistaken.stdout) == (2, "")
    assert "error, warning, info, off" in mistaken.stderr


def test_json_is_one_document(lading: Lading) -> None:
    document = lading("doctor", "--json", **WRONG).document
    assert document["type"] == "doctor"
    found = {finding["cause"]: finding for finding in document["findings"]}
    assert found["proxy-malformed"] == {
        "cause": "proxy-malformed",
        "severity": "error",
        "title": "A proxy variable holds no address",
        "proof": ["HTTPS_PROXY=http://:3128: it names no host"],
        "remedy": "export HTTPS_PROXY=http://proxy.example:3128",
        "page": "docs/reference/doctor/proxy-malformed.md",
        "exit_status": 3,
        "certain": True,
    }


@pytest.mark.parametrize("name", sorted(all_causes()))
def test_every_cause_explains_itself_and_its_page_is_there(lading: Lading, name: str) -> None:
    said = lading("doctor", "--explain", name)
    cause = all_causes()[name]
    assert (said.status, said.stderr) == (0, "")
    assert said.stdout.startswith(f"{name}: {cause.title}\n\n")
    page = Path(__file__).parents[3] / f"docs/reference/doctor/{name}.md"
    assert cause.page in page.read_text("utf-8")


def test_a_cause_that_is_none_is_corrected(lading: Lading) -> None:
    said = lading("doctor", "--explain", "secomp")
    assert (said.status, said.stdout) == (2, "")
    assert "lading doctor --explain seccomp" in said.stderr
    explained = json.loads(lading("doctor", "--json", "--explain", "seccomp").stdout)
    assert (explained["type"], explained["severity"]) == ("cause", "warning")


def test_the_store_is_not_made(lading: Lading, tmp_path: Path) -> None:
    lading("doctor", PATH="/nothing")
    assert not (tmp_path / "home").exists()
