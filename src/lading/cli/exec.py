"""`lading exec`: one more command in a container that is running."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from lading.cli.containers import open_engine, open_ledger
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.engine.model import Handle

ABOUT = "Run a command in a container that is running, as its user. The exit code is the command's."
EXAMPLES = """Examples:
  lading exec digits -- ps          a service
  lading exec -it 7f3a -- sh        a run by the start of its id
  lading exec -- python -V          the only container that runs"""
TAKES_COMMAND = True


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN|SERVICE", help="default: the only one")
    parser.flag("-i", "--interactive", variable="LADING_INTERACTIVE", help="pass standard input on")
    parser.flag("-t", "--tty", variable="LADING_TTY", help="give it a terminal")


def execute(options: argparse.Namespace, session: Session) -> int:
    if not options.tail:
        raise UsageError("say which command, after `--`", hints=("lading exec -- sh",))
    if options.tty and not sys.stdin.isatty():
        raise UsageError("standard input is no terminal, so the command cannot have one")
    engine = open_engine(session)
    handle = _running(options.run, session)
    session.flush()
    stdout = 2 if session.as_json else 1
    command = tuple(options.tail)
    if options.interactive or options.tty:
        status = engine.exec_in(handle, command, terminal=options.tty, stdout=stdout)
    else:
        with open("/dev/null", "rb") as nothing:
            status = engine.exec_in(handle, command, stdin=nothing.fileno(), stdout=stdout)
    if session.as_json:
        session.document({"type": "command", "run_id": handle["run_id"], "exit_status": status})
    return status


def _running(word: str | None, session: Session) -> Handle:
    """The container that is meant. Raises UsageError for none or several."""
    from lading.engine.model import RunState

    engine = open_engine(session)
    handles = [handle for handle in engine.handles() if engine.observe(handle).state is RunState.RUNNING]
    ids = [handle["run_id"] for handle in handles]
    if word is not None:
        with open_ledger(session) as ledger:
            service = ledger.service(word)
            runs = [run.run_id for run in ledger.open_runs() if run.task == word]
        start = service.run_id if service is not None and service.run_id else word
        ids = [run_id for run_id in ids if run_id.startswith(start) or run_id in runs]
    if not ids:
        what = f"`{word}` is not running" if word is not None else "nothing is running"
        raise UsageError(what, hints=("lading ps",))
    if len(ids) > 1:
        raise UsageError(f"which one? there are {', '.join(ids)}", hints=(f"lading exec {ids[0]} -- sh",))
    return next(handle for handle in handles if handle["run_id"] == ids[0])
