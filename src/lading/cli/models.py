"""`lading models`: what was sealed."""

from __future__ import annotations

import argparse

from lading.cli.containers import add_all, age, asked_project, none_yet, open_ledger
from lading.cli.format import format_table
from lading.cli.parser import Parser
from lading.cli.session import Session

ABOUT = "List the project's sealed models, newest first: version, digest, metrics, the run they came from."
EXAMPLES = """Examples:
  lading models
  lading models digits
  lading models --json | jq -r .digest"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="only versions of this model")
    add_all(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    with open_ledger(session) as ledger:
        models = ledger.models(options.name)
    project = asked_project(options) if options.name is None else None
    models = tuple(model for model in models if project in (None, model.project))
    if session.as_json:
        for model in models:
            session.document(
                {
                    "type": "model",
                    "name": model.name,
                    "version": model.version,
                    "digest": model.digest,
                    "project": model.project,
                    "run_id": model.run_id,
                    "at": model.at,
                    "metrics": dict(model.metrics),
                }
            )
        return 0
    rows = []
    for model in models:
        metrics = " ".join(f"{k}={v:.4g}" for k, v in sorted(model.metrics.items()) if v is not None)
        run = f"run {model.run_id[:8]}" if model.run_id else ""
        rows.append((model.reference, model.digest[:19], age(model.at), run, metrics))
    for line in format_table(rows):
        session.line(line)
    if not rows:
        session.printer.note(none_yet("models", "lading up", project))
    return 0
