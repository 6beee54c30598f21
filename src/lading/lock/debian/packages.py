"""The index of a suite's packages, kept as compact text and parsed one stanza at a time.

Pure. An index has 64 thousand stanzas and a project needs a hundred of them: so the text is only reduced to
the fields that matter and searched for names; a stanza is parsed when it is asked for.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from lading.errors import FetchFailed
from lading.lock.debian.relation import Term, parse_relations

_FIELDS = (
    "Package|Version|Architecture|Multi-Arch|Essential|Priority|Pre-Depends|Depends|Conflicts|Breaks"
    "|Provides|Filename|Size|SHA256"
)
_WANTED = re.compile(rf"^(?:{_FIELDS}):[^\n]*(?:\n[ \t][^\n]*)*$|^$".encode(), re.MULTILINE)
_NAME = re.compile(r"^Package: (\S+)$", re.MULTILINE)
_PROVIDES = re.compile(r"^Provides: (.*(?:\n[ \t].*)*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One stanza of a Packages index."""

    name: str
    version: str
    architecture: str
    suite: str
    filename: str
    size_bytes: int
    sha256: str
    priority: str
    depends: tuple[tuple[Term, ...], ...]
    """Pre-Depends, then Depends."""
    conflicts: tuple[Term, ...]
    """Conflicts and Breaks."""
    provides: tuple[Term, ...]


def reduce_index(text: bytes) -> bytes:
    """A Packages index with only the fields that lading reads, one empty line between stanzas."""
    return b"\n".join(_WANTED.findall(text)) + b"\n"


class SuiteIndex:
    """The reduced index of one suite, component and architecture. Raises FetchFailed for a broken stanza."""

    def __init__(self, suite: str, reduced: bytes) -> None:
        self.suite = suite
        self._text = reduced.decode("utf-8", errors="replace")
        self._at: dict[str, list[int]] = defaultdict(list)
        for match in _NAME.finditer(self._text):
            self._at[match[1]].append(match.start())
        self._providers: dict[str, set[str]] = defaultdict(set)
        for match in _PROVIDES.finditer(self._text):
            provider = self._name_before(match.start())
            for group in self._relations(match[1], provider):
                self._providers[group[0].name].add(provider)

    def __contains__(self, name: str) -> bool:
        return name in self._at

    @property
    def names(self) -> Collection[str]:
        """Of all packages."""
        return self._at.keys()

    def packages(self, name: str) -> list[Package]:
        """All versions of `name`."""
        return [self._parse(offset) for offset in self._at.get(name, ())]

    def providers(self, name: str) -> frozenset[str]:
        """Names of packages of which some version provides `name`."""
        return frozenset(self._providers.get(name, ()))

    def _name_before(self, offset: int) -> str:
        between = self._text.rfind("\n\n", 0, offset)
        match = _NAME.search(self._text, between + 2 if between != -1 else 0)
        return match[1] if match else ""

    def _relations(self, text: str, package: str) -> tuple[tuple[Term, ...], ...]:
        try:
            return parse_relations(text)
        except ValueError as error:
            raise FetchFailed(
                f"the index of {self.suite} is broken at {package}: {error}", place=package
            ) from None

    def _parse(self, offset: int) -> Package:
        end = self._text.find("\n\n", offset)
        fields: dict[str, str] = {}
        key = ""
        for line in self._text[offset : end if end != -1 else None].splitlines():
            if line[:1] in (" ", "\t"):
                fields[key] += " " + line.strip()
            else:
                key, _, value = line.partition(":")
                fields[key] = value.strip()
        name = fields["Package"]
        depends = ", ".join(filter(None, (fields.get("Pre-Depends"), fields.get("Depends"))))
        conflicts = ", ".join(filter(None, (fields.get("Conflicts"), fields.get("Breaks"))))
        try:
            return Package(
                name=name,
                version=fields["Version"],
                architecture=fields["Architecture"],
                suite=self.suite,
                filename=fields["Filename"],
                size_bytes=int(fields["Size"]),
                sha256=_checked_sha256(fields["SHA256"]),
                priority=fields.get("Priority", "optional"),
                depends=self._relations(depends, name),
                conflicts=tuple(term for group in self._relations(conflicts, name) for term in group),
                provides=tuple(group[0] for group in self._relations(fields.get("Provides", ""), name)),
            )
        except (KeyError, ValueError) as error:
            raise FetchFailed(f"the index of {self.suite} is broken at {name}: {error}", place=name) from None


def _checked_sha256(text: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", text) is None:
        raise ValueError(f"not a sha256: {text!r}")
    return text
