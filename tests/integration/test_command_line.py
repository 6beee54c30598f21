"""The commands on a real project: one line of data, exit codes passed through, nothing done twice."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.network]

LADING = (sys.executable, "-c", "from lading.cli.main import main; main()")


class Here:
    """A project folder and a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "project"
        self.home = folder / "home"
        self.folder.mkdir()
        (self.folder / "requirements.txt").write_text("six==1.17.0\n")
        (self.folder / "train.py").write_text("import six\nprint('trained with', six.__version__)\n")

    def __call__(
        self, *arguments: str, check: bool = True, given: bytes = b"", cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            [*LADING, *arguments],
            cwd=cwd or self.folder,
            env={**os.environ, "LADING_HOME": str(self.home)},
            input=given,
            capture_output=True,
        )
        assert b"Traceback" not in done.stderr
        assert not check or done.returncode == 0, done.stderr.decode()
        return done


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Here:
    here = Here(tmp_path_factory.mktemp("here"))
    here("build")
    return here


def test_build_prints_one_line_and_the_second_does_nothing(here: Here) -> None:
    first = here("build")
    name, _, digest = first.stdout.decode().strip().partition("@")
    assert first.stdout.count(b"\n") == 1
    assert name == "project" and digest.startswith("sha256:")
    *_, layers, last = first.stderr.decode().splitlines()
    assert layers.endswith(" layers reused") and last.startswith("project:")
    assert first.stderr.count(b"reused") == 1
    assert b"all reused" in here("build", "-v").stderr
    document = json.loads(here("build", "--json", "--locked", "--offline").stdout)
    assert (document["digest"], document["reused"]) == (digest, True)


def test_an_archive_on_standard_output_is_nothing_but_the_archive(here: Here) -> None:
    done = here("build", "--output", "docker-archive:-")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        assert "manifest.json" in archive.getnames()
    assert b"project@sha256:" in done.stderr


def test_documents_beside_the_image_are_written(here: Here, tmp_path: Path) -> None:
    here("build", "--sbom", str(tmp_path / "sbom.json"), "--provenance", str(tmp_path / "provenance.json"))
    names = {item["name"] for item in json.loads((tmp_path / "sbom.json").read_bytes())["components"]}
    assert {"six", "libc6", "python"} <= names
    statement = json.loads((tmp_path / "provenance.json").read_bytes())
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"


def test_plan_says_that_nothing_is_to_do_and_what_changed(here: Here) -> None:
    assert b"nothing to do" in here("plan").stdout
    path = here.folder / "train.py"
    text = path.read_text()
    path.write_text(text + "# changed\n")
    plan = json.loads(here("plan", "--json").stdout)
    path.write_text(text)
    assert plan["changed"] == ["train.py"]
    assert plan["fetch_bytes"] == 0
    assert plan["findings"]


def test_the_exit_code_and_the_streams_are_the_commands(here: Here) -> None:
    script = "import sys; print('out'); print('err', file=sys.stderr); sys.exit(7)"
    done = here("run", "--", "python", "-c", script, check=False)
    assert (done.returncode, done.stdout) == (7, b"out\n")
    assert b"err\n" in done.stderr
    assert here("run", "-i", "--", "cat", given=b"piped").stdout == b"piped"
    assert here("run", "--", "cat", given=b"piped").stdout == b""
    document = json.loads(here("run", "--json", "--", "echo", "said").stdout)
    assert (document["type"], document["exit_status"]) == ("command", 0)


def test_a_command_sees_an_edit_with_and_without_dev(here: Here) -> None:
    """The remembered image is forgotten when a file changes; --dev needs no build at all."""
    path = here.folder / "word.txt"
    for word in ("one", "two"):
        path.write_text(word)
        assert here("run", "--", "cat", "/app/word.txt").stdout.decode() == word
        path.write_text(word + "!")
        assert here("run", "--dev", "--", "cat", "/app/word.txt").stdout.decode() == word + "!"
    path.unlink()


def test_what_is_written_to_a_mount_belongs_to_the_caller(here: Here, tmp_path: Path) -> None:
    here("run", "--mount", f"{tmp_path}:/out", "--", "sh", "-c", "echo hi > /out/file")
    status = (tmp_path / "file").stat()
    assert (status.st_uid, status.st_gid) == (os.getuid(), os.getgid())


def test_a_task_is_run_once_and_explained(here: Here) -> None:
    first = json.loads(here("run", "--json").stdout)
    assert b"trained with 1.17.0" in here("logs").stdout
    second = here("run")
    assert b"reused run" in second.stderr
    assert json.loads(here("run", "--json").stdout)["run_id"] == first["run_id"]
    here("run", "--env", "NEW=1")
    assert b"environment.NEW: absent \xe2\x86\x92 1" in here("why").stdout
    assert len(here("runs", "--json").stdout.splitlines()) == 2


def test_a_task_that_fails_passes_its_code_on(here: Here) -> None:
    (here.folder / "lading.toml").write_text('[bad]\nrun = "sh -c \\"exit 9\\""\n')
    done = here("run", "bad", check=False)
    (here.folder / "lading.toml").unlink()
    assert done.returncode == 9


def test_a_folder_is_named_from_elsewhere(here: Here, tmp_path: Path) -> None:
    assert here("run", str(here.folder), "--", "echo", "x", cwd=tmp_path).stdout == b"x\n"


def test_collecting_with_the_newest_image_kept_builds_nothing_again(here: Here) -> None:
    here("build")
    here("store", "gc", "--keep", "0")
    assert b"whole" in here("store", "verify").stdout
    assert json.loads(here("build", "--json", "--offline").stdout)["reused"] is True


def test_a_flipped_byte_is_found_repaired_and_built_again(here: Here, tmp_path: Path) -> None:
    before = json.loads(here("build", "--json").stdout)
    layer = next(layer for layer in before["layers"] if layer["kind"] == "code")
    path = here.home / "blobs/sha256" / layer["digest"].removeprefix("sha256:")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)

    assert here("build", "--output", f"oci:{tmp_path}/out", check=False).returncode == 3
    assert here("store", "verify", check=False).returncode == 3
    assert here("store", "verify", "--repair").returncode == 0
    after = json.loads(here("build", "--json").stdout)
    assert (after["digest"], after["reused"]) == (before["digest"], False)
    assert here("store", "verify").returncode == 0
