"""What a container starts, and which requirements file is used, where it is written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from lading.errors import ConfigError
from lading.project.model import HealthCheck, RequirementKind

from .folders import load_folder

STARTS = """\
[image]
entrypoint  = ["tini", "--"]
command     = ["python", "-m", "x", "-m", ""]
workdir     = "/app/src"
ports       = [8000, "8125/udp"]
stop_signal = "SIGINT"
healthcheck = { command = ["true"], interval = "30s", start_period = "1m", retries = 5 }
"""


def test_what_is_written_is_the_target_s(tmp_path: Path) -> None:
    """Words may be there twice and be empty; the model server keeps its own start."""
    project = load_folder(tmp_path, {"lading.toml": STARTS, "train.py": ""})
    train, serve = project.targets["train"], project.targets["serve"]
    assert (train.entrypoint, train.command) == (("tini", "--"), ("python", "-m", "x", "-m", ""))
    assert (train.workdir, train.ports, train.stop_signal) == ("/app/src", ("8000/tcp", "8125/udp"), "SIGINT")
    assert train.healthcheck == HealthCheck(
        command=("true",), interval_seconds=30, start_seconds=60, retries=5
    )
    assert (serve.entrypoint, serve.command, serve.workdir, serve.healthcheck) == ((), None, None, None)


def test_what_init_writes_reads_back_the_same(tmp_path: Path) -> None:
    from lading.project.init import render_init

    project = load_folder(tmp_path, {"lading.toml": STARTS, "train.py": ""})
    (tmp_path / "lading.toml").write_text(render_init(project, environment={}))
    again = load_folder(tmp_path, {})
    assert again.targets["train"] == project.targets["train"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("command = []", "is empty"),
        ('command = "python"', "must be a list of strings"),
        ("ports = [0]", "not between 1 and 65535"),
        ('ports = ["80/sctp"]', "is no port"),
        ("ports = [true]", "is no port"),
        ('workdir = "src"', "is not an absolute path"),
        ('stop_signal = "INT"', "is not a signal"),
        ("healthcheck = {}", "needs `command`"),
        ('healthcheck = "true"', "must be a table"),
        ('requirements = "req/gpu.txt"', "is not there"),
        ('requirements = "../x.txt"', "is not a path inside the project folder"),
        ('requirements = "sub/uv.lock"', "must lie at the top"),
        ('requirements = "uv.lock"', "needs a pyproject.toml"),
    ],
)
def test_a_mistake_is_told_with_its_line(tmp_path: Path, line: str, says: str) -> None:
    files = {"lading.toml": f"[image]\n{line}\n", "train.py": "", "sub/uv.lock": "", "uv.lock": ""}
    with pytest.raises(ConfigError) as caught:
        load_folder(tmp_path, files)
    assert says in str(caught.value)
    assert caught.value.problems[0].place.startswith("lading.toml:2")


FILES = {"requirements.txt": "six\n", "req/gpu.txt": "-r more.txt\nattrs\n", "req/more.txt": "idna\n"}


class TestRequirements:
    def test_the_written_file_goes_first(self, tmp_path: Path) -> None:
        project = load_folder(tmp_path, {**FILES, "lading.toml": 'image.requirements = "req/gpu.txt"\n'})
        assert project.requirements.kind is RequirementKind.REQUIREMENTS
        assert project.requirements.path == tmp_path / "req/gpu.txt"
        assert set(project.requirements.names) == {"attrs", "idna"}
        assert project.requirements.ignored == (tmp_path / "requirements.txt",)

    def test_an_environment_may_have_any_name(self, tmp_path: Path) -> None:
        files = {**FILES, "conda/gpu.yaml": "dependencies: [numpy]\n"}
        files["lading.toml"] = 'image.requirements = "conda/gpu.yaml"\n'
        assert load_folder(tmp_path, files).requirements.kind is RequirementKind.CONDA

    def test_another_file_is_another_lock(self, tmp_path: Path) -> None:
        from lading.project.inputs import project_inputs

        plain = project_inputs(load_folder(tmp_path, FILES))
        chosen = project_inputs(
            load_folder(tmp_path, {"lading.toml": 'image.requirements = "req/gpu.txt"\n'})
        )
        assert plain["requirements"] != chosen["requirements"]
