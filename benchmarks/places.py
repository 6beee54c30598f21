"""Where benchmarks keep what they download, build and report: all under build/bench."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
BENCH = REPOSITORY / "build/bench"
WHEELS = BENCH / "wheels"
PYTHON_VERSION = "3.11"
SUITE = "bookworm"
"""Debian's release whose Python is 3.11: the wheels' and, on both sides, the image's."""
