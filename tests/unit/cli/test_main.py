"""The laws of the command line: streams, exit codes, words for mistakes, quick help."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lading.cli import main as main_module
from lading.cli.commands import BY_NAME, COMMANDS, Command
from lading.errors import GateFailed, LadingError

from .conftest import Lading

SCRIPT = (sys.executable, "-c", "from lading.cli.main import main; main()")


def test_help_is_data_and_names_every_command_in_its_group(lading: Lading) -> None:
    said = lading("--help")

    assert (said.status, said.stderr) == (0, "")
    for command in COMMANDS:
        assert f"  {command.name} " in said.stdout
        assert command.summary in said.stdout
        assert f"{command.group}:" in said.stdout
    assert "Examples:" in said.stdout
    assert max(len(line) for line in said.stdout.splitlines()) <= 100


def test_no_command_and_help_say_the_same(lading: Lading) -> None:
    assert lading() == lading("--help") == lading("-h") == lading("help")


@pytest.mark.parametrize("command", COMMANDS, ids=[command.name for command in COMMANDS])
def test_every_command_has_help_with_examples_and_names_its_variables(
    lading: Lading, command: Command
) -> None:
    said = lading(command.name, "--help")

    assert (said.status, said.stderr) == (0, "")
    assert said == lading("help", command.name)
    assert f"usage: lading {command.name}" in said.stdout
    assert "Examples:" in said.stdout
    for option in ("--json", "--quiet", "--verbose"):
        assert option in said.stdout
    words = said.stdout.replace("\n", " ")
    for entry in words.split("  --")[1:]:
        if not entry.startswith(("help", "json", "quiet", "verbose")):
            assert "[env: LADING_" in " ".join(entry.split()), entry


def test_help_imports_no_command_and_nothing_heavy() -> None:
    """`lading --help` must be quick: it may import the table and the error tree, and little else."""
    code = (
        "import sys\nfrom lading.cli.main import run_command_line\n"
        "run_command_line(['--help'], {}, sys.stdout, sys.stderr)\n"
        "print(*sorted(m for m in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())

    assert not {f"lading.cli.{command.module}" for command in COMMANDS} & loaded
    assert not {"argparse", "requests", "packaging", "sqlite3", "lading.store", "asyncio", "json"} & (
        loaded - {"json"}
    )


def test_version_in_both_forms(lading: Lading) -> None:
    from lading import __version__

    assert lading("--version").stdout == f"lading {__version__}\n"
    assert lading("--json", "--version").document == {"version": __version__}


MISTAKES = [
    (("stor",), 2, "there is no command `stor`", "lading store"),
    (("strore", "du"), 2, "there is no command `strore`", "lading store"),
    (("--jsn", "store"), 2, "unknown option `--jsn`", "lading --help"),
    (("",), 2, "there is no command ``", "lading --help"),
    (("help", "nonsense"), 2, "there is no command `nonsense`", "lading --help"),
    (("store",), 2, "arguments are required: du|gc|verify", "lading store --help"),
    (("store", "dux"), 2, "cannot `dux`", "lading store du"),
    (("store", "du", "extra"), 2, "one argument too many: `extra`", "lading store --help"),
    (("store", "du", "--jso"), 2, "unknown option `--jso`", "lading store --json"),
    (("store", "gc", "--kep", "7d"), 2, "unknown option `--kep`", "lading store --keep"),
    (("store", "gc", "--keep"), 2, "expected one argument", "lading store --help"),
    (("store", "gc", "--keep", "soon"), 2, "`soon` is no duration", "lading store --help"),
    (("store", "gc", "--keep", "-1"), 2, "--keep", "lading store --help"),
    (("store", "gc", "--keep", "9" * 30 + "d"), 2, "is no duration", "lading store --help"),
    (("store", "gc", "--keep", "1\u00b2d"), 2, "is no duration", "lading store --help"),
    (("store", "gc", "--dry-run=yes"), 2, "--dry-run", "lading store --help"),
    (("store", "verify", "--dry-run"), 2, "`--dry-run` belongs to `gc`", "lading store gc --dry-run"),
    (("store", "gc", "--repair"), 2, "`--repair` belongs to `verify`", "lading store verify --repair"),
    (("store", "du", "--", "true"), 2, "takes no command after `--`", "lading store --help"),
    (("completion", "tcsh"), 2, "`tcsh` is not one of bash, zsh, fish", "lading completion --help"),
    (("completion",), 2, "arguments are required", "lading completion --help"),
]


@pytest.mark.parametrize(("arguments", "status", "words", "hint"), MISTAKES)
def test_a_mistake_is_named_with_a_next_step_and_no_traceback(
    lading: Lading, arguments: tuple[str, ...], status: int, words: str, hint: str
) -> None:
    said = lading(*arguments)

    assert said.status == status
    assert said.stdout == ""
    assert words in said.stderr
    assert f"hint: {hint}\n" in said.stderr
    assert "Traceback" not in said.stderr


VARIABLES = [
    ({"LADING_KEEP": "soon"}, "LADING_KEEP: `soon` is no duration"),
    ({"LADING_DRY_RUN": "maybe"}, "LADING_DRY_RUN: `maybe` is neither on nor off"),
    ({"LADING_JSON": "ja"}, "LADING_JSON: `ja` is neither on nor off"),
]


@pytest.mark.parametrize(("variables", "words"), VARIABLES)
def test_a_mistake_in_a_variable_is_blamed_on_the_variable(
    lading: Lading, variables: dict[str, str], words: str
) -> None:
    said = lading("store", "gc", **variables)

    assert said.status == 2
    assert words in said.stderr
    assert f"hint: unset {next(iter(variables))}\n" in said.stderr


def test_an_option_beats_its_variable(lading: Lading) -> None:
    assert lading("store", "gc", "--keep", "0", LADING_KEEP="soon").status == 0


def test_an_error_is_a_document_on_standard_output_under_json(lading: Lading) -> None:
    for said in (lading("--json", "stor"), lading("store", "dux", "--json")):
        assert said.document["type"] == "error"
        assert said.document["exit_status"] == said.status == 2
        assert said.document["hints"]


def test_global_options_count_before_and_after_the_command(lading: Lading) -> None:
    assert lading("--json", "store", "du").document["type"] == "usage"
    assert lading("store", "--json", "du").document["type"] == "usage"
    assert lading("store", "du", LADING_JSON="1").document["type"] == "usage"


def test_a_bug_of_ours_is_70_with_the_traceback_in_a_file(
    lading: Lading, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("lading.cli.store")

    def explode(*_: object) -> int:
        raise RuntimeError("at https://user:password@host/path")

    monkeypatch.setattr(module, "execute", explode)

    said = lading("store", "du")

    assert said.status == 70
    assert "Traceback" not in said.stderr
    path = Path(said.stderr.split("\n  at ")[1].split("\n")[0])
    text = path.read_text()
    path.unlink()
    assert "Traceback" in text and "explode" in text
    assert "password" not in text + said.stderr
    loud = lading("-v", "store", "du")
    Path(loud.stderr.split("\n  at ")[1].split("\n")[0]).unlink()
    assert "Traceback" in loud.stderr


def test_each_error_exits_with_its_own_code_and_prints_its_parts(
    lading: Lading, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = GateFailed("accuracy is 0.4", place="lading.toml:3", hints=("lading why", "lading why"))

    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(importlib.import_module("lading.cli.store"), "execute", fail)

    said = lading("store", "du")

    assert said.status == 5
    assert said.stderr == "error: accuracy is 0.4\n  at lading.toml:3\nhint: lading why\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_130_without_a_traceback(tmp_path: Path, number: int) -> None:
    """Waits for the lock of the store, which we hold, then is interrupted."""
    from lading.store import Store

    environment = {**os.environ, "LADING_HOME": str(tmp_path)}
    with (
        Store.open(environment).using(),
        subprocess.Popen(
            [*SCRIPT, "store", "gc"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        while "-> FLOCK" not in _waiting_locks(process.pid):
            assert process.poll() is None
        process.send_signal(number)
        stdout, stderr = process.communicate()

    assert (process.returncode, stdout, stderr) == (130, "", "warning: interrupted\n")


def _waiting_locks(process_id: int) -> str:
    """Lines of the kernel's list of locks that this process waits for."""
    lines = Path("/proc/locks").read_text().splitlines()
    return "\n".join(line for line in lines if f" {process_id} " in line)


def test_a_reader_that_went_away_is_no_traceback(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*SCRIPT, "completion", "bash"],
        env={**os.environ, "LADING_HOME": str(tmp_path)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_standard_output_is_an_error(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*SCRIPT, "store", "du"],
            env={**os.environ, "LADING_HOME": str(tmp_path)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert done.returncode == 3
    assert "writing standard output failed: No space left on device" in done.stderr


def test_every_module_in_the_table_keeps_the_contract() -> None:
    for command in COMMANDS:
        module = importlib.import_module(f"lading.cli.{command.module}")
        assert module.ABOUT and "Examples:" in module.EXAMPLES
        assert callable(module.add_arguments) and callable(module.execute)
    assert len(BY_NAME) == len(COMMANDS)


def test_every_error_class_has_a_documented_exit_code() -> None:
    documented = main_module.__doc__ or ""
    waiting = [LadingError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        assert f"{kind.exit_status} " in documented, kind


def test_no_home_at_all_is_a_usage_error(tmp_path: Path) -> None:
    done = subprocess.run([*SCRIPT, "store", "du", "--json"], env={}, capture_output=True, text=True)

    assert done.returncode == 2
    assert json.loads(done.stdout)["code"] == "usage"
