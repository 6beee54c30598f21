"""PyTorch's builds come from the accelerator's own index, all else from the usual one, and no build is mixed.

The indexes are on loopback and laid out as PyTorch lays out its own: a folder a backend, PEP 503 pages of
links, local versions in the file names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from lading.errors import OutsideError, ResolutionFailed
from lading.fetch.http import Fetcher
from lading.lock.model import LockedWheel
from lading.lock.requirements import TargetRequirements, target_requirements
from lading.lock.sources import open_wheel
from lading.lock.target import target_environment
from lading.lock.wheels import ResolvedWheels, WheelRequest, resolve_wheels
from lading.oci.platform import Platform
from lading.project.model import Project
from lading.store import Store
from lock.index import Index, make_project, make_wheel

Resolve = Callable[..., ResolvedWheels]
TAG = "cp311-cp311-manylinux_2_28_x86_64"


class TorchIndex:
    """`/whl/BACKEND/NAME/` beside the usual index, on the same server."""

    def __init__(self, index: Index) -> None:
        self.server = index.server
        self.pages: dict[str, list[tuple[str, str]]] = {}
        self.base = index.server.url("/whl")

    def add(
        self, backend: str, name: str, version: str, *, tag: str = TAG, requires: tuple[str, ...] = ()
    ) -> None:
        filename, content = make_wheel(name, version, tag=tag, requires=requires)
        # A link as PyTorch writes it: the plus sign quoted, the hash in the fragment.
        place = f"/whl/{backend}/{filename}"
        self.server.files[place] = self.server.files[place.replace("+", "%2B")] = content
        page = f"/whl/{backend}/{name}/"
        link = f"../{filename.replace('+', '%2B')}#sha256={hashlib.sha256(content).hexdigest()}"
        self.pages.setdefault(page, []).append((link, filename))
        rows = "".join(f'<a href="{link}">{text}</a><br/>\n' for link, text in self.pages[page])
        self.server.files[page] = f"<!DOCTYPE html><html><body>{rows}</body></html>".encode()
        self.server.answers[page] = [_html]


def _html(handler: object, content: bytes) -> None:
    handler.begin(200, len(content), Content_Type="text/html")  # type: ignore[attr-defined]
    handler.body(content)  # type: ignore[attr-defined]


@pytest.fixture
def torch(index: Index) -> TorchIndex:
    """torch 2.15 with CUDA 13.2 on the usual index, older builds on its own, an old numpy beside them."""
    index.add("torch", "2.15.0", tag=TAG, requires=["cuda-toolkit==13.2.2", "numpy"])
    index.add("cuda-toolkit", "13.2.2")
    index.add("nvidia-cuda-runtime-cu12", "12.6.77")
    index.add("numpy", "2.3")
    builds = TorchIndex(index)
    for backend, requires in (("cu126", ("nvidia-cuda-runtime-cu12==12.6.77",)), ("cu118", ()), ("cpu", ())):
        builds.add(backend, "torch", f"2.9.1+{backend}", requires=("numpy", *requires))
        builds.add(backend, "torchvision", f"0.24.1+{backend}", requires=(f"torch==2.9.1+{backend}",))
        builds.add(backend, "numpy", "1.26", tag="py3-none-any")
    return builds


@pytest.fixture
def resolve(torch: TorchIndex, store: Store, fetcher: Fetcher, environment: dict[str, str]) -> Resolve:
    def run(
        project: Project, accelerator: str, targets: dict[str, TargetRequirements] | None = None
    ) -> ResolvedWheels:
        request = WheelRequest(
            project=project,
            target=target_environment(project.image.base, "3.11.2", Platform.parse("linux/amd64")),
            accelerator=accelerator,
            requirements=targets or {"train": TargetRequirements()},
            kept={},
            known_sizes={},
        )
        known = {**environment, "LADING_TORCH_INDEX": torch.base}
        return resolve_wheels(request, store=store, fetcher=fetcher, environment=known)

    return run


def pins(resolved: ResolvedWheels) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in resolved.wheels}


def test_each_accelerator_has_its_own_builds_and_all_else_from_the_usual_index(
    tmp_path: Path, resolve: Resolve
) -> None:
    project = make_project(tmp_path / "p", requirements="torch\n")
    assert pins(resolve(project, "cu126")) == {
        "torch": "2.9.1+cu126",
        "numpy": "2.3",
        "nvidia-cuda-runtime-cu12": "12.6.77",
    }
    assert pins(resolve(project, "cu118")) == {"torch": "2.9.1+cu118", "numpy": "2.3"}
    assert pins(resolve(project, "cpu")) == {"torch": "2.9.1+cpu", "numpy": "2.3"}
    assert pins(resolve(project, "cuda"))["torch"] == "2.15.0"


def test_the_locked_file_name_is_the_wheels_own(tmp_path: Path, resolve: Resolve, torch: TorchIndex) -> None:
    resolved = resolve(make_project(tmp_path / "p", requirements="torch\n"), "cu126")
    wheel = next(wheel for wheel in resolved.wheels if wheel.name == "torch")
    assert wheel.filename == f"torch-2.9.1+cu126-{TAG}.whl"
    assert wheel.url == f"{torch.base}/cu126/torch-2.9.1%2Bcu126-{TAG}.whl"


def test_a_build_that_only_another_package_asks_for_is_taken_from_there_too(
    tmp_path: Path, resolve: Resolve, index: Index
) -> None:
    index.add("trainer", "1.0", requires=["torchvision"])
    index.add("torchvision", "0.30.0", tag=TAG, requires=["torch==2.15.0"])
    resolved = resolve(make_project(tmp_path / "p", requirements="trainer\n"), "cu126")
    assert pins(resolved)["torchvision"] == "0.24.1+cu126"
    assert pins(resolved)["torch"] == "2.9.1+cu126"


def test_a_version_that_only_the_own_index_has_resolves(tmp_path: Path, resolve: Resolve) -> None:
    project = make_project(tmp_path / "p", requirements="torch==2.9.1\n")
    object.__setattr__(project.requirements, "names", ("torch",))
    assert pins(resolve(project, "cu126"))["torch"] == "2.9.1+cu126"


def test_a_target_without_torch_gets_none(tmp_path: Path, resolve: Resolve, index: Index) -> None:
    index.add("server", "1.0")
    index.add("embedder", "1.0", requires=["torch"])
    targets = {
        "train": TargetRequirements(),
        "serve": TargetRequirements(only=("server",)),
        "embed": TargetRequirements(only=("embedder",)),
    }
    resolved = resolve(make_project(tmp_path / "p", requirements="torch\n"), "cu126", targets)
    assert resolved.targets["serve"] == ("server",)
    assert resolved.targets["embed"] == ("embedder", "numpy", "nvidia-cuda-runtime-cu12", "torch")


def test_an_index_without_this_release_is_refused_by_name(tmp_path: Path, resolve: Resolve) -> None:
    with pytest.raises(
        ResolutionFailed, match=r"torch 2\.15\.0 is of CUDA 13\.2, and the accelerator is cu130"
    ) as caught:
        resolve(make_project(tmp_path / "p", requirements="torch\n"), "cu130")
    assert "LADING_TORCH_INDEX" in caught.value.hints[0]


def test_an_index_that_cannot_be_asked_is_no_index_without_the_package(
    tmp_path: Path, resolve: Resolve, torch: TorchIndex
) -> None:
    def broken(handler: object, content: bytes) -> None:
        handler.begin(401, 0)  # type: ignore[attr-defined]

    torch.server.answers["/whl/cu126/torch/"] = [broken]
    with pytest.raises(OutsideError, match="401"):
        resolve(make_project(tmp_path / "p", requirements="torch\n"), "cu126")


def test_an_extra_called_like_the_accelerator_belongs_to_it(
    tmp_path: Path, resolve: Resolve, torch: TorchIndex
) -> None:
    """As uv documents it: one extra a build, and `[tool.uv.sources]` says which index."""
    pyproject = f"""
