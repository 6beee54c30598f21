"""`lading ps`: what is running now."""

from __future__ import annotations

import argparse

from lading.cli.containers import add_all, age, asked_project, open_engine, open_ledger
from lading.cli.format import format_table
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.engine.model import RunState

ABOUT = "List the containers that are running now: tasks, services, commands and shells."
EXAMPLES = """Examples:
  lading ps
  lading ps --json | jq -r .run_id"""


def add_arguments(parser: Parser) -> None:
    add_all(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    engine = open_engine(session)
    with open_ledger(session) as ledger:
        what = {run.run_id: (f"{run.project}/{run.task}", run.at) for run in ledger.open_runs()}
        projects = {run.run_id: run.project for run in ledger.open_runs()}
        for service in ledger.services():
            if service.run_id is not None:
                what[service.run_id] = (f"service {service.name} {service.url or ''}".rstrip(), service.at)
                projects[service.run_id] = service.name  # a service is called as its project
    project = asked_project(options)
    others = 0
    rows = []
    for handle in engine.handles():
        status = engine.observe(handle)
        if status.state not in (RunState.RUNNING, RunState.STARTING):
            continue
        run_id = handle["run_id"]
        if project is not None and projects.get(run_id, project) != project:
            others += 1
            continue
        name, started = what.get(run_id, ("command", None))
        level = status.level.value if status.level else ""
        if session.as_json:
            session.document(
                {
                    "type": "container",
                    "run_id": run_id,
                    "what": name,
                    "state": status.state,
                    "level": level,
                    "at": started,
                }
            )
        rows.append((run_id[:12], name, status.state.value, level, age(started) if started else ""))
    if session.as_json:
        return 0
    for line in format_table(rows):
        session.line(line)
    if not rows:
        session.printer.note("nothing is running")
    if others:
        session.printer.note(f"{others} of other projects: lading ps --all")
    return 0
