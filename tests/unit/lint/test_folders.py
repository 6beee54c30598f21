"""Rules that look beside a file see what is there, and mend it without touching anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.inspect.lint.engine import lint_files
from lint.cases_folder import FOLDERS, Folder

CATCH = [(rule, folder) for rule, (caught, _) in FOLDERS.items() for folder in caught]
LEAVE = [(rule, folder) for rule, (_, left) in FOLDERS.items() for folder in left]


def laid_out(root: Path, folder: Folder) -> Path:
    """The folder, and the file in it that is linted."""
    for name, content in folder.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, int):
            with path.open("wb") as opened:
                opened.truncate(content)  # sparse: it takes no room
        else:
            path.write_text(content)
    return root / next(iter(folder))


@pytest.mark.parametrize(("rule", "folder"), CATCH)
def test_a_rule_catches_its_folders(rule: str, folder: Folder, tmp_path: Path) -> None:
    assert rule in {finding.rule for finding in lint_files([laid_out(tmp_path, folder)], {}).findings}


@pytest.mark.parametrize(("rule", "folder"), LEAVE)
def test_a_rule_leaves_other_folders_alone(rule: str, folder: Folder, tmp_path: Path) -> None:
    assert rule not in {finding.rule for finding in lint_files([laid_out(tmp_path, folder)], {}).findings}
