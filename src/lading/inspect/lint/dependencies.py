"""What a file of a Python project asks for: requirements files, `pyproject.toml`, `environment.yml`,
`setup.py`. Pure.

One form for all of them, so that a rule is written once. `purpose` says for whom: a file for developers is
not judged as what runs.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lading.inspect.lint.requirements_file import Entry, entry_of, read_entries, read_lines
from lading.inspect.lint.roles import Role, roles_of_name
from lading.inspect.lint.yaml_file import NotYaml, read_yaml
from lading.project.places import KeyLines, KeyPath

REQUIREMENTS = re.compile(r"requirements(?:[._-][A-Za-z0-9_.-]+)?\.txt|[A-Za-z0-9_-]+[._-]requirements\.txt")
ENVIRONMENTS = frozenset({"environment.yml", "environment.yaml"})
_INDEX_OPTIONS = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index")
_INCLUDES = ("-r", "--requirement", "-c", "--constraint")


class Unparsable(Exception):
    """The file is not of its own format; the argument says where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """`entries` are installed together where the project runs; `also` are names that only a group, an extra
    or a build asks for.
    """

    name: str
    entries: tuple[Entry, ...]
    also: frozenset[str] = frozenset()
    includes_others: bool = False
    """Whether other files or folders bring more."""
    has_index: bool = False
    """Whether packages may come from elsewhere than the default index, such as torch's own."""
    purpose: frozenset[Role] = frozenset()
    document: Mapping[str, Any] = field(default_factory=dict)
    """A `pyproject.toml` whole."""
    places: Mapping[str, int] = field(default_factory=dict)
    """Offsets of some keys of it."""

    @property
    def is_pyproject(self) -> bool:
        return self.name == "pyproject.toml"

    @property
    def is_requirements(self) -> bool:
        return REQUIREMENTS.fullmatch(self.name) is not None

    @property
    def runs(self) -> bool:
        """Whether it says what is installed to run, not to develop."""
        return not (self.purpose & {Role.DEV})

    @property
    def declared(self) -> frozenset[str]:
        return self.also | {entry.name for entry in self.entries}


def read_requirements(name: str, text: str) -> Dependencies:
    lines = tuple(read_lines(text))
    options = [line.text for line in lines if line.is_option]
    entries = tuple(read_entries(lines, text))
    is_whole = len(entries) == len(lines) - len(options)  # a path is no entry
    return Dependencies(
        name=name,
        entries=entries,
        includes_others=not is_whole or any(option.startswith(_INCLUDES) for option in options),
        has_index=any(option.startswith(_INDEX_OPTIONS) for option in options),
        purpose=roles_of_name(name),
    )


def read_pyproject(text: str) -> Dependencies:
    """Raises Unparsable."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise Unparsable(f"it is no TOML: {error}") from error
    place = _Offsets(text)
    project = table(document, "project")
    entries = list(_listed(project.get("dependencies"), ("project", "dependencies"), place))
    poetry = table(document, "tool", "poetry", "dependencies")
    entries += _of_poetry(poetry, place)
    uv = table(document, "tool", "uv")
    keys: dict[str, KeyPath] = {
        "requires-python": ("project", "requires-python"),
        "dependencies": ("project", "dependencies")
        if "dependencies" in project
        else ("tool", "poetry", "dependencies"),
    }
    return Dependencies(
        name="pyproject.toml",
        entries=tuple(entries),
        also=frozenset(_also(document)),
        has_index=bool(uv.keys() & {"index", "index-url", "extra-index-url", "find-links", "sources"})
        or bool(table(document, "tool", "poetry").get("source")),
        document=document,
        places={key: place(path) for key, path in keys.items()},
    )


class _Offsets:
    """From a key path to the offset of its line's first character that is no blank."""

    def __init__(self, text: str) -> None:
        self._lines = KeyLines(text)
        self._text = text
        self._starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]

    def __call__(self, path: KeyPath) -> int:
        start = self._starts[self._lines.line(path) - 1]
        line = self._text[start:].partition("\n")[0]
        return start + len(line) - len(line.lstrip())


