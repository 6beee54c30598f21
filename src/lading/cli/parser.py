"""argparse, bent to our manners: errors are UsageError with a suggestion, options name their variables.

A value from the environment goes through the same converter as one from the command line and is blamed by the
variable's name. Knows no command.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, NoReturn

from lading.errors import UsageError

_TRUE = ("1", "true", "yes", "on")
_FALSE = ("", "0", "false", "no", "off")


class _Declared(NamedTuple):
    """An option that was not on the command line: its variable speaks, else its default."""

    name: str
    variable: str
    convert: Callable[[str], Any]
    default: Any
    repeat: bool

    def value(self, environment: Mapping[str, str]) -> Any:
        text = environment.get(self.variable)
        if text is None:
            return [] if self.repeat else self.default
        words = text.split() if self.repeat else [text]
        values = [_convert_variable(self.variable, word, self.convert) for word in words]
        return values if self.repeat else values[0]


class HelpWanted(Exception):
    """`--help` was among the options. Its text is the argument."""


class Parser(argparse.ArgumentParser):
    """One command's parser. `environment` gives the defaults of options that name a variable."""

    def __init__(self, command: str, about: str, examples: str, environment: Mapping[str, str]) -> None:
        super().__init__(
            prog=f"lading {command}",
            description=about,
            epilog=examples,
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        self.environment = environment
        self._declared: list[_Declared] = []

    def flag(self, *names: str, variable: str, help: str) -> None:
        """An option that is on or off; `variable` may be 1/0, true/false, yes/no, on/off."""
        action = self.add_argument(
            *names, action="store_true", default=argparse.SUPPRESS, help=f"{help} [env: {variable}]"
        )
        self._declared.append(_Declared(action.dest, variable, parse_switch, False, False))

    def option(
        self,
        *names: str,
        variable: str,
        help: str,
        metavar: str,
        convert: Callable[[str], Any] = str,
        default: Any = None,
        shown_default: str | None = None,
        repeat: bool = False,
        bare: str | None = None,
    ) -> None:
        """An option with a value. A repeatable one is a list; its variable holds words apart by spaces.

        `bare`: what the option means without a value; None: it needs one.
        """
        note = "; may be given again" if repeat else ""
        note += f" (default {shown_default or default})" if default is not None else ""
        action = self.add_argument(
            *names,
            action="append" if repeat else "store",
            type=convert,
            metavar=metavar,
            nargs=None if bare is None else "?",
            const=bare,
            default=argparse.SUPPRESS,
            help=f"{help}{note} [env: {variable}]".replace("%", "%%"),
        )
        self._declared.append(_Declared(action.dest, variable, convert, default, repeat))

    def parse(self, arguments: list[str]) -> argparse.Namespace:
        """Raises UsageError, HelpWanted."""
        options, unknown = self.parse_known_intermixed_args(arguments)
        if unknown:
            self._refuse(unknown[0])
        for declared in self._declared:
            if not hasattr(options, declared.name):
                setattr(options, declared.name, declared.value(self.environment))
        return options

    def long_options(self) -> tuple[str, ...]:
        """All options with two dashes, sorted."""
        return tuple(sorted(name for name in self._option_string_actions if name.startswith("--")))

    def print_help(self, file: object = None) -> NoReturn:
        raise HelpWanted(self.format_help().rstrip())

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", hints=(f"{self.prog} --help",))

    def _refuse(self, word: str) -> NoReturn:
        option = word.partition("=")[0]
        if not option.startswith("-"):
            raise UsageError(f"{self.prog}: one argument too many: `{word}`", hints=(f"{self.prog} --help",))
        near = closest(option, self._option_string_actions)
        hints = (f"{self.prog} {near}",) if near else (f"{self.prog} --help",)
        raise UsageError(f"{self.prog}: unknown option `{option}`", hints=hints)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was probably meant to be."""
    import difflib  # 6 ms, only when something was mistyped

    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def parse_switch(text: str) -> bool:
    """Raises ArgumentTypeError for what is neither on nor off."""
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise argparse.ArgumentTypeError(f"`{text}` is neither on nor off; use 1 or 0")


def parse_count(text: str) -> int:
    """A whole number of at least 1. Raises ArgumentTypeError."""
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of at least 1")
    return int(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """A converter that accepts `choices` only."""

    def convert(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(f"`{text}` is not one of {', '.join(choices)}")
        return text

    return convert


_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_duration(text: str) -> int:
    """Seconds of `90s`, `30m`, `6h`, `7d`, `2w` or `0`. Raises ArgumentTypeError."""
    digits, unit = (text, "s") if text == "0" else (text[:-1], text[-1:])
    if not digits.isascii() or not digits.isdigit() or len(digits) > 9 or unit not in _SECONDS:
        raise argparse.ArgumentTypeError(f"`{text}` is no duration; write it as 90s, 30m, 6h, 7d or 2w")
    return int(digits) * _SECONDS[unit]


def _convert_variable(variable: str, text: str, convert: Callable[[str], Any]) -> Any:
    try:
        return convert(text)
    except argparse.ArgumentTypeError as error:
        raise UsageError(f"{variable}: {error}", place=variable, hints=(f"unset {variable}",)) from error
    except ValueError as error:
        raise UsageError(f"{variable}: `{text}` is no valid value: {error}", place=variable) from error


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)
