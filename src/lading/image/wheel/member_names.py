"""Which names a wheel member may have. Pure; knows strings, not archives.

All names are checked together: one regular expression over their concatenation costs a hundredth of one per
name, and only a wheel that is refused anyway pays for finding the culprit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from lading.image.wheel.rules import Judge

MAX_COMPONENT_BYTES = 255
MAX_NAME_BYTES = 1024

_CHARACTER = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_LINE_BREAK = re.compile("\n")
_BACKSLASH = re.compile(r"\\")
_ABSOLUTE = re.compile(r"^(?:/|[A-Za-z]:)", re.MULTILINE)
_NOT_NORMAL = re.compile(r"(?:^|/)\.{0,2}(?:/|$)", re.MULTILINE)

_FORBIDDEN = (
    ("name-character", _CHARACTER, "its name holds a control, bidirectional or invisible character"),
    ("name-backslash", _BACKSLASH, "its name holds a backslash, which some systems take for a separator"),
    ("name-absolute", _ABSOLUTE, "its name is absolute or names a drive"),
    ("name-not-normal", _NOT_NORMAL, "its name holds an empty, `.` or `..` component"),
)


def check_names(names: Sequence[str], directories: Sequence[str], judge: Judge) -> None:
    """Refuse unsafe, duplicate and colliding names. `directories` come without their final slash."""
    everything = [*names, *directories]
    joined = "\n".join(everything)
    if joined.count("\n") >= max(len(everything), 1):
        _refuse_first("name-character", _LINE_BREAK, everything, "its name holds a line break", judge)
    for rule, pattern, detail in _FORBIDDEN:
        if everything and pattern.search(joined):
            _refuse_first(rule, pattern, everything, detail, judge)
    _check_lengths(everything, joined.encode(), judge)
    _check_collisions(names, directories, judge, ascii_only=joined.isascii())


def _refuse_first(
    rule: str, pattern: re.Pattern[str], names: Sequence[str], detail: str, judge: Judge
) -> None:
    for name in names:
        if pattern.search(name):
            judge.refuse(rule, detail, member=name)


def _check_lengths(names: Sequence[str], joined: bytes, judge: Judge) -> None:
    if (
        max(map(len, joined.split(b"\n"))) <= MAX_NAME_BYTES
        and max(map(len, joined.replace(b"\n", b"/").split(b"/"))) <= MAX_COMPONENT_BYTES
    ):
        return
    for name in names:
        raw = name.encode()
        if len(raw) > MAX_NAME_BYTES or max(map(len, raw.split(b"/"))) > MAX_COMPONENT_BYTES:
            judge.refuse("name-too-long", f"its name has {len(raw)} bytes", member=name)


def _check_collisions(
    names: Sequence[str], directories: Sequence[str], judge: Judge, *, ascii_only: bool
) -> None:
    files = set(names)
    folders = set(directories)
    if len(files) != len(names) or len(folders) != len(directories):
        judge.refuse(
            "zip-duplicate-name", "the archive holds it twice", member=_first_repeated([*names, *directories])
        )
    parents = _parents(names) | _parents(directories) | folders
    for name in sorted(files & parents):
        judge.refuse(
            "zip-file-and-directory", "it is a file and also the folder of another member", member=name
        )
    folded_files = _folded(files, ascii_only=ascii_only)
    if len(folded_files) != len(files):
        _object_to_collision(names, judge, ascii_only=ascii_only)
    for name in sorted(folded_files & _folded(parents, ascii_only=ascii_only)):
        judge.object_to(
            "zip-name-collision", "it differs from a folder of the archive only by case or form", member=name
        )


def _parents(names: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for name in {name.rpartition("/")[0] for name in names}:
        folder = name
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def _fold(name: str, *, ascii_only: bool) -> str:
    if ascii_only:
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _folded(names: set[str], *, ascii_only: bool) -> set[str]:
    return {_fold(name, ascii_only=ascii_only) for name in names}


def _first_repeated(names: Sequence[str]) -> str | None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _object_to_collision(names: Sequence[str], judge: Judge, *, ascii_only: bool) -> None:
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(_fold(name, ascii_only=ascii_only), name)
        if first != name:
            judge.object_to(
                "zip-name-collision", f"its name differs from {first!r} only by case or form", member=name
            )