def table(document: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    """The table at `path`; an empty one where there is none."""
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _listed(value: object, path: KeyPath, place: _Offsets) -> Iterator[Entry]:
    for index, written in enumerate(value if isinstance(value, list) else ()):
        if isinstance(written, str) and (entry := entry_of(written, place((*path, index)))) is not None:
            yield entry


def _of_poetry(written: Mapping[str, Any], place: _Offsets) -> Iterator[Entry]:
    """Names, and exact pins; a caret or a table says more than is asked here."""
    for name, value in written.items():
        if name == "python":
            continue
        start = place(("tool", "poetry", "dependencies", name))
        if isinstance(value, dict):
            optional = value.get("optional") is True
            marked = optional or bool(value.keys() & {"markers", "python", "platform"})
            url = f"git+{value['git']}" if isinstance(value.get("git"), str) else ""
            revision = next(
                (value[key] for key in ("rev", "tag", "branch") if isinstance(value.get(key), str)), ""
            )
            made = entry_of(name, start)
            if made is not None:
                yield Entry(
                    start=start,
                    name=made.name,
                    marker=marked,
                    url=f"{url}@{revision}" if url and revision else url,
                )
        elif isinstance(value, str):
            exact = re.fullmatch(r"(?:==)?\d[\w.+]*", value)
            if (
                made := entry_of(f"{name}=={value.removeprefix('==')}" if exact else name, start)
            ) is not None:
                yield made


def _also(document: Mapping[str, Any]) -> Iterator[str]:
    """Names in extras, groups and what builds."""
    lists: list[object] = [table(document, "build-system").get("requires")]
    lists += table(document, "project", "optional-dependencies").values()
    lists += table(document, "dependency-groups").values()
    lists.append(table(document, "tool", "uv").get("dev-dependencies"))
    for written in lists:
        for one in written if isinstance(written, list) else ():
            if isinstance(one, str) and (entry := entry_of(one, 0)) is not None:
                yield entry.name
    groups = table(document, "tool", "poetry", "group").values()
    tables = [table(group, "dependencies") for group in groups if isinstance(group, dict)]
    for listed in (*tables, table(document, "tool", "poetry", "dev-dependencies")):
        yield from (entry.name for name in listed if (entry := entry_of(name, 0)) is not None)


def read_environment(name: str, text: str) -> Dependencies:
    """The `pip:` part. What conda itself chooses, conda makes fit. Raises Unparsable."""
    try:
        documents = read_yaml(text)
    except NotYaml as error:
        raise Unparsable(f"it is no plain YAML: {error}") from error
    entries: list[Entry] = []
    also: list[str] = []
    for document in documents:
        listed = document.get("dependencies")
        for item in listed.items if listed is not None else ():
            if isinstance(item.data, str):
                also.append(re.split(r"[\s=<>!~\[]", item.data.rpartition("::")[2])[0].lower())
            pip = item.get("pip")
            for one in pip.items if pip is not None else ():
                if isinstance(one.data, str) and not one.data.startswith("-"):
                    entries += _at(one.data, one.start)
    return Dependencies(name=name, entries=tuple(entries), also=frozenset(also), has_index=True)


def _at(written: str, start: int) -> list[Entry]:
    if "://" in written.split()[0]:
        return [Entry(start=start, url=written.split()[0])]
    entry = entry_of(written, start)
    return [entry] if entry is not None else []


def read_setup(text: str) -> Dependencies:
    """`install_requires` where it is a list of texts. Raises Unparsable."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise Unparsable(f"it is no Python: {error}") from error
    starts = [0, *(at + 1 for at, character in enumerate(text) if character == "\n")]
    entries: list[Entry] = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.keyword)
            and node.arg == "install_requires"
            and isinstance(node.value, ast.List)
        ):
            entries += _literals(node.value.elts, starts)
    return Dependencies(name="setup.py", entries=tuple(entries))


def _literals(nodes: Iterable[ast.expr], starts: list[int]) -> Iterator[Entry]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            entry = entry_of(node.value, starts[node.lineno - 1] + node.col_offset)
            if entry is not None:
                yield entry
