"""What users get wrong about packages that come as source; rows as in test_mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest

from .test_mistakes import (
    PYPROJECT,
    Mistake,
    config,
    lines,
    project,
)
from .test_mistakes import (
    test_a_mistake_is_named_with_its_place_and_a_remedy as check,
)

MISTAKES = [
    config("build-text", "[image]\nbuild = 'x'\n", "lading.toml:2", "image.build", "[image.build.NAME]"),
    config(
        "build-unnamed",
        '[image.build]\nneeds = ["torch"]\n',
        "lading.toml:2",
        "image.build.needs",
        "must be a table",
        "[image.build.NAME]",
    ),
    config(
        "build-typo",
        '[image.build.flash-attn]\nneed = ["torch"]\n',
        "lading.toml:2",
        "image.build.flash-attn.need",
        "did you mean 'needs'?",
    ),
    config(
        "build-version",
        '[image.build.flash-attn]\nneeds = ["torch==2.9"]\n',
        "lading.toml:2",
        "image.build.flash-attn.needs[0]",
        "a name of a Python package",
    ),
    lines("git-named", "b @ git+https://user:pw@h.org/a/b\n", "requirements.txt:1", "credentials", "netrc"),
    lines("git-option", "git+https://h.org/a/b@--upload-pack\n", "requirements.txt:1", "no branch, tag"),
    lines("git-scheme", "git+ext://sh -c id\n", "requirements.txt:1", "no URL that Git", "git+https://"),
    lines("git-outside", "git+https://h.org/a#subdirectory=../b\n", "requirements.txt:1", "leads out"),
    lines("mercurial", "hg+https://h.org/a/b\n", "requirements.txt:1", "only Git"),
    lines("editable-other", "-e ../lib\n", "requirements.txt:1", "../lib does not exist", "relative to"),
    lines("path", "./lib\n", "requirements.txt:1", "./lib does not exist"),
    lines("wheel-file", "wheels/a-1-py3-none-any.whl\n", "requirements.txt:1", "does not exist"),
    lines(
        "url-page", "a @ https://h.org/a\n", "requirements.txt:1", "no source archive", "git+https://h.org/a"
    ),
    lines("url-hash", "https://h.org/a-1.tar.gz#sha256=12\n", "requirements.txt:1", "no sha256", "64"),
    lines("url-scheme", "a @ ftp://h.org/a-1.tar.gz\n", "requirements.txt:1", "cannot be fetched"),
    Mistake(
        "folder-without-project",
        {"requirements.txt": "./lib\n", "lib/a.py": ""},
        "requirements.txt:1",
        "requirements",
        ("neither pyproject.toml nor setup.py",),
    ),
    Mistake(
        "no-archive",
        {"requirements.txt": "./lib.rar\n", "lib.rar": ""},
        "requirements.txt:1",
        "requirements",
        ("neither a folder nor a source archive", ".tar.gz"),
    ),
    project(
        "uv-workspace",
        f"{PYPROJECT}[tool.uv.sources]\na = {{ workspace = true }}\n",
        "pyproject.toml:5",
        "tool.uv.sources.a",
        "workspace",
        "path",
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_mistake_about_source_is_named_with_a_remedy(mistake: Mistake, tmp_path: Path) -> None:
    check(mistake, tmp_path)
