"""Running uv: always without building, never in the host's Python, its errors made short.

uv runs as a process of its own. It is told the target's Python and platform; `--no-build` keeps it from
running any project's or package's code on this machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lading.errors import LadingError, OutsideError, ResolutionFailed
from lading.fetch.address import redact

_NETWORK = (
    "Failed to fetch",
    "error sending request",
    "dns error",
    "Could not connect",
    "error trying to connect",
    "HTTP status",
    "Request failed",
    "Failed to download",
    "tls handshake",
    "timed out",
)
_OFFLINE = "network was disabled"
_FORBIDDEN = re.compile(r"^hint: (?P<hint>An index .*(?:401 Unauthorized|403 Forbidden).*)$", re.MULTILINE)
_NO_WHEELS = re.compile(r"Because (?P<name>[\w.-]+?)(?:==(?P<version>\S+))? has no (?:usable )?wheels")
_WHEELS_REQUIRED = re.compile(r"hint: Wheels are required for `(?P<name>[^`]+)`")
_LATER_INDEX = re.compile(
    r"`(?P<name>[\w.-]+)` was found on .{1,400}? but not at the requested version.{1,400}? subsequent index",
    re.DOTALL,
)
_NOT_FOUND = re.compile(r"(?P<name>[\w.-]+) was not found in the (?:package registry|provided)")
_LONGEST_EXPLANATION = 700


class NoWheel(ResolutionFailed):
    """`distribution` would have to be built; stays inside lading where somebody can build it."""

    def __init__(self, message: str, distribution: str, *, place: str | None, hints: tuple[str, ...]) -> None:
        super().__init__(message, place=place, hints=hints)
        self.distribution = distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Uv:
    """How to call uv for one project: its folder and its environment."""

    folder: Path
    """Where uv looks for `[tool.uv]` and relative paths."""
    environment: Mapping[str, str]
    offline: bool = False

    def run(self, arguments: Sequence[str], *, doing: str, place: str | None = None) -> str:
        """What uv prints. Raises ResolutionFailed for the project's fault, OutsideError for the network's."""
        command = [find_uv(), *arguments]
        if arguments[0] != "python":  # there, quiet would leave out the answer too
            # Our own interpreter: which ones this host has is no matter, and looking for them takes time.
            command += ["--quiet", "--python", sys.executable]
        if self.offline:
            command.append("--offline")
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=dict(self.environment),
                capture_output=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except OSError as error:
            raise OutsideError(f"{doing} failed: uv cannot be started: {error.strerror}") from error
        if done.returncode != 0:
            raise explain(done.stderr.decode(errors="replace"), doing=doing, place=place)
        return done.stdout.decode()


def find_uv() -> str:
    """The uv that was installed with lading. Raises OutsideError when it is gone."""
    import uv

    try:
        return uv.find_uv_bin()
    except FileNotFoundError as error:
        raise OutsideError(
            "uv, which lading resolves with, is not installed beside it",
            hints=(f"{sys.executable} -m pip install uv",),
        ) from error


def explain(output: str, *, doing: str, place: str | None) -> LadingError:
    """uv's error output as one of ours: uv's reasoning as a sentence; its own words stay as a note."""
    text = redact(output)
    error = _explained(text, _condensed(text), doing=doing, place=place)
    error.add_note(f"uv said:\n{text.rstrip()}")
    return error


def _explained(text: str, reason: str, *, doing: str, place: str | None) -> LadingError:
    if _OFFLINE in text.lower():
        return OutsideError(
            f"{doing} failed: {reason}",
            place=place,
            hints=("run the same command once without --offline",),
        )
    if match := _FORBIDDEN.search(text):
        return OutsideError(
            f"{doing} failed: {match['hint']}",
            place=place,
            hints=("put the user name and password for this host into ~/.netrc or the index variable",),
        )
    if match := _WHEELS_REQUIRED.search(text) or _NO_WHEELS.search(text):
        return _no_wheel(match["name"], reason, doing=doing, place=place)
    if match := _NOT_FOUND.search(text):
        return ResolutionFailed(
            f"{doing} failed: no index and no wheel folder has a package {match['name']!r}. {reason}",
            place=place,
            hints=("check the spelling, or name its index: export UV_INDEX=https://…/simple",),
        )
    if match := _LATER_INDEX.search(text):
        name = match["name"]
        return ResolutionFailed(
            f"{doing} failed: {reason}",
            place=place,
            hints=(
                f"of indexes that have {name} only the first is asked, against confusion; to name another:"
                f" [tool.uv.sources] {name} = {{ index = … }} in pyproject.toml",
                "or name that index first: export UV_INDEX=https://…/simple",
            ),
        )
    if "No solution found" not in text and any(word in text for word in _NETWORK):
        return OutsideError(f"{doing} failed: {reason}", place=place, hints=("try again, or --offline",))
    return ResolutionFailed(f"{doing} failed: {reason}", place=place)


def _no_wheel(name: str, reason: str, *, doing: str, place: str | None) -> ResolutionFailed:
    return NoWheel(
        f"{doing} failed: {name} has no wheel for this Python and platform, and no source archive that could "
        f"be built: {reason}",
        name,
        place=place,
        hints=(
            f"allow a version of {name} that has a wheel, or another python in [image]",
            "name a folder that has one: export UV_FIND_LINKS=wheels",
        ),
    )


def _condensed(text: str) -> str:
    """uv's causes as running text; its hints are left to ours."""
    body = re.split(r"^hint: ", text, maxsplit=1, flags=re.MULTILINE)[0]
    body = re.sub(r"^(?:error|warning): ", "", body.strip(), flags=re.MULTILINE)
    body = body.replace("No solution found when resolving dependencies", "")
    body = re.sub(r"^\s*(?:cause: |Caused by: |× |╰─▶ )", "", body, flags=re.MULTILINE)
    body = re.sub(r"\s+", " ", body).strip()
    body = body.replace(" (i.e., with `--no-build`)", "")
    if len(body) > _LONGEST_EXPLANATION:
        body = body[:_LONGEST_EXPLANATION].rsplit(" ", 1)[0] + " …"
    return body or "uv gave no reason"
