"""Reading `requirements.txt` and what it includes: names, options, and every line that cannot be used.

The grammar is pip's (Requirements File Format). Resolution itself is left to uv, which reads the same files;
this finds what lading must know beforehand, and says early and with its place what uv could not use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.project.direct import BadReference, direct_reference, is_direct
from lading.project.model import DirectReference
from lading.project.report import Report, did_you_mean
from lading.project.tokens import has_userinfo, without_userinfo

NO_BINARY = "what has a wheel is not built from source"

_VALUE_OPTIONS = {
    "-r": "requirement", "--requirement": "requirement", "-c": "constraint", "--constraint": "constraint",
    "-f": "find-links", "--find-links": "find-links", "-i": "index", "--index-url": "index",
    "--extra-index-url": "extra-index", "-e": "editable", "--editable": "editable",
    "--no-binary": "no-binary", "--only-binary": "only-binary", "--trusted-host": "other",
    "--use-feature": "other",
}  # fmt: skip
_FLAGS = frozenset({"--no-index", "--pre", "--prefer-binary", "--require-hashes"})
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_HASH = re.compile(r"\s--hash(?:=|\s+)(\S*)")
_HASH_FORM = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
_LINE_OPTION = re.compile(r"\s--(?:config-settings?|global-option|install-option)\b")
# Most lines; importing `packaging` costs 20 ms at every start, so it is asked only about the others.
_SIMPLE = re.compile(
    r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?:\[[A-Za-z0-9._, -]*[A-Za-z0-9]\])?"
    r"(?:\s*(?:[<>!~=]=|[<>])\s*\d+(?:\.\d+)+(?:\s*,\s*(?:[<>!~=]=|[<>])\s*\d+(?:\.\d+)+)*)?"
)


def normalized(name: str) -> str:
    """The name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirement_name(text: str) -> str | None:
    """The normalized name of a PEP 508 requirement; None for one with a URL. Raises ValueError."""
    if match := _SIMPLE.fullmatch(text):
        return normalized(match.group(1))
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise ValueError(str(error).splitlines()[0]) from error
    return None if requirement.url else normalized(requirement.name)


def named_reference(text: str) -> tuple[str, str]:
    """Normalized name and URL of `NAME @ URL`. Raises ValueError for a requirement without a URL."""
    from packaging.requirements import Requirement

    requirement = Requirement(text)
    if requirement.url is None:
        raise ValueError(f"{text!r} has no URL")
    return normalized(requirement.name), requirement.url


