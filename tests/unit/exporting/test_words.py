"""How values stand in an exported Dockerfile: each is read back as it was, or refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.convert.exporting.tools import UV_LIST
from lading.convert.exporting.words import copy, pairs, quoted, run
from lading.errors import ProjectError

REPOSITORY = Path(__file__).parent.parent.parent.parent


def unquoted(text: str) -> str:
    """A word of ENV as Docker reads it: another reading of the manual than the code's."""
    if not text.startswith('"'):
        return text
    return re.sub(r"\\(.)", r"\1", text[1:-1])


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))))
def test_a_value_reads_back_as_it_was(value: str) -> None:
    word = quoted(value)
    assert unquoted(word) == value
    assert re.search(r"(?<!\\)(?:\\\\)*\$", word) is None, "nothing is expanded"


@pytest.mark.parametrize("value", ["two\nlines", "a\rb"])
def test_what_no_dockerfile_can_say_is_refused(value: str) -> None:
    with pytest.raises(ProjectError, match="line break"):
        quoted(value)


@pytest.mark.parametrize("name", ["a*b", "what?", "x[1]", "back\\slash"])
def test_a_name_that_would_be_a_pattern_is_refused(name: str) -> None:
    with pytest.raises(ProjectError, match="pattern"):
        copy(name, "/x")


def test_names_with_spaces_are_copied_as_json() -> None:
    assert copy("a b", "/c $d") == 'COPY ["a b", "/c \\\\$d"]'


def test_no_pairs_are_no_instruction() -> None:
    assert pairs("ENV", ()) == []


def test_commands_of_a_run_follow_only_success() -> None:
    said = run(["one", "two\n    three"], ["type=tmpfs,target=/t"])
    assert said == "RUN --mount=type=tmpfs,target=/t \\\n    one && \\\n    two \\\n        three"


def test_uv_is_the_one_that_lading_is_locked_with() -> None:
    """`make relock` raises both."""
    held = (REPOSITORY / "src/lading/convert/exporting" / UV_LIST).read_text()
    assert re.fullmatch(r"uv==\S+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", held)
    assert held in (REPOSITORY / "requirements/runtime.txt").read_text()
