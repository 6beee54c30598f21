"""`lading why`: which term of the seal made two runs different."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lading.cli.containers import add_all, age, asked_project, find_run, open_ledger
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.run.rows import RunRow
    from lading.store import Store

ABOUT = """Say why a run was not reused: the terms in which its seal differs from the run before.

The seal is a fingerprint of everything that decides what a run comes to: image, command, parameters,
inputs, mounts, environment. Two runs of one seal are one run."""
EXAMPLES = """Examples:
  lading why                        the newest run against the one before
  lading why train
  lading why 7f3a 91c2              two runs by the start of their ids"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN|TASK", help="default: the newest run")
    parser.add_argument("other", nargs="?", metavar="RUN", help="default: the run before of the same task")
    add_all(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.run.seal import explain_difference

    with open_ledger(session) as ledger:
        project = asked_project(options)
        newest = ledger.runs(project)
        if not newest and not options.run:
            raise UsageError("nothing was run yet", hints=("lading run",))
        run = find_run(ledger, options.run, project) if options.run else newest[0]
        if options.other:
            other = find_run(ledger, options.other, project)
        else:
            before = [earlier for earlier in ledger.runs(run.project, run.task) if earlier.at < run.at]
            if not before:
                return _first(run, session)
            other = before[0]
    differences = explain_difference(other.seal_terms, run.seal_terms)
    changes = changed_layers(session.store, other.image_digest, run.image_digest)
    if session.as_json:
        terms = [{"term": d.term, "before": d.before, "after": d.after} for d in differences]
        session.document(
            {
                "type": "why",
                "run": run.run_id,
                "other": other.run_id,
                "same_seal": run.seal == other.seal,
                "reusable": other.reusable,
                "differences": terms,
                "layers": changes,
            }
        )
        return 0
    session.line(f"run {run.run_id[:8]}, {age(run.at)}, against run {other.run_id[:8]}, {age(other.at)}:")
    for difference in differences:
        session.line(f"  {difference}")
        if difference.term == "image":
            for change in changes:
                session.line(f"    {change}")
    if not differences:
        session.line(f"  the seals are equal; {_not_reused(other.reusable, other.phase.value)}")
    return 0


def _first(run: RunRow, session: Session) -> int:
    """An answer like any other: there is no run before."""
    if session.as_json:
        session.document(
            {
                "type": "why",
                "run": run.run_id,
                "other": None,
                "same_seal": False,
                "reusable": False,
                "differences": [],
                "layers": [],
            }
        )
    else:
        session.line(f"first run of {run.task}: nothing to compare")
    return 0


def changed_layers(store: Store, before: str, after: str) -> list[str]:
    """What differs between two images, a line each: layers, and of the code its files. Reads records only."""
    from lading.image.layer.contents import layer_index

    old, new = _layers(store, before), _layers(store, after)
    lines = []
    for title in sorted(old.keys() | new.keys()):
        if old.get(title, {}).get("digest") == new.get(title, {}).get("digest"):
            continue
        if title not in old or title not in new:
            lines.append(f"{'+' if title in new else '-'} {title}")
            continue
        indexes = [layer_index(store, side[title]["key"]) for side in (old, new)]
        if new[title]["kind"] != "code" or None in indexes:
            lines.append(f"~ {title}")
            continue
        was, now = ({entry.path: entry.content for entry in index or ()} for index in indexes)
        paths = sorted(path for path in was.keys() | now.keys() if was.get(path) != now.get(path))
        lines.append(f"~ {title}: {', '.join(path.partition('/')[2] for path in paths)}")
    return lines


def _layers(store: Store, digest: str) -> dict[str, dict[str, Any]]:
    """The layers of an image on record, by title."""
    for key in store.images.keys():  # noqa: SIM118 not a dict
        record = store.images.get(key)
        if record is not None and record["digest"] == digest:
            return {layer["title"]: layer for layer in record["layers"]}
    return {}


def _not_reused(reusable: bool, phase: str) -> str:
    if not reusable:
        return "the first used the network or the working tree, so it cannot stand for another"
    if phase != "finished":
        return f"the first ended as {phase}, so it cannot stand for another"
    return "the second was asked for with --rerun, or the outputs of the first were gone"
