"""Runs command lines in this process, as the script would, and keeps what they said."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lading.cli.main import run_command_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    status: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.stdout)


Lading = Callable[..., Said]


@pytest.fixture
def lading(tmp_path: Path) -> Lading:
    """`lading("store", "du", LADING_JSON="1")`: a store of its own, an environment of its own."""

    def call(*arguments: str, **variables: str) -> Said:
        environment: Mapping[str, str] = {"LADING_HOME": str(tmp_path / "home"), **variables}
        stdout, stderr = io.StringIO(), io.StringIO()
        status = run_command_line(arguments, environment, stdout, stderr)
        return Said(status=status, stdout=stdout.getvalue(), stderr=stderr.getvalue())

    return call
