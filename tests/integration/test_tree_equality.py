"""What an image's layers unpack to is what uv installs of the same lock, whoever looks.

The reference is made by uv in a chroot of the same Debian. Each difference is listed with its reason in
tree_differences.toml; an entry of the table that explains nothing fails too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tarfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks.wheels61 import LOCK, fetch_wheels
from tree_views import (
    OURS,
    VENV,
    ReferenceRoot,
    Tree,
    below,
    differences,
    tree_in_container,
    tree_of_docker,
    without_bytecode,
)

from lading.fetch.http import Fetcher
from services.process import Tool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.root,
    pytest.mark.docker,
    pytest.mark.engines,
]

TABLE: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parent / "tree_differences.toml").read_text()
)
FEW = """\
charset-normalizer
greenlet
jmespath
jupyterlab-widgets
numpy
scikit-learn
setuptools
tqdm
"""
"""Console scripts; scripts, data files and headers in .data; a .pth file; shared objects; own layers."""


@dataclass
class Seen:
    """One set of wheels as each viewer sees it."""

    name: str
    project: Path
    unpacked: Tree
    exported: Tree
    embedded: Tree
    reference: ReferenceRoot
    installed: Tree
    """/opt/venv as uv makes it, its bytecode left out."""


def write_project(folder: Path, requirements: str, *, bytecode: bool) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requirements.txt").write_text(requirements)
    settings = ['python = "3.11"', 'base = "debian:bookworm"', 'user = "0:0"']
    settings.append(f"bytecode = {str(bytecode).lower()}")
    (folder / "lading.toml").write_text("[image]\n" + "\n".join(settings) + "\n")
    (folder / "main.py").write_text('print("hello")\n')
    return folder


def locked_wheels(project: Path) -> list[dict[str, Any]]:
    """The train target of the project's lock."""
    lock = tomllib.loads((project / "lading.lock").read_text())
    (variant,) = lock["variant"]
    chosen = set(variant["target"]["train"]["wheels"])
    return [wheel for wheel in variant["wheel"] if wheel["name"] in chosen]


def as_requirements(rows: Iterable[Mapping[str, Any]]) -> str:
    """As pip and uv read them."""
    return "".join(f"{row['name']}=={row['version']} --hash=sha256:{row['sha256']}\n" for row in rows)


def gather(rows: list[dict[str, Any]], folder: Path, known: Path | None) -> Path:
    """`folder` with these very wheels: from `known` where they are there, else downloaded and checked."""
    folder.mkdir()
    fetcher = Fetcher(staging=folder, environment=os.environ)
    with contextlib.closing(fetcher):
        for row in rows:
            if known is not None and (known / row["filename"]).is_file():
                shutil.copy(known / row["filename"], folder)
            else:
                fetcher.download(row["url"], folder / row["filename"], sha256=row["sha256"])
    assert {wheel.name for wheel in folder.iterdir()} == {row["filename"] for row in rows}
    return folder


