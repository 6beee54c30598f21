"""`lading lock`: resolve everything the project needs, for every accelerator and platform."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.building import add_source_options, build_context, open_project
from lading.cli.format import format_count, format_size
from lading.cli.parser import Parser
from lading.cli.session import Session

if TYPE_CHECKING:
    from lading.lock.make import Upgrade
    from lading.lock.model import Lock, LockedVariant

ABOUT = """Resolve wheels, interpreter and Debian packages and write lading.lock.

What is locked stays as it is while it fits the project; --upgrade lets it move."""
EXAMPLES = """Examples:
  lading lock
  lading lock --upgrade             everything to its newest
  lading lock --upgrade torch --upgrade numpy
  lading lock --locked              only check; exit code 4 when it does not fit"""


_EVERYTHING = "1"
_NOTHING = ("", "0", "false", "no", "off")
_SHOWN_CHANGES = 40


def add_arguments(parser: Parser) -> None:
    parser.add_argument("folder", nargs="?", metavar="DIR", help="project folder (default .)")
    parser.option(
        "--upgrade",
        variable="LADING_UPGRADE",
        metavar="NAME",
        repeat=True,
        bare=_EVERYTHING,
        help="let this distribution move; without NAME, or with LADING_UPGRADE=1, every one",
    )
    parser.flag("--locked", variable="LADING_LOCKED", help="write nothing; exit code 4 when it does not fit")
    parser.flag("--offline", variable="LADING_OFFLINE", help="use what is on this machine, fetch nothing")
    add_source_options(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.errors import UsageError

    folder, upgrade = folder_and_upgrade(options.folder, options.upgrade)
    if options.locked and upgrade is not None:
        raise UsageError("`--locked` writes nothing, so nothing can be upgraded", hints=("lading lock",))
    before, lock = _lock(folder, upgrade, options, session)
    changes = changed_versions(before, lock)
    if session.as_json:
        variants = [_variant_document(variant) for variant in lock.variants]
        session.document({"type": "lock", "changed": changes, "variants": variants})
        return 0
    for line in shown_changes(before, changes):
        session.line(line)
    for variant in lock.variants:
        size_bytes = sum(wheel.size_bytes for wheel in variant.wheels)
        session.printer.note(
            f"{variant.accelerator} {variant.platform}: python {variant.interpreter.version},"
            f" {format_count(len(variant.wheels), 'wheel')} ({format_size(size_bytes)}),"
            f" {format_count(len(variant.packages), 'Debian package')}"
        )
        for one in variant.added:
            session.printer.note(f"+ {one.name}: {one.because}")
    if not changes:
        session.printer.note("nothing changed")
    return 0


def folder_and_upgrade(folder: str | None, words: list[str]) -> tuple[str, Upgrade]:
    """The project folder and what may move, of `[DIR]` and what was written after each `--upgrade`.

    `--upgrade DIR` upgrades everything in DIR: a word that is a folder and no locked name is the folder, when
    none was given otherwise. Raises UsageError for a name beside an `--upgrade` of everything.
    """
    words = [word for word in words if word.lower() not in _NOTHING]
    if folder is None and (folders := [word for word in words if Path(word).is_dir()]):
        locked = _versions(read_project_lock(Path())).keys()
        folder = next((word for word in folders if word not in locked), None)
        words = [_EVERYTHING if word == folder else word for word in words]
    everything = {word for word in words if word.lower() in (_EVERYTHING, "true", "yes", "on")}
    names = tuple(word.lower().replace("_", "-") for word in words if word not in everything)
    if everything and names:
        from lading.errors import UsageError

        raise UsageError(
            "`--upgrade` moves everything, `--upgrade NAME` only what it names: choose one",
            hints=(f"lading lock --upgrade {names[0]}",),
        )
    return folder or ".", "all" if everything else names or None


def read_project_lock(root: Path) -> Lock | None:
    """The lock in a project folder, None without one. Raises what `read_lock` raises."""
    from lading.image.request import LOCK_NAME
    from lading.lock.lockfile import read_lock

    path = root / LOCK_NAME
    return read_lock(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else None


def _lock(
    folder: str, upgrade: Upgrade, options: argparse.Namespace, session: Session
) -> tuple[Lock | None, Lock]:
    from lading.image.request import BuildOptions
    from lading.image.target import current_lock, new_lock, save_lock

    project = open_project(folder, session, scan_credentials=False)
    before = read_project_lock(project.root)
    if upgrade is None:
        build = BuildOptions(locked=options.locked, offline=options.offline)
        return before, current_lock(project, build_context(session, options), build)
    context = build_context(session, options)
    lock = new_lock(project, context, upgrade=upgrade, offline=options.offline, previous=before)
    save_lock(project, lock)
    return before, lock


def changed_versions(before: Lock | None, after: Lock) -> list[str]:
    """`+ torch 2.13.0`, `- six 1.16`, `~ numpy 2.3.1 → 2.3.2`, once for all variants, sorted. Pure."""
    old, new = _versions(before), _versions(after)
    lines = []
    for name in sorted(old.keys() | new.keys()):
        was, now = "/".join(sorted(old.get(name, ()))), "/".join(sorted(new.get(name, ())))
        if not was:
            lines.append(f"+ {name} {now}")
        elif not now:
            lines.append(f"- {name} {was}")
        elif was != now:
            lines.append(f"~ {name} {was} → {now}")
    return lines


def shown_changes(before: Lock | None, changes: list[str]) -> list[str]:
    """What people are shown of `changes`: none of a first lock, where every package is new. Pure."""
    if before is None:
        return []
    more = len(changes) - _SHOWN_CHANGES
    return changes[:_SHOWN_CHANGES] + ([f"and {more} more"] if more > 0 else [])


def _versions(lock: Lock | None) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for variant in lock.variants if lock is not None else ():
        items = [(wheel.name, wheel.version) for wheel in variant.wheels]
        items += [(package.name, package.version) for package in variant.packages]
        for name, version in items:
            versions.setdefault(name, set()).add(version)
        versions.setdefault("python", set()).add(variant.interpreter.build)
    return versions


def _variant_document(variant: LockedVariant) -> dict[str, object]:
    return {
        "accelerator": variant.accelerator,
        "platform": variant.platform,
        "python": variant.interpreter.build,
        "wheels": [{"name": w.name, "version": w.version, "sha256": w.sha256} for w in variant.wheels],
        "packages": [{"name": p.name, "version": p.version, "sha256": p.sha256} for p in variant.packages],
        "added": [
            {"name": one.name, "because": one.because, "targets": list(one.targets)} for one in variant.added
        ],
    }
