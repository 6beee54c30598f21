"""`lading export dockerfile`: everything is pinned, nothing of the host is in it, nothing is overwritten."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from .conftest import Lading

GOLDEN = Path(__file__).parent.parent.parent / "golden/oldest-lock"
SETTINGS = """
[[image.step]]
run     = "python tools/make.py"
inputs  = ["tools"]
secrets = ["TOKEN"]

[[image.step]]
run     = "curl x"
network = true

[[image.step]]
run = "cat <<END\\nhello\\nEND\\n"

[[image.files]]
source      = "names.txt"
destination = "/srv/names"
mode        = "0400"

[[image.files]]
source      = "https://example.org/vocabulary.bin"
destination = "/srv/vocabulary"
sha256      = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project of the oldest lock, each wheel with an address of an index."""
    folder = tmp_path / "of-somebody" / "p"
    shutil.copytree(GOLDEN, folder)
    lock = (folder / "lading.lock").read_text()
    with_url = re.sub(r'(filename = "(\S+\.whl)"\n)', r'\1url = "https://index.example/files/\2"\n', lock)
    (folder / "lading.lock").write_text(with_url)
    (folder / "tools").mkdir()
    (folder / "tools/make.py").write_text("print()\n")
    (folder / "names.txt").write_text("names\n")
    return folder


def export(lading: Lading, folder: Path, *words: str, **variables: str) -> Any:
    return lading("export", "dockerfile", f"{folder}/", "train", "--locked", *words, **variables)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_lock_and_code_give_the_same_bytes(lading: Lading, project: Path, tmp_path: Path) -> None:
    """Whatever the folder's name and the order of its files; with no path of the host."""
    assert export(lading, project).status == 0
    moved = tmp_path / "another place" / "p"
    shutil.copytree(project, moved, ignore=shutil.ignore_patterns("docker"))
    assert export(lading, moved).status == 0
    first = tree(project / "docker")
    assert tree(moved / "docker") == first
    assert [name for name, content in first.items() if b"of-somebody" in content] == []


def test_everything_that_is_installed_is_named_by_sha256(lading: Lading, project: Path) -> None:
    export(lading, project)
    folder = project / "docker/train"
    rows = (folder / "packages.txt").read_text().splitlines()
    assert len(rows) > 80
    assert all(re.fullmatch(r"/packages/\w+ [0-9a-f]{64} bookworm(-security)? pool/\S+", row) for row in rows)
    wheels = (folder / "requirements.txt").read_text().splitlines()[1:]
    assert [row.split("==")[0] for row in wheels] == ["numpy", "six"]
    assert all(re.fullmatch(r"\S+==\S+ --hash=sha256:[0-9a-f]{64}", row) for row in wheels)


def test_standard_output_is_the_dockerfile_and_nothing_is_written(lading: Lading, project: Path) -> None:
    said = export(lading, project, "--stdout")
    assert said.status == 0
    assert said.stdout.startswith("# oldest-lock, target train, for cpu on linux/amd64.\n")
    assert not (project / "docker").exists()
    export(lading, project)
    assert (project / "docker/train/Dockerfile").read_text() == said.stdout


def test_an_export_is_not_overwritten_unasked(lading: Lading, project: Path) -> None:
    export(lading, project)
    dockerfile = project / "docker/train/Dockerfile"
    dockerfile.write_text("mine\n")
    (project / "docker/train/notes.md").write_text("mine\n")
    refused = export(lading, project)
    assert (refused.status, "--force" in refused.stderr) == (1, True)
    assert dockerfile.read_text() == "mine\n"
    assert export(lading, project, "--force").status == 0
    assert dockerfile.read_text() != "mine\n"
    assert (project / "docker/train/notes.md").read_text() == "mine\n"


def test_force_removes_what_the_last_export_had_more(lading: Lading, project: Path) -> None:
    with (project / "lading.toml").open("a") as settings:
        settings.write(SETTINGS)
    assert lading("export", "dockerfile", f"{project}/", "--locked").status == 0
    assert (project / "docker/train/steps/3.sh").read_text() == "cat <<END\nhello\nEND\n"
    shutil.copy(GOLDEN / "lading.toml", project)
    assert export(lading, project, "--force").status == 0
    assert not (project / "docker/train/steps/3.sh").exists()


def test_an_export_is_no_code(lading: Lading, project: Path) -> None:
    """Two of them, one after the other, do not hold each other."""
    export(lading, project)
    before = tree(project / "docker")
    assert lading("export", "dockerfile", f"{project}/", "dev", "--locked").status == 0
    assert export(lading, project, "--force").status == 0
    assert tree(project / "docker/train") == {
        name.removeprefix("train/"): content for name, content in before.items()
    }


@pytest.mark.parametrize("place", ["../beside", ".", "/"])
def test_a_folder_outside_of_the_project_is_refused(lading: Lading, project: Path, place: str) -> None:
    said = export(lading, project, "--output", str(project / place))
    assert (said.status, "build context" in said.stderr) == (1, True)


def test_steps_and_files_keep_their_meaning(lading: Lading, project: Path) -> None:
    with (project / "lading.toml").open("a") as settings:
        settings.write(SETTINGS)
    newer = export(lading, project, "--stdout").stdout
    older = export(lading, project, "--stdout", "--docker", "20.10").stdout
    assert newer.count("RUN --network=none") == 2, "the second step has the network"
    assert "COPY --link --from=environment" in newer
    assert "--network=none" not in older
    assert "--link" not in older
    for text in (newer, older):
        assert 'export TOKEN="$(cat /run/secrets/TOKEN)"' in text
        assert "SHA256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" in text
        assert "chmod 400 /out/srv/names" in text
        assert text.index("python tools/make.py") < text.index("COPY --from=files")
    ignored = tree(project) if (project / "docker").exists() else {}
    assert ignored == {}


def test_what_is_asked_wrongly_is_explained(lading: Lading, project: Path) -> None:
    for words, said in (
        (("compose",), "there is no `compose`"),
        (("dockerfile", f"{project}/", "trian"), "lading export dockerfile train"),
        (("dockerfile", "a", "b", "c"), "one argument too many"),
    ):
        done = lading("export", *words)
        assert (done.status, said in done.stderr) == (2, True), done.stderr


def test_the_linter_has_nothing_to_say(lading: Lading, project: Path) -> None:
    with (project / "lading.toml").open("a") as settings:
        settings.write(SETTINGS)
    export(lading, project)
    said = lading("lint", str(project / "docker/train"))
    assert (said.status, said.stdout) == (0, "")


def test_json_says_what_was_written(lading: Lading, project: Path) -> None:
    said = export(lading, project, "--json").document
    mark = json.loads((project / "docker/train/lading-export.json").read_text())
    assert set(said["files"]) == {*mark["files"], "lading-export.json"} == set(tree(project / "docker/train"))
    assert mark["lock"].startswith("sha256:")
