"""The process level's view: paths of the image and of mounts, translated to where they are on the host.

There is no isolation here and no root to change into. Environment values and words of the command that are
absolute paths are translated; text inside a shell command or a program is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lading.engine.embedded.plan import ContainerPlan, Place

_KERNEL = ("/dev", "/proc", "/sys")
_WORKING_COPY_BYTES = 256 << 20
_CACHE_ENDINGS = ("_HOME", "_DIR", "_CACHE")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathMap:
    """Container paths to host paths. Pure but for `exists`."""

    mounts: Mapping[str, str]
    shadow: str
    view: str
    """Folder in which parents of mount targets are rebuilt, and where unknown folders go."""
    temporary: str
    working: tuple[str, str] | None
    exists: Callable[[str], bool]

    def translate(self, path: str) -> str:
        """`path` on the host; unchanged where nothing is known of it."""
        clean = os.path.normpath(path) if path != "/" else path
        if not path.startswith("/") or path.startswith("//") or _under(clean, *_KERNEL):
            return path
        for target in sorted(self.mounts, key=len, reverse=True):
            if _under(clean, target):
                return self.mounts[target] + clean[len(target) :]
        if self.working is not None and _under(clean, self.working[0]):
            return self.working[1] + clean[len(self.working[0]) :]
        if any(target.startswith(clean.rstrip("/") + "/") for target in self.mounts) and clean != "/":
            return self.view + clean
        if _under(clean, "/tmp", "/var/tmp"):
            return self.temporary + clean.removeprefix("/var")[len("/tmp") :]
        if clean != "/" and self.exists(self.shadow + clean):
            return self.shadow + clean
        return path

    def value(self, name: str, value: str) -> str:
        """One environment value: every part between colons that is a path."""
        parts = [self.translate(part) for part in value.split(":")]
        if value.startswith("/") and (
            name == "HOME" or name.startswith("XDG_") or name.endswith(_CACHE_ENDINGS)
        ):
            outside = parts[0] == value or parts[0].startswith(self.shadow)
            if len(parts) == 1 and outside and not _under(value, *_KERNEL):
                return self.view + os.path.normpath(value)
        return ":".join(parts)

    def word(self, word: str) -> str:
        """One word of the command: a path, or `--option=PATH`."""
        option, equals, path = word.partition("=")
        if equals and path.startswith("/") and not option.startswith("/"):
            return f"{option}={self.translate(path)}"
        return self.translate(word)


def _under(path: str, *folders: str) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


def relocated(plan: ContainerPlan) -> ContainerPlan:
    """`plan` with host paths; makes the run's folders. Raises OSError."""
    shadow = str(Path(plan.root).parent / "shadow")
    working_copy = _copy_working(plan)
    paths = PathMap(
        mounts=_place_mounts(plan, working_copy),
        shadow=shadow,
        view=f"{plan.folder}/view",
        temporary=f"{plan.folder}/tmp",
        working=working_copy,
        exists=os.path.lexists,
    )
    environment = {name: paths.value(name, value) for name, value in plan.payload.environment.items()}
    environment.setdefault("TMPDIR", paths.temporary)
    environment["PATH"] = _search_path(plan.payload.environment.get("PATH"), paths)
    certificates = f"{plan.root}/etc/ssl/certs/ca-certificates.crt"
    if Path(certificates).exists():
        environment.setdefault("SSL_CERT_FILE", certificates)
    for name, value in environment.items():
        if value.startswith(paths.view) and name != "PATH" and ":" not in value:
            Path(value).mkdir(parents=True, exist_ok=True)
    for folder in map(paths.translate, plan.folders):
        if _under(folder, plan.folder):
            Path(folder).mkdir(parents=True, exist_ok=True)
    working = paths.translate(plan.working_dir)
    if working == plan.working_dir:
        working = f"{plan.folder}/home"
    command = tuple(paths.word(word) for word in plan.payload.command)
    payload = replace(plan.payload, environment=environment, command=command)
    return replace(plan, working_dir=working, payload=payload)


def _search_path(value: str | None, paths: PathMap) -> str:
    folders = (value or "/usr/local/bin:/usr/bin:/bin").split(":")
    return ":".join(paths.translate(folder) for folder in folders if folder)


def _place_mounts(plan: ContainerPlan, working_copy: tuple[str, str] | None) -> dict[str, str]:
    """Mounts stay where they are. Links let a program find them below the folder they would be in: below the
    copy of the working folder, else in the view.
    """
    mounts: dict[str, str] = {}
    spread = [working_copy] if working_copy is not None else []
    for place in plan.places:
        outer = next((pair for pair in spread[::-1] if _under(place.target, pair[0])), None)
        if outer is not None:
            link = Path(outer[1] + place.target[len(outer[0]) :])
        else:
            link = Path(f"{plan.folder}/view{place.target}")
        link.parent.mkdir(parents=True, exist_ok=True)
        if inner := _mounted_in(place, plan.places):
            _spread_out(Path(place.source or ""), Path(f"{plan.folder}/spread{place.target}"), inner)
            spread.append((place.target, f"{plan.folder}/spread{place.target}"))
            place = replace(place, source=spread[-1][1])
        if place.source is None:
            link.mkdir(exist_ok=True)
            mounts[place.target] = str(link)
        else:
            source = os.path.abspath(place.source)  # noqa: PTH100 - keep the caller's links
            if not link.exists():
                link.symlink_to(source)
            mounts[place.target] = source
    return mounts


def _mounted_in(place: Place, places: tuple[Place, ...]) -> list[tuple[str, ...]]:
    """Where in a read-only folder others are mounted. A folder to write to is never spread out: what is new
    in it would not reach the host.
    """
    if place.source is None or not place.read_only or not Path(place.source).is_dir():
        return []
    below = [p.target for p in places if p.target != place.target and _under(p.target, place.target)]
    return [tuple(target[len(place.target) :].strip("/").split("/")) for target in below]


def _spread_out(source: Path, target: Path, inner: list[tuple[str, ...]]) -> None:
    """A folder of links to what is in `source`, but for the paths `inner`, which mounts take."""
    target.mkdir(parents=True)
    first = {path[0] for path in inner}
    for entry in source.iterdir() if source.is_dir() else ():
        if entry.name not in first:
            (target / entry.name).symlink_to(os.path.abspath(entry))  # noqa: PTH100 - keep the caller's links
    for name in first - {path[0] for path in inner if len(path) == 1}:
        _spread_out(source / name, target / name, [path[1:] for path in inner if path[0] == name])


def _copy_working(plan: ContainerPlan) -> tuple[str, str] | None:
    """The image's own working folder, copied, since a task may write there; None for a large or no folder."""
    source = Path(plan.root + plan.working_dir)
    if plan.working_dir.strip("/") == "" or not source.is_dir():
        return None
    if any(_under(plan.working_dir, place.target) for place in plan.places):
        return None
    size = 0
    for folder, _, files in os.walk(source):
        size += sum(os.lstat(f"{folder}/{name}").st_size for name in files)
        if size > _WORKING_COPY_BYTES:
            return None
    import shutil

    target = f"{plan.folder}/working"
    shutil.copytree(source, target, symlinks=True)
    for folder, _, _ in os.walk(target):
        os.chmod(folder, 0o755)  # noqa: PTH101
    return plan.working_dir.rstrip("/"), target