[project]
name = "p"
version = "1"
dependencies = ["numpy"]
[project.optional-dependencies]
cpu = ["torch==2.9.1"]
cu118 = ["torch==2.9.1"]
[tool.uv]
conflicts = [[{{ extra = "cpu" }}, {{ extra = "cu118" }}]]
[tool.uv.sources]
torch = [{{ index = "torch-cpu", extra = "cpu" }}, {{ index = "torch-cu118", extra = "cu118" }}]
[[tool.uv.index]]
name = "torch-cpu"
url = "{torch.base}/cpu"
explicit = true
[[tool.uv.index]]
name = "torch-cu118"
url = "{torch.base}/cu118"
explicit = true
"""
    project = make_project(tmp_path / "p", pyproject=pyproject)
    object.__setattr__(project.requirements, "groups", ("cpu", "cu118"))
    for accelerator in ("cpu", "cu118"):
        targets = target_requirements(project, accelerator)
        assert targets["train"].groups == (accelerator,)
        assert pins(resolve(project, accelerator, targets))["torch"] == f"2.9.1+{accelerator}"


def test_a_locked_build_is_found_again_where_its_version_says(
    tmp_path: Path,
    resolve: Resolve,
    torch: TorchIndex,
    store: Store,
    fetcher: Fetcher,
    environment: dict[str, str],
) -> None:
    resolved = resolve(make_project(tmp_path / "p", requirements="torch\n"), "cu126")
    wheel = next(wheel for wheel in resolved.wheels if wheel.name == "torch")
    unplaced = LockedWheel(
        name=wheel.name,
        version=wheel.version,
        filename=wheel.filename,
        sha256=wheel.sha256,
        size_bytes=wheel.size_bytes,
    )
    source = open_wheel(
        unplaced,
        store=store,
        fetcher=fetcher,
        environment={**environment, "LADING_TORCH_INDEX": torch.base},
        folder=tmp_path,
    )
    assert hashlib.sha256(source.read(0, source.size_bytes)).hexdigest() == wheel.sha256
    source.close()
