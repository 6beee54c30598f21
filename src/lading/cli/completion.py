"""`lading completion SHELL`: a script that completes commands and their options."""

from __future__ import annotations

import argparse
import importlib

from lading.cli.commands import COMMANDS
from lading.cli.main import add_global_arguments
from lading.cli.parser import Parser, one_of
from lading.cli.session import Session

ABOUT = "Print a completion script for bash, zsh or fish."
EXAMPLES = """Examples:
  lading completion bash > ~/.local/share/bash-completion/completions/lading
  lading completion zsh > ~/.zfunc/_lading
  lading completion fish > ~/.config/fish/completions/lading.fish"""

_SHELLS = ("bash", "zsh", "fish")


def add_arguments(parser: Parser) -> None:
    parser.add_argument("shell", metavar="|".join(_SHELLS), type=one_of(*_SHELLS), help="which shell")


def execute(options: argparse.Namespace, session: Session) -> int:
    words = {command.name: command_options(command.module, command.name) for command in COMMANDS}
    script = {"bash": bash_script, "zsh": zsh_script, "fish": fish_script}[options.shell](words)
    if session.as_json:
        session.document({"type": "completion", "shell": options.shell, "script": script})
    else:
        session.line(script)
    return 0


def command_options(module_name: str, name: str) -> tuple[str, ...]:
    """The long options of one command, sorted."""
    module = importlib.import_module(f"lading.cli.{module_name}")
    parser = Parser(name, module.ABOUT, module.EXAMPLES, {})
    module.add_arguments(parser)
    add_global_arguments(parser)
    return parser.long_options()


def bash_script(words: dict[str, tuple[str, ...]]) -> str:
    cases = "\n".join(f"    {name}) words='{' '.join(options)}' ;;" for name, options in words.items())
    return f"""_lading() {{
  local words current="${{COMP_WORDS[COMP_CWORD]}}"
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{" ".join(words)}' -- "$current"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
    *) words='' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _lading lading"""


def zsh_script(words: dict[str, tuple[str, ...]]) -> str:
    named = "\n".join(f"    '{c.name}:{c.summary}'" for c in COMMANDS)
    cases = "\n".join(f"    {name}) compadd -- {' '.join(options)} ;;" for name, options in words.items())
    return f"""#compdef lading
_lading() {{
  local -a commands=(
{named}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case "$words[2]" in
{cases}
  esac
  _files
}}
_lading "$@" """.rstrip()


def fish_script(words: dict[str, tuple[str, ...]]) -> str:
    summaries = {command.name: command.summary for command in COMMANDS}
    lines = []
    for name, options in words.items():
        lines.append(f"complete -c lading -n __fish_use_subcommand -a {name} -d '{summaries[name]}'")
        lines += [
            f"complete -c lading -n '__fish_seen_subcommand_from {name}' -l {option[2:]}"
            for option in options
        ]
    return "\n".join(lines)