@pytest.fixture(scope="module", params=["few", "sixty-one"])
def seen(
    request: pytest.FixtureRequest,
    lading: Tool,
    umoci: Tool,
    docker: Tool,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp(request.param)
    known = fetch_wheels()[0].parent if request.param == "sixty-one" else None
    project = write_project(folder / "p", LOCK.read_text() if known else FEW, bytecode=False)
    (with_wheels(lading, known) if known else lading)("lock", cwd=project)
    wheels = gather(locked_wheels(project), folder / "wheels", known)
    lading = with_wheels(lading, wheels)
    outputs = ("--output", f"oci:{folder}/layout", "--output", f"docker-archive:{folder}/image.tar")
    built = json.loads(lading("build", "--json", "--locked", *outputs, cwd=project).stdout)
    tag = built["tag"].rpartition(":")[2]
    umoci("unpack", "--image", f"layout:{tag}", folder / "bundle", cwd=folder)
    reference = ReferenceRoot(root=folder / "bundle/rootfs", wheels=wheels)
    unpacked = reference.tree()
    reference.install(as_requirements(locked_wheels(project)))
    yield Seen(
        name=request.param,
        project=project,
        unpacked=unpacked,
        exported=tree_of_docker(docker, folder / "image.tar", built["tag"]),
        embedded=tree_in_container(lading, project),
        reference=reference,
        installed=without_bytecode(reference.tree(VENV)),
    )
    shutil.rmtree(folder)


def with_wheels(lading: Tool, folder: Path) -> Tool:
    env = {**lading.env, "UV_FIND_LINKS": str(folder)}
    return Tool(prefix=lading.prefix, env=env, timeout_seconds=lading.timeout_seconds)


def unexplained(section: str, expected: Tree, found: Tree) -> list[str]:
    """One sentence for each difference that the table's `section` does not list."""
    return [
        f"{way} {path}: {expected.get(path)} -> {found.get(path)}"
        for way, path in differences(expected, found)
        if not any(is_about(entry, way, path) for entry in TABLE[section])
    ]


def is_about(entry: Mapping[str, Any], way: str, path: str) -> bool:
    return way in entry["ways"] and re.fullmatch(entry["paths"], path) is not None


def test_layers_unpack_to_what_uv_installs(seen: Seen) -> None:
    """Paths, modes, link targets and sha256 of /opt/venv."""
    ours = below(seen.unpacked, VENV)
    assert len(ours) > (25_000 if seen.name == "sixty-one" else 3_000)
    assert unexplained("uv", seen.installed, ours) == []


def test_records_say_what_uv_wrote(seen: Seen) -> None:
    """RECORD differs in the rows of the files that differ, and in nothing else."""
    root = seen.reference.root
    pattern = "lib/python3.11/site-packages/*.dist-info/RECORD"
    records = sorted((root / OURS).glob(pattern))
    assert (
        len(records) == len(list((root / VENV).glob(pattern))) == len(list(seen.reference.wheels.iterdir()))
    )
    for record in records:
        theirs = root / VENV / record.relative_to(root / OURS)
        assert rows_of(record) == rows_of(theirs)


def rows_of(record: Path) -> list[str]:
    of_the_installer = ("INSTALLER", "REQUESTED", "uv_cache.json")
    rows = record.read_text().splitlines()
    return sorted(row for row in rows if not row.partition(",")[0].endswith(of_the_installer))


@pytest.mark.parametrize("viewer", ["exported", "embedded"])
def test_every_viewer_sees_one_tree(seen: Seen, viewer: str) -> None:
    """The whole root, as umoci unpacks it, against Docker's export and a container of the embedded engine."""
    assert unexplained(viewer, seen.unpacked, getattr(seen, viewer)) == []


def test_every_entry_of_the_table_is_needed_and_has_a_reason(seen: Seen) -> None:
    pairs = {
        "uv": (seen.installed, below(seen.unpacked, VENV)),
        "exported": (seen.unpacked, seen.exported),
        "embedded": (seen.unpacked, seen.embedded),
    }
    assert set(TABLE) == set(pairs)
    for section, entries in TABLE.items():
        found = differences(*pairs[section])
        for entry in entries:
            assert entry["reason"].strip()
            assert any(is_about(entry, way, path) for way, path in found), entry


@pytest.mark.catalogue("D09")
def test_bytecode_layers_hold_what_uv_compiles(seen: Seen, lading: Tool) -> None:
    """As many .pyc files under the same names, each the same program.

    Not each the same bytes: what marshal writes depends on how often an object is referred to at that moment
    (a handful of files); lading's own bytes are reproducible because it compiles from a bare state.
    Scripts with a name that ends in .py are compiled too, as pip does and uv does not.
    """
    write_project(seen.project, (seen.project / "requirements.txt").read_text(), bytecode=True)
    tool = with_wheels(lading, seen.reference.wheels)
    built = json.loads(tool("build", "--json", "--locked", cwd=seen.project).stdout)
    store = Path(lading.env["LADING_HOME"])
    ours: dict[str, bytes] = {}
    for layer in built["layers"]:
        if layer["kind"] == "bytecode":
            ours |= files_in(store / "blobs/sha256" / layer["digest"].removeprefix("sha256:"))
    ours = {path: content for path, content in ours.items() if not path.startswith(f"{VENV}/bin/")}
    theirs = seen.reference.root.glob(f"{VENV}/**/*.pyc")
    assert sorted(ours) == sorted(str(path.relative_to(seen.reference.root)) for path in theirs)
    assert seen.reference.other_code(ours) == []


def files_in(layer: Path) -> dict[str, bytes]:
    with tarfile.open(layer, "r:gz") as tar:
        return {
            member.name: content.read()
            for member in tar
            if member.isreg() and (content := tar.extractfile(member)) is not None
        }
