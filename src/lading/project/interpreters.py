"""Which Python a project gets, and on which base. Pure.

What is written wins, then `.python-version`, then the newest suite's Python that `requires-python` allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lading.project.report import Report
from lading.project.values import PYTHONS, SUITES

DEFAULT_PYTHON = "3.13"
DEFAULT_SUITE = "trixie"
_SUITE_OF = {python: suite for suite, python in SUITES.items()}
_AT_LEAST = re.compile(r"\s*>=\s*3\.(\d+)(?:\s*,\s*<\s*(?:4(?:\.0)*|3\.(\d+)))?\s*")
_PATCHES = range(40)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonChoice:
    python: str
    base: str
    interpreter: str
    because: str
    base_because: str


def allows(requires_python: str, python: str) -> bool:
    """Whether some patch release of a minor version satisfies a specifier. Raises ValueError."""
    minor = int(python.split(".")[1])
    # The two forms nearly everyone writes; importing `packaging` would cost 20 ms.
    if match := _AT_LEAST.fullmatch(requires_python):
        return int(match.group(1)) <= minor and (match.group(2) is None or minor < int(match.group(2)))
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        specifiers = SpecifierSet(requires_python)
    except InvalidSpecifier as error:
        raise ValueError(str(error)) from error
    return any(specifiers.contains(f"{python}.{patch}") for patch in _PATCHES)


def read_python_version(text: str, report: Report) -> str | None:
    """The minor version a `.python-version` file names, or None when it names none."""
    for number, line in enumerate(text.splitlines(), 1):
        word = line.split("#")[0].strip()
        if not word:
            continue
        match = re.fullmatch(r"(?:cpython[-@]|python)?(3\.\d+)(?:\.\d+)?(?:[-+].*)?", word)
        if match is not None and match.group(1) in PYTHONS:
            return match.group(1)
        report.add(
            f".python-version:{number}",
            "python",
            f"Python {word!r} is not supported",
            f"one of {', '.join(PYTHONS)}",
        )
        return None
    return None


def choose_python(
    *,
    written: str | None,
    version_file: str | None,
    requires_python: str | None,
    base: str | None,
    interpreter: str | None,
    place: str,
    requires_place: str,
    report: Report,
    requires_words: str | None = None,
) -> PythonChoice:
    """Python, base and provider. `place` is of `[image] python`, `requires_place` of `requires-python`.

    `requires_words` is said instead of `requires-python '>=3.11'` where the demand stands elsewhere.
    """
    words = requires_words or f"requires-python {requires_python!r}"
    allowed = _allowed(requires_python, requires_place, words, report)
    if base is not None and not base.startswith("debian:"):
        if written is None and version_file is None and requires_words and len(allowed) == 1:
            choice = _on_image(allowed[0], None, base, interpreter or "auto", place, report)
            return replace(choice, because=words)
        return _on_image(written, version_file, base, interpreter or "auto", place, report)
    python, because = _python(written, version_file, requires_python and words, base, allowed)
    if python not in allowed and requires_python is not None and allowed:
        where = place if written else ".python-version:1" if version_file else requires_place
        hint = f"one of {', '.join(allowed)}, or change {requires_words or 'requires-python'}"
        report.add(where, "image.python", f"Python {python} is excluded by {words}", hint)
    suite = _SUITE_OF.get(python, DEFAULT_SUITE)
    chosen_base = base or f"debian:{suite}"
    base_because = "written" if base else _base_because(python, suite)
    provider = _provider(python, chosen_base, interpreter or "auto", place, report)
    return PythonChoice(
        python=python, base=chosen_base, interpreter=provider, because=because, base_because=base_because
    )


def _on_image(
    written: str | None, version_file: str | None, base: str, asked: str, place: str, report: Report
) -> PythonChoice:
    """Over a registry image, whose Python is known when it is locked. `python` is empty: whatever it is."""
    if asked == "debian":
        report.add(place, "image.interpreter", f"{base} is no Debian suite", 'interpreter = "base"')
    python = written or version_file or ""
    because = "written" if written else "named in .python-version" if version_file else f"that of {base}"
    return PythonChoice(python=python, base=base, interpreter=asked, because=because, base_because="written")


def _allowed(requires_python: str | None, place: str, words: str, report: Report) -> tuple[str, ...]:
    if requires_python is None:
        return PYTHONS
    try:
        allowed = tuple(python for python in PYTHONS if allows(requires_python, python))
    except ValueError:
        message = f"{requires_python!r} is not a set of version specifiers"
        report.add(place, "requires-python", message, 'as in ">=3.11"')
        return PYTHONS
    if not allowed:
        message = f"{words.removeprefix('requires-python ')} excludes every Python lading has"
        report.add(place, "requires-python", message, f"allow one of {', '.join(PYTHONS)}")
    return allowed


def _python(
    written: str | None,
    version_file: str | None,
    requires: str | None,
    base: str | None,
    allowed: tuple[str, ...],
) -> tuple[str, str]:
    if written is not None:
        return written, "written"
    if version_file is not None:
        return version_file, "named in .python-version"
    suite_python = SUITES.get(base.removeprefix("debian:")) if base else None
    if suite_python is not None and suite_python in allowed:
        return suite_python, f"the Python of {base}"
    if requires is None:
        return DEFAULT_PYTHON, f"the default, as in Debian {DEFAULT_SUITE}"
    with_suite = [python for python in allowed if python in _SUITE_OF]
    if with_suite:
        return with_suite[-1], f"the newest Debian Python that {requires} allows"
    if allowed:
        return allowed[-1], f"the newest that {requires} allows"
    return DEFAULT_PYTHON, "the default"


def _base_because(python: str, suite: str) -> str:
    if python in _SUITE_OF:
        return f"Debian {suite} has Python {python}"
    return f"no Debian suite has Python {python}: a standalone build on {suite}"


def _provider(python: str, base: str, asked: str, place: str, report: Report) -> str:
    suite = base.removeprefix("debian:")
    fits = SUITES.get(suite) == python
    if asked == "debian" and not fits:
        message = f"{base} has Python {SUITES.get(suite)}, not {python}"
        right = (
            f'base = "debian:{_SUITE_OF[python]}"' if python in _SUITE_OF else 'interpreter = "standalone"'
        )
        report.add(place, "image.interpreter", message, right)
    if asked == "base":
        report.add(place, "image.interpreter", f"{base} is no image of a registry", 'interpreter = "auto"')
    if asked != "auto":
        return asked
    return "debian" if fits else "standalone"
