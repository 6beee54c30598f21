"""Console and GUI scripts: read from entry_points.txt, written as uv writes them.

Pure. Follows the entry points specification (packaging.python.org) and is stricter about names: a script
lands in a folder that is first in PATH.
"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass

from lading.image.wheel.rules import Judge

_NAME = re.compile(r"\w[\w.+-]*")
_REFERENCE = re.compile(r"(?P<module>[\w.-]+)\s*:\s*(?P<function>[\w.-]+)(?:\s*\[[^\[\]]*\])?\s*")
_RESERVED = re.compile(r"pythonw?|python\d[\d.]*|sh|bash|dash|env", re.IGNORECASE)
_SECTIONS = ("console_scripts", "gui_scripts")

_TEMPLATE = """\
#!{interpreter}
# -*- coding: utf-8 -*-
import sys
from {module} import {import_name}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({function}())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    name: str
    module: str
    function: str

    def content(self, interpreter: str) -> bytes:
        """The launcher, byte for byte uv's. `interpreter` is an absolute path."""
        text = _TEMPLATE.format(
            interpreter=interpreter,
            module=self.module,
            import_name=self.function.partition(".")[0],
            function=self.function,
        )
        return text.encode()


def is_reserved(name: str) -> bool:
    """Whether a script of this name would take the place of the interpreter or of a shell."""
    return _RESERVED.fullmatch(name) is not None


def read_scripts(raw: bytes, member: str, python_version: str, judge: Judge) -> tuple[Script, ...]:
    """The scripts that entry_points.txt asks for, sorted by name. Raises WheelRefused."""
    parser = configparser.RawConfigParser(delimiters=("=",), allow_no_value=True, default_section="\0")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(raw.decode())
    except (UnicodeDecodeError, configparser.Error) as error:
        judge.refuse("entry-points-syntax", f"it cannot be read: {error}", member=member)
    scripts: dict[str, Script] = {}
    for section in _SECTIONS:
        for name, value in parser.items(section) if parser.has_section(section) else ():
            if name in scripts:
                judge.refuse("entry-points-syntax", f"the script {name!r} is there twice", member=member)
            scripts[name] = _script(name, value, member, judge)
    return tuple(
        _pip_rule(scripts, python_version)[name] for name in sorted(_pip_rule(scripts, python_version))
    )


def _script(name: str, value: str | None, member: str, judge: Judge) -> Script:
    if not _NAME.fullmatch(name) or is_reserved(name):
        judge.refuse("script-name", f"the script name {name!r} is a path, reserved or unsafe", member=member)
    match = _REFERENCE.fullmatch(value or "")
    if match is None:
        judge.refuse(
            "entry-points-syntax", f"script {name!r} refers to {value!r}, not module:function", member=member
        )
    return Script(name=name, module=match["module"], function=match["function"])


def _pip_rule(scripts: dict[str, Script], python_version: str) -> dict[str, Script]:
    """pip's wheel names the Python it was built with in one script; installers put the target's there."""
    kept = {name: script for name, script in scripts.items() if not re.fullmatch(r"pip3\.\d+", name)}
    if "pip3" in kept:
        name = f"pip3.{python_version.rpartition('.')[2]}"
        kept[name] = Script(name=name, module=kept["pip3"].module, function=kept["pip3"].function)
    return kept
