"""The fault catalogue says what the tests do: no case without a test, no page that is out of date."""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def catalogue() -> ModuleType:
    """The page's generator."""
    path = REPOSITORY / "docs/generate/catalogue.py"
    spec = importlib.util.spec_from_file_location("catalogue", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_every_case_has_a_test_or_a_reason(catalogue: ModuleType) -> None:
    tests = catalogue.tests_by_case()
    cases = [case for family in catalogue.families() for case in family.cases]
    assert [case.id for case in cases if case.verdict != "later" and case.id not in tests] == []
    assert [case.id for case in cases if case.verdict == "later" and (case.id in tests or not case.why)] == []


def test_tests_stand_for_cases_that_there_are(catalogue: ModuleType) -> None:
    known = {case.id for family in catalogue.families() for case in family.cases}
    assert sorted(catalogue.tests_by_case().keys() - known) == []


def test_families_are_whole(catalogue: ModuleType) -> None:
    """Nobody takes a row out: W 50, T 44, S 34, A 18, D 16, X 16, Z 12, R 40."""
    sizes = {"W": 50, "T": 44, "S": 34, "A": 18, "D": 16, "X": 16, "Z": 12, "R": 40}
    known = {case.id for family in catalogue.families() for case in family.cases}
    wanted = {f"{letter}{number:02}" for letter, size in sizes.items() for number in range(1, size + 1)}
    assert known == wanted | {"W00"}


def test_verdicts_on_wheels_are_those_of_the_rows(catalogue: ModuleType) -> None:
    """A case is refused when a row of it is; what only looks like it may be accepted."""
    verdicts = {case.id: case.verdict for family in catalogue.families() for case in family.cases}
    rules = defaultdict(set)
    for name in ("test_zip_catalogue.py", "test_wheel_catalogue.py"):
        tree = ast.parse((REPOSITORY / "tests/unit/image" / name).read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Case":
                found = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                rules[found["id"].lstrip("f'\"")[:3]].add(found["rule"] == "None")
    assert len(rules) > 45
    for case, accepted in rules.items():
        assert verdicts[case] == ("accept" if accepted == {True} else "refuse"), case


def test_bad_user_input_has_many_families(catalogue: ModuleType) -> None:
    """At least forty rows, of each family three at most."""
    tables = catalogue.mistakes()
    assert sum(min(3, len(rows)) for table in tables.values() for rows in table.values()) >= 40


def test_the_page_is_up_to_date(catalogue: ModuleType) -> None:
    said = "run: python docs/generate/catalogue.py"
    assert catalogue.PAGE.read_text("utf-8") == catalogue.page(), said
