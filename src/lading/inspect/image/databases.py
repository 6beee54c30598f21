"""What files of package databases say: dist-info, dpkg, conda, apk, RPM. Pure: bytes in, JSON values out.

The values are kept with a layer's evidence, so they hold what explaining needs and no more.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from email.parser import HeaderParser
from typing import Any

from lading.inspect.image import rpm

LARGEST_BYTES = 64 << 20
_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_APK = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_DPKG = "var/lib/dpkg/"
_CONDA = re.compile(r"(?:^|/)conda-meta/[^/]+\.json$")
_DIST = re.compile(
    r"\.(?:dist-info/(?:METADATA|RECORD)|egg-info/(?:PKG-INFO|installed-files\.txt)|egg-info)$"
)
_DPKG_FIELDS = (
    "Package",
    "Version",
    "Architecture",
    "Depends",
    "Pre-Depends",
    "Provides",
    "Source",
    "Essential",
)

Document = dict[str, Any]


def is_wanted(path: str) -> bool:
    """Whether the file at `path` is one that `read_document` understands."""
    if path.startswith(_DPKG):
        rest = path[len(_DPKG) :]
        return rest == "status" or rest.startswith("status.d/") or rest.endswith(".list")
    return bool(_DIST.search(path) or _CONDA.search(path)) or path in (*_OS_RELEASE, *_APK, *rpm.PATHS)


def read_document(path: str, content: bytes) -> Document | None:
    """None for what cannot be understood: then its files are nobody's."""
    try:
        if path in rpm.PATHS:
            return {"kind": "rpm", "packages": rpm.read_packages(content)}
        return _read(path, content.decode("utf-8", "surrogateescape"))
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error):
        return None


def _read(path: str, text: str) -> Document | None:
    name = path.rpartition("/")[2]
    if path in _OS_RELEASE:
        return {"kind": "os-release", "fields": dict(_assignments(text))}
    if path in _APK:
        return {"kind": "apk", "packages": list(_apk(text))}
    if path.startswith(_DPKG):
        if name.endswith(".list"):
            return {"kind": "dpkg-list", "package": name[:-5], "files": _lines(text)}
        if "/status.d/" in path and name.endswith(".md5sums"):
            files = [line.partition("  ")[2].strip() for line in text.splitlines()]
            return {"kind": "dpkg-list", "package": name[:-8], "files": [f for f in files if f]}
        return {"kind": "dpkg-status", "packages": list(_dpkg(text))}
    if _CONDA.search(path):
        return _conda(path, json.loads(text))
    if name in ("RECORD", "installed-files.txt"):
        return _record(path, name, text)
    return _metadata(path, text)


def _record(path: str, name: str, text: str) -> Document:
    info = path.rpartition("/")[0]
    base = info.rpartition("/")[0] if name == "RECORD" else info
    if name == "RECORD":
        rows = [(row[0], row[1] if len(row) > 1 else "") for row in csv.reader(text.splitlines()) if row]
    else:
        rows = [(line, "") for line in text.split("\n")]
    files, hashes = [], []
    for entry, promised in rows:
        if entry and (resolved := join(base, entry)) is not None:
            files.append(resolved)
            hashes.append(promised.removeprefix("sha256=") if promised.startswith("sha256=") else "")
    return {"kind": "record", "files": files, "hashes": hashes}


def _metadata(path: str, text: str) -> Document | None:
    headers = HeaderParser().parsestr(text)
    if not headers.get("Name") or not headers.get("Version"):
        return None
    return {
        "kind": "dist",
        "name": headers["Name"].strip(),
        "version": headers["Version"].strip(),
        "requires": headers.get_all("Requires-Dist") or [],
        "licence_expression": " ".join((headers.get("License-Expression") or "").split()),
        "licence": (headers.get("License") or "").strip()[:120].partition("\n")[0],
    }


def join(base: str, entry: str) -> str | None:
    """`entry` of a RECORD as a path of the image; None where it leaves the root."""
    parts = [] if entry.startswith("/") else base.split("/") if base else []
    for part in entry.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def _conda(path: str, document: Document) -> Document:
    prefix = path.rpartition("/")[0].rpartition("/")[0]
    files = [f"{prefix}/{file}".lstrip("/") for file in document.get("files") or ()]
    return {
        "kind": "conda",
        "name": str(document["name"]),
        "version": str(document["version"]),
        "build": str(document.get("build", "")),
        "subdir": str(document.get("subdir", "")),
        "channel": str(document.get("channel", "")).rstrip("/").rpartition("/")[2],
        "requires": [str(words) for words in document.get("depends") or ()],
        "licence": str(document.get("license") or ""),
        "files": files,
    }


def _dpkg(text: str) -> Iterator[Document]:
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        status = "installed"
        for line in stanza.splitlines():
            key, colon, value = line.partition(":")
            if colon and key in _DPKG_FIELDS:
                fields[key.lower()] = value.strip()
            elif key == "Status":
                status = value.split()[-1] if value.split() else ""
        if "package" in fields and "version" in fields and status == "installed":
            yield fields


def _apk(text: str) -> Iterator[Document]:
    for stanza in text.split("\n\n"):
        package: Document = {"files": []}
        folder = ""
        for line in stanza.splitlines():
            key, _, value = line.partition(":")
            if key in ("P", "V", "D", "p", "A", "L", "o"):
                package[key] = value
            elif key == "F":
                folder = value
            elif key == "R":
                package["files"].append(f"{folder}/{value}".lstrip("/"))
        if "P" in package and "V" in package:
            yield package


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            yield key.strip(), value.strip().strip("\"'")


def _lines(text: str) -> list[str]:
    return [line.strip("/") for line in text.splitlines() if line.strip("/.")]
