"""Each rule over Python projects catches its cases, leaves others alone, and mends only what it found."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.inspect.lint.engine import lint_files
from lading.inspect.lint.fix import mended
from lading.inspect.lint.model import Finding
from lint.python_cases import PYTHON, Folder

CATCH = [(rule, case) for rule, (caught, _) in PYTHON.items() for case in caught]
LEAVE = [(rule, case) for rule, (_, left) in PYTHON.items() for case in left]


def lint(case: Folder, folder: Path) -> list[Finding]:
    (folder / ".git").mkdir(exist_ok=True)
    for name, text in case.items():
        (folder / name).write_text(text)
    report = lint_files([folder / next(iter(case))], {})
    assert not report.unread
    return report.findings


@pytest.mark.parametrize(("rule", "case"), CATCH)
def test_a_rule_catches_its_cases(rule: str, case: Folder, tmp_path: Path) -> None:
    assert rule in {finding.rule for finding in lint(case, tmp_path)}


@pytest.mark.parametrize(("rule", "case"), LEAVE)
def test_a_rule_leaves_other_folders_alone(rule: str, case: Folder, tmp_path: Path) -> None:
    assert rule not in {finding.rule for finding in lint(case, tmp_path)}


def test_every_rule_has_three_cases_of_each() -> None:
    assert all(len(caught) >= 3 <= len(left) for caught, left in PYTHON.values())


@pytest.mark.parametrize("case", [case for rule, case in CATCH if rule == "LDP004"])
def test_a_mend_writes_the_version_that_fits(case: Folder, tmp_path: Path) -> None:
    name, text = next(iter(case.items()))
    findings = lint(case, tmp_path)
    after = mended(text, findings)
    plain = name == "requirements.txt"
    assert (after != text) is plain
    if plain:
        assert "LDP004" not in {finding.rule for finding in lint({name: after}, tmp_path)}
        assert after in (
            text.replace("torchvision==0.20.1", "torchvision==0.21.0"),
            text.replace("torchvision==0.15.2", "torchvision==0.16.2"),
            text.replace("torchaudio==2.5.0+cu124", "torchaudio==2.6.0+cu124"),
        )


def test_a_lock_above_counts_as_far_as_the_repository(tmp_path: Path) -> None:
    member = tmp_path / "packages/member"
    member.mkdir(parents=True)
    (member / "requirements.txt").write_text("torch\n")
    (tmp_path / "uv.lock").write_text("version = 1\n")
    assert lint_files([member], {}).findings == []
    (member / ".git").mkdir()
    assert [finding.rule for finding in lint_files([member], {}).findings] == ["LDP001"]


@pytest.mark.parametrize("folder", ["docs", "tests"])
def test_what_lies_in_a_folder_for_developers_needs_no_lock(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    assert lint({"requirements.txt": "torch\npytest==8.0\n"}, tmp_path / folder) == []


def test_a_place_in_code_counts_characters(tmp_path: Path) -> None:
    text = "import torch\né = 'é'; torch.load(é, weights_only=False)\n"
    (finding,) = lint({"app.py": text}, tmp_path)
    assert (finding.line, finding.column) == (2, 10)
