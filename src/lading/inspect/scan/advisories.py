"""A database of advisories in OSV's format, read for the packages of one image.

A file or folder: OSV's `all.zip`, JSON Lines (`.gz` too), one JSON document or many. Records that name none
of the wanted packages are passed over unparsed. What is no record is refused: a damaged database is no clean
image. Knows the format and no image.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.errors import OutsideError, ProjectError, UsageError

_NAME = re.compile(rb'"name"\s*:\s*"((?:[^"\\]|\\.)*)"')
_ECOSYSTEM = re.compile(rb'"ecosystem"\s*:\s*"([^"\\]+)"')
_MODIFIED = re.compile(rb'"modified"\s*:\s*"(\d{4}-\d\d-\d\d)')
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
    database, wanted = Database(), {name.encode() for name in names}
    for path in paths:
        before = database.record_count
        for place, raw in _records(path):
            _take(database, place, raw, wanted)
        if database.record_count == before:
            raise UsageError(
                f"{path} holds no advisories in OSV's format",
                place=str(path),
                hints=("give a folder, .zip, .jsonl or .json of OSV records",),
            )
    return database


def normal_name(name: str) -> str:
    """As Python packages are compared; harmless for Debian's names, whose letters are all small."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _take(database: Database, place: str, raw: bytes, wanted: set[bytes]) -> None:
    database.record_count += 1
    database.ecosystems.update(found.decode("utf-8", "replace") for found in _ECOSYSTEM.findall(raw))
    if modified := _MODIFIED.search(raw):
        database.newest = max(database.newest, modified[1].decode())
    if any(re.sub(rb"[-_.]+", b"-", name).lower() in wanted for name in _NAME.findall(raw)):
        try:
            advisory = parse_advisory(json.loads(raw))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            words = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            raise ProjectError(f"{place} is no record of OSV's format: {words}", place=place) from None
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


def _records(path: Path) -> Iterator[tuple[str, bytes]]:
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


def _file_records(path: Path) -> Iterator[tuple[str, bytes]]:
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
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield f"{path}:{number}", line
        else:
            yield from _documents(str(path), file.read())


def _limited(file: Any, path: Path) -> bytes:
    content: bytes = file.read(_LARGEST_RECORD_BYTES + 1)
    if len(content) > _LARGEST_RECORD_BYTES:
        raise ProjectError(f"{path} holds a record larger than 64 MiB", place=str(path))
    return content


def _documents(place: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    """One record, or the records of a list or of an answer of OSV's service."""
    head = content[:200].lstrip()
    if not head.startswith(b"[") and b'"vulns"' not in head:
        if b'"id"' not in content:
            raise ProjectError(f"{place} is no record of OSV's format: it has no id", place=place)
        yield place, content
        return
    try:
        document = json.loads(content)
        records = document["vulns"] if isinstance(document, dict) else document
    except (ValueError, KeyError, RecursionError) as error:
        raise ProjectError(f"{place} is no JSON of OSV's format: {error}", place=place) from None
    for number, record in enumerate(records, 1):
        yield f"{place}[{number}]", json.dumps(record).encode()
