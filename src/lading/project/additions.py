"""What else goes into an image: `[[image.files]]` and `[[image.step]]`, checked and made values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from lading.project.model import HealthCheck, ImageFile, ImageStep
from lading.project.places import KeyPath
from lading.project.report import ConfigReport
from lading.project.tokens import has_userinfo

_SCHEMES = ("https", "http")


def check_additions(table: dict[str, Any], path: KeyPath, report: ConfigReport) -> None:
    """What must hold inside each entry and between them; notes in each where it is written."""
    files, steps = table.get("files", ()), table.get("step", ())
    for index, entry in enumerate(files):
        entry["place"] = report.place((*path, "files", index))
        if "source" in entry:
            _check_source(entry, (*path, "files", index), report)
    _check_destinations(files, (*path, "files"), report)
    for index, entry in enumerate(steps):
        entry["place"] = report.place((*path, "step", index))
        _check_step(entry, (*path, "step", index), report)
    if steps and table.get("flavour") == "minimal":
        report((*path, "step"), "a minimal image has no shell to run it", 'write flavour = "standard"')


def additions(written: Mapping[str, Any]) -> dict[str, Any]:
    """The checked table with `files`, `step` and `healthcheck` as the fields of ImageSettings."""
    settled = {key: value for key, value in written.items() if key not in ("files", "step", "healthcheck")}
    if "healthcheck" in written:
        settled["healthcheck"] = _health(written["healthcheck"])
    if "files" in written:
        settled["files"] = tuple(_file(entry) for entry in written["files"])
    if "step" in written:
        settled["steps"] = tuple(ImageStep(**entry) for entry in written["step"] if "run" in entry)
    return settled


def _health(entry: Mapping[str, Any]) -> HealthCheck | None:
    if "command" not in entry:
        return None  # told where it is written
    return HealthCheck(
        command=entry["command"],
        interval_seconds=entry.get("interval"),
        timeout_seconds=entry.get("timeout"),
        start_seconds=entry.get("start_period"),
        retries=entry.get("retries"),
    )


def _file(entry: Mapping[str, Any]) -> ImageFile:
    mode = entry.get("mode")
    return ImageFile(
        source=entry.get("source", ""),
        destination=entry.get("destination", ""),
        mode=int(mode, 8) if mode is not None else None,
        sha256=entry.get("sha256"),
        place=entry["place"],
    )


def _check_source(entry: Mapping[str, Any], path: KeyPath, report: ConfigReport) -> None:
    source: str = entry["source"]
    scheme, separator, _ = source.partition("://")
    if not separator:
        pure = PurePosixPath(source)
        if pure.is_absolute() or source.startswith("~") or ".." in pure.parts or pure == PurePosixPath("."):
            hint = "copy it into the project, or name a URL with its sha256"
            report((*path, "source"), f"{source!r} is not a path inside the project folder", hint)
        return
    if scheme not in _SCHEMES:
        hint = "an https URL with its sha256, or a file of the project"
        report((*path, "source"), f"files do not come by {scheme}://", hint)
    elif has_userinfo(source):
        report((*path, "source"), "holds credentials in its URL", "keep them in ~/.netrc")
    elif "sha256" not in entry:
        report(path, "comes from the network and needs `sha256`", f"curl -fsSL {source} | sha256sum")


def _check_destinations(files: tuple[Mapping[str, Any], ...], path: KeyPath, report: ConfigReport) -> None:
    seen: list[str] = []
    for index, entry in enumerate(files):
        destination = entry.get("destination")
        if destination is None:
            continue
        for other in seen:
            if destination == other:
                report((*path, index, "destination"), f"{destination!r} is there twice", "rename one")
            elif destination.startswith(f"{other}/") and "://" in _source_of(other, files):
                report((*path, index, "destination"), f"lies below {other!r}, which is a file", "rename one")
        seen.append(destination)


def _source_of(destination: str, files: tuple[Mapping[str, Any], ...]) -> str:
    return next((e.get("source", "") for e in files if e.get("destination") == destination), "")


def _check_step(entry: Mapping[str, Any], path: KeyPath, report: ConfigReport) -> None:
    for name in entry.get("env", {}):
        if name.startswith("LADING_"):
            report(
                (*path, "env", name), "names beginning with LADING_ are set by lading", "choose another name"
            )
        if name in entry.get("secrets", ()):
            report((*path, "env", name), "is also named under `secrets`", "take it out of env")
