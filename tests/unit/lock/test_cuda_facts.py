"""`make facts` reads METADATA through the configured index, and writes only when it is told to."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest

from lock.index import Index

SCRIPT = Path(__file__).parent.parent.parent.parent / "docs/generate/cuda_facts.py"
FACTS = """# Words that stay.

[source]
minor = "a page"
metadata = "wheels"

[[driver_floor]]
cuda_major = 13
driver = "580"
source = "minor"
read = 2020-01-01

[[torch]]
version = "2.9.1"
cuda = "12.8.90"
source = "metadata"
read = 2026-11-21

[[torch]]
version = "2.11.0"
cuda = "13.0.1"
source = "metadata"
read = 2026-11-21
"""


@pytest.fixture
def facts(tmp_path: Path) -> Path:
    path = tmp_path / "cuda.toml"
    path.write_text(FACTS)
    return path


@pytest.fixture
def torch(index: Index) -> Index:
    index.add("nvidia-cuda-runtime-cu12", "12.8.90")
    index.add("nvidia-cuda-runtime", "13.2.86")
    for version in ("13.0.2", "13.2.2"):
        index.add("cuda-toolkit", version)
    index.add("torch", "2.9.1", requires=["nvidia-cuda-runtime-cu12==12.8.90"])
    index.add("torch", "2.11.0", requires=["cuda-toolkit==13.0.2"])
    index.add("torch", "2.15.0", requires=["cuda-toolkit==13.2.2", "nvidia-cuda-runtime"])
    return index


def run(facts: Path, environment: dict[str, str], *options: str) -> str:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--file", facts, *options],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_report_says_ages_and_differences_and_changes_nothing(
    facts: Path, torch: Index, environment: dict[str, str]
) -> None:
    said = run(facts, environment)
    assert "a page  older than 180 days: read it again" in said
    assert "torch 2.11.0: CUDA 13.0.2, written 13.0.1" in said
    assert "torch 2.15.0: CUDA 13.2.2, not known before" in said
    assert "torch 2.9.1" not in said
    assert facts.read_text() == FACTS


def test_the_indexs_word_is_taken_when_asked(facts: Path, torch: Index, environment: dict[str, str]) -> None:
    run(facts, environment, "--write")
    text = facts.read_text()
    document = tomllib.loads(text)
    assert text.startswith("# Words that stay.\n")
    assert [(row["version"], row["cuda"]) for row in document["torch"]] == [
        ("2.9.1", "12.8.90"),
        ("2.11.0", "13.0.2"),
        ("2.15.0", "13.2.2"),
    ]
    assert all((date.today() - row["read"]).days <= 1 for row in document["torch"])
    assert document["driver_floor"] == tomllib.loads(FACTS)["driver_floor"]


def test_a_version_that_the_index_no_longer_has_keeps_its_row(
    facts: Path, index: Index, environment: dict[str, str]
) -> None:
    index.add("torch", "2.11.0", requires=["cuda-toolkit==13.0.2"])
    index.add("cuda-toolkit", "13.0.2")
    assert "torch==2.9.1" in run(facts, environment, "--write")
    kept = {row["version"]: row for row in tomllib.loads(facts.read_text())["torch"]}
    assert kept["2.9.1"] == tomllib.loads(FACTS)["torch"][0]
