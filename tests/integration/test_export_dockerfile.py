"""What plain Docker builds of an exported Dockerfile has the files, modes and packages of `lading build`.

Each difference is listed with its reason in export_differences.toml; an entry that explains nothing
fails too. Docker 20.10 with its own BuildKit builds; the Debian that fetches is made by mmdebstrap.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tree_views import Tree, differences, tree_in_tar

from lading.lock.debian.mirror import discover_mirrors
from services.process import Tool

pytestmark = [
    pytest.mark.slow,
    pytest.mark.network,
    pytest.mark.root,
    pytest.mark.docker,
    pytest.mark.registry,
]

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TABLE: dict[str, list[dict[str, Any]]] = tomllib.loads(
    (Path(__file__).parent / "export_differences.toml").read_text()
)
BASE = """\
FROM debian:bookworm-slim
ENV BASE_SAYS="hi there"
LABEL of.the.base="yes"
RUN mkdir -p /usr/lib/python3/dist-packages/numpy /usr/lib/python3/dist-packages/numpy-2.99.0.dist-info && \\
    echo 'version = 2' > /usr/lib/python3/dist-packages/numpy/__init__.py && \\
    printf 'Metadata-Version: 2.1\\nName: numpy\\nVersion: 2.99.0\\n' \\
        > /usr/lib/python3/dist-packages/numpy-2.99.0.dist-info/METADATA
ENTRYPOINT ["/bin/echo"]
"""
"""Somebody else's image, with a package that no index has in this version."""
MORE = {
    "vision": """
[image]
env    = { OPENCV_LOG_LEVEL = "ERROR", GREETING = 'it costs $5 "today"' }
labels = { "org.example.team" = "two words" }

[[image.files]]
source      = "shapes.png"
destination = "/srv/shapes/one.png"
mode        = "0444"

[[image.step]]
run    = "python tools/version.py > /srv/version; rm /etc/motd"
inputs = ["tools"]
env    = { LEVEL = "a b" }

[[image.step]]
run = \"\"\"
mkdir -m 1777 /srv/open  # anybody may write here
cat > /srv/greeting <<END
$GREETING
END
\"\"\"
""",
    "service": 'labels = { tier = "web" }\napt = ["libsndfile1"]\n',
}
INSTALLABLE = """
[project]
name = "installable"
version = "1.2"
dependencies = ["six"]
[project.scripts]
say = "installable:main"
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[tool.lading.image]
python  = "3.11"
flavour = "minimal"
"""
"""A project that is imported as if it were installed, in an image without a shell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One project's image as lading and as Docker made it."""

    name: str
    project: Path
    ours: str
    theirs: str
    """Tags in the engine."""
    archives: Mapping[str, Path]
    """Tag → what `docker export` wrote of it."""
    trees: tuple[Tree, Tree]
    sections: tuple[str, ...]
    """Of the table."""

    def read(self, path: str) -> tuple[bytes, bytes]:
        found = []
        for tag in (self.ours, self.theirs):
            with tarfile.open(self.archives[tag]) as tar:
                content = tar.extractfile(path)
                assert content is not None
                found.append(content.read())
        return found[0], found[1]

    def of(self, way: str, pattern: str) -> list[str]:
        """Paths that differ so and match."""
        return [p for w, p in differences(*self.trees) if w == way and re.fullmatch(pattern, p)]


@pytest.fixture(scope="module")
def engine(docker: Tool, bookworm_archive: Path, trixie_archive: Path) -> Tool:
    """Docker, which has the public Debian images under their names: stand-ins, made by mmdebstrap."""
    docker("import", bookworm_archive, "debian:bookworm-slim")
    docker("import", trixie_archive, "debian:trixie-slim")
    return Tool(prefix=docker.prefix, env=docker.env, timeout_seconds=1500)


