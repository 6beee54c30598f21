"""The YAML of an `environment.yml`: its lists and values, each with its line. Reads text, decides no names.

Only the tree of nodes is made, no object: tags are never followed, an alias costs nothing, keys that stand
twice are seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from lading.project.report import Report, did_you_mean
from lading.project.tokens import without_userinfo

LARGEST_BYTES = 256 * 1024
_KEYS = ("channels", "dependencies", "name", "prefix", "variables")
_STRING = "tag:yaml.org,2002:str"
_SCALARS = {_STRING, *(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))}
_MEANING = {"int": "a number", "float": "a number", "bool": "true or false", "null": "empty"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list."""

    text: str
    line: int


@dataclass(slots=True, kw_only=True)
class EnvironmentDocument:
    """What an `environment.yml` says, unjudged."""

    channels: list[str] = field(default_factory=list)
    dependencies: list[Entry] = field(default_factory=list)
    pip: list[Entry] = field(default_factory=list)
    variables: dict[str, Entry] = field(default_factory=dict)


def read_document(content: bytes, file: str, report: Report) -> EnvironmentDocument:
    """What of `content` can be read; everything else goes to `report`."""
    if len(content) > LARGEST_BYTES:
        say = f"is {len(content)} bytes: nobody writes that by hand"
        report.add(file, "dependencies", say, "conda env export --from-history > environment.yml")
        return EnvironmentDocument()
    node = _composed(content, file, report)
    return _Reader(file, report).read(node)


def _composed(content: bytes, file: str, report: Report) -> Node | None:
    try:
        node: Node | None = yaml.compose(content.decode("utf-8-sig"), Loader=yaml.SafeLoader)
        return node
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        report.add(f"{file}:{line}", file, "is not UTF-8", f"iconv -t UTF-8 {file}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        said = " ".join(word for word in (error.context, error.problem) if word)
        place = f"{file}:{mark.line + 1}" if mark is not None else file
        report.add(place, file, f"is not YAML: {said}", "tabs and brackets are the usual causes")
    except yaml.YAMLError as error:
        report.add(file, file, f"is not YAML: {str(error).splitlines()[0]}")
    except RecursionError:
        report.add(file, file, "is nested too deeply to be read")
    return None


class _Reader:
    """One reading: walks what the file's form allows and no deeper."""

    def __init__(self, file: str, report: Report) -> None:
        self._file = file
        self._report = report
        self._found = EnvironmentDocument()

    def read(self, node: Node | None) -> EnvironmentDocument:
        if node is None:
            return self._found
        if not isinstance(node, MappingNode):
            hint = "name:, channels:, dependencies:, one a line"
            self._say(node, self._file, f"must be a table, not {_kind(node)}", hint)
            return self._found
        for key, value in self._pairs(node, ""):
            if key == "dependencies":
                self._dependencies(value)
            elif key == "channels":
                self._found.channels = [without_userinfo(one.text) for one in self._strings(value, key)]
            elif key == "variables":
                self._variables(value)
            elif key not in _KEYS:
                self._say(value, key, "is no key of an environment.yml", did_you_mean(key, _KEYS))
        return self._found

    def _dependencies(self, node: Node) -> None:
        if _is_empty(node):
            return
        if not isinstance(node, SequenceNode):
            self._say(node, "dependencies", f"must be a list, not {_kind(node)}", "write - numpy=1.26")
            return
        has_pip = False
        for index, member in enumerate(node.value):
            key = f"dependencies[{index}]"
            if not isinstance(member, MappingNode):
                self._found.dependencies += self._string(member, key)
                continue
            for name, value in self._pairs(member, key):
                if name != "pip":
                    hint = (
                        f"write - {name}={value.value}"
                        if isinstance(value, ScalarNode)
                        else "only `pip:` has a list"
                    )
                    self._say(value, f"{key}.{name}", "is no dependency but a table", hint)
                elif has_pip:
                    self._say(value, f"{key}.pip", "stands here a second time", "join the two lists")
                else:
                    has_pip = True
                    self._found.pip = list(self._strings(value, f"{key}.pip"))

    def _variables(self, node: Node) -> None:
        if _is_empty(node):
            return
        if not isinstance(node, MappingNode):
            self._say(node, "variables", f"must be a table, not {_kind(node)}", "write NAME: value")
            return
        for name, value in self._pairs(node, "variables"):
            if isinstance(value, ScalarNode) and value.tag in _SCALARS:
                self._found.variables[name] = Entry(value.value, value.start_mark.line + 1)
            else:
                self._say(value, f"variables.{name}", f"must be a string, not {_kind(value)}")

    def _pairs(self, node: MappingNode, path: str) -> Iterator[tuple[str, Node]]:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or key.tag != _STRING:
                self._say(key, path or self._file, f"a key must be a word, not {_kind(key)}")
                continue
            if key.value in seen:
                name = f"{path}.{key.value}" if path else key.value
                self._say(key, name, "stands here twice: one of them would be lost", "join the two")
                continue
            seen.add(key.value)
            yield key.value, value

    def _strings(self, node: Node, key: str) -> Iterator[Entry]:
        if _is_empty(node):
            return
        if not isinstance(node, SequenceNode):
            hint = f"write - {node.value}" if isinstance(node, ScalarNode) else None
            self._say(node, key, f"must be a list, not {_kind(node)}", hint)
            return
        for index, member in enumerate(node.value):
            yield from self._string(member, f"{key}[{index}]")

    def _string(self, node: Node, key: str) -> Iterator[Entry]:
        if isinstance(node, ScalarNode) and node.tag == _STRING and node.value.strip():
            yield Entry(node.value, node.start_mark.line + 1)
        elif isinstance(node, ScalarNode) and node.tag in _SCALARS and node.value.strip():
            self._say(node, key, f"must be a name, not {_kind(node)}", f"as in python={node.value}")
        else:
            self._say(node, key, f"must be a name, not {_kind(node)}", "as in numpy=1.26")

    def _say(self, node: Node, key: str, message: str, suggestion: str | None = None) -> None:
        self._report.add(f"{self._file}:{node.start_mark.line + 1}", key, message, suggestion)


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag.endswith(":null")


def _kind(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        return "a list" if isinstance(node, SequenceNode) else "a table"
    if node.tag not in _SCALARS:
        return f"{node.value!r} with the tag {node.tag.removeprefix('tag:yaml.org,2002:')}"
    return "empty" if not node.value else _MEANING.get(node.tag.rpartition(":")[2], f"{node.value!r}")
