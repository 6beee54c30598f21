"""Which Python and which base."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from lading.project.interpreters import allows
from lading.project.values import PYTHONS

from .folders import load_folder


def pyproject(requires: str) -> dict[str, str]:
    return {"pyproject.toml": f'[project]\nname = "p"\nversion = "1"\nrequires-python = "{requires}"\n'}


@pytest.mark.parametrize(
    ("files", "python", "base", "interpreter"),
    [
        ({}, "3.13", "debian:trixie", "debian"),
        ({"lading.toml": '[image]\npython = "3.11"\n'}, "3.11", "debian:bookworm", "debian"),
        ({"lading.toml": '[image]\npython = "3.12"\n'}, "3.12", "debian:trixie", "standalone"),
        ({"lading.toml": '[image]\nbase = "debian:bookworm"\n'}, "3.11", "debian:bookworm", "debian"),
        (
            {"lading.toml": '[image]\nbase = "debian:trixie"\npython = "3.11"\n'},
            "3.11",
            "debian:trixie",
            "standalone",
        ),
        ({".python-version": "3.11.7\n"}, "3.11", "debian:bookworm", "debian"),
        ({".python-version": "cpython-3.12\n"}, "3.12", "debian:trixie", "standalone"),
        (pyproject(">=3.11"), "3.13", "debian:trixie", "debian"),
        (pyproject(">=3.10,<3.13"), "3.11", "debian:bookworm", "debian"),
        (pyproject("==3.12.*"), "3.12", "debian:trixie", "standalone"),
        (pyproject("~=3.11"), "3.13", "debian:trixie", "debian"),
        (pyproject(">=3.11.4,<3.12"), "3.11", "debian:bookworm", "debian"),
        (pyproject(">=3.14"), "3.14", "debian:trixie", "standalone"),
        ({**pyproject(">=3.11"), ".python-version": "3.12"}, "3.12", "debian:trixie", "standalone"),
        (
            {"lading.toml": '[image]\npython = "3.13"\n', ".python-version": "bad"},
            "3.13",
            "debian:trixie",
            "debian",
        ),
    ],
)
def test_python_base_and_provider_follow_from_what_is_written(
    tmp_path: Path, files: dict[str, str], python: str, base: str, interpreter: str
) -> None:
    image = load_folder(tmp_path, files).image
    assert (python, base, interpreter) == (image.python, image.base, image.interpreter)


BOUNDS = st.sampled_from(["3.8", "3.10", "3.11", "3.12", "3.13", "3.14", "4", "4.0", "3.12.4"])


@given(st.sampled_from(PYTHONS), BOUNDS, BOUNDS | st.none())
def test_the_quick_reading_of_requires_python_agrees_with_packaging(
    python: str, low: str, high: str | None
) -> None:
    text = f">={low}" if high is None else f">={low},<{high}"
    specifiers = SpecifierSet(text)
    assert any(specifiers.contains(f"{python}.{patch}") for patch in range(40)) == allows(text, python)