def with_base(folder: Path, engine: Tool, registry: str) -> None:
    """The project's base is an image that Docker made and pushed."""
    name = f"{registry}/team/python:3.11-slim"
    (folder / "base").mkdir()
    (folder / "base/Dockerfile").write_text(BASE)
    engine("build", "--network", "none", "--tag", name, folder / "base")
    engine("push", name)
    shutil.rmtree(folder / "base")
    settings = (folder / "lading.toml").read_text()
    settings = settings.replace('"docker.io/library/python:3.12-slim"\n', f'"{name}"\n' + MORE["service"])
    (folder / "lading.toml").write_text(settings)
    with (folder / "requirements.txt").open("a") as requirements:
        requirements.write("\nnumpy\n")


def make_project(name: str, folder: Path, engine: Tool, registry: str) -> Path:
    if name == "installable":
        (folder / "src/installable").mkdir(parents=True)
        (folder / "src/installable/__init__.py").write_text("def main():\n    print('said')\n")
        (folder / "pyproject.toml").write_text(INSTALLABLE)
        return folder
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("out", "lading.lock"))
    if name == "service":
        with_base(folder, engine, registry)
    else:
        with (folder / "lading.toml").open("a") as settings:
            settings.write(MORE.get(name, ""))
    (folder / "tools").mkdir()
    (folder / "tools/version.py").write_text("import cv2, os\nprint(cv2.__version__, os.environ['LEVEL'])\n")
    (folder / "tools/run.sh").write_text("#!/bin/sh\n")
    (folder / "tools/run.sh").chmod(0o700)
    (folder / "tools/link").symlink_to("run.sh")
    (folder / "tools/__pycache__").mkdir()
    (folder / "tools/__pycache__/x.pyc").write_bytes(b"")
    (folder / "README.md").write_text("no code\n")
    return folder


