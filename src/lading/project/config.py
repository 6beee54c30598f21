"""Finding and parsing what was written: `lading.toml`, `[tool.lading]` in `pyproject.toml`, or nothing."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lading.project.kinds import type_name
from lading.project.places import KeyPath
from lading.project.report import ConfigReport, Report, dotted

_NAME = r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'"""
_HEADER = re.compile(rf"\s*\[\[?\s*(?P<tool>{_NAME})\s*\.\s*(?P<name>{_NAME})\s*(?:\.[^\n]*)?\]")
_OTHER_HEADER = re.compile(r"\s*\[")


@dataclass(slots=True, kw_only=True)
class Written:
    """What configuration there is. `report` and `pyproject_report` know the lines of their files."""

    path: Path | None
    document: Mapping[str, Any]
    report: ConfigReport
    pyproject: Mapping[str, Any] | None
    pyproject_report: ConfigReport


def read_written(root: Path, report: Report) -> Written:
    """Read both files; having both configurations is an error naming them."""
    own, own_report = _document(root / "lading.toml", report)
    pyproject, pyproject_report = _document(root / "pyproject.toml", report)
    tool = pyproject.get("tool", {}) if pyproject is not None else {}
    table = tool.get("lading") if isinstance(tool, dict) else None
    inside = pyproject_report.inside(("tool", "lading"))
    path: Path | None = None
    document: Mapping[str, Any] = {}
    if own is not None:
        path, document, chosen = root / "lading.toml", own, own_report
        if table is not None:
            message = "lading.toml and [tool.lading] in pyproject.toml are both there"
            inside((), message, "keep one: move the keys, then delete the other")
    elif table is not None:
        path, chosen = root / "pyproject.toml", inside
        if isinstance(table, dict):
            document = table
        else:
            inside((), f"[tool.lading] must be a table, not {type_name(table)}")
    else:
        chosen = own_report
    return Written(
        path=path, document=document, report=chosen, pyproject=pyproject, pyproject_report=pyproject_report
    )


def find_package(root: Path, name: str) -> str | None:
    """Where the configuration asks for the Debian package `name`: `lading.toml:5: image.apt[0]`."""
    written = read_written(root, Report())
    image = written.document.get("image")
    if not isinstance(image, dict):
        return None
    builds = image.get("build")
    tables: dict[KeyPath, object] = {("image",): image}
    tables |= {("image", key): table for key, table in image.items()}
    if isinstance(builds, dict):
        tables |= {("image", "build", key): table for key, table in builds.items()}
    for path, table in tables.items():
        names = table.get("apt") if isinstance(table, dict) else None
        if isinstance(names, list) and name in names:
            key = (*path, "apt", names.index(name))
            return f"{written.report.place(key)}: {dotted(key)}"
    return None


def without_settings(text: str) -> str | None:
    """A pyproject.toml without `[tool.lading]`, and otherwise as it is. Pure.

    None where there is nothing to leave out, or where tables are written so that no lines could be cut.
    """
    try:
        whole = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return None
    tool = whole.get("tool")
    if not isinstance(tool, dict) or "lading" not in tool:
        return None
    kept, ours = [], False
    for line in text.splitlines(keepends=True):
        if header := _HEADER.match(line):
            ours = header["tool"].strip("\"'") == "tool" and header["name"].strip("\"'") == "lading"
        elif _OTHER_HEADER.match(line):
            ours = False
        if not ours:
            kept.append(line)
    rest = "".join(kept)
    if ours:  # it stood last: the empty lines before it were its own
        rest = rest.rstrip() + "\n"
    del tool["lading"]
    if not tool:
        del whole["tool"]
    try:
        return rest if tomllib.loads(rest) == whole else None
    except tomllib.TOMLDecodeError:
        return None


def _document(path: Path, report: Report) -> tuple[dict[str, Any] | None, ConfigReport]:
    """A parsed TOML file, or None when it is absent or broken (then the report says where)."""
    if path.is_fifo():  # nobody may ever write to it
        report.add(path.name, path.name, "is a pipe, no file")
        return None, ConfigReport(report, path.name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None, ConfigReport(report, path.name)
    except OSError as error:
        report.add(path.name, path.name, f"cannot be read: {error.strerror}")
        return None, ConfigReport(report, path.name)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        report.add(
            f"{path.name}:{line}", path.name, "is not UTF-8, as TOML must be", f"iconv -t UTF-8 {path.name}"
        )
        return None, ConfigReport(report, path.name)
    try:
        return tomllib.loads(text), ConfigReport(report, path.name, text)
    except tomllib.TOMLDecodeError as error:
        report.add(*_syntax_place(path.name, text, str(error)))
    except RecursionError:
        report.add(path.name, path.name, "is nested too deeply to be read")
    return None, ConfigReport(report, path.name)


def _syntax_place(name: str, text: str, message: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
    if match is None:
        return name, name, f"is not TOML: {message}"
    line = int(match.group(2) or text.count("\n") + 1)
    column = f"at column {match.group(3)}" if match.group(3) else "at its end"
    return f"{name}:{line}", name, f"is not TOML: {match.group(1)} {column}"
