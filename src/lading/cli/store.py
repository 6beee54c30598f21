"""`lading store`: what is on disk, what can go, and whether it is whole."""

from __future__ import annotations

import argparse

from lading.cli.format import format_count, format_size, format_table
from lading.cli.parser import Parser, closest, parse_duration
from lading.cli.session import Session
from lading.errors import StoreError, UsageError
from lading.store.collect import du, gc
from lading.store.verify import verify

ABOUT = """Measure, clean and check the store (LADING_HOME).

  du       what takes how much
  gc       remove what no image, run, model or service needs
  verify   hash every blob again, check every record"""
EXAMPLES = """Examples:
  lading store du
  lading store gc --dry-run
  lading store gc --keep 0
  lading store verify --repair"""

_ACTIONS = ("du", "gc", "verify")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("action", metavar="du|gc|verify", help="what to do")
    parser.flag("--dry-run", variable="LADING_DRY_RUN", help="gc: say what would go, remove nothing")
    parser.option(
        "--keep",
        variable="LADING_KEEP",
        metavar="TIME",
        convert=parse_duration,
        default=604_800,
        shown_default="7d",
        help="gc: also keep what was written in the last TIME, e.g. 6h, 7d",
    )
    parser.flag("--no-wait", variable="LADING_NO_WAIT", help="gc: give up when a build is running")
    parser.flag("--repair", variable="LADING_REPAIR", help="verify: remove what is damaged")


def execute(options: argparse.Namespace, session: Session) -> int:
    action: str = options.action
    if action not in _ACTIONS:
        near = closest(action, _ACTIONS) or "du"
        raise UsageError(f"`lading store` cannot `{action}`", hints=(f"lading store {near}",))
    if options.repair and action != "verify":
        raise UsageError(
            f"`--repair` belongs to `verify`, not `{action}`", hints=("lading store verify --repair",)
        )
    if options.dry_run and action != "gc":
        raise UsageError(f"`--dry-run` belongs to `gc`, not `{action}`", hints=("lading store gc --dry-run",))
    return {"du": _du, "gc": _gc, "verify": _verify}[action](options, session)


def _du(options: argparse.Namespace, session: Session) -> int:
    usage = du(session.store)
    total = sum(item.size_bytes for item in usage)
    if session.as_json:
        kinds = [{"kind": u.kind, "count": u.count, "size_bytes": u.size_bytes} for u in usage]
        session.document(
            {"type": "usage", "root": str(session.store.root), "size_bytes": total, "kinds": kinds}
        )
        return 0
    rows = [(item.kind, str(item.count), format_size(item.size_bytes)) for item in usage]
    rows.append(("total", str(sum(item.count for item in usage)), format_size(total)))
    for line in format_table(rows, right=frozenset({1, 2})):
        session.line(line)
    session.printer.detail(f"in {session.store.root}")
    return 0


def _gc(options: argparse.Namespace, session: Session) -> int:
    from lading.cli.roots import store_roots

    collected = gc(
        session.store,
        store_roots(session.store, keep_seconds=options.keep),
        keep_seconds=options.keep,
        dry_run=options.dry_run,
        wait=not options.no_wait,
    )
    if session.as_json:
        session.document(
            {
                "type": "collected",
                "dry_run": options.dry_run,
                "size_bytes": collected.size_bytes,
                "blobs": list(collected.blobs),
                "records": list(collected.records),
                "trees": list(collected.trees),
                "toolchains": list(collected.toolchains),
                "staging": list(collected.staging),
                "in_use": list(collected.kept_in_use),
            }
        )
        return 0
    counts = (
        (len(collected.blobs), "blob"),
        (len(collected.records), "record"),
        (len(collected.trees), "tree"),
        (len(collected.toolchains), "toolchain"),
        (len(collected.staging), "unfinished file"),
    )
    what = ", ".join(format_count(count, noun) for count, noun in counts if count) or "nothing"
    verb = "would remove" if options.dry_run else "removed"
    session.line(f"{verb} {what}: {format_size(collected.size_bytes)}")
    if collected.kept_in_use:
        session.printer.note(
            f"{format_count(len(collected.kept_in_use), 'tree')} kept: in use by a container"
        )
    return 0


def _verify(options: argparse.Namespace, session: Session) -> int:
    with session.printer.progress("verifying") as phase:
        result = verify(session.store, repair=options.repair, progress=phase.advance)
    damages = [{"kind": d.kind, "place": d.place, "message": d.message} for d in result.damages]
    if session.as_json:
        session.document(
            {
                "type": "verification",
                "blobs": result.blob_count,
                "size_bytes": result.size_bytes,
                "records": result.record_count,
                "damages": damages,
                "repaired": result.repaired,
            }
        )
    else:
        for damage in result.damages:
            session.line(f"{damage.kind}  {damage.message}  {damage.place}")
        blobs, records = format_count(result.blob_count, "blob"), format_count(result.record_count, "record")
        state = "whole" if not damages else f"{format_count(len(damages), 'thing')} damaged"
        session.line(f"{blobs} ({format_size(result.size_bytes)}), {records}: {state}")
    if not damages:
        return 0
    if result.repaired:
        session.printer.note("removed what was damaged; the next build makes or fetches it again")
        return 0
    return _complain(session, len(damages))


def _complain(session: Session, count: int) -> int:
    """With --json the document above has said it all; an error document would be a second answer."""
    hint = "lading store verify --repair"
    session.printer.error(f"{format_count(count, 'thing')} in the store damaged", None, (hint,))
    return StoreError.exit_status
