"""Relations between packages: `libc6 (>= 2.36), mail-agent | exim4:any` as values (Debian Policy 7.1).

Pure. Knows the syntax; which package satisfies what is the solver's.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from lading.lock.debian.version import version_satisfies

_TERM = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]*)"
    r"(?::(?P<qualifier>[a-z0-9-]+))?"
    r"(?:\s*\(\s*(?P<operator><<|<=|=|>=|>>|<|>)\s*(?P<version>[0-9A-Za-z][0-9A-Za-z.+~:-]*)\s*\))?"
    r"(?:\s*\[[^\]]*\])?(?:\s*<[^>]*>)*",
    re.IGNORECASE,
)
_OLD_OPERATORS = {"<": "<=", ">": ">="}


@dataclass(frozen=True, slots=True)
class Term:
    """One alternative of a relation."""

    name: str
    operator: str = ""
    """Empty: any version."""
    version: str = ""
    qualifier: str = ""
    """`any`, `native`, an architecture, or empty."""

    def accepts_version(self, version: str | None) -> bool:
        """A virtual package without a version satisfies no versioned relation (Policy 7.5)."""
        if not self.operator:
            return True
        return version is not None and version_satisfies(version, self.operator, self.version)

    def accepts_architecture(self, package_architecture: str, native: str) -> bool:
        if self.qualifier in ("", "any", "native", native):
            return True
        return package_architecture == self.qualifier

    def __str__(self) -> str:
        qualifier = f":{self.qualifier}" if self.qualifier else ""
        version = f" ({self.operator} {self.version})" if self.operator else ""
        return f"{self.name}{qualifier}{version}"


@functools.lru_cache(maxsize=65536)
def parse_relations(text: str) -> tuple[tuple[Term, ...], ...]:
    """All of the outer tuple must hold; one of each inner tuple is enough. Raises ValueError."""
    groups = []
    for group in text.split(","):
        if group.strip():
            groups.append(tuple(_parse_term(term) for term in group.split("|")))
    return tuple(groups)


def _parse_term(text: str) -> Term:
    match = _TERM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a relation between packages: {text.strip()!r}")
    operator = match["operator"] or ""
    return Term(
        name=match["name"],
        operator=_OLD_OPERATORS.get(operator, operator),
        version=match["version"] or "",
        qualifier=match["qualifier"] or "",
    )
