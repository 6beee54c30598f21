"""Whatever stands where something else is expected, no rule stumbles: a user's mistake is no traceback."""

from __future__ import annotations

import tomllib
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tomli_w
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.inspect.lint.documents import Unreadable
from lading.inspect.lint.engine import lint_files, lint_text
from lint.python_cases import PYTHON
from lint.test_manifest_rules import CATCH, LEAVE

ODD = st.sampled_from(
    [None, "", "x", "²", "-1", 3, 1.5, True, [], {}, [None], ["x", 1], {"a": None}, [{}], [["x"]]]
)
ODD_TOML = ODD.filter(lambda value: value is not None and "None" not in repr(value))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in parts for place in places(part, (*path, key)))]


def changed(value: Any, data: st.DataObject, odd: st.SearchStrategy[Any]) -> Any:
    value = deepcopy(value)
    path = data.draw(st.sampled_from(places(value)[1:]))
    owner = value
    for key in path[:-1]:
        owner = owner[key]
    owner[path[-1]] = data.draw(odd)
    return value


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_odd_manifest(data: st.DataObject) -> None:
    _, case = data.draw(st.sampled_from(CATCH + LEAVE))
    objects = [changed(value, data, ODD) for value in case]
    lint_text("odd.yaml", yaml.safe_dump_all(objects), {})


READ = frozenset({"pyproject.toml", "uv.lock", "poetry.lock", "pylock.toml"})
PROJECTS = [
    case
    for caught, left in PYTHON.values()
    for case in (*caught, *left)
    if any(name in READ and len(places(tomllib.loads(text))) > 1 for name, text in case.items())
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_an_odd_project(data: st.DataObject) -> None:
    """The list or the lock; the other lies beside it."""
    with TemporaryDirectory() as folder:
        for name, text in data.draw(st.sampled_from(PROJECTS)).items():
            odd = (
                tomli_w.dumps(changed(tomllib.loads(text), data, ODD_TOML)) if name in READ and text else text
            )
            Path(folder, name).write_text(odd)
        lint_files([Path(folder)], {})


@given(
    st.sampled_from(["requirements.txt", "environment.yml", "setup.py", "pyproject.toml", "uv.lock"]),
    st.text(),
)
def test_any_text_at_all(name: str, text: str) -> None:
    try:
        lint_text(name, text, {})
    except Unreadable as error:
        assert str(error)


def test_a_stale_or_broken_lock_beside_is_no_mistake_of_the_list(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "p"\nversion = "1"\ndependencies = ["torch"]\n'
    )
    for text in ("[broken", "package = 3\n", "version = 1\n"):
        (tmp_path / "uv.lock").write_text(text)
        assert lint_files([tmp_path / "pyproject.toml"], {}).findings == []
