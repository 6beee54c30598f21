"""`lading runs`: what was run, newest first."""

from __future__ import annotations

import argparse

from lading.cli.containers import add_all, age, asked_project, none_yet, open_ledger, run_document
from lading.cli.format import format_seconds, format_table
from lading.cli.parser import Parser, parse_count
from lading.cli.session import Session

ABOUT = "List the project's runs, newest first: how they ended, what they measured."
EXAMPLES = """Examples:
  lading runs
  lading runs train --limit 5
  lading runs --json | jq -r 'select(.metrics.accuracy > 0.9) | .run_id'"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("task", nargs="?", metavar="TASK", help="only runs of this task")
    parser.option(
        "--limit", variable="LADING_LIMIT", metavar="N", convert=parse_count, default=20, help="at most N"
    )
    add_all(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    project = asked_project(options)
    with open_ledger(session) as ledger:
        runs = ledger.runs(project, options.task)[: options.limit]
    if session.as_json:
        for run in runs:
            session.document(run_document(run))
        return 0
    rows = []
    for run in runs:
        metrics = " ".join(
            f"{name}={value:.4g}" for name, value in sorted(run.metrics.items()) if value is not None
        )
        seconds = run.cost.wall_seconds
        took = format_seconds(seconds) if seconds is not None else ""
        rows.append(
            (run.run_id[:8], f"{run.project}/{run.task}", run.phase.value, age(run.at), took, metrics)
        )
    for line in format_table(rows, right=frozenset({4})):
        session.line(line)
    if not rows:
        session.printer.note(none_yet("runs", "lading run", project))
    return 0
