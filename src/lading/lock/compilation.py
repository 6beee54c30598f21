"""What uv is asked for one variant: `uv pip compile`, with its constraints and stand-ins for sources.

Knows uv's command line; must not know which sets of requirements are resolved, or in which order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lading.errors import ResolutionFailed
from lading.lock.pylock import FoundWheel, read_pylock, select_wheels
from lading.lock.requirements import allowed_hashes
from lading.lock.uv import NoWheel, Uv

if TYPE_CHECKING:
    from lading.lock.builds import Builds
    from lading.lock.wheels import WheelRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """Each method raises ResolutionFailed."""

    request: WheelRequest
    uv: Uv
    scratch: Path
    builds: Builds | None = None

    def written(self, filename: str, lines: Iterable[str]) -> tuple[str, ...]:
        """A file of requirements in the scratch folder, as an argument."""
        path = self.scratch / filename
        path.write_text("".join(f"{line}\n" for line in lines))
        return (str(path),)

    def wheels(self, arguments: tuple[str, ...], pins: Mapping[str, str]) -> tuple[FoundWheel, ...]:
        """What uv chooses; of what has no wheel it may choose among stand-ins for the source archives."""
        while arguments:
            try:
                return self._compile_once(arguments, pins)
            except NoWheel as error:
                if self.builds is None or not self.builds.offer(error.distribution, self.uv):
                    raise
        return ()

    def _compile_once(self, arguments: tuple[str, ...], pins: Mapping[str, str]) -> tuple[FoundWheel, ...]:
        project = self.request.project
        place = project.requirements.path.name if project.requirements.path else "requirements"
        output = self.scratch / "pylock.toml"
        output.unlink(missing_ok=True)
        if preferred := {**self.request.kept, **pins}:
            output.write_text(_preferences(preferred))
        self._uv_compile((*arguments, "--format", "pylock.toml", "--output-file", str(output)), pins, place)
        pylock = read_pylock(output.read_text(), place)
        return select_wheels(pylock, self.request.target, hashes=allowed_hashes(project), place=place)

    def names(self, arguments: tuple[str, ...], pins: Mapping[str, str]) -> tuple[str, ...]:
        """Names of what uv chooses, sorted."""
        place = Path(arguments[0]).name
        flags = ("--format", "requirements.txt", "--no-annotate", "--no-header")
        text = self._uv_compile((*arguments, *flags), pins, place)
        lines = [line for line in text.splitlines() if "==" in line or " @ " in line]
        return tuple(sorted(re.split(r"==| @ ", line, maxsplit=1)[0] for line in lines))

    def _uv_compile(self, arguments: tuple[str, ...], pins: Mapping[str, str], place: str) -> str:
        target = self.request.target
        tied = self.builds.constraints if self.builds is not None else {}
        overrides = self.builds.overrides if self.builds is not None else {}
        exact = {**pins, **tied, **self.request.bound}
        wanted = (_constraint(name, pin) for name, pin in sorted(exact.items()) if name not in overrides)
        constraints = self.written("constraints.txt", wanted)
        direct: list[str] = []
        if overrides:
            direct += ("--overrides", *self.written("overrides.txt", overrides.values()))
            direct += (word for name in overrides for word in ("--no-sources-package", name))
        command = (
            *("pip", "compile", *arguments, "--no-build", "--constraints", *constraints, *direct),
            *("--python-version", target.python, "--python-platform", target.uv_platform),
        )
        doing = f"resolving {place} for Python {target.python} on {target.platform}"
        try:
            return self.uv.run(command, doing=doing, place=place)
        except NoWheel:
            raise  # somebody may be able to build it
        except ResolutionFailed as error:
            if self.request.project.requirements.conda is not None:
                hint = 'what has another name there, or none: [image.conda] NAME = "its-name", or false'
                error = ResolutionFailed(error.message, place=error.place, hints=(hint, *error.hints))
            raise _explained(_with_origins(error, self.request), self.request) from error


def _with_origins(error: ResolutionFailed, request: WheelRequest) -> ResolutionFailed:
    """What a target holds by itself, such as a runtime, nobody may have written: say where it is from."""
    written = request.project.requirements.names
    origins = {
        name: target
        for target, wanted in sorted(request.requirements.items())
        for name in wanted.only or ()
        if name not in written and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", error.message)
    }
    if not origins:
        return error
    said = ", ".join(f"{name} comes from the target {target}" for name, target in origins.items())
    return ResolutionFailed(
        f"{error.message}\n  ({said})",
        place=error.place,
        hints=(*error.hints, "all targets share one version of a package: loosen the requirement"),
    )


def _explained(error: ResolutionFailed, request: WheelRequest) -> ResolutionFailed:
    """A base's packages are constraints nobody wrote down: the failure must say so."""
    base = request.base
    if base is None or not request.bound:
        return error
    return ResolutionFailed(
        f"{error.message}\n  (the versions that {base.locked.reference} holds are constraints)",
        place=error.place,
        hints=(*error.hints, "choose a base with other versions, or loosen the requirement"),
    )


def _constraint(name: str, pin: str) -> str:
    return f"{name} @ {pin[1:]}" if pin.startswith("@") else f"{name}=={pin}"


def _preferences(pins: Mapping[str, str]) -> str:
    """An output file as uv left it before: it keeps these versions where nothing forbids them."""
    lines = ['lock-version = "1.0"', 'created-by = "lading"']
    for name in sorted(pins):
        lines += ["", "[[packages]]", f'name = "{name}"', f'version = "{pins[name]}"']
    return "\n".join(lines) + "\n"
