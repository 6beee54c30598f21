"""Writes docs/internals/catalogue.md: each case of the fault catalogue, the verdict, and the tests of it.

    python docs/generate/catalogue.py            write the page
    python docs/generate/catalogue.py --check    write nothing; exit 1 when the page is out of date

A test stands for a case when the case's id is in its name (`test_a01_…`), in the id of a row of its
parameters (`W17-…`), in its docstring, or in its mark `catalogue`. Reads the tests' sources and imports none.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
TESTS = REPOSITORY / "tests"
PAGE = REPOSITORY / "docs/internals/catalogue.md"
CASES = Path(__file__).with_name("catalogue.toml")
LATER = "later"
_ROW = re.compile(r"([WTSADXZR]\d\d)(?:[ -].*)?", re.ASCII)
_IN_TEXT = re.compile(r"\b([WTSADXZR]\d\d)\b", re.ASCII)
_IN_NAME = re.compile(r"_(?!x86)([wtsadxzr]\d\d)(?=_|$)", re.ASCII)
_HEAD = """\
# The fault catalogue

<!-- Made by docs/generate/catalogue.py from the tests: run it, never edit. -->

Ways to go wrong that were seen somewhere, and what lading does.

- **refuse**: a typed error that names file and rule; nothing is written
- **error**: the outside world failed; a typed error with a next step, and the store stays whole
- **accept**: right or harmless
- **hold**: a law that must hold whatever happens
- **later**: what it would break is not there yet
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    id: str
    verdict: str
    what: str
    why: str = ""
    """Only with `later`: why there is nothing to test yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    title: str
    intro: str
    cases: tuple[Case, ...]


def families() -> list[Family]:
    """What catalogue.toml says."""
    document = tomllib.loads(CASES.read_text("utf-8"))
    return [
        Family(
            title=family["title"],
            intro=family["intro"],
            cases=tuple(
                Case(id=name, verdict=row[0], what=row[1], why=row[2] if len(row) > 2 else "")
                for name, row in family["cases"].items()
            ),
        )
        for family in document.values()
    ]


def tests_by_case() -> dict[str, list[str]]:
    """Case id → what stands for it: `path::test`, or `path: row, row` for rows of a table of parameters."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(set(TESTS.rglob("test_*.py")) - {TESTS / "unit/test_catalogue.py"}):
        place = path.relative_to(TESTS).as_posix()
        tree = ast.parse(path.read_text("utf-8"))
        for name, ids in _tests(tree):
            for one in sorted(ids):
                found[one].append(f"`{place}::{name}`")
        rows: dict[str, list[str]] = defaultdict(list)
        for row in _rows(tree):
            rows[row[:3]].append(row)
        for one, names in rows.items():
            found[one].append(f"`{place}`: " + ", ".join(f"`{name}`" for name in names))
    return dict(found)


def _tests(tree: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """Each test function with the cases in its name, docstring and marks; those of a module's mark too."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            ids = {one.upper() for one in _IN_NAME.findall(node.name)}
            ids |= set(_IN_TEXT.findall(ast.get_docstring(node) or ""))
            for decorator in node.decorator_list:
                ids |= _marked(decorator)
            yield node.name, ids


def _marked(decorator: ast.expr) -> set[str]:
    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.catalogue":
        return {str(ast.literal_eval(argument)) for argument in decorator.args}
    return set()


def _rows(tree: ast.Module) -> Iterator[str]:
    """Ids of parameters, written `W17-count`; in the order of the source, each once."""
    seen = set()
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
        if text is None and isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
        if text and re.fullmatch(r"[WTSADXZR]\d\d-[^\s]+", text, re.ASCII) and text not in seen:
            seen.add(text)
            yield text


def mistakes() -> dict[str, dict[str, list[str]]]:
    """Rows of bad user input: path → family → rows. A family is a key, an option or a command."""
    project = TESTS / "unit/project/test_mistakes.py"
    command_line = TESTS / "unit/cli/test_mistakes.py"
    found: dict[str, dict[str, list[str]]] = {}
    families: dict[str, list[str]] = defaultdict(list)
    for node in ast.walk(ast.parse(project.read_text("utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            row = node.args[0]
            if node.func.id in _ROW_MAKERS and isinstance(row, ast.Constant):
                families[_family(node, str(row.value))].append(str(row.value))
    found[project.relative_to(TESTS).as_posix()] = dict(families)
    families = defaultdict(list)
    for line in _command_lines(ast.parse(command_line.read_text("utf-8"))):
        options = [word for word in line.split() if word.startswith("--") and word != "--"]
        families[options[0] if options else line.split()[0]].append(line)
    found[command_line.relative_to(TESTS).as_posix()] = dict(families)
    return found


_ROW_MAKERS = {"config": 3, "project": 3, "lines": None, "Mistake": 3}
"""Function that makes a row → the argument that is the key at fault; None: each row is a family."""


def _family(row: ast.Call, name: str) -> str:
    assert isinstance(row.func, ast.Name)
    number = _ROW_MAKERS[row.func.id]
    if number is None or number >= len(row.args):
        return name
    key = row.args[number]
    return str(key.value) if isinstance(key, ast.Constant) and key.value != "requirements" else name


def _command_lines(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "MISTAKES":
            assert isinstance(node.value, ast.List)
            for row in node.value.elts:
                assert isinstance(row, ast.Tuple)
                yield str(ast.literal_eval(row.elts[0]))


def _mistakes_section() -> list[str]:
    tables = mistakes()
    rows = sum(len(names) for table in tables.values() for names in table.values())
    counted = sum(min(3, len(names)) for table in tables.values() for names in table.values())
    parts = [
        "## Bad user input\n",
        f"{rows} rows, {counted} when at most three a family count. Each is an error with file, line and key "
        "or the words of the command line, and a next step; none is a traceback.\n",
    ]
    for path, families in tables.items():
        parts.append(f"`{path}`\n\n| family | rows |\n|---|---|")
        for family, names in sorted(families.items()):
            parts.append(f"| `{family}` | {', '.join(f'`{name}`' for name in names)} |")
        parts.append("")
    return parts


def page() -> str:
    """The whole page."""
    tests = tests_by_case()
    parts = [_HEAD]
    for family in families():
        parts.append(
            f"## {family.title}\n\n{family.intro}\n\n| case | what | verdict | tests |\n|---|---|---|---|"
        )
        for case in family.cases:
            shown = case.why if case.verdict == LATER else "<br>".join(tests.get(case.id, ()))
            parts.append(f"| {case.id} | {case.what} | {case.verdict} | {shown} |")
        parts.append("")
    return "\n".join([*parts, *_mistakes_section()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    made = page()
    if parser.parse_args().check:
        if not PAGE.is_file() or PAGE.read_text("utf-8") != made:
            sys.stderr.write(f"{PAGE} is out of date: python docs/generate/catalogue.py\n")
            return 1
        return 0
    PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
