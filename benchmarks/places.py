"""Where benchmarks keep what they download, build and report: all under build/bench."""

from __future__ import annotations

import os
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
BENCH = REPOSITORY / "build/bench"
WHEELS = BENCH / "wheels"
TRIXIE = BENCH / "trixie"
"""Debian trixie with its Docker, made once."""
PYTHON_VERSION = "3.11"
SUITE = "bookworm"
"""Debian's release whose Python is 3.11: the wheels' and, on both sides, the image's."""


def user_environment() -> dict[str, str]:
    """This environment as a user's: nothing set for lading, and Python keeps bytecode, as everywhere."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("LADING_") and name != "PYTHONDONTWRITEBYTECODE"
    }
