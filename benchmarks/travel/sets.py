"""What is installed: the 61 wheels, or three small ones to see that the benchmark itself works.

Both come with further small wheels, each of which is once the `one more dependency`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from benchmarks.places import BENCH
from benchmarks.wheels61 import LOCK, download_wheels, fetch_wheels

_EXTRAS = Path(__file__).parent / "extras.txt"
_SMALL = ("numpy", "click", "pyyaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelSet:
    """Requirements as text, one block a package, and the folders their wheels are in."""

    requirements: tuple[str, ...]
    extras: tuple[str, ...]
    folders: tuple[Path, ...]
    imported: str

    def text(self, extra: int | None = None) -> str:
        """The requirements, with the extra of that number where one is given."""
        return "".join((*self.requirements, *((self.extras[extra],) if extra is not None else ())))

    def wheels(self) -> list[Path]:
        return sorted(wheel for folder in self.folders for wheel in folder.glob("*.whl"))


def wheel_set(*, small: bool) -> WheelSet:
    """Downloads what is missing."""
    wheels = fetch_wheels()
    extras_folder = BENCH / "extras"
    extras = _blocks(_EXTRAS.read_text())
    if len(list(extras_folder.glob("*.whl"))) != len(extras):
        download_wheels("--no-deps", "--require-hashes", "-r", str(_EXTRAS), folder=extras_folder)
    blocks = _blocks(LOCK.read_text())
    if small:
        blocks = tuple(block for block in blocks if block.partition("==")[0] in _SMALL)
    return WheelSet(
        requirements=blocks,
        extras=extras,
        folders=(wheels[0].parent, extras_folder),
        imported="numpy" if small else "torch",
    )


def _blocks(text: str) -> tuple[str, ...]:
    """One block a package, its hashes with it. Pure."""
    return tuple(re.findall(r"(?m)^[a-z0-9].*\n(?:^[ ].*\n)*", text))
