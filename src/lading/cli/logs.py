"""`lading logs`: what a run or a service wrote."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from lading.cli.containers import add_all, asked_project, find_run, open_engine, open_ledger
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

ABOUT = "Show what a run or a service wrote to its output, so far or, with --follow, as it comes."
EXAMPLES = """Examples:
  lading logs                       the newest run
  lading logs train                 the newest run of a task
  lading logs 7f3a                  a run by the start of its id
  lading logs -f digits             a service, as it writes"""

_CHUNK_BYTES = 65536


def add_arguments(parser: Parser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN|TASK|SERVICE", help="default: the newest run")
    parser.flag("-f", "--follow", variable="LADING_FOLLOW", help="go on as more is written, until it ends")
    add_all(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    for chunk in _chunks(options, session):
        text = chunk.decode("utf-8", "replace")
        if session.as_json:
            session.document({"type": "log", "text": text})
        else:
            session.write(text)
        session.flush()
    return 0


def _chunks(options: argparse.Namespace, session: Session) -> Iterator[bytes]:
    word, project = options.run, asked_project(options)
    engine = open_engine(session)
    with open_ledger(session) as ledger:
        service = ledger.service(word) if word is not None else None
        if service is not None and service.handle is not None and service.state == "ready":
            return engine.logs(dict(service.handle), follow=options.follow)
        if service is not None and service.run_id is not None:
            return _file_chunks(session, service.run_id)
        if word is None:
            runs = ledger.runs(project)
            if not runs:
                raise UsageError("nothing was run yet", hints=("lading run",))
            run = runs[0]
        else:
            run = find_run(ledger, word, project)
    if not run.phase.ended and run.handle is not None:
        return engine.logs(dict(run.handle), follow=options.follow)
    return _file_chunks(session, run.run_id)


def _file_chunks(session: Session, run_id: str) -> Iterator[bytes]:
    path = session.store.root / "runs" / run_id / "log"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
