"""The table of all commands: name, one line of help, module. What is not here does not exist.

Pure, and cheap to import: `lading --help` reads this table and nothing else. A command's module is imported
only when it was chosen.
"""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """A module has `ABOUT` and `EXAMPLES` (text), `add_arguments(parser)` and `execute(options, session)`."""

    name: str
    summary: str
    module: str
    group: str


_ALL = "The whole way"
_PROJECT = "The project"
_IMAGE = "Images"
_RUN = "Runs and services"
_HOST = "This machine"

COMMANDS = (
    Command("up", "build, train, check, seal and serve a project folder", "up", _ALL),
    Command("init", "write down what detection cannot know", "init", _PROJECT),
    Command("import", "turn a Dockerfile into a lading.toml, line by line", "import_", _PROJECT),
    Command("lock", "resolve everything and write lading.lock", "lock", _PROJECT),
    Command("plan", "say what a build would do, and why", "plan", _PROJECT),
    Command("lint", "find costly mistakes in Dockerfiles and manifests", "lint", _PROJECT),
    Command("build", "build one image and print its digest", "build", _IMAGE),
    Command("push", "build what a registry lacks, and push it there", "push", _IMAGE),
    Command("pull", "bring an image from a registry into the store", "pull", _IMAGE),
    Command("explain", "say where every byte of any image comes from", "explain", _IMAGE),
    Command("scan", "find secrets and known flaws in any image", "scan", _IMAGE),
    Command("diff", "compare two images: packages, files, config, layers", "diff", _IMAGE),
    Command("export", "write an image down as a Dockerfile", "export", _IMAGE),
    Command("run", "run a task, or a command in an image", "run", _RUN),
    Command("shell", "open a shell in an image", "shell", _RUN),
    Command("exec", "run a command in a container that is running", "exec", _RUN),
    Command("ps", "list what is running", "ps", _RUN),
    Command("logs", "show what a run or service wrote", "logs", _RUN),
    Command("stop", "stop a run or a service", "stop", _RUN),
    Command("runs", "list runs, newest first", "runs", _RUN),
    Command("models", "list sealed models", "models", _RUN),
    Command("services", "list services and where they answer", "services", _RUN),
    Command("why", "say why a run was not reused", "why", _RUN),
    Command("doctor", "say what is wrong here, with proof and remedy", "doctor", _HOST),
    Command("engines", "say where containers can run here, and why not", "engines", _HOST),
    Command("store", "measure, clean and check the store", "store", _HOST),
    Command("completion", "print a completion script for a shell", "completion", _HOST),
)

BY_NAME = {command.name: command for command in COMMANDS}

EXAMPLES = """\
Examples:
  lading up examples/digits             a folder becomes a served model
  lading build --output docker-archive:../digits.tar
  lading run train -- python train.py   run in the train image
  lading plan                           look before you build"""

GLOBAL_OPTIONS = """\
Options of every command:
  --json          data as JSON on standard output, errors too   [env: LADING_JSON]
  -q, --quiet     say only what went wrong                      [env: LADING_QUIET]
  -v, --verbose   say more; -vv says everything                 [env: LADING_VERBOSE]
  -h, --help      help; `lading COMMAND --help` for a command
  --version       version

Also read: LADING_HOME (where the store is), NO_COLOR."""


def render_help() -> str:
    """What `lading --help` prints: the table in groups, examples, options."""
    lines = ["usage: lading [OPTIONS] COMMAND [ARGUMENTS]", ""]
    lines += ["A project folder becomes sealed images, runs and services. No Docker, no root.", ""]
    for group in dict.fromkeys(command.group for command in COMMANDS):
        lines.append(f"{group}:")
        lines += [f"  {c.name:<12}{c.summary}" for c in COMMANDS if c.group == group]
        lines.append("")
    return "\n".join([*lines, EXAMPLES, "", GLOBAL_OPTIONS])
