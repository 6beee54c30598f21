"""No input makes anything but one of our errors."""

from __future__ import annotations

import tomllib
from datetime import date
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lading.errors import ConfigError, CredentialFound
from lading.project.keys import (
    DATA_KEYS,
    GPU_KEYS,
    SECRET_KEYS,
    SERVE_KEYS,
    SHARED_KEYS,
    TARGET_KEYS,
    TASK_KEYS,
)
from lading.project.report import ConfigReport, Report
from lading.project.settings import read_settings

from .folders import load_folder
from .test_places import VALUES

KNOWN = sorted(
    {
        "image",
        "serve",
        "data",
        "train",
        "dev",
        "name",
        "tool",
        "lading",
        "allow_secret",
        "project",
        "dependencies",
        "optional-dependencies",
        "requires-python",
        "dependency-groups",
        "dynamic",
        "build-system",
        "build-backend",
        "uv",
        "sources",
        "find-links",
        "index",
        "url",
        "version",
        "setuptools",
        "packages",
        "find",
        "where",
        "hatch",
        "attr",
        "path",
        "git",
        "include-group",
        "scripts",
        "entry-points",
        "poetry",
        "flit",
        "module",
        "build",
        *DATA_KEYS,
        *GPU_KEYS,
        *SECRET_KEYS,
        *SERVE_KEYS,
        *SHARED_KEYS,
        *TARGET_KEYS,
        *TASK_KEYS,
    }
)
LIKELY = st.sampled_from(
    [
        "3.11",
        "debian:trixie",
        "cpu",
        "16GB",
        "6h",
        "python {x}",
        "data:d",
        "task:train",
        "../x",
        "train",
        "a.onnx",
        "setuptools.build_meta",
        "hatchling.build",
        "flit_core.buildapi",
        "uv_build",
        "poetry.core.masonry.api",
        "p",
        "1.0",
        "p.__version__",
        "numpy>=1",
        "${X}",
        "\0",
        "\n",
        "a @ https://x",
        ">=3.11",
        ">=",
        "-r x",
        "src",
    ]
)
TREES = st.recursive(
    LIKELY | VALUES,
    lambda inner: st.dictionaries(st.sampled_from(KNOWN), inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(st.sampled_from(KNOWN), TREES, max_size=5)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_any_document_gives_settings_or_problems_with_places(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document)
    report = Report()
    read_settings(tomllib.loads(text), ConfigReport(report, "lading.toml", text), date(2026, 1, 1))
    count = text.count("\n") + 1
    for problem in report.problems:
        assert problem.message
        name, _, line = problem.place.partition(":")
        assert name == "lading.toml"
        assert 1 <= int(line) <= count


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(own=DOCUMENTS, pyproject=DOCUMENTS, requirements=st.text(max_size=60))
def test_any_folder_loads_or_stops_with_our_error(
    tmp_path_factory: pytest.TempPathFactory,
    own: dict[str, Any],
    pyproject: dict[str, Any],
    requirements: str,
) -> None:
    files = {
        "lading.toml": tomli_w.dumps(own),
        "pyproject.toml": tomli_w.dumps(pyproject),
        "requirements.txt": requirements.encode("utf-8", "replace"),
        "src/p/__init__.py": "__version__ = '1'\n",
    }
    try:
        project = load_folder(tmp_path_factory.mktemp("fuzz"), files)
    except (ConfigError, CredentialFound) as error:
        assert str(error)
    else:
        assert {"train", "serve", "dev"} <= set(project.targets)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_in_the_configuration_stop_with_our_error_or_load(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    try:
        load_folder(tmp_path_factory.mktemp("bytes"), {"lading.toml": content, ".python-version": content})
    except ConfigError as error:
        assert error.problems


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "numpy",
                "numpy>=1.2",
                "-r other.txt",
                "-e .",
                "--hash=sha256:0",
                "\\",
                "# c",
                "-",
                "--",
                "-r",
                "-e",
                "a[b",
                "a;b",
                "a @",
                "@ b",
                "-rother.txt",
                "--index-url=https://x",
                "é",
                "==1",
                "a==1 \\",
                "[x]",
                "${A}",
                "-c x",
            ]
        )
        | st.text(max_size=10),
        max_size=6,
    )
)
def test_any_requirement_lines_load_or_stop_with_our_error(
    tmp_path_factory: pytest.TempPathFactory, rows: list[str]
) -> None:
    text = "\n".join(rows).encode("utf-8", "replace")
    try:
        load_folder(tmp_path_factory.mktemp("rows"), {"requirements.txt": text, "other.txt": "pandas\n"})
    except (ConfigError, CredentialFound) as error:
        assert str(error)
