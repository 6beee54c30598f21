"""Rules that look beside a file see what is there, and mend it without touching anything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.inspect.lint.engine import lint_files
from lading.inspect.lint.fix import mended
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


def test_a_path_of_odd_characters_is_ignored_by_its_own_line_alone(tmp_path: Path) -> None:
    folder: Folder = {"Dockerfile": "FROM a:1\nCOPY . .\n", "[x]*.key/id_rsa": "x", "#/id_rsa": "y"}
    path = laid_out(tmp_path, folder)
    found = [finding for finding in lint_files([path], {}).findings if finding.rule == "LDD017"]
    assert [bool(finding.edits) for finding in found] == [False, True], "a comment names no file"
    (tmp_path / ".dockerignore").write_text(mended("", found, ".dockerignore"))
    left = [finding.message for finding in lint_files([path], {}).findings if finding.rule == "LDD017"]
    assert len(left) == 1
    assert left[0].startswith("#/id_rsa")


MIX = "FROM python:3.12-slim\nWORKDIR /app\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            MIX + '# all of it\nCOPY . .\n\nRUN pip install \\\n  -r requirements.txt\nCMD ["a"]\n',
            MIX + "# all of it\nCOPY requirements.txt ./\nRUN pip install \\\n  -r requirements.txt\n\n"
            'COPY . .\nCMD ["a"]\n',
        ),
        (
            MIX + "COPY --chown=1:1 ./ /app/\nRUN pip install -r /app/requirements.txt",
            MIX + "COPY --chown=1:1 requirements.txt /app/\nRUN pip install -r /app/requirements.txt\n"
            "COPY --chown=1:1 ./ /app/",
        ),
        (MIX + "COPY . .\n# why\nRUN pip install -r requirements.txt\n", ""),
        (MIX + "COPY . .\nRUN pip install -r requirements.txt && python setup.py\n", ""),
        (MIX + "COPY . .\nRUN pip install -r local.txt\n", ""),
        (MIX + "COPY . .\nRUN pip install -r ignored.txt\n", ""),
        (MIX + "COPY . /src\nRUN pip install -r requirements.txt\n", ""),
    ],
)
def test_an_installation_is_put_before_the_whole(before: str, after: str, tmp_path: Path) -> None:
    folder: Folder = {"Dockerfile": before, "requirements.txt": "a==1\n", "local.txt": "-e .\n"}
    path = laid_out(tmp_path, {**folder, "ignored.txt": "a==1\n", ".dockerignore": "ignored.txt\n"})
    found = [finding for finding in lint_files([path], {}).findings if finding.rule == "LDD010"]
    assert found
    assert mended(before, found) == (after or before)
    if after:
        path.write_text(after)
        assert "LDD010" not in {finding.rule for finding in lint_files([path], {}).findings}
