"""What a row of the table of mistakes is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Mistake:
    name: str
    files: dict[str, str | bytes]
    place: str
    key: str
    says: tuple[str, ...] = field(default=())


TRAIN = {"train.py": "print(1)\n"}
PYPROJECT = '[project]\nname = "p"\nversion = "1"\n'


def config(name: str, text: str, place: str, key: str, *says: str) -> Mistake:
    return Mistake(name, {**TRAIN, "lading.toml": text}, place, key, says)


def lines(name: str, text: str, place: str, *says: str) -> Mistake:
    return Mistake(name, {"requirements.txt": text}, place, "requirements", says)


def project(name: str, text: str, place: str, key: str, *says: str) -> Mistake:
    return Mistake(name, {"pyproject.toml": text}, place, key, says)
