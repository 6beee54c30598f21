"""lading's settings in pyproject.toml are no part of the code: they are cut whole, and nothing else is."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.project.config import without_settings

OURS = (
    '[tool.lading]\nname = "x"\n',
    '[tool.lading.train]\nrun = "a [b] c"\n# words\n\n',
    '[[tool.lading.image.files]]\nsource = "a"\ndestination = "/b"\n',
    "[ tool . 'lading' . dev ]\nx = 1\n",
    '["tool"."lading"."a.b"]\nx = [\n 1,\n]\n',
)
THEIRS = (
    '[project]\nname = "p"\n\n',
    "[tool.ruff]\nlength = 1  # [tool.lading]\n",
    "[tool.lading-more]\ny = 2\n",
    '[tool."lading.x"]\ny = 2\n',
    '[other.tool.lading]\nz = """\n[tool]\n"""\n',
    "[[tool.uv.index]]\nurl = 'u'\n",
)


@given(st.permutations([*OURS, *THEIRS]))
def test_tables_of_lading_are_cut_wherever_they_stand(tables: list[str]) -> None:
    kept = without_settings("".join(tables))

    assert kept is not None
    assert tomllib.loads(kept) == tomllib.loads("".join(table for table in tables if table not in OURS))


def test_adding_the_table_at_the_end_changes_nothing() -> None:
    text = '[project]\nname = "p"\n'

    assert without_settings(f'{text}\n\n[tool.lading.train]\nrun = "x"\n') == text


@pytest.mark.parametrize(
    "text",
    [
        '[project]\nname = "p"\n',
        "[tool]\nlading.name = 'x'\n",
        "tool = { lading = { name = 'x' } }\n",
        '[tool.lading]\nname = """\n[project]\n"""\n',
        "[tool.lading\n",
        "",
    ],
)
def test_what_cannot_be_cut_by_lines_stays_whole(text: str) -> None:
    assert without_settings(text) is None
