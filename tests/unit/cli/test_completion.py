"""Completion scripts name every command and option, and the shells can read them."""

from __future__ import annotations

import subprocess

import pytest

from lading.cli.commands import COMMANDS

from .conftest import Lading


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_command_and_option_is_in_the_script(lading: Lading, shell: str) -> None:
    script = lading("completion", shell).stdout

    for command in COMMANDS:
        assert command.name in script
    for option in ("json", "output", "repair"):
        assert option in script


def test_bash_completes_with_it(lading: Lading) -> None:
    script = lading("completion", "bash").stdout
    ask = "COMP_WORDS=(lading store --re); COMP_CWORD=2; _lading; echo ${COMPREPLY[@]}"

    done = subprocess.run(["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["--repair"]
    assert done.stderr == ""
