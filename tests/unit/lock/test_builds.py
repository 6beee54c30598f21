"""What comes as source gets exactly one wheel, in the version that all requirements allow, built once."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from lading.errors import ProjectError, ResolutionFailed
from lading.fetch.http import Fetcher
from lading.lock.base.image import FoundBase
from lading.lock.base.probe import Probe
from lading.lock.builder import BuildJob, BuildRoom, BuiltWheel, MoreRequirements
from lading.lock.builds import Builds
from lading.lock.model import LockedBase, LockedInterpreter
from lading.lock.requirements import TargetRequirements
from lading.lock.source_fetch import SourceFetcher
from lading.lock.source_files import build_backend, source_name, source_texts
from lading.lock.source_list import _entries
from lading.lock.target import target_environment
from lading.lock.wheels import ResolvedWheels, WheelRequest, resolve_wheels
from lading.oci.digest import Digest
from lading.oci.platform import Platform
from lading.project.model import DirectReference, Project, SourceBuild
from lading.store import Store
from lock.index import Index, make_project, make_wheel

SETUP = "raise SystemExit('setup.py ran on this machine')\n"
ROOM = BuildRoom(
    base="debian:bookworm",
    python="3.11",
    platform="linux/amd64",
    interpreter=LockedInterpreter(
        provider="debian", version="3.11", build="3.11.2-6", executable="/usr/bin/python3.11"
    ),
    packages=(),
    wheels=(),
)


@dataclasses.dataclass
class Bench:
    """A builder that answers with wheels made here: what a sandbox would do, without one."""

    folder: Path
    requires: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    asks: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    jobs: list[BuildJob] = dataclasses.field(default_factory=list)

    def build(self, job: BuildJob) -> BuiltWheel:
        if (more := self.asks.pop(job.name, None)) is not None:
            raise MoreRequirements(more)
        self.jobs.append(job)
        texts = source_texts(job.path, None, job.name)
        version = texts["setup.py"].rpartition("VERSION=")[2].strip()
        filename, content = make_wheel(job.name, version, requires=self.requires.get(job.name, ()))
        path = self.folder / filename
        path.write_bytes(content)
        return BuiltWheel(
            name=job.name,
            version=version,
            filename=filename,
            sha256=hashlib.sha256(content).hexdigest(),
            size_bytes=len(content),
            isolation="namespaces",
            path=path,
        )


def source(name: str, version: str, requires: tuple[str, ...] = ("setuptools",)) -> bytes:
    buffer = io.BytesIO()
    pyproject = f"[build-system]\nrequires = {list(requires)!r}\nbuild-backend = 'setuptools.build_meta'\n"
    files = {"setup.py": f"{SETUP}# VERSION={version}\n", "pyproject.toml": pyproject}
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for member, text in files.items():
            info = tarfile.TarInfo(f"{name}-{version}/{member}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def offer(index: Index, name: str, version: str, requires: tuple[str, ...] = ("setuptools",)) -> None:
    index._offer(name, f"{name}-{version}.tar.gz", source(name, version, requires))


@dataclasses.dataclass
class Resolver:
    store: Store
    fetcher: Fetcher
    environment: dict[str, str]
    scratch: Path
    bench: Bench

    def __call__(self, project: Project, base: FoundBase | None = None) -> tuple[ResolvedWheels, Builds]:
        request = WheelRequest(
            project=project,
            target=target_environment("debian:bookworm", "3.11.2", Platform.parse("linux/amd64")),
            accelerator="cpu",
            requirements={"train": TargetRequirements()},
            kept={},
            known_sizes={},
            base=base,
        )
        links = self.scratch / "links"
        links.mkdir(parents=True)
        builds = Builds(
            project=project,
            target=request.target,
            accelerator="cpu",
            builder=self.bench,
            sources=SourceFetcher(
                root=project.root,
                scratch=self.scratch,
                store=self.store,
                fetcher=self.fetcher,
                environment=self.environment,
            ),
            room=lambda: ROOM,
            resolve=self.resolve,
            links=links,
            previous={},
            base=base,
        )
        builds.take_direct()
        return self.resolve(request, builds), builds

    def resolve(self, request: WheelRequest, builds: Builds) -> ResolvedWheels:
        return resolve_wheels(
            request, store=self.store, fetcher=self.fetcher, environment=self.environment, builds=builds
        )


@pytest.fixture
def resolver(
    store: Store, fetcher: Fetcher, environment: dict[str, str], tmp_path: Path, index: Index
) -> Resolver:
    (tmp_path / "bench").mkdir()
    index.add("setuptools", "80.0")
    return Resolver(store, fetcher, environment, tmp_path / "scratch", Bench(tmp_path / "bench"))


def test_the_version_that_is_built_is_the_one_all_requirements_allow(
    index: Index, resolver: Resolver, tmp_path: Path
) -> None:
    for version in ("1.0", "1.5", "2.0"):
        offer(index, "only-source", version)
    index.add("user", "1.0", requires=["only-source<2"])
    index.add("needed", "3.0")
    resolver.bench.requires["only-source"] = ("needed",)
    resolved, builds = resolver(make_project(tmp_path / "p", requirements="user\nonly-source>=1.0\n"))
    assert {wheel.name: wheel.version for wheel in resolved.wheels} == {
        "user": "1.0",
        "only-source": "1.5",
        "needed": "3.0",
    }
    (job,) = resolver.bench.jobs
    assert [wheel.name for wheel in job.room.wheels] == ["setuptools"]
    (locked,) = builds.made.builds.values()
    assert (locked.source.kind, locked.source.location) == ("sdist", "only-source-1.5.tar.gz")
    content = index.server.files["/files/only-source-1.5.tar.gz"]
    assert locked.source.digest == hashlib.sha256(content).hexdigest()


def test_a_version_with_a_wheel_goes_before_a_later_one_without(
    index: Index, resolver: Resolver, tmp_path: Path
) -> None:
    index.add("both", "1.0")
    offer(index, "both", "2.0")
    resolved, _ = resolver(make_project(tmp_path / "p", requirements="both\n"))
    assert [wheel.version for wheel in resolved.wheels] == ["1.0"]
    assert resolver.bench.jobs == []


def test_a_build_requirement_without_a_wheel_is_built_first(
    index: Index, resolver: Resolver, tmp_path: Path
) -> None:
    offer(index, "outer", "1.0", ("inner",))
    offer(index, "inner", "1.0")
    resolved, builds = resolver(make_project(tmp_path / "p", requirements="outer\n"))
    assert [job.name for job in resolver.bench.jobs] == ["inner", "outer"]
    assert [wheel.name for wheel in resolved.wheels] == ["outer"]
    assert sorted(build.name for build in builds.made.builds.values()) == ["inner", "outer"]


def test_a_circle_of_build_requirements_is_named(index: Index, resolver: Resolver, tmp_path: Path) -> None:
    offer(index, "egg", "1.0", ("hen",))
    offer(index, "hen", "1.0", ("egg",))
    with pytest.raises(ResolutionFailed, match="egg → hen → egg"):
        resolver(make_project(tmp_path / "p", requirements="egg\n"))


def test_what_only_the_backend_asks_for_is_added(index: Index, resolver: Resolver, tmp_path: Path) -> None:
    offer(index, "dynamic", "1.0")
    index.add("cmake", "4.0")
    resolver.bench.asks["dynamic"] = ("cmake>=3",)
    resolver(make_project(tmp_path / "p", requirements="dynamic\n"))
    assert [wheel.name for wheel in resolver.bench.jobs[0].room.wheels] == ["cmake", "setuptools"]


def test_needs_are_the_locked_versions(index: Index, resolver: Resolver, tmp_path: Path) -> None:
    index.add("torch", "2.8")
    index.add("torch", "2.9")
    offer(index, "kernels", "1.0")
    project = dataclasses.replace(
        make_project(tmp_path / "p", requirements="torch<2.9\nkernels\n"),
        builds={"kernels": SourceBuild(needs=("torch",))},
    )
    resolver(project)
    held = {wheel.name: wheel.version for wheel in resolver.bench.jobs[0].room.wheels}
    assert held["torch"] == "2.8"


def test_a_need_that_the_project_does_not_depend_on_is_refused(
    index: Index, resolver: Resolver, tmp_path: Path
) -> None:
    offer(index, "flash-attn", "1.0")
    with pytest.raises(ResolutionFailed, match="flash-attn needs torch while it is built"):
        resolver(make_project(tmp_path / "p", requirements="flash-attn\n"))


def base_with(held: dict[str, str]) -> FoundBase:
    """A registry image whose Python sees these distributions."""
    said = {name: f"Metadata-Version: 2.1\nName: {name}\nVersion: {held[name]}\n" for name in held}
    locked = LockedBase(
        reference="registry.example/base:1",
        digest=Digest.of(b"base"),
        layers=(),
        env={},
        distribution="debian bookworm",
        glibc_minor=36,
        held=held,
    )
    probe = Probe(distribution="debian bookworm", glibc_minor=36, python=None, metadata=said, packages={})
    return FoundBase(locked=locked, probe=probe)


def test_a_need_that_the_base_holds_is_the_bases_and_is_not_installed(
    index: Index, resolver: Resolver, tmp_path: Path
) -> None:
    """No index has its version; and the project need not ask for it."""
    index.add("torch", "2.9")
    offer(index, "flash-attn", "1.0")
    project = make_project(tmp_path / "p", requirements="flash-attn\n")
    resolved, _ = resolver(project, base_with({"torch": "2.8.0a0+nv25.6"}))
    (job,) = resolver.bench.jobs
    assert [wheel.name for wheel in job.room.wheels] == ["setuptools"]
    assert [wheel.name for wheel in resolved.wheels] == ["flash-attn"]


@pytest.mark.parametrize(
    ("asked", "installed"),
    [("cython", ["setuptools"]), ("cython>=3.0", ["setuptools"]), ("cython>=3.1", ["cython", "setuptools"])],
)
def test_a_build_requirement_goes_over_the_base_only_where_the_bases_does_not_fit(
    index: Index, resolver: Resolver, tmp_path: Path, asked: str, installed: list[str]
) -> None:
    """An image never holds a package twice; a room may: nothing of it is kept but the wheel."""
    index.add("cython", "3.1")
    offer(index, "fast", "1.0", ("setuptools", asked))
    project = make_project(tmp_path / "p", requirements="fast\n")
    resolved, _ = resolver(project, base_with({"cython": "3.0.12"}))
    (job,) = resolver.bench.jobs
    assert [wheel.name for wheel in job.room.wheels] == installed
    assert [wheel.name for wheel in resolved.wheels] == ["fast"]


def test_wheel_folders_are_seen_beside_what_a_base_holds(
    index: Index, resolver: Resolver, tmp_path: Path
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    filename, content = make_wheel("at-hand", "1.0")
    (folder / filename).write_bytes(content)
    resolver.environment["UV_FIND_LINKS"] = str(folder)
    project = make_project(tmp_path / "p", requirements="at-hand\n")
    resolved, _ = resolver(project, base_with({"torch": "2.8.0a0+nv25.6"}))
    assert [wheel.name for wheel in resolved.wheels] == ["at-hand"]


def test_a_direct_reference_goes_before_what_an_index_has(
    index: Index, resolver: Resolver, tmp_path: Path
) -> None:
    index.add("mine", "1.0", padding=9000)
    archive = tmp_path / "mine-1.0.tar.gz"
    archive.write_bytes(source("mine", "1.0"))
    project = make_project(tmp_path / "p", requirements="../mine-1.0.tar.gz\n")
    reference = DirectReference(kind="path", location=str(archive), name="mine", line="../mine-1.0.tar.gz")
    project = dataclasses.replace(
        project, requirements=dataclasses.replace(project.requirements, direct=(reference,))
    )
    resolved, builds = resolver(project)
    (locked,) = builds.made.builds.values()
    assert resolved.wheels[0].sha256 == locked.sha256
    assert (locked.source.kind, locked.source.location) == ("path", "../mine-1.0.tar.gz")


@pytest.mark.parametrize(
    ("text", "requires", "name"),
    [
        ("", ("setuptools>=40.8.0",), "setuptools.build_meta:__legacy__"),
        ('[build-system]\nrequires = ["a"]\n', ("a",), "setuptools.build_meta:__legacy__"),
        ('[build-system]\nrequires = []\nbuild-backend = "b"\nbackend-path = ["."]\n', (), "b"),
    ],
)
def test_the_backend_is_what_pep_517_says(text: str, requires: tuple[str, ...], name: str) -> None:
    backend = build_backend({"pyproject.toml": text, "setup.py": ""}, "x")
    assert (backend.requires, backend.name) == (requires, name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[build-system]\n", "no list `requires`"),
        ('[build-system]\nrequires = []\nbackend-path = ["../x"]\n', "no usable backend"),
        ("[build-system\n", "not TOML"),
    ],
)
def test_a_broken_build_system_is_named(text: str, says: str) -> None:
    with pytest.raises(ProjectError, match=says):
        build_backend({"pyproject.toml": text}, "thing")


def test_a_name_is_read_from_what_is_static() -> None:
    assert source_name({"pyproject.toml": '[project]\nname = "A_b"\n'}, "x") == "a-b"
    assert source_name({"PKG-INFO": "Metadata-Version: 2.2\nName: C.d\n"}, "x") == "c-d"
    assert source_name({"setup.cfg": "[metadata]\nname = e\n"}, "x") == "e"
    assert source_name({"setup.py": "setup(name='f')"}, "x") is None


def test_a_page_of_links_gives_files_hashes_and_pythons_and_nothing_yanked() -> None:
    page = (
        b'<a href="../a-1.tar.gz#sha256=11" data-requires-python="&gt;=3.8">a</a>'
        b'<a href="a-2.tar.gz" data-yanked="">a</a>'
    )
    assert list(_entries(page, "https://i/simple/a/")) == [
        ("a-1.tar.gz", "https://i/simple/a-1.tar.gz", "11", ">=3.8")
    ]
