"""The entry point: choose a command, import only it, and turn whatever happens into an exit code.

0 ok · 1 your project or input · 2 usage · 3 the outside world · 4 lock out of date · 5 gate failed ·
6 gate inconclusive · 70 a bug of ours · 130 interrupted · 141 the reader of our output went away.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from lading.cli.commands import BY_NAME, render_help
from lading.cli.session import Session
from lading.errors import EXIT_INTERRUPTED, LadingError, OutsideError, TaskFailed, Terminated, UsageError

if TYPE_CHECKING:
    import argparse

    from lading.cli.parser import Parser

EXIT_NO_READER = 141
_GLOBAL_FLAGS = ("--json", "-q", "--quiet", "-v", "--verbose", "-vv")


def main() -> NoReturn:
    """What the `lading` script calls."""
    status = run_command_line(sys.argv[1:], os.environ, sys.stdout, sys.stderr)
    sys.stderr.flush()
    # Threads that still hash or fetch must not keep a finished or interrupted command alive.
    os._exit(status)


def run_command_line(
    arguments: Sequence[str], environment: Mapping[str, str], stdout: TextIO, stderr: TextIO
) -> int:
    """Run one command line; the exit code. Raises nothing."""
    session = Session(environment=environment, stdout=stdout, stderr=stderr)
    session.as_json = "--json" in _own_words(arguments)
    previous = {number: signal.signal(number, _interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        status = _dispatch(list(arguments), session)
        session.flush()
        return status
    except LadingError as error:
        return report(error, session)
    except KeyboardInterrupt:
        session.printer.clear()
        session.printer.warn("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _detach(session)
        return EXIT_NO_READER
    except Exception as error:  # noqa: BLE001 the one place where a bug of ours becomes an exit code
        return _report_bug(error, session)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _dispatch(arguments: list[str], session: Session) -> int:
    flags: list[str] = []
    while arguments and arguments[0] in _GLOBAL_FLAGS:
        flags.append(arguments.pop(0))
    word = arguments.pop(0) if arguments else "--help"
    if word in ("-h", "--help") or (word == "help" and not arguments):
        session.line(render_help())
        return 0
    if word in ("-V", "--version"):
        from lading import __version__

        session.document({"version": __version__}) if session.as_json else session.line(
            f"lading {__version__}"
        )
        return 0
    if word == "help":
        word, arguments = arguments[0], ["--help"]
    if word not in BY_NAME:
        raise _unknown(word)
    return _execute(word, [*flags, *arguments], session)


def _execute(name: str, arguments: list[str], session: Session) -> int:
    from lading.cli.parser import HelpWanted, Parser

    module = importlib.import_module(f"lading.cli.{BY_NAME[name].module}")
    session.command = name
    parser = Parser(name, module.ABOUT, module.EXAMPLES, session.environment)
    module.add_arguments(parser)
    add_global_arguments(parser)
    arguments, tail = split_tail(arguments)
    try:
        options = parser.parse(arguments)
    except HelpWanted as help_wanted:
        session.line(str(help_wanted))
        return 0
    if tail is not None and not getattr(module, "TAKES_COMMAND", False):
        parser.error("takes no command after `--`")
    options.tail = tail
    _apply_globals(options, session)
    status: int = module.execute(options, session)
    return status


def add_global_arguments(parser: Parser) -> None:
    """The options that every command has."""
    parser.flag("--json", variable="LADING_JSON", help="data as JSON on standard output, errors too")
    parser.flag("-q", "--quiet", variable="LADING_QUIET", help="say only what went wrong")
    parser.add_argument(
        "-v", "--verbose", action="count", default=0, help="say more; twice: everything [env: LADING_VERBOSE]"
    )


def _apply_globals(options: argparse.Namespace, session: Session) -> None:
    verbose = options.verbose
    if not verbose and (text := session.environment.get("LADING_VERBOSE")):
        verbose = int(text) if text.isascii() and text.isdigit() else 1
    session.as_json = options.json
    session.verbosity = -1 if options.quiet else min(verbose, 2)
    session.__dict__.pop("printer", None)  # made anew with the verbosity now known


def split_tail(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """What stands before the first `--`, and what stands after it (None without one)."""
    if "--" not in arguments:
        return arguments, None
    cut = arguments.index("--")
    return arguments[:cut], arguments[cut + 1 :]


def _own_words(arguments: Sequence[str]) -> Sequence[str]:
    return split_tail(list(arguments))[0]


def _unknown(word: str) -> UsageError:
    if word.startswith("-"):
        return UsageError(f"unknown option `{word}` before a command", hints=("lading --help",))
    from lading.cli.parser import closest

    near = closest(word, BY_NAME)
    return UsageError(f"there is no command `{word}`", hints=(f"lading {near}" if near else "lading --help",))


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated


def _detach(session: Session) -> None:
    """Let what is left in the buffer go nowhere, so that closing the stream cannot fail again."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, session.stdout.fileno())
        os.close(null)
    except (OSError, ValueError):
        return


def report(error: LadingError, session: Session) -> int:
    """Say what failed and what to do next; its exit code."""
    session.printer.clear()
    if isinstance(error, TaskFailed):
        from lading.cli.dead_runs import explained

        error = explained(error, session)
    if isinstance(error, UsageError) and not error.hints:
        error.hints = (f"lading {session.command} --help".replace("  ", " "),)
    try:
        if session.as_json:
            session.document(error.as_json())
        session.flush()
    except (OSError, OutsideError):
        _detach(session)
    session.printer.error(error.message, error.place, error.hints)
    if session.verbosity >= 1 and error.__cause__ is not None:
        session.printer.detail(f"caused by {type(error.__cause__).__name__}: {error.__cause__}")
    return error.exit_status


def _report_bug(error: Exception, session: Session) -> int:
    from lading.cli.crash import crash_error

    return report(crash_error(error, session), session)
