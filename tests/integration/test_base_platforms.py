"""A registry image for two platforms as base: its own Python compiles for both, and nothing is emulated."""

from __future__ import annotations

import io
import json
import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bases import SLIM_PYTHON, Bases, make_bases

from foreign_images import AMD64, ARM64, push_index, put_image
from lading.cli.main import run_command_line
from lading.image.kinds import bytecode
from lading.image.python.toolchain import Toolchain, prepare_toolchain
from services.process import Tool, require

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.registry,
    pytest.mark.root,
    pytest.mark.engines,
]


@pytest.fixture(scope="module")
def both(
    bases: Bases, lading: Tool, umoci: Tool, registry: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Bases, Bases]:
    return bases, make_bases(lading, umoci, registry, tmp_path_factory.mktemp("arm64"), ARM64)


def push_both(both: tuple[Bases, Bases], name: str, *, headers: bool) -> str:
    images = {}
    for one in both:
        layers = [one.base, one.python_at("usr/local"), one.layer(SLIM_PYTHON)]
        if headers:
            layers.append(one.headers_at("usr/local"))
        images[one.platform] = one.store, put_image(one.store, layers, platform=one.platform)
    return push_index(images, f"{both[0].registry}/bases/{name}:1")


def project_on(folder: Path, base: str) -> Path:
    folder.mkdir()
    platforms = [str(AMD64), str(ARM64)]
    (folder / "lading.toml").write_text(f'[image]\nbase = "{base}"\nplatform = {json.dumps(platforms)}\n')
    (folder / "requirements.txt").write_text("six\nnumpy\n")
    (folder / "main.py").write_text("import numpy\nprint(numpy.__version__)\n")
    return folder


def test_arm64_over_a_base_is_what_arm64_itself_would_make(
    both: tuple[Bases, Bases], lading: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for a second host: the same build, compiled by the arm64 base's Python under an emulator."""
    emulator = require("qemu-aarch64-static", "qemu-user-static")
    project = project_on(tmp_path / "p", push_both(both, "two-platforms", headers=True))
    ours = json.loads(lading("build", "--json", "--platform", str(ARM64), cwd=project).stdout)
    assert "bytecode" in {layer["kind"] for layer in ours["layers"]}

    def emulated(*arguments: Any, **options: Any) -> Toolchain:
        toolchain = prepare_toolchain(*arguments, **options)
        assert options["platform"].architecture == "arm64"
        return replace(toolchain, command=(emulator, *toolchain.command))

    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(bytecode, "prepare_toolchain", emulated)
    stdout, stderr = io.StringIO(), io.StringIO()
    environment = {**os.environ, "LADING_HOME": str(tmp_path / "home")}
    words = ("build", "--json", "--locked", "--platform", str(ARM64), str(project))
    assert run_command_line(words, environment, stdout, stderr) == 0, stderr.getvalue()
    theirs = json.loads(stdout.getvalue())
    assert [layer["digest"] for layer in theirs["layers"]] == [layer["digest"] for layer in ours["layers"]]
    assert theirs["digest"] == ours["digest"]


def test_a_base_that_does_not_say_its_release_is_refused_with_the_remedy(
    both: tuple[Bases, Bases], lading: Tool, tmp_path: Path
) -> None:
    project = project_on(tmp_path / "p", push_both(both, "no-release", headers=False))
    refused = lading("build", "--platform", str(ARM64), cwd=project, check=False)
    assert refused.returncode == 1
    assert "which release of Python 3.11 it has" in refused.stderr
    assert "lading build --no-bytecode" in refused.stderr
    assert lading("build", "--platform", str(ARM64), "--no-bytecode", cwd=project).returncode == 0
