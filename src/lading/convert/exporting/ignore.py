"""What the build context holds: the project's code and what stages copy, said as a `.dockerignore`. Pure.

Nothing by default; then what is code by its first name, without what the ignore rules leave out inside. So
a new file of a folder that is there is taken up; a new name at the top, such as one with passwords, never is.
"""

from __future__ import annotations

from collections.abc import Iterable

from lading.project.files import NEVER, USUALLY_NOT
from lading.project.ignore import Pattern, decide


def dockerignore(
    code: Iterable[str],
    wanted: Iterable[str],
    *,
    rules: tuple[Pattern, ...],
    excluded: Iterable[str],
    folder: str,
) -> str:
    """`code` and `wanted` are paths of files in the project, `folder` is the export's own.

    `rules` are the project's, `excluded` paths that are never code.
    """
    files = sorted(set(code), key=str.encode)
    tops = list(dict.fromkeys(path.partition("/")[0] for path in files))
    left_out = (*NEVER, *USUALLY_NOT, *rules)
    lines = ["# Nothing enters but what is named here.", "*", ""]
    lines += [f"!{_escaped(top)}" for top in tops]
    lines += ["", *dict.fromkeys(_docker_pattern(pattern) for pattern in left_out if not pattern.negated)]
    lines += [_escaped(path) for path in sorted(excluded)]
    back = [path for path in files if _is_left_out(path, left_out)]
    taken_back = [*back, *sorted(set(wanted) - set(files))]
    if taken_back:
        lines += ["", *(f"!{_escaped(path)}" for path in taken_back)]
    return "\n".join([*lines, "", f"!{_escaped(folder)}" if folder else "", ""])


def _docker_pattern(pattern: Pattern) -> str:
    return pattern.glob if pattern.anchored else f"**/{pattern.glob}"


def _is_left_out(path: str, patterns: tuple[Pattern, ...]) -> bool:
    """Whether a positive pattern matches the file or a folder above it, as Docker reads them."""
    plain = tuple(pattern for pattern in patterns if not pattern.negated)
    parts = path.split("/")
    return any(
        decide(plain, "/".join(parts[:count]), is_folder) is True
        for count in range(1, len(parts) + 1)
        for is_folder in (True, False)
    )


def _escaped(path: str) -> str:
    """A path of which no character is a pattern."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in path)
