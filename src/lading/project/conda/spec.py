"""One conda dependency (`conda-forge::numpy >=1.26,<3`) and its versions in the words of PEP 440. Pure.

The form is that of conda's MatchSpec. `=1.2` is any 1.2, `==1.2` and ` 1.2` are that one; a build string
makes `=1.2` exact. What wheels cannot say (a choice by `|`, a pattern inside) is refused, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_HEAD = re.compile(r"([^\s=<>!~,|]+)\s*(.*)", re.DOTALL)
_BUILD = re.compile(r"(?P<version>.*?[^\s=!|,<>~])(?:\s*=\s*|\s+)(?P<build>[^\s=!|,<>~]+)", re.DOTALL)
_BRACKETS = re.compile(r"\[(?P<inside>[^\[\]]*)\]\s*$")
_PAIR = re.compile(
    r"""\s*(?P<key>[a-z_]+)\s*=\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s,'"]+))\s*"""
)
_PART = re.compile(r"(?P<operator>[=!~]=|[<>]=?|=)?\s*(?P<version>(?:\d+!)?[^\s=<>!~]+)")
_PACKAGE_FILES = (".conda", ".tar.bz2")


class BadSpec(ValueError):
    """What is wrong with a dependency, and what to write instead."""

    def __init__(self, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True, kw_only=True)
class CondaSpec:
    """One dependency, taken apart."""

    name: str
    """Lower-case, as conda compares it."""
    version: str = ""
    """As written, with its operators; empty for any."""
    build: str = ""
    is_exact: bool = False
    """A build string stood after the version, which makes `=1.2` that one."""

    @property
    def specifiers(self) -> str:
        """The versions as PEP 440 writes them; empty for any. Raises BadSpec."""
        return python_specifiers(self.version, is_exact=self.is_exact)


def parse_spec(text: str) -> CondaSpec:
    """Raises BadSpec."""
    bare = re.sub(r"(^|\s)#.*$", "", text.strip())
    if "://" in bare or bare.endswith(_PACKAGE_FILES):
        raise BadSpec(f"{bare!r} is a package file of conda", "name and version, as in numpy=1.26")
    brackets: dict[str, str] = {}
    if match := _BRACKETS.search(bare):
        brackets = _pairs(match["inside"], bare)
        bare = bare[: match.start()].strip()
    bare = bare.rpartition("::")[2]
    head = _HEAD.fullmatch(bare)
    name = head[1].lower() if head else ""
    if head is None or _NAME.fullmatch(name) is None:
        raise BadSpec(f"{text!r} is no conda package", "name and version, as in numpy=1.26")
    version, build = head[2].strip(), ""
    if match := _BUILD.fullmatch(version):
        version, build = match["version"].strip(), match["build"]
    return CondaSpec(
        name=name,
        version=brackets.get("version", version),
        build=brackets.get("build", build),
        is_exact=bool(build),
    )


def _pairs(inside: str, text: str) -> dict[str, str]:
    pairs = {}
    for part in re.findall(r"""(?:[^,'"]|'[^']*'|"[^"]*")+""", inside):
        match = _PAIR.fullmatch(part)
        if match is None:
            hint = "an extra is pip's: write it under `pip:`; conda's form is numpy[version='>=1.26']"
            raise BadSpec(f"[{inside}] in {text!r} is no key and value", hint)
        pairs[match["key"]] = next(value for value in match.groups()[1:] if value is not None)
    return pairs


def python_specifiers(version: str, *, is_exact: bool = False) -> str:
    """`=1.2` → `==1.2.*`, and so on; `is_exact` where a build string stood. Raises BadSpec."""
    if "|" in version or "(" in version or "^" in version:
        raise BadSpec(
            f"{version!r}: wheels have no choice between versions", "one of them, or a range: >=1.26,<3"
        )
    if not version.strip():
        return ""
    parts = [part.strip() for part in version.split(",")]
    single = len(parts) == 1
    found = [_specifier(part, is_exact=is_exact and single) for part in parts]
    return ",".join(dict.fromkeys(part for part in found if part))


def _specifier(part: str, *, is_exact: bool) -> str:
    match = _PART.fullmatch(part)
    if match is None:
        raise BadSpec(f"{part!r} is no version", "as in =1.26 or >=1.26,<3")
    operator, version = match["operator"] or "==", match["version"].lower()
    if version == "*":
        return _any(operator, part)
    is_prefix = version.endswith("*")
    plain = version[:-1].rstrip(".") if is_prefix else version
    _check_version(plain, part)
    if operator == "=":
        operator, is_prefix = "==", is_prefix or not is_exact
    if operator == "~=" and "." not in plain:
        operator = ">="
    if operator == ">" and is_prefix:
        raise BadSpec(f"{part!r} means different things to different tools", f">={plain} or >{plain}")
    if is_prefix and operator in ("==", "!=") and re.fullmatch(r"(?:\d+!)?\d+(?:\.\d+)*", plain):
        return f"{operator}{plain}.*"
    return _checked(f"{operator}{plain}", part)


def _any(operator: str, part: str) -> str:
    if operator in ("=", "==", ">="):
        return ""
    raise BadSpec(f"{part!r} leaves no version", "as in =1.26 or >=1.26,<3")


def _check_version(plain: str, part: str) -> None:
    from packaging.version import InvalidVersion, Version  # 20 ms at each start for those without conda

    try:
        Version(plain)
    except InvalidVersion:
        known = False
    else:
        known = not re.search(r"[-_*]", plain)  # 1.2-3 is a post-release to PEP 440, and 1.2.3 to conda
    if not known:
        raise BadSpec(f"{part!r} is no version that a Python package has", "as in =1.26 or >=1.26,<3")


def _checked(specifier: str, part: str) -> str:
    from packaging.specifiers import InvalidSpecifier, Specifier

    try:
        Specifier(specifier)
    except InvalidSpecifier as error:
        raise BadSpec(f"{part!r} has no form among Python's versions", "as in =1.26 or >=1.26,<3") from error
    return specifier
