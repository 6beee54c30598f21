"""What the documentation says exists: pages, links, commands, options, keys, files, functions."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from lading.cli.commands import BY_NAME
from lading.cli.main import add_global_arguments, split_tail
from lading.cli.parser import Parser
from lading.project.expression import parse
from lading.project.report import ConfigReport, Report
from lading.project.settings import read_settings

ROOT = Path(__file__).parents[3]
PAGES = tuple(sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]))
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_SEPARATORS = ("|", "&&", ";", ">", "<", "||")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    """The fenced blocks of these languages."""
    for language, text in _FENCE.findall(page.read_text("utf-8")):
        if language in languages:
            yield text


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text("utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as they are made on code hosting sites."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def command_parser(name: str) -> Parser:
    module = importlib.import_module(f"lading.cli.{BY_NAME[name].module}")
    parser = Parser(name, module.ABOUT, module.EXAMPLES, {})
    module.add_arguments(parser)
    add_global_arguments(parser)
    return parser


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of each `lading …` in lines of shell."""
    for line in text.replace("\\\n", " ").splitlines():
        for inner in re.findall(r"\$\((lading [^)]*)\)", line):
            yield inner.split()[1:]
        words: list[str] = []
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quote that goes on in the next line
            words = line.split()
        while "lading" in words:
            words = words[words.index("lading") + 1 :]
            end = next((at for at, word in enumerate(words) if word in _SEPARATORS), len(words))
            yield words[:end]


def test_the_pages_of_the_reference_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/generate/reference.py", "--check"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        for target in _LINK.findall(prose(page)):
            place = (page.parent / target.partition("#")[0]).resolve()
            if place.suffix == ".md" and place.is_file():
                waiting.append(place)
    assert set(PAGES) - reached == set()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_block_is_understood(page: Path) -> None:
    for text in blocks(page, "sh"):
        for words in command_lines(text):
            name, *arguments = words
            assert name in BY_NAME, words
            own, _ = split_tail(arguments)
            command_parser(name).parse(own)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_in_a_sentence_has_these_options(page: Path) -> None:
    for code in _CODE.findall(prose(page)):
        for words in command_lines(code):
            name, *arguments = words or ["--help"]
            if not name[0].isalpha() or not name.islower():
                continue  # `lading COMMAND`, `lading --help`
            assert name in BY_NAME, code
            own, _ = split_tail(arguments)
            known = command_parser(name)._option_string_actions
            assert [word for word in own if word.startswith("--") and word not in known] == [], code


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_make_target_exists(page: Path) -> None:
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"`make (\w+)`", prose(page))
    for text in blocks(page, "sh"):
        named += re.findall(r"^make (\w+)", text, re.MULTILINE)
    assert set(named) <= targets


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_configuration_shown_is_accepted(page: Path) -> None:
    for text in blocks(page, "toml"):
        document = tomllib.loads(text)
        document = document["tool"]["lading"] if "tool" in document else document
        report = Report()
        settings = read_settings(
            document,
            ConfigReport(report, "lading.toml", text),
            date(2026, 1, 1),
            {"train": "python train.py"},
        )
        report.stop_if_any()
        for task in settings.tasks.values():
            if "gate" in task:
                parse(task["gate"], place=name_of(page))


def test_every_variable_that_is_read_is_on_the_page() -> None:
    page = (ROOT / "docs/reference/environment.md").read_text("utf-8")
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(
                    re.findall(r"^(?:LADING|MLFLOW|REQUESTS|CURL|SSL|SOURCE)_[A-Z_]+[A-Z]$", node.value)
                )
    assert {name for name in found if f"`{name}`" not in page} == set()


def test_the_tour_names_functions_that_are_there() -> None:
    text = (ROOT / "docs/internals/tour.md").read_text("utf-8")
    rows = re.findall(r"^\| \d+ \| `([\w.]+)` \| `([\w/.]+)` \|", text, re.MULTILINE)
    assert len(rows) == 10
    for function, file in rows:
        source = (ROOT / "src/lading" / file).read_text("utf-8")
        assert f"def {function.rpartition('.')[2]}(" in source, function


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_source_file_named_in_code_type_exists(page: Path) -> None:
    places = (ROOT, ROOT / "tests", ROOT / "src", ROOT / "src/lading", ROOT / "src/lading/image/debian")
    for code in _CODE.findall(prose(page)):
        if re.fullmatch(r"[a-z_]+(?:/[\w.]+)+\.(?:py|toml|txt|sh|json)", code) and "/sample" not in code:
            if code.startswith(("data/", "assets/")):
                continue
            assert any((place / code).exists() for place in places), code


def test_the_glossary_is_short_and_in_order() -> None:
    text = (ROOT / "docs/internals/glossary.md").read_text("utf-8")
    terms = re.findall(r"^- \*\*(.+?)\*\*: ", text, re.MULTILINE)
    assert len(terms) == text.count("\n- ")
    assert len(terms) <= 70
    assert terms == sorted(terms, key=str.lower)


def test_pictures_are_whole() -> None:
    for path in (ROOT / "docs/images").glob("*.svg"):
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
