"""ENTRYPOINT, CMD, HEALTHCHECK, the last WORKDIR: what a container starts, and a task that does so. Pure."""

from __future__ import annotations

import re
import shlex

from lading.convert.importing.checked import problem_of_task
from lading.convert.importing.draft import Start
from lading.convert.importing.model import Fate
from lading.convert.importing.places import CODE
from lading.convert.importing.programs import packages_of
from lading.convert.importing.settling import Settling

_RUNNERS = {
    "uv": ("run",),
    "poetry": ("run",),
    "pipenv": ("run",),
    "conda": ("run",),
    "mamba": ("run",),
    "micromamba": ("run",),
}
_RUNNER_VALUES = frozenset(
    ("-n", "--name", "-p", "--prefix", "--cwd", "--python", "--project", "--directory", "--group", "--extra")
)
_PYTHON = re.compile(r"(?:/usr(?:/local)?/bin/|/opt/venv/bin/)?python3?(?:\.\d+)?")
_SHELL_RUNNER = re.compile(
    r"^(exec\s+)?(?:uv|poetry|pipenv|conda|mamba|micromamba)\s+run\s+(?:(?:-n|-p|--name|--prefix|--group|--extra)[\s=]\S+\s+|-{1,2}\S+\s+)*"
)
_NO_TASK = frozenset(
    {
        "bash", "sh", "zsh", "fish", "dash", "python", "python3", "ipython", "sleep", "tail", "true",
    }
)  # fmt: skip
_NOT_STARTED = frozenset(("git", "make", "gcc", "g++", "cmake"))
_RESERVED = frozenset(("image", "serve", "data", "name", "lint"))
_TIMES = {"interval": "interval", "timeout": "timeout", "start-period": "start_period"}


def settle_start(settling: Settling) -> None:
    draft, document = settling.draft, settling.document
    entrypoint = _words(draft.entrypoint, settling)
    command = _words(draft.command, settling)
    if draft.entrypoint is not None and draft.entrypoint.shell is not None:
        command = None  # Docker gives a shell form no arguments
    if not entrypoint and draft.base.entrypoint and command:
        entrypoint = draft.base.entrypoint
    if draft.entrypoint is not None:
        if entrypoint:
            _put(settling, "entrypoint", draft.entrypoint, entrypoint)
        else:
            settling.say(draft.entrypoint, Fate.NOT_NEEDED, "an image of lading has none by itself")
    elif entrypoint:
        document.put("entrypoint", list(entrypoint))
    if draft.command is not None:
        if command:
            _put(settling, "command", draft.command, command)
        else:
            settling.say(draft.command, Fate.NOT_NEEDED, "it adds nothing to the entrypoint")
    _workdir(settling)
    _health(settling)
    _programs(settling)
    _task(settling, entrypoint or (), command or ())


def _put(settling: Settling, key: str, start: Start, words: tuple[str, ...]) -> None:
    shown = "[" + ", ".join(f'"{word}"' for word in words) + "]"
    settling.outcome(start, f"{key} = {shown}", settling.document.put(key, list(words)))


def _words(start: Start | None, settling: Settling) -> tuple[str, ...] | None:
    """The words as they are to be started here; None where there are none."""
    if start is None:
        return None
    if start.shell is not None:
        text = _SHELL_RUNNER.sub(r"\1", settling.places.rewrite(start.shell))
        text = re.sub(r"^(exec\s+)?(?:/usr(?:/local)?/bin/)?python3?\.\d+\b", r"\1python3", text)
        return (*start.with_shell, text) if text else None
    words = tuple(settling.places.rewrite(word) for word in start.words)
    words = _without_runner(words)
    if words and _PYTHON.fullmatch(words[0]):
        words = ("python", *words[1:])
    elif words and words[0].startswith("/usr/local/bin/") and not settling.is_kept:
        is_file = any(entry["destination"] == words[0] for entry in settling.document.image.get("files", ()))
        words = words if is_file else (words[0].rpartition("/")[2], *words[1:])
    return words or None


def _without_runner(words: tuple[str, ...]) -> tuple[str, ...]:
    """Without `uv run`, `poetry run`, `conda run -n NAME`: the environment is the image's own."""
    if len(words) < 3 or words[0].rpartition("/")[2] not in _RUNNERS or words[1] != "run":
        return words
    at = 2
    while at < len(words) - 1 and words[at].startswith("-"):
        at += 2 if words[at] in _RUNNER_VALUES else 1
    return words[at:]


def _workdir(settling: Settling) -> None:
    said = settling.draft.workdir
    if said is None:
        # What a base says of it only its config tells.
        if not settling.is_kept and settling.places.root != "/":
            settling.document.put("workdir", "/")
        return
    folder = settling.places.folder(said.value)
    if folder == CODE:
        became = f"{CODE}, where a container starts" + (f", for {said.value}" if said.value != CODE else "")
        settling.say(said, Fate.CARRIED, became)
        return
    settling.outcome(said, f'workdir = "{folder}"', settling.document.put("workdir", folder))


def _health(settling: Settling) -> None:
    health = settling.draft.health
    if health is None or health.start is None:
        return
    words = _words(health.start, settling)
    if not words:
        settling.say(health.start, Fate.LOST, "it names no command")
        return
    table: dict[str, object] = {"command": list(words)}
    for option, key in _TIMES.items():
        if option in health.options:
            table[key] = health.options[option].strip("\"'")
    if re.fullmatch(r"\d{1,3}", health.options.get("retries", "")):
        table["retries"] = int(health.options["retries"])
    problem = settling.document.put("healthcheck", table)
    settling.outcome(health.start, "healthcheck, which Docker reads", problem)


def _programs(settling: Settling) -> None:
    """A start or a check that runs `curl` or `tini` has it from its base, or from nowhere."""
    image = settling.document.image
    if settling.is_kept:
        return
    words = [
        *image.get("entrypoint", []),
        *image.get("command", []),
        *image.get("healthcheck", {}).get("command", []),
    ]
    apt = image.get("apt", [])
    text = "\n".join(word if " " in word else shlex.quote(word) for word in words)
    if wanted := [name for name in packages_of(text) if name not in apt and name not in _NOT_STARTED]:
        settling.document.put("apt", [*apt, *wanted])
        settling.notes.append(f"apt has {', '.join(wanted)} too, because a container runs it")


def _task(settling: Settling, entrypoint: tuple[str, ...], command: tuple[str, ...]) -> None:
    """`lading run NAME` starts what a container of the image starts."""
    words = (*entrypoint, *command)
    if not words or (words[0].rpartition("/")[2] in _NO_TASK and len(words) == 1):
        return
    shell = len(words) == 3 and words[1] == "-c" and words[0].rpartition("/")[2] in ("sh", "bash")
    run = words[2] if shell else shlex.join(words)
    scripts = re.findall(r"([\w-]+)\.py\b", run)
    name = "train" if any(re.search(r"train|fit", script) for script in scripts) else "app"
    if name == "train" and run == "python train.py" and settling.context.is_file("train.py"):
        return  # detected
    run = re.sub(r"(?<!\$)\{([A-Za-z_][A-Za-z0-9_]*)\}", r"{{\1}}", run)  # no parameters
    serves = bool(settling.draft.ports) or re.search(
        r"uvicorn|gunicorn|serve|flask|streamlit|gradio|--port|--host", run
    )
    if problem_of_task("run", run) is None:
        settling.document.tasks[name] = {"run": run, **({"network": True} if serves else {})}