def index_settings() -> list[str]:
    """How Docker's build gets at packages: what the host's own clients are configured with."""
    mirrors = discover_mirrors(os.environ, "bookworm")
    words = ["--build-arg", f"DEBIAN_MIRROR={mirrors.archive}"]
    words += ["--build-arg", f"DEBIAN_SECURITY_MIRROR={mirrors.security}"]
    if bundle := os.environ.get("SSL_CERT_FILE"):
        words += ["--secret", f"id=ca,src={bundle}"]
    for ours, theirs in (("UV_DEFAULT_INDEX", "PIP_INDEX_URL"), ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")):
        if url := os.environ.get(ours) or os.environ.get(theirs):
            words += ["--build-arg", f"{ours}={url}"]
    return words


PROJECTS = [("digits", "serve"), ("vision", "train"), ("service", "train"), ("installable", "train")]


@pytest.fixture(scope="module", params=PROJECTS, ids=lambda pair: pair[0])
def seen(
    request: pytest.FixtureRequest,
    lading: Tool,
    engine: Tool,
    registry: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Seen]:
    name, target = request.param
    folder = tmp_path_factory.mktemp(name)
    project = make_project(name, folder / name, engine, registry)
    archive = folder / "image.tar"
    arguments = ("--json", "--target", target, "--output", f"docker-archive:{archive}")
    built = json.loads(lading("build", *arguments, cwd=project).stdout)
    engine("load", "--input", archive)
    archive.unlink()
    lading("export", "dockerfile", ".", target, "--docker", "20.10", "--locked", cwd=project)
    theirs = f"{name}:of-docker"
    dockerfile = project / f"docker/{target}/Dockerfile"
    words = ("--network", "host", *index_settings(), "--file", dockerfile, "--tag", theirs)
    engine("build", *words, project)
    tags = (built["tag"], theirs)
    archives = {tag: exported(engine, tag, folder / f"{number}.tar") for number, tag in enumerate(tags)}
    yield Seen(
        name=name,
        project=project,
        ours=built["tag"],
        theirs=theirs,
        archives=archives,
        trees=(tree_in_tar(archives[tags[0]]), tree_in_tar(archives[tags[1]])),
        sections=("files", "foreign" if name == "service" else "debian"),
    )
    engine("rmi", "--force", *tags)
    shutil.rmtree(folder)


def exported(docker: Tool, tag: str, path: Path) -> Path:
    """What `docker export` writes of a container that was made and never started."""
    container = docker("create", tag).stdout.strip()
    docker("export", "--output", path, container)
    docker("rm", container)
    return path


def is_about(entry: Mapping[str, Any], way: str, path: str) -> bool:
    return way in entry["ways"] and re.fullmatch(entry["paths"], path) is not None


def test_docker_builds_the_same_files_and_modes(seen: Seen) -> None:
    """Paths, kinds, modes, link targets and sha256 of the whole root."""
    ours, theirs = seen.trees
    listed = [entry for section in seen.sections for entry in TABLE[section]]
    assert len(ours) > 3500
    unexplained = [
        f"{way} {path}: {ours.get(path)} -> {theirs.get(path)}"
        for way, path in differences(ours, theirs)
        if not any(is_about(entry, way, path) for entry in listed)
    ]
    assert not unexplained, "\n".join(unexplained)


USED: set[str] = set()


def test_owners_are_the_same(seen: Seen) -> None:
    """User and group of every path that both have."""
    owners = []
    for tag in (seen.ours, seen.theirs):
        with tarfile.open(seen.archives[tag]) as tar:
            owners.append({m.name.strip("/"): (m.uid, m.gid) for m in tar})
    shared = owners[0].keys() & owners[1].keys()
    assert [path for path in sorted(shared) if owners[0][path] != owners[1][path]] == []
    for way, path in differences(*seen.trees):
        USED.update(
            str(entry) for section in seen.sections for entry in TABLE[section] if is_about(entry, way, path)
        )


def test_records_differ_in_the_installers_rows_alone(seen: Seen) -> None:
    records = seen.of("changed", r".*\.dist-info/RECORD")
    assert records
    for path in records:
        rows = [
            sorted(
                row
                for row in content.decode().splitlines()
                if not row.partition(",")[0].endswith(("INSTALLER", "REQUESTED", "uv_cache.json"))
            )
            for content in seen.read(path)
        ]
        assert rows[0] == rows[1], path


def test_what_differs_in_words_says_the_same(seen: Seen, tmp_path: Path) -> None:
    """dpkg's records line by line; the linker's cache as ldconfig reads it."""
    for path in seen.of("changed", "var/lib/dpkg/status"):
        ours, theirs = seen.read(path)
        assert sorted(ours.splitlines()) == sorted(theirs.splitlines())
    for path in seen.of("changed", "var/lib/dpkg/triggers/File"):
        ours, theirs = (content.replace(b":amd64", b"") for content in seen.read(path))
        assert sorted(ours.splitlines()) == sorted(theirs.splitlines())
    for path in seen.of("changed", "etc/ld.so.cache"):
        listed = []
        for number, content in enumerate(seen.read(path)):
            (tmp_path / str(number)).write_bytes(content)
            command = ["ldconfig", "-p", "-C", tmp_path / str(number)]
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            listed.append([line for line in text.splitlines()[1:] if not line.startswith("Cache generated")])
        assert listed[0] == listed[1] or seen.name == "service"


OTHER_CODE = """
import marshal, pathlib
for path in sorted(pathlib.Path("/mnt/0").rglob("*.pyc")):
    name = path.relative_to("/mnt/0")
    one, other = path.read_bytes(), (pathlib.Path("/mnt/1") / name).read_bytes()
    if one[:16] != other[:16] or marshal.loads(one[16:]) != marshal.loads(other[16:]):
        print(name)
"""


def test_bytecode_that_differs_is_the_same_program(seen: Seen, engine: Tool, tmp_path: Path) -> None:
    """Asked of the image's own Python: the head of each file, and the code in it."""
    paths = set(seen.of("changed", r".*\.pyc"))
    for number, tag in enumerate((seen.ours, seen.theirs)):
        with tarfile.open(seen.archives[tag]) as tar:
            for member in tar:
                if member.name in paths:
                    content = tar.extractfile(member)
                    assert isinstance(content, io.BufferedReader)
                    target = tmp_path / str(number) / member.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(content.read())
    (tmp_path / "0").mkdir(exist_ok=True)
    tmp_path.chmod(0o755)
    words = ("run", "--rm", "--network", "none", "--user", "0", "--volume", f"{tmp_path}:/mnt:ro")
    said = engine(*words, "--entrypoint", "python", seen.theirs, "-IBc", OTHER_CODE)
    assert said.stdout == ""


def test_both_hold_the_same_packages(seen: Seen, engine: Tool) -> None:
    """As dpkg's records and importlib say."""
    held = []
    for content in seen.read("var/lib/dpkg/status"):
        lines = content.decode().splitlines()
        held.append(sorted(line for line in lines if line.startswith(("Package: ", "Version: "))))
    assert held[0] == held[1]
    wheels = "import importlib.metadata as m; print(sorted((d.name, d.version) for d in m.distributions()))"
    words = ("run", "--rm", "--network", "none")
    said = [engine(*words, tag, "python", "-Bc", wheels).stdout for tag in (seen.ours, seen.theirs)]
    assert said[0] == said[1]
    assert "('" in said[0]


RUNS = {
    "digits": ("python", "-c", "import onnxruntime, lading_runtime.serve"),
    "vision": (
        "python",
        "-c",
        "import cv2; assert open('/srv/greeting').read() == 'it costs $5 \"today\"\\n'",
    ),
    "service": ("python", "-c", "import fastapi, ctypes; ctypes.CDLL('libsndfile.so.1')"),
    "installable": ("say",),
}


def test_what_docker_built_runs(seen: Seen, engine: Tool) -> None:
    """As the image's user: its wheels with their libraries, what steps left, scripts of the project."""
    engine("run", "--rm", "--network", "none", seen.theirs, *RUNS[seen.name])


def test_the_config_is_the_same(seen: Seen, engine: Tool) -> None:
    """Environment, user, folder, command, entrypoint, labels and ports."""
    found = json.loads(engine("inspect", seen.ours, seen.theirs).stdout)
    ours, theirs = (
        {**one["Config"], "Env": sorted(one["Config"]["Env"])} for one in found
    )  # what is set twice has one value
    if seen.name == "service":
        assert theirs.pop("Labels") == {**ours.pop("Labels"), "of.the.base": "yes"}
    listed = {entry["key"] for entry in TABLE["config"]} - {"Labels"}
    assert {
        key: (ours.get(key), theirs.get(key))
        for key in ours.keys() | theirs.keys()
        if ours.get(key) != theirs.get(key) and key not in listed
    } == {}


def test_no_setting_of_the_build_is_in_the_image(seen: Seen, engine: Tool) -> None:
    """Mirrors, indexes and the path of the project are in no history, config or exported file."""
    settings = [word.partition("=")[2] for word in index_settings() if "=" in word and "id=" not in word]
    said = engine("history", "--no-trunc", "--format", "{{json .}}", seen.theirs).stdout
    said += engine("inspect", seen.theirs).stdout
    said += "".join(
        path.read_text(errors="replace") for path in (seen.project / "docker").rglob("*") if path.is_file()
    )
    for secret in (*settings, str(seen.project)):
        assert secret not in said, secret


def test_an_export_of_the_same_lock_is_the_same_bytes(seen: Seen, lading: Tool, tmp_path: Path) -> None:
    """Also of a project in another folder, where another store is used; --force writes over."""
    (exported_to,) = (seen.project / "docker").iterdir()
    before = {p.relative_to(seen.project): p.read_bytes() for p in exported_to.rglob("*") if p.is_file()}
    moved = tmp_path / "elsewhere" / seen.name
    shutil.copytree(seen.project, moved, symlinks=True)
    words = ("export", "dockerfile", ".", exported_to.name, "--docker", "20.10", "--locked", "--force")
    lading(*words, cwd=moved)
    after = {p.relative_to(moved): p.read_bytes() for p in (moved / "docker").rglob("*") if p.is_file()}
    assert after == before


def test_every_entry_of_the_table_has_a_reason_and_is_needed() -> None:
    """Runs last: what no image needed is no difference."""
    entries = [entry for section in ("files", "debian", "foreign") for entry in TABLE[section]]
    assert all(entry["reason"].strip() for entry in (*entries, *TABLE["config"]))
    assert [entry for entry in entries if str(entry) not in USED] == []
