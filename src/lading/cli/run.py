"""`lading run`: a task of the project, sealed and recorded; or any command in one of its images.

With a command after `--` nothing is recorded: the container has the caller's streams and is gone afterwards.
"""

from __future__ import annotations

import argparse
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.adhoc import (
    add_container_options,
    check_container_options,
    find_ready,
    image_for,
    limits_over,
    parse_pairs,
    run_ready,
)
from lading.cli.building import add_build_options
from lading.cli.containers import open_engine, open_ledger, run_document
from lading.cli.foreign import add_image_option, ready_image
from lading.cli.format import format_size
from lading.cli.named import find_target
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.lock.model import Lock
    from lading.project.model import Project, Task
    from lading.run.submit import RunResult

ABOUT = """Run a task of the project, or any command in one of its images. The exit code is the command's.

  lading run [DIR] [TASK]             the task as it is written: sealed, recorded, reused when nothing
                                      it depends on has changed
  lading run [DIR] [NAME] -- COMMAND  COMMAND in the image of that task or target; nothing is recorded
  lading run --image IMAGE [-- COMMAND]  any image, with its own variables, user and folder"""
EXAMPLES = """Examples:
  lading run                          the only task
  lading run train --param lr=0.1
  lading run --dev dev -- pytest -q   the working tree instead of the image's code
  lading run -it serve -- python
  lading run examples/digits train
  lading run --image registry.example/team/tool:1.4 -- tool --version"""
TAKES_COMMAND = True

_NOT_FOUND = 127
"""What a shell and an engine answer where there is no such program."""


def add_arguments(parser: Parser) -> None:
    parser.add_argument("words", nargs="*", metavar="[DIR] [TASK|TARGET]", help="default: this folder")
    add_build_options(parser, target=False)
    parser.flag("--dev", variable="LADING_DEV", help="the working tree instead of the image's code")
    parser.flag("--rerun", variable="LADING_RERUN", help="run although an equal run is there")
    parser.option(
        "--param", variable="LADING_PARAM", metavar="NAME=VALUE", repeat=True, help="a parameter of the task"
    )
    add_image_option(parser)
    add_container_options(parser)


def execute(options: argparse.Namespace, session: Session) -> int:
    check_container_options(options, session)
    params = parse_pairs(options.param, "--param")
    if options.image is not None:
        ready = ready_image(options.image, options, session)
        return run_ready(ready, tuple(options.tail) if options.tail else None, options, session)
    if options.tail is not None:
        if not options.tail:
            raise UsageError("there is no command after `--`", hints=("lading run -- python",))
        if params or options.rerun:
            raise UsageError(
                "`--param` and `--rerun` belong to a task; a command after `--` takes neither",
                hints=("lading run --help",),
            )
        ready = find_ready(options, session)
        status = run_ready(ready, tuple(options.tail), options, session)
        if status == _NOT_FOUND:
            _name_target(Path(ready.root), options, session)
        return status
    project, name = find_target(options.words, session)
    if name is not None and name not in project.tasks:
        return run_ready(find_ready(options, session), None, options, session)
    return _run_task(project, _task(project, name), params, options, session)


def _name_target(root: Path, options: argparse.Namespace, session: Session) -> None:
    """After a command that its image does not have: say which target's has it, if one does."""
    from lading.cli.lock import read_project_lock

    lock = read_project_lock(root)
    holder = other_target(lock, options.words, options.tail[0]) if lock is not None else None
    if holder is None:
        return
    flag = "--dev " if holder == "dev" else ""  # what tests and checks is wanted on the working tree
    folder = "" if root == Path.cwd() else f"{os.path.relpath(root)} "
    command = shlex.join(options.tail)
    session.printer.note(f"hint: target {holder} has it: lading run {flag}{folder}{holder} -- {command}")


def other_target(lock: Lock, words: list[str], program: str) -> str | None:
    """A target, not the one of `words`, that has a wheel or package of that name. Pure."""
    targets = {name: target for variant in lock.variants for name, target in variant.targets.items()}
    asked = words[-1] if words and words[-1] in targets else "train"
    holders = [name for name, held in targets.items() if program in (*held.wheels, *held.packages)]
    return holders[0] if holders and asked not in holders else None


def _task(project: Project, name: str | None) -> Task:
    if name is not None:
        return project.tasks[name]
    if len(project.tasks) == 1:
        return next(iter(project.tasks.values()))
    if not project.tasks:
        raise UsageError(
            "the project has no task; say what to run",
            place=str(project.config_path or project.root),
            hints=("lading run -- python", "lading init"),
        )
    listed = ", ".join(project.tasks)
    first = next(iter(project.tasks))
    raise UsageError(f"which task? there are {listed}", hints=(f"lading run {first}",))


def _run_task(
    project: Project, task: Task, params: dict[str, str], options: argparse.Namespace, session: Session
) -> int:
    from lading.run.submit import run_task
    from lading.run.task import check_gpus, prepare_run, settle_params

    if options.mount or options.tmpfs or options.interactive or options.tty:
        raise UsageError(
            "a task is sealed: what it sees is what is written down; mounts and terminals need a command",
            hints=(f"lading run {task.name} -it -- {task.run}",),
        )
    settle_params(project, task, params)
    task = limited_task(task, options)
    engine = open_engine(session)
    check_gpus(project, task, engine)
    image = image_for(project, task.target, options, session)
    session.printer.send_output_to(session.stderr if session.as_json else session.stdout)
    with open_ledger(session) as ledger:
        prepared = prepare_run(
            project,
            task,
            image,
            store=session.store,
            ledger=ledger,
            environment=session.environment,
            params=params,
            dev=options.dev,
        )
        result = run_task(
            prepared,
            engine=engine,
            store=session.store,
            ledger=ledger,
            reporter=session.printer,
            rerun=options.rerun,
        )
    _answer(result, task.outputs, session)
    return 0


def _answer(result: RunResult, folder: str, session: Session) -> None:
    import time

    metrics = "  ".join(f"{name} {value:.4g}" for name, value in sorted(result.metrics.items()))
    if session.as_json:
        session.document(
            {
                **run_document(result.row),
                "reused": result.reused,
                "left_behind": list(result.left_behind),
            }
        )
        return
    if result.reused:
        session.printer.note(result.describe_reuse(time.time()))
    session.printer.note(f"run {result.row.run_id[:8]}  {metrics}".rstrip())
    files = result.outputs.files
    count = f"{len(files)} file" + ("s" if len(files) > 1 else "")
    size = format_size(result.outputs.size_bytes)
    session.printer.note(f"{folder}/: {count}, {size}" if files else "outputs: none")


def limited_task(task: Task, options: argparse.Namespace) -> Task:
    """The task with the limits, network, variables and secrets of the command line laid over its own."""
    return replace(
        task,
        limits=limits_over(task.limits, options),
        gpus=options.gpus or task.gpus,
        network=task.network or options.network,
        env={**task.env, **parse_pairs(options.env, "--env")},
        secrets=tuple(dict.fromkeys((*task.secrets, *options.secret))),
    )
