"""`lading stop`: end a service or a run; it may finish what it does within its grace."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lading.cli.containers import find_run, find_service, open_engine, open_ledger
from lading.cli.parser import Parser, parse_duration
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.engine.embedded import EmbeddedEngine
    from lading.run.ledger import Ledger

ABOUT = "Stop a service, a run or a container: SIGTERM, then SIGKILL when the grace has passed."
EXAMPLES = """Examples:
  lading stop digits                a service
  lading stop 7f3a                  a run or container by the start of its id
  lading stop --all"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("what", nargs="*", metavar="SERVICE|RUN", help="names, or starts of ids")
    parser.flag("--all", variable="LADING_ALL", help="everything that is running")
    parser.option(
        "--grace",
        variable="LADING_GRACE",
        metavar="TIME",
        convert=parse_duration,
        default=10,
        shown_default="10s",
        help="how long it may take to end by itself",
    )


def execute(options: argparse.Namespace, session: Session) -> int:
    if bool(options.what) == options.all:
        raise UsageError("say what to stop, or --all", hints=("lading ps", "lading stop --all"))
    from lading.serve.service import stop_service

    engine = open_engine(session)
    with open_ledger(session) as ledger:
        running = _running(engine)
        if options.all:
            ids = running
        else:
            ids = {
                run_id: running[run_id]
                for word in options.what
                if (run_id := _run_id(word, ledger, running)) is not None
            }
        services = {service.run_id: service.name for service in ledger.services()}
        for run_id, handle in ids.items():
            name = services.get(run_id, run_id)
            if run_id in services:
                stop_service(
                    name, engine=engine, store=session.store, ledger=ledger, grace_seconds=options.grace
                )
            else:
                engine.stop(handle, options.grace)
            if session.as_json:
                session.document({"type": "stopped", "run_id": run_id, "name": name})
            else:
                session.line(name)
    if not ids:
        session.printer.note("nothing was running")
    return 0


def _running(engine: EmbeddedEngine) -> dict[str, dict[str, Any]]:
    from lading.engine.model import RunState

    handles = {handle["run_id"]: handle for handle in engine.handles()}
    states = (RunState.RUNNING, RunState.STARTING)
    return {name: handle for name, handle in handles.items() if engine.observe(handle).state in states}


def _run_id(word: str, ledger: Ledger, running: dict[str, dict[str, Any]]) -> str | None:
    """The container that `word` means; None when it has ended already. Raises UsageError for nothing."""
    service = find_service(ledger, word)
    if service is not None:
        return service.run_id if service.run_id in running else None
    starts = [run_id for run_id in running if run_id.startswith(word)]
    if len(starts) > 1 and word not in starts:
        raise UsageError(f"`{word}` begins several ids: {', '.join(starts)}", hints=("lading ps",))
    if starts:
        return word if word in starts else starts[0]
    run = find_run(ledger, word)
    return run.run_id if run.run_id in running else None
