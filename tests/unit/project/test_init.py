"""What `lading init` writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lading.errors import ConfigError, CredentialFound
from lading.project.init import render_init
from lading.project.load import load_project
from lading.project.model import Project

from .folders import TODAY, load_folder, write_folder

FOLDER = {
    "train.py": "",
    "sample.json": "{}",
    "data/d.csv": "1\n",
    "model.onnx": "x",
    "pyproject.toml": '[project]\nname = "app"\nversion = "1"\n'
    '[dependency-groups]\nweb = ["a"]\ndev = ["b"]\n',
}
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0{}"), min_size=1, max_size=12).filter(
    str.strip
)
ENV = st.dictionaries(st.sampled_from(["A", "B_2", "c"]), WORDS | st.just(""), max_size=2)
SIZES = st.integers(1, 10**12).map(lambda size: f"{size}B") | st.sampled_from(["16GB", "512MiB", "1.5KB"])
DURATIONS = st.sampled_from(["90s", "6h", "1h30m", "500ms", "1d"])
LIMITS = {"cpus": st.sampled_from([0.5, 2, 8.0]), "memory": SIZES, "shm": SIZES, "pids": st.integers(1, 1000)}
TARGET = {
    "apt": st.lists(st.sampled_from(["git", "libgl1", "g++"]), unique=True, max_size=2),
    "env": ENV,
    "flavour": st.sampled_from(["standard", "minimal"]),
    "bytecode": st.booleans(),
    "user": st.sampled_from(["1000:1000", "0", "7:8"]),
    "labels": st.dictionaries(st.sampled_from(["org.example.a", "team"]), WORDS, max_size=2),
}
GROUPS = {"groups": st.lists(st.sampled_from(["web", "dev"]), unique=True)}
ONLY = {"only": st.lists(st.sampled_from(["numpy", "onnxruntime"]), unique=True)}
ANY_TARGET = st.fixed_dictionaries({}, optional={**TARGET, **GROUPS}) | st.fixed_dictionaries(
    {}, optional={**TARGET, **ONLY}
)
SHARED = {
    "python": st.sampled_from(["3.11", "3.12", "3.13"]),
    "base": st.sampled_from(["debian:bookworm", "debian:trixie", "host.example/x:1"]),
    "accelerator": st.sampled_from([["cpu"], ["cuda", "cpu"], "cuda"]),
    "platform": st.sampled_from(["linux/arm64", ["linux/amd64", "linux/arm64"]]),
    "interpreter": st.sampled_from(["auto", "standalone"]),
}
SECRET = st.fixed_dictionaries(
    {"path": st.just("a/*.pem"), "reason": WORDS, "expires": st.just("2099-12-31")}
)
IMAGE = st.fixed_dictionaries(
    {},
    optional={
        **SHARED,
        **TARGET,
        **GROUPS,
        "serve": ANY_TARGET,
        "dev": ANY_TARGET,
        "train": ANY_TARGET,
        "big": ANY_TARGET,
        "allow_secret": st.lists(SECRET, max_size=2),
    },
)
TASK = st.fixed_dictionaries(
    {
        "run": st.sampled_from(["python train.py", 'sh -c "a\\b"\n', "x {lr}", "é \u2028 \x7f"]),
        "params": st.fixed_dictionaries(
            {"lr": st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | WORDS}
        ),
    },
    optional={
        **LIMITS,
        "timeout": DURATIONS,
        "target": st.sampled_from(["train", "dev"]),
        "outputs": st.just("results/x"),
        "inputs": st.just({"d": "data:d", "f": "data/d.csv"}),
        "env": ENV,
        "secrets": st.just(["TOKEN"]),
        "gate": st.sampled_from(["accuracy > 0.9", "not a < 1 or b.c == -2"]),
        "network": st.booleans(),
        "gpus": st.sampled_from([1, {"count": 2, "memory": "40GB"}]),
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {"data": st.just({"d": {"source": "data/d.csv"}})},
    optional={
        "name": st.sampled_from(["app", "Other.name"]),
        "image": IMAGE,
        "train": TASK,
        "evaluate it".replace(" ", "-"): TASK,
        "serve": st.fixed_dictionaries(
            {"model": st.sampled_from(["model.onnx", "model:x@y"])},
            optional={
                **LIMITS,
                "sample": st.just("sample.json"),
                "port": st.integers(0, 65535),
                "host": st.just("::1"),
                "grace": DURATIONS,
            },
        ),
    },
)


def comparable(project: Project) -> Project:
    return replace(project, findings=(), config_path=None)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DOCUMENTS)
def test_what_init_writes_reads_back_as_the_same_project(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]
) -> None:
    root = write_folder(tmp_path_factory.mktemp("init"), FOLDER)
    (root / "lading.toml").write_text(tomli_w.dumps(document))
    try:
        project = load_project(root, environment={}, today=TODAY)
    except (ConfigError, CredentialFound):
        return  # a contradiction between tables; another test says which are told
    text = render_init(project, environment={})
    (root / "lading.toml").write_text(text)
    assert comparable(project) == comparable(load_project(root, environment={}, today=TODAY)), text


def test_the_property_above_is_not_empty(tmp_path: Path) -> None:
    """Most documents of the strategy are right; this one holds every table."""
    document = {
        "image": {"python": "3.12", "serve": {"groups": ["web"]}, "dev": {"env": {"A": "1"}}},
        "train": {
            "run": "x {lr}",
            "params": {"lr": 2e-4},
            "gpus": {"count": 1, "memory": "40GB"},
            "timeout": "6h",
        },
        "serve": {"model": "train", "memory": "512MiB"},
    }
    project = load_folder(tmp_path, {**FOLDER, "lading.toml": tomli_w.dumps(document)})
    lines = [
        line
        for line in render_init(project, environment={}).splitlines()
        if line and not line.startswith("#")
    ]
    assert lines == [
        "[image]",
        'python = "3.12"',
        'base = "debian:trixie"',
        'interpreter = "standalone"',
        "[image.serve]",
        'groups = ["web"]',
        "[image.dev]",
        'env = { A = "1" }',
        "[train]",
        'run = "x {lr}"',
        "params = { lr = 0.0002 }",
        'timeout = "6h"',
        'gpus = { count = 1, memory = "40GB" }',
        "[serve]",
        'model = "train"',
        'sample = "sample.json"',
        'memory = "512MiB"',
    ]


def test_a_project_that_detection_knows_needs_no_line(tmp_path: Path) -> None:
    project = load_folder(tmp_path, FOLDER)
    text = render_init(project, environment={})
    assert all(not line or line.startswith("#") for line in text.splitlines())
    assert "# detected: task train: python train.py (train.py is there)" in text


def test_a_hostile_file_name_stays_in_its_comment(tmp_path: Path) -> None:
    project = load_folder(tmp_path, {"train_x.py": 'if __name__ == "__main__":\n    pass\n', "main.py": ""})
    found = replace(project.findings[0], value="a\n[image]\npython = 1")
    from lading.project.render import render_difference

    text = render_difference(project, replace(project, findings=(found,)))
    assert "\n[image]" not in text


def test_what_only_the_configuration_mends_is_no_problem_for_init(tmp_path: Path) -> None:
    """Without `[data]` this file would be refused as too large."""
    write_folder(tmp_path, {"train.py": "", "lading.toml": '[data.d]\nsource = "d.csv"\n'})
    with (tmp_path / "d.csv").open("wb") as file:
        file.truncate(30_000_000)
    project = load_project(tmp_path, environment={})
    assert 'source = "d.csv"' in render_init(project, environment={})
