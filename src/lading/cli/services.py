"""`lading services`: what is served, and whether it still is."""

from __future__ import annotations

import argparse

from lading.cli.containers import (
    add_all,
    age,
    asked_project,
    none_yet,
    open_engine,
    open_ledger,
    service_document,
)
from lading.cli.format import format_table
from lading.cli.parser import Parser
from lading.cli.session import Session

ABOUT = "List the project's service: state, address, model."
EXAMPLES = """Examples:
  lading services
  lading services --json | jq -r .url"""


def add_arguments(parser: Parser) -> None:
    add_all(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.serve.service import list_services

    with open_ledger(session) as ledger:
        services = list_services(engine=open_engine(session), store=session.store, ledger=ledger)
    project = asked_project(options)
    rows = []
    for service in services:
        if project not in (None, service.name):  # a service is called as its project
            continue
        if session.as_json:
            session.document(service_document(service))
        rows.append((service.name, service.state, service.url or "", service.model, age(service.at)))
    if session.as_json:
        return 0
    for line in format_table(rows):
        session.line(line)
    if not rows:
        session.printer.note(none_yet("services", "lading up", project))
    return 0
