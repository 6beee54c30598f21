"""A database of advisories in OSV's format, read for the packages of one image.

A file or folder: OSV's `all.zip`, JSON Lines (`.gz` too), one JSON document or many. Every record is read,
also one of a package that nobody wants, and what is none is refused: a damaged database is no clean image.
Knows the format and no image.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from lading.errors import OutsideError, ProjectError, UsageError

_SUFFIXES = (".json", ".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".json.gz", ".zip")
_LARGEST_RECORD_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """One package of an advisory. Events are pairs such as `("introduced", "0")`."""

    ecosystem: str
    name: str
    ranges: tuple[tuple[tuple[str, str], ...], ...]
    versions: tuple[str, ...]
    severities: tuple[tuple[str, str], ...]
    urgency: str
    """A distribution's own word: `unimportant`, `low`, `negligible`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Advisory:
    id: str
    aliases: tuple[str, ...]
    upstream: tuple[str, ...]
    summary: str
    severities: tuple[tuple[str, str], ...]
    level: str
    """The database's own word for its severity, in lower case; empty where it has none."""
    affected: tuple[Affected, ...]


@dataclass(kw_only=True)
class Database:
    """Records of the wanted packages, and what the whole database is about."""

    advisories: list[Advisory] = field(default_factory=list)
    ecosystems: set[str] = field(default_factory=set)
    record_count: int = 0
    newest: str = ""
    """The day of the newest record, ISO."""


def read_database(paths: Iterable[Path], names: frozenset[str]) -> Database:
    """`names` of packages, as `normal_name` has them. Raises UsageError, OutsideError, ProjectError."""
    database = Database()
    for path in paths:
        before = database.record_count
        for place, record in _records(path):
            try:
                _take(database, record, names)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                words = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
                raise ProjectError(f"{place} is no record of OSV's format: {words}", place=place) from None
        if database.record_count == before:
            raise _no_advisories(path)
    return database


def _no_advisories(path: Path) -> UsageError:
    return UsageError(
        f"{path} holds no advisories in OSV's format",
        place=str(path),
        hints=("give a folder, .zip, .jsonl or .json of OSV records",),
    )


def normal_name(name: str) -> str:
    """As Python packages are compared; harmless for Debian's names, whose letters are all small."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _take(database: Database, record: Any, names: frozenset[str]) -> None:
    """Raises ValueError, KeyError, TypeError, AttributeError for what is no record."""
    if not isinstance(record, dict):
        raise ValueError("it is no JSON object")
    for key in ("id", "modified"):  # what the schema requires; all else may be left out
        if not isinstance(record[key], str) or not record[key]:
            raise ValueError(f"its {key} is no text")
    day = date.fromisoformat(record["modified"][:10]).isoformat()
    packages = [entry["package"] for entry in record.get("affected") or () if entry.get("package")]
    held = {normal_name(package["name"]) for package in packages}
    ecosystems = {str(package["ecosystem"]) for package in packages}
    advisory = parse_advisory(record) if held & names else None
    database.record_count += 1
    database.ecosystems |= ecosystems
    database.newest = max(database.newest, day)
    if advisory is not None:
        database.advisories.append(advisory)


def parse_advisory(document: Mapping[str, Any]) -> Advisory | None:
    """None for one that was withdrawn. Raises ValueError, KeyError, TypeError, AttributeError."""
    if document.get("withdrawn"):
        return None
    specific = document.get("database_specific") or {}
    return Advisory(
        id=str(document["id"]),
        aliases=tuple(map(str, document.get("aliases") or ())),
        upstream=tuple(map(str, document.get("upstream") or ())),
        summary=str(document.get("summary") or document.get("details") or "")
        .strip()
        .partition("\n")[0][:200],
        severities=_severities(document),
        level=str(specific.get("severity") or "").lower() if isinstance(specific, dict) else "",
        affected=tuple(_affected(entry) for entry in document.get("affected") or () if entry.get("package")),
    )


def _affected(entry: Mapping[str, Any]) -> Affected:
    package = entry["package"]
    specific = {**(entry.get("database_specific") or {}), **(entry.get("ecosystem_specific") or {})}
    return Affected(
        ecosystem=str(package["ecosystem"]),
        name=str(package["name"]),
        ranges=tuple(
            tuple((str(kind), str(version)) for event in found["events"] for kind, version in event.items())
            for found in entry.get("ranges") or ()
            if found["type"] in ("ECOSYSTEM", "SEMVER")
        ),
        versions=tuple(map(str, entry.get("versions") or ())),
        severities=_severities(entry),
        urgency=str(specific.get("urgency") or specific.get("ubuntu_priority") or "").lower(),
    )


def _severities(document: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((str(entry["type"]), str(entry["score"])) for entry in document.get("severity") or ())


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        if path.is_dir():
            for inner in sorted(path.rglob("*")):
                if inner.name.endswith(_SUFFIXES) and inner.is_file():
                    yield from _file_records(inner)
        elif path.exists():
            yield from _file_records(path)
        else:
            raise UsageError(f"{path} is not there", hints=(f"ls {path.parent}",))
    except OSError as error:
        raise OutsideError(f"{path} cannot be read: {error.strerror or error}", place=str(path)) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ProjectError(f"{path} is damaged: {error}", place=str(path)) from None


def _file_records(path: Path) -> Iterator[tuple[str, Any]]:
    name = path.name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(".json"):
                    with archive.open(member) as file:
                        yield from _documents(f"{path}!{member.filename}", _limited(file, path))
        return
    with gzip.open(path) if name.endswith(".gz") else path.open("rb") as file:
        if name.removesuffix(".gz").endswith((".jsonl", ".ndjson")):
            filled = False
            for number, line in enumerate(file, 1):
                if line.strip():
                    filled = True
                    yield f"{path}:{number}", _json(f"{path}:{number}", line)
            if not filled:  # a download of no bytes, among others of a folder
                raise _no_advisories(path)
        else:
            yield from _documents(str(path), file.read())


def _limited(file: Any, path: Path) -> bytes:
    content: bytes = file.read(_LARGEST_RECORD_BYTES + 1)
    if len(content) > _LARGEST_RECORD_BYTES:
        raise ProjectError(f"{path} holds a record larger than 64 MiB", place=str(path))
    return content


def _json(place: str, content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProjectError(f"{place} is no JSON: {error}", place=place) from None


def _documents(place: str, content: bytes) -> Iterator[tuple[str, Any]]:
    """One record, or the records of a list or of an answer of OSV's service."""
    document = _json(place, content)
    records = document["vulns"] if isinstance(document, dict) and "vulns" in document else document
    if records is document and not isinstance(document, list):
        yield place, document
    elif isinstance(records, list):
        for number, record in enumerate(records, 1):
            yield f"{place}[{number}]", record
    else:
        raise ProjectError(f"{place} is no record of OSV's format: its vulns are no list", place=place)
