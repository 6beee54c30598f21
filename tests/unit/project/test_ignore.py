"""Ignore rules, with git itself as the oracle."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lading.project.files import Walk
from lading.project.ignore import decide, dockerignore_patterns, gitignore_patterns
from lading.project.report import Report

NAMES = ("a", "b", "ab", "a.txt", "b.log", "#x", "!y", "a b", "[z]")
PATTERNS = st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "/a",
            "a/",
            "!a",
            "!/a",
            "!a/",
            "*",
            "!*",
            "/*",
            "*.txt",
            "!a.txt",
            "**/a",
            "a/**",
            "a/**/b",
            "a/b",
            "!a/b",
            "/a/b/",
            "**",
            "**/",
            "!**/",
            "a*",
            "?",
            "[ab]",
            "[!a]",
            "[^b].txt",
            "[a-b]",
            "\\#x",
            "\\!y",
            "#x",
            "a\\ b",
            "a b ",
            "a b",
            "\\[z\\]",
            "[]-a]",
            "ab\\",
            "[a",
            "a?b",
            "a**b",
            "*/b",
            "a/*",
            "[[:alpha:]]",
            "[[:alpha:]]*",
            "***",
            "/**/a",
            "!/a/b/",
            "",
            "   ",
            "/",
            "b.l[n-p]g",
            "a//b",
            "**a",
            "a/**/",
        ]
    ),
    max_size=6,
)
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
TREES = st.sets(PATHS, min_size=1, max_size=8)


def make_tree(root: Path, paths: set[str]) -> list[str]:
    """Files at `paths`; a path that is also a folder of another is left out."""
    files = [path for path in sorted(paths) if not any(other.startswith(f"{path}/") for other in paths)]
    for path in files:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("x")
    return files


def git(root: Path, *arguments: str, stdin: str = "") -> str:
    environment = {
        **os.environ,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        "HOME": str(root),
        "XDG_CONFIG_HOME": str(root),
    }
    command = ["git", "-c", "core.excludesFile=", *arguments]
    done = subprocess.run(
        command, cwd=root, env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


def kept_by_git(root: Path, files: list[str]) -> list[str]:
    listed = git(root, "check-ignore", "--no-index", "-z", "--stdin", stdin="\0".join(files) + "\0")
    ignored = set(listed.split("\0"))
    return sorted(path for path in files if path not in ignored)


def kept_by_us(root: Path) -> list[str]:
    report = Report()
    files = Walk(root, report, frozenset(), usually_not=()).run()
    assert report.problems == []
    return sorted(file.path for file in files if not file.path.endswith(".gitignore"))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=TREES, top=PATTERNS, nested=PATTERNS)
def test_gitignore_files_mean_what_git_says(
    tmp_path_factory: pytest.TempPathFactory, tree: set[str], top: list[str], nested: list[str]
) -> None:
    root = tmp_path_factory.mktemp("tree")
    git(root, "init", "-q")
    files = make_tree(root, tree)
    (root / ".gitignore").write_text("\n".join(top) + "\n")
    if (root / "a").is_dir():
        (root / "a" / ".gitignore").write_text("\n".join(nested) + "\n")
    assert kept_by_git(root, files) == kept_by_us(root)


@pytest.mark.parametrize(
    ("rules", "path", "ignored"),
    [
        ("*.pyc", "a.pyc", True),
        ("*.pyc", "deep/a.pyc", None),
        ("**/*.pyc", "deep/a.pyc", True),
        ("**/*.pyc", "a.pyc", True),
        ("data", "data", True),
        ("data/", "data", True),
        ("/data", "data", True),
        ("data", "src/data", None),
        ("*\n!keep", "keep", False),
        ("# data", "data", None),
        ("./data", "data", True),
    ],
)
def test_dockerignore_patterns_are_anchored(rules: str, path: str, ignored: bool | None) -> None:
    assert ignored == decide(dockerignore_patterns(rules), path, is_folder=False)


def test_dockerignore_can_take_back_inside_an_ignored_folder(tmp_path: Path) -> None:
    make_tree(tmp_path, {"data/keep/a", "data/drop", "b"})
    (tmp_path / ".dockerignore").write_text("data\n!data/keep\n.dockerignore\n")
    assert kept_by_us(tmp_path) == ["b", "data/keep/a"]


def test_the_first_of_the_three_files_is_the_only_one_used(tmp_path: Path) -> None:
    make_tree(tmp_path, {"a", "b", "c"})
    (tmp_path / ".gitignore").write_text("a\n.*ignore\n")
    (tmp_path / ".dockerignore").write_text("b\n.*ignore\n")
    assert kept_by_us(tmp_path) == ["a", "c"]
    (tmp_path / ".ladingignore").write_text("c\n.*ignore\n")
    assert kept_by_us(tmp_path) == ["a", "b"]


def test_a_byte_order_mark_is_no_part_of_a_pattern() -> None:
    assert decide(gitignore_patterns("\ufeffa\n"), "a", is_folder=False)
