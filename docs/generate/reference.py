"""Writes docs/reference/ from the code: a page says what a parser, the key table or a docstring says.

    python docs/generate/reference.py            write the pages
    python docs/generate/reference.py --check    write nothing; exit 1 and name the pages that are out of date

Knows Markdown and where each fact is kept. Prose that no code holds stands here as short introductions.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from environment import environment_page

import lading.errors
from lading.cli.commands import COMMANDS, GLOBAL_OPTIONS, Command
from lading.cli.main import EXIT_NO_READER, add_global_arguments
from lading.cli.parser import Parser
from lading.image.wheel.rules import RULES, WAIVABLE
from lading.project.schema import json_schema
from lading.project.values import PLATFORMS, PYTHONS, SUITES

FOLDER = Path(__file__).parents[1] / "reference"
_MADE = "<!-- Made by docs/generate/reference.py from the code: run `make docs`, never edit. -->\n"
_GLOBAL = ("--json", "--quiet", "--verbose", "--help")


def command_parser(command: Command) -> Parser:
    """The parser that `lading COMMAND` uses."""
    module = importlib.import_module(f"lading.cli.{command.module}")
    parser = Parser(command.name, module.ABOUT, module.EXAMPLES, {})
    module.add_arguments(parser)
    add_global_arguments(parser)
    return parser


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table; `|` in cells is escaped."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in lines)


def cli_page() -> str:
    """Every command with its arguments and options."""
    parts = [
        "# Commands\n",
        "Data goes to standard output, everything else to standard error. Each option can also be given as "
        "an environment variable; one that may be given again takes words apart by spaces there. Lengths of "
        "time are `90s`, `30m`, `6h`, `7d`; sizes `512MB`, `16GiB`.\n",
        "Options of every command:\n",
        "```text\n" + GLOBAL_OPTIONS.partition("\n")[2] + "\n```\n",
    ]
    for group in dict.fromkeys(command.group for command in COMMANDS):
        members = [command for command in COMMANDS if command.group == group]
        links = ", ".join(f"[{command.name}](#lading-{command.name})" for command in members)
        parts.append(f"- {group}: {links}")
    parts.append("")
    parts += [_command(command) for command in COMMANDS]
    return "\n".join(parts)


def _command(command: Command) -> str:
    module = importlib.import_module(f"lading.cli.{command.module}")
    parser = command_parser(command)
    about, _, more = str(module.ABOUT).partition("\n\n")
    parts = [f"## lading {command.name}\n", " ".join(about.split()) + "\n"]
    if more:
        parts.append("```text\n" + more.strip("\n") + "\n```\n")
    rows = []
    for action in parser._actions:
        names = action.option_strings
        if any(name in _GLOBAL for name in names):
            continue
        text, _, variable = (action.help or "").replace("%%", "%").partition(" [env: ")
        shown = ", ".join(f"`{name}`" for name in names) if names else f"`{action.metavar or action.dest}`"
        if names and action.nargs != 0:
            value = f"[{action.metavar}]" if action.nargs == "?" else action.metavar
            shown = f"{shown[:-1]} {value}`"
        rows.append((shown, text, f"`{variable[:-1]}`" if variable else ""))
    if rows:
        parts.append(table(("argument", "what it does", "variable"), rows) + "\n")
    parts.append("```sh\n" + _examples(str(module.EXAMPLES)) + "\n```\n")
    return "\n".join(parts)


def _examples(text: str) -> str:
    """The examples of a command, their remarks as comments."""
    lines = []
    for line in text.splitlines()[1:]:
        example, gap, remark = line.strip().partition("  ")
        lines.append(f"{example:<40}# {remark.strip()}" if gap else example)
    return "\n".join(lines)


def configuration_page() -> str:
    """Every key of lading.toml, from the JSON schema."""
    schema = json_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    suites = ", ".join(f"`debian:{suite}` (Python {python})" for suite, python in SUITES.items())
    parts = [
        "# Configuration\n",
        "`lading.toml`, or the same tables under `[tool.lading]` in `pyproject.toml`. Nothing is required: "
        "what is absent is detected, and `lading plan` says what was detected and why. `lading init` writes "
        "down what cannot be. All mistakes are told at once, each with file, line, key and a suggestion.\n",
        "Editors: the JSON schema is [schema.json](../../src/lading/project/schema.json).\n",
        "Understood and refused for now, with a word about it: bases other than Debian's suites, "
        '`interpreter = "base"`, `gpus` when a task runs, data sources other than paths and http(s) with a '
        "`sha256`.\n",
        f"Bases: {suites}. Pythons: {', '.join(f'`{python}`' for python in PYTHONS)}; one that is not the "
        "suite's own comes as a standalone build. Platforms: "
        f"{', '.join(f'`{platform}`' for platform in PLATFORMS)}.\n",
    ]
    sections = (
        ("Top level", "", {"name": properties["name"]}, ()),
        ("`[image]`", "The image of every target.", properties["image"]["properties"], ()),
        (
            "`[image.TARGET]`",
            "`train`, `serve`, `dev`, or any name that a task has as `target`. Inherits `[image]`; a list "
            "replaces the inherited one, `env` and `labels` are merged.",
            definitions["target"]["properties"],
            (),
        ),
        (
            "`[[image.files]]`, `[[image.TARGET.files]]`",
            "Files and folders in the image: [guide](../guides/files-steps-models.md).",
            definitions["file"]["properties"],
            definitions["file"]["required"],
        ),
        (
            "`[[image.step]]`, `[[image.TARGET.step]]`",
            "Commands whose changes are a layer each, in the order written.",
            definitions["step"]["properties"],
            definitions["step"]["required"],
        ),
        (
            "`[image.healthcheck]`, `[image.TARGET.healthcheck]`",
            "Docker's check of a running container: [guide](../guides/docker.md#what-a-container-starts).",
            definitions["healthcheck"]["properties"],
            definitions["healthcheck"]["required"],
        ),
        (
            "`[[image.allow_secret]]`",
            "A file that looks like a credential and may enter the image all the same.",
            definitions["secret"]["properties"],
            definitions["secret"]["required"],
        ),
        (
            "`[TASK]`",
            "Any other table is a task. `[train]` may leave out `run` where `train.py` is there.",
            definitions["task"]["properties"],
            ("run",),
        ),
        ("`[TASK.gpus]`", "", definitions["gpus"]["properties"], definitions["gpus"]["required"]),
        ("`[serve]`", "What is served, and how.", properties["serve"]["properties"], ()),
        (
            "`[lint]`",
            "`lading lint`: [guide](../guides/lint.md). A table of this name with `run` is a task.",
            properties["lint"]["anyOf"][0]["properties"],
            (),
        ),
        (
            "`[scan]`",
            "`lading scan`: [guide](../guides/scan.md). A table of this name with `run` is a task.",
            {k: v for k, v in properties["scan"]["anyOf"][0]["properties"].items() if k != "allow"},
            (),
        ),
        (
            "`[[scan.allow]]`",
            "A finding that may be there, until its day.",
            definitions["allowed"]["properties"],
            definitions["allowed"]["required"],
        ),
        ("`[data.NAME]`", "", definitions["data"]["properties"], definitions["data"]["required"]),
    )
    for title, about, keys, required in sections:
        rows = [_key_row(name, key, name in required) for name, key in keys.items() if name != "allow_secret"]
        parts += [f"## {title}\n", *([about + "\n"] if about else []), table(_KEY_HEAD, rows) + "\n"]
    return "\n".join(parts)


_KEY_HEAD = ("key", "value", "meaning")


def _key_row(name: str, schema: Mapping[str, Any], required: bool) -> tuple[str, str, str]:
    needed = " (needed)" if required else ""
    return f"`{name}`{needed}", value_text(schema), str(schema.get("description", ""))


def value_text(schema: Mapping[str, Any]) -> str:
    """A schema as a person would say it: `one of …`, `list of strings`."""
    if "enum" in schema:
        return "one of " + ", ".join(f'`"{value}"`' for value in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(value_text(part) for part in schema["anyOf"])
    if "$ref" in schema:
        return "a table"
    kind = schema.get("type")
    if kind == "array":
        inner = value_text(schema["items"])
        if "$ref" in schema["items"]:
            return "array of tables"
        return f"list, each {inner}" if inner.startswith("one of") else f"list of {inner}s"
    if kind == "object":
        inner = schema.get("additionalProperties", {})
        if "$ref" in inner:
            return "table of tables"
        return "table of " + (value_text(inner) + "s" if isinstance(inner, dict) else "values")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "string" and "(ms|d|h|m|s)" in schema.get("pattern", ""):
        return "duration"
    if kind == "string" and "KMGTP" in schema.get("pattern", ""):
        return "size"
    return str(kind)


def exit_codes_page() -> str:
    """Exit codes and error codes, from the tree of errors."""
    doc = lading.errors.__doc__ or ""
    tree = doc[doc.index("    LadingError") : doc.index("\n\nA leaf")]
    kinds = sorted(
        (kind.exit_status, kind.code, _first_line(kind) or _from_tree(kind.__name__, tree))
        for kind in _subclasses(lading.errors.LadingError)
        if kind.__module__ == "lading.errors"
    )
    rows = [
        ("0", "", "done"),
        *((str(status), f"`{code}`", text) for status, code, text in kinds if code != "error"),
        (str(lading.errors.EXIT_INTERRUPTED), "", "interrupted: Ctrl-C, SIGTERM or SIGHUP"),
        (str(EXIT_NO_READER), "", "whoever read standard output went away (`lading … | head`)"),
    ]
    return "\n".join(
        [
            "# Exit codes\n",
            "A command that was asked to run something (`lading run … -- CMD`, `exec`, `shell`) passes that "
            "command's own exit code on: 128 + n for signal n, 137 also for a memory limit. A task that "
            "failed does the same.\n",
            "With `--json` an error is one document on standard output: `type` (`error`), `code`, `message`, "
            "`place`, `hints`, `exit_status`, and for `config` a list `problems`.\n",
            table(("exit", "code", "meaning"), rows) + "\n",
            "The tree, as it stands in `lading.errors`:\n",
            "```text\n" + tree.rstrip() + "\n```\n",
        ]
    )


def _subclasses(kind: type[lading.errors.LadingError]) -> Iterable[type[lading.errors.LadingError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0].rstrip(".")


def _from_tree(name: str, tree: str) -> str:
    match = re.search(rf"{name}\s+\S+ *(.*)", tree)
    texts = {"GateFailed": "the gate did not hold", "GateInconclusive": "a metric is missing or no number"}
    return texts.get(name) or (match[1].strip() if match else "")


def wheel_rules_page() -> str:
    """Every rule a wheel can break."""
    groups: dict[str, list[tuple[str, str, str]]] = {}
    titles = {
        "zip": "The archive",
        "name": "Names and kinds of members",
        "record": "RECORD",
        "install": "Installing",
    }
    warning = False
    for rule, text in RULES.items():
        warning = warning or rule == "mode-special-bits"
        prefix = rule.partition("-")[0]
        prefix = "zip" if prefix.startswith("zip") else "name" if prefix in ("name", "member") else prefix
        title = "Warnings: accepted, and said" if warning else titles.get(prefix)
        if title is None:
            title = titles["install"] if prefix in ("data", "script", "entry") else "Metadata"
        groups.setdefault(title, []).append((f"`{rule}`", text, "yes" if rule in WAIVABLE else ""))
    parts = [
        "# Wheel rules\n",
        "Every wheel is read strictly: what two readers could see differently is refused, so what is checked "
        "is what any installer would install. An error names wheel, rule and member. "
        "`--lenient-wheel NAME` lets the rules marked *may be waived* pass with a warning: those leave no "
        "doubt which bytes are meant.\n",
    ]
    for title, rows in groups.items():
        if title.startswith("Warnings"):
            parts += [f"## {title}\n", table(("rule", "what was found"), [row[:2] for row in rows]) + "\n"]
        else:
            parts += [f"## {title}\n", table(("rule", "what is wrong", "may be waived"), rows) + "\n"]
    return "\n".join(parts)


def pages() -> dict[str, str]:
    """Every page of the reference: file name → text."""
    from doctor_pages import doctor_pages
    from files import files_page
    from lint_pages import lint_pages

    made = {
        "cli.md": cli_page(),
        "configuration.md": configuration_page(),
        "environment.md": environment_page(table),
        "exit-codes.md": exit_codes_page(),
        "files.md": files_page(table),
        "wheel-rules.md": wheel_rules_page(),
        **doctor_pages(table),
        **lint_pages(table),
    }
    return {name: _MADE + "\n" + text.rstrip("\n") + "\n" for name, text in made.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="Write docs/reference/ from the code.")
    parser.add_argument("--check", action="store_true", help="only say which pages are out of date")
    check = parser.parse_args().check
    stale = []
    for name, text in pages().items():
        path = FOLDER / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    if check and stale:
        sys.stderr.write(f"out of date: {', '.join(stale)}; run: make docs\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