@dataclass(slots=True)
class RequirementLines:
    """What a tree of requirements files says. Fill with `read`."""

    root: Path
    environment: Mapping[str, str]
    report: Report
    names: dict[str, None] = field(default_factory=dict)
    included: list[Path] = field(default_factory=list)
    find_links: list[str] = field(default_factory=list)
    index_urls: list[str] = field(default_factory=list)
    includes_project: bool = False
    direct: list[DirectReference] = field(default_factory=list)
    _open: list[Path] = field(default_factory=list)

    def read(self, path: Path, *, constraints_only: bool = False, asked_from: str | None = None) -> None:
        """Read `path` and all it includes; `asked_from` is the place that named it."""
        shown = self._shown(path)
        if path in self._open:
            names = " → ".join(self._shown(file) for file in [*self._open[self._open.index(path) :], path])
            self.report.add(
                asked_from or shown, "requirements", f"includes itself: {names}", "take the line out"
            )
            return
        try:
            text = path.read_text("utf-8-sig")
        except UnicodeDecodeError:
            self.report.add(
                asked_from or shown, "requirements", f"{shown} is not UTF-8", f"iconv -t UTF-8 {shown}"
            )
            return
        except (OSError, ValueError) as error:  # ValueError: a NUL character in the name
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.report.add(
                asked_from or shown, "requirements", f"{shown} cannot be read: {why}", self._nearby(path)
            )
            return
        self._open.append(path)
        for number, line in _logical_lines(text):
            self._line(line, path, f"{shown}:{number}", constraints_only)
        self._open.pop()

    def read_entry(self, text: str, path: Path, number: int) -> list[str]:
        """Read `text`, which stands at line `number` of `path` in another file's form; gives its lines."""
        self._open.append(path)
        lines = [line for _, line in _logical_lines(text)]
        for line in lines:
            self._line(line, path, f"{self._shown(path)}:{number}", constraints_only=False)
        self._open.pop()
        return lines

    def _shown(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def _nearby(self, path: Path) -> str | None:
        names = [entry.name for entry in path.parent.glob("*.txt")] if path.parent.is_dir() else []
        return did_you_mean(path.name, names) if names else None

    def _line(self, line: str, file: Path, place: str, constraints_only: bool) -> None:
        for variable in _VARIABLE.findall(line):
            if variable not in self.environment:
                self.report.add(place, "requirements", f"${{{variable}}} is not set", f"export {variable}=…")
                return
        line = _VARIABLE.sub(lambda match: self.environment[match.group(1)], line)
        if line.startswith("-"):
            self._option(line, file, place)
        else:
            self._requirement(line, file, place, constraints_only)

    def _option(self, line: str, file: Path, place: str) -> None:
        match = re.match(r"(--?[A-Za-z-]+)(?:\s*=\s*|\s+|(?<=^-[a-z])|$)(.*)", line)
        option, value = (match.group(1), match.group(2).strip()) if match else (line, "")
        if option not in _VALUE_OPTIONS and option[:2] in _VALUE_OPTIONS and not option.startswith("--"):
            option, value = line[:2], line[2:].strip()  # `-rother.txt`
        if option in _FLAGS:
            return
        meaning = _VALUE_OPTIONS.get(option)
        if meaning is None:
            hint = did_you_mean(option, [*_VALUE_OPTIONS, *_FLAGS])
            self.report.add(place, "requirements", f"option {option} is not one lading knows", hint)
        elif not value:
            self.report.add(place, "requirements", f"option {option} has no value")
        else:
            self._known_option(meaning, value.strip("'\""), file, place, line)

    def _known_option(self, meaning: str, value: str, file: Path, place: str, line: str) -> None:
        if meaning in {"requirement", "constraint"}:
            self._include(meaning, value, file, place)
        elif meaning == "find-links":
            self.find_links.extend(self._wheel_folder(value, file, place))
        elif meaning in {"index", "extra-index"}:
            self._index(meaning, value, place)
        elif meaning == "editable":
            self._editable(value, file, place, line)
        elif meaning == "no-binary":
            self.report.add(place, "requirements", f"--no-binary {value}: {NO_BINARY}", "take the line out")

    def _include(self, meaning: str, value: str, file: Path, place: str) -> None:
        if "://" in value:
            self.report.add(
                place,
                "requirements",
                "includes a URL, whose content may change",
                "keep a copy in the project",
            )
            return
        path = Path(_normal(file.parent / value))
        seen = path in self.included
        if not seen and path not in self._open:
            self.included.append(path)
        if not seen or path in self._open:
            self.read(path, constraints_only=meaning == "constraint", asked_from=place)

    def _wheel_folder(self, value: str, file: Path, place: str) -> Iterator[str]:
        if value.startswith("file://"):
            value = value.removeprefix("file://")
        if "://" in value:
            self._no_password(value, place)
            yield without_userinfo(value)
            return
        path = Path(_normal(file.parent / value))
        if path.exists():
            yield str(path)
        else:
            self.report.add(
                place, "requirements", f"--find-links folder {value} does not exist", f"mkdir -p {value}"
            )

    def _index(self, meaning: str, value: str, place: str) -> None:
        self._no_password(value, place)
        if "://" not in value:
            self.report.add(
                place, "requirements", f"{value!r} is not the URL of an index", "write https://…/simple"
            )
        elif meaning == "index":
            self.index_urls.insert(0, without_userinfo(value))
        else:
            self.index_urls.append(without_userinfo(value))

    def _no_password(self, url: str, place: str) -> None:
        if has_userinfo(url):
            hint = "write them to ~/.netrc, or set UV_INDEX_…_USERNAME and …_PASSWORD"
            self.report.add(place, "requirements", f"credentials in the URL {without_userinfo(url)}", hint)

    def _editable(self, value: str, file: Path, place: str, line: str) -> None:
        target = re.sub(r"\[.*\]$", "", value)
        if "://" not in target and Path(_normal(file.parent / target)) == self.root:
            self.includes_project = True
        else:
            self._direct(value, file, place, line)

    def _direct(self, text: str, file: Path, place: str, line: str, name: str | None = None) -> None:
        try:
            self.direct.append(direct_reference(text, file.parent, name=name, line=line, place=place))
        except BadReference as error:
            self.report.add(place, "requirements", str(error), error.suggestion)
        else:
            if name is not None:
                self.names.setdefault(name)

    def _requirement(self, line: str, file: Path, place: str, constraints_only: bool) -> None:
        for digest in _HASH.findall(f" {line}"):
            if _HASH_FORM.fullmatch(digest) is None:
                form = "--hash=sha256:<64 hex digits>"
                self.report.add(place, "requirements", f"--hash {digest!r} is not a strong hash", form)
        text = _LINE_OPTION.split(_HASH.sub("", f" {line}"), maxsplit=1)[0].strip()
        if is_direct(text):
            if text.split("[")[0] == ".":
                self.includes_project = True
            else:
                self._direct(text, file, place, line)
            return
        try:
            found = requirement_name(text)
        except ValueError as error:
            hint = _requirement_hint(text)
            self.report.add(
                place, "requirements", f"{without_userinfo(text)!r} is not a requirement: {error}", hint
            )
            return
        if found is None:
            name, url = named_reference(text)
            self._direct(url, file, place, "", name)
        elif not constraints_only:
            self.names.setdefault(found)


def _requirement_hint(text: str) -> str | None:
    if match := re.match(r"([A-Za-z0-9._-]+)\s*=\s*([0-9][\w.]*)$", text):
        return f'did you mean "{match.group(1)}=={match.group(2)}"?'
    if match := re.match(r"([A-Za-z0-9._-]+)\s+v?([0-9][\w.]*)$", text):
        return f'did you mean "{match.group(1)}=={match.group(2)}"?'
    if text.startswith(("pip install", "conda install", "import ")):
        return "write only the names, one a line"
    return "as in numpy>=2.1"


def _normal(path: Path) -> str:
    import os.path

    return os.path.normpath(path)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines with continuations joined and comments removed, each with the number of its first line."""
    pending, first = "", 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if not pending:
            first = number
        # pip: a comment ends a continued line, and a backslash inside a comment continues nothing.
        bare = re.sub(r"(^|\s)#.*$", "", line)
        if bare.endswith("\\") and bare == line:
            pending += bare[:-1] + " "
            continue
        if joined := (pending + bare).strip():
            yield first, joined
        pending = ""
