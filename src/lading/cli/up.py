"""`lading up`: the whole river in one command."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lading.cli.adhoc import parse_pairs
from lading.cli.building import (
    BuildPrinter,
    add_build_options,
    add_folder,
    build_context,
    build_options,
    open_project,
)
from lading.cli.containers import open_engine, open_ledger
from lading.cli.drivers import refuse_old_driver
from lading.cli.format import format_seconds
from lading.cli.parser import Parser
from lading.cli.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lading.image.model import Image
    from lading.project.model import Project
    from lading.run.model import SealedModel
    from lading.serve.service import Service
    from lading.serve.up import UpResult

_LONGEST_BODY = 300

ABOUT = """Bring a project up: lock, build, train in a container, check the gate, seal the model, serve it,
replay its sample, print where it answers. What was done already is not done again."""
EXAMPLES = """Examples:
  lading up
  lading up examples/digits
  lading up --param epochs=3 --rerun
  curl $(lading up -q)/v2/health/ready"""


def add_arguments(parser: Parser) -> None:
    add_folder(parser)
    add_build_options(parser, target=False)
    parser.option(
        "--task",
        variable="LADING_TASK",
        metavar="NAME",
        help="the task that makes the model",
    )
    parser.option(
        "--param", variable="LADING_PARAM", metavar="NAME=VALUE", repeat=True, help="a parameter of the task"
    )
    parser.flag("--rerun", variable="LADING_RERUN", help="train although an equal run is there")


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.image.target import build_target, current_lock
    from lading.serve.up import UpPorts, only_task, up

    params = parse_pairs(options.param, "--param")
    project = open_project(options.folder, session)
    if options.task is None and project.serve is None:
        only_task(project)  # said before a lock is written
    choices = build_options(options, target="train")

    def build(wanted: Project, target: str) -> Image:
        refuse_old_driver(wanted, target, options, session)
        context = build_context(session, options)
        image = build_target(wanted, context, build_options(options, target=target))
        if not image.reused and session.verbosity >= 1:
            assert isinstance(context.listener, BuildPrinter)
            context.listener.table(image)
        return image

    with open_ledger(session) as ledger:
        ports = UpPorts(
            lock=lambda wanted: current_lock(wanted, build_context(session, options), choices),
            build=build,
            engine=open_engine(session),
            store=session.store,
            ledger=ledger,
            reporter=session.printer,
            environment=session.environment,
        )
        result = up(
            project,
            ports,
            rerun=options.rerun,
            params=params,
            task=options.task,
        )
    _answer(result, session)
    if result.service is not None and not session.as_json:
        for line in next_steps(project, result.service, result.sealed):
            session.printer.note(line)
    return 0


def next_steps(project: Project, service: Service, sealed: SealedModel | None) -> list[str]:
    """How to ask the service once, with its own sample, and how to stop it. Reads the sample file."""
    lines = []
    # A sample without an answer was made up and refused: nobody gains by asking it.
    if sealed is not None and sealed.sample is not None and sealed.sample.outputs:
        body = json.dumps(sealed.sample.request)
        path = project.serve.sample if project.serve is not None else None
        if path is not None and _holds(Path(project.root, path), sealed.sample.request):
            body = f"@{os.path.relpath(Path(project.root, path))}"
        if len(body) <= _LONGEST_BODY:
            model = quote(service.row.model.partition("@")[0], safe="")
            lines.append(f"ask:   curl -d {shlex.quote(body)} {service.url}/v2/models/{model}/infer")
    return [*lines, f"stop:  lading stop {service.row.name}"]


def _holds(path: Path, request: Mapping[str, Any]) -> bool:
    """Whether the file is the request itself, and not one with its answer beside it."""
    try:
        return bool(json.loads(path.read_bytes()) == request)
    except (OSError, ValueError):
        return False


def _answer(result: UpResult, session: Session) -> None:
    total = sum(step.seconds for step in result.steps)
    service = result.service
    if session.as_json:
        steps = [
            {
                "name": step.name,
                "seconds": round(step.seconds, 3),
                "size_bytes": step.size_bytes,
                "reused": step.reused,
                "note": step.note,
            }
            for step in result.steps
        ]
        session.document(
            {
                "type": "up",
                "url": service.url if service is not None else None,
                "replayed": service.replayed if service is not None else False,
                "model": result.model.reference if result.model is not None else None,
                "model_digest": result.model.digest if result.model is not None else None,
                "runs": [run.row.run_id for run in result.runs],
                "steps": steps,
                "seconds": round(total, 3),
            }
        )
        return
    session.printer.note(f"{'all':<14}  {format_seconds(total):>9}")
    if service is not None:
        session.line(service.url)
    elif result.model is None:
        session.printer.note("nothing to serve: the project has no serve target")
