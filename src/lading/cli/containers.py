"""What the commands about runs share: the engine, the ledger, finding a run by the word the user typed."""

from __future__ import annotations

import argparse
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lading.cli.format import format_seconds
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.engine.embedded import EmbeddedEngine
    from lading.run.ledger import Ledger
    from lading.run.rows import RunRow, ServiceRow


def open_engine(session: Session) -> EmbeddedEngine:
    from lading.engine.embedded import EmbeddedEngine

    return EmbeddedEngine(session.store, session.environment)


@contextlib.contextmanager
def open_ledger(session: Session) -> Iterator[Ledger]:
    from lading.run.ledger import Ledger

    with Ledger.open(session.store) as ledger:
        yield ledger


def add_all(parser: Parser) -> None:
    parser.flag(
        "--all", variable="LADING_ALL_PROJECTS", help="of every project, not only of the one in this folder"
    )


def asked_project(options: argparse.Namespace) -> str | None:
    """The project in this folder; None, for all of them, under --all and where there is none."""
    if options.all:
        return None
    from lading.project.name import folder_project

    return folder_project(Path.cwd())


def none_yet(what: str, command: str, project: str | None) -> str:
    """What is said instead of an empty list."""
    if project is None:
        return f"no {what} yet; start one: {command}"
    return f"no {what} of {project} yet; start one: {command}; of other projects: --all"


def find_run(ledger: Ledger, word: str, project: str | None = None) -> RunRow:
    """The run whose id begins with `word`, else the newest run of the task `word` (of `project`, if given).

    Raises UsageError for none, or several ids.
    """
    runs = ledger.runs()
    by_id = [run for run in runs if run.run_id.startswith(word)]
    if len({run.run_id for run in by_id}) > 1 and all(run.run_id != word for run in by_id):
        ids = ", ".join(run.run_id for run in by_id[:4])
        raise UsageError(f"`{word}` begins several run ids: {ids}", hints=(f"lading logs {by_id[0].run_id}",))
    found = by_id or [run for run in runs if run.task == word and project in (None, run.project)]
    if not found:
        raise UsageError(f"there is no run and no task `{word}` here", hints=("lading runs",))
    return found[0]


def find_service(ledger: Ledger, word: str) -> ServiceRow | None:
    """The service called `word`, whatever its state."""
    return ledger.service(word)


def age(moment: float) -> str:
    """`12 min 3 s ago`."""
    return f"{format_seconds(max(0.0, time.time() - moment))} ago"


def run_document(run: RunRow) -> dict[str, Any]:
    """What --json says of a run."""
    return {
        "type": "run",
        "run_id": run.run_id,
        "project": run.project,
        "task": run.task,
        "phase": run.phase.value,
        "at": run.at,
        "ended_at": run.ended_at,
        "exit_status": run.exit_status,
        "seal": run.seal,
        "image_digest": run.image_digest,
        "metrics": dict(run.metrics),
        "outputs": run.outputs,
        "level": run.level,
        "enforced_by": dict(run.enforced_by),
        "cost": run.cost.as_json(),
        "reason": run.reason,
    }


def service_document(service: ServiceRow) -> dict[str, Any]:
    """What --json says of a service."""
    return {
        "type": "service",
        "name": service.name,
        "state": service.state,
        "at": service.at,
        "url": service.url,
        "model": service.model,
        "model_digest": service.model_digest,
        "image_digest": service.image_digest,
        "reason": service.reason,
    }
