"""What is resolved is one version of each wheel, for the target and not for the host, without building."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lading.errors import OutsideError, ProjectError, ResolutionFailed
from lading.fetch.http import Fetcher
from lading.lock.requirements import TargetRequirements
from lading.lock.target import target_environment
from lading.lock.wheels import ResolvedWheels, WheelRequest, resolve_wheels
from lading.oci.platform import Platform
from lading.project.model import Project, RequirementKind
from lading.store import Store
from lock.index import Index, make_project, make_wheel

PROJECT = TargetRequirements()
Resolve = Callable[..., ResolvedWheels]


@pytest.fixture
def resolve(store: Store, fetcher: Fetcher, environment: dict[str, str]) -> Resolve:
    def run(
        project: Project,
        targets: dict[str, TargetRequirements] | None = None,
        *,
        accelerator: str = "cpu",
        platform: str = "linux/amd64",
        python: str = "3.11.2",
        kept: dict[str, str] | None = None,
        more: dict[str, str] | None = None,
    ) -> ResolvedWheels:
        request = WheelRequest(
            project=project,
            target=target_environment(project.image.base, python, Platform.parse(platform)),
            accelerator=accelerator,
            requirements=targets or {"train": PROJECT},
            kept=kept or {},
            known_sizes={},
        )
        return resolve_wheels(
            request, store=store, fetcher=fetcher, environment={**environment, **(more or {})}
        )

    return run


def pins(resolved: ResolvedWheels) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in resolved.wheels}


@pytest.mark.catalogue("R37")
def test_a_wheel_is_locked_by_name_version_file_sha256_and_size(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    filename = index.add("alpha", "1.0", requires=["beta-two>=1"], padding=3000)
    index.add("beta-two", "1.5")
    resolved = resolve(make_project(tmp_path / "p", requirements="alpha\n"))
    alpha = resolved.wheels[0]
    content = index.server.files[f"/files/{filename}"]
    assert (alpha.name, alpha.version, alpha.filename) == ("alpha", "1.0", filename)
    assert alpha.size_bytes == len(content)
    assert alpha.url == index.server.url(f"/files/{filename}")
    assert resolved.targets == {"train": ("alpha", "beta-two")}


def test_the_targets_share_one_version_and_each_holds_its_own(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    index.add("alpha", "1.0", requires=["shared<2"])
    index.add("server", "1.0", requires=["shared"])
    index.add("shared", "1.9")
    index.add("shared", "2.1")
    resolved = resolve(
        make_project(tmp_path / "p", requirements="alpha\n"),
        {"train": PROJECT, "dev": PROJECT, "serve": TargetRequirements(only=("server",))},
    )
    assert pins(resolved) == {"alpha": "1.0", "server": "1.0", "shared": "1.9"}
    assert resolved.targets == {
        "train": ("alpha", "shared"),
        "dev": ("alpha", "shared"),
        "serve": ("server", "shared"),
    }


def test_groups_are_extras_or_dependency_groups(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    for name in ("alpha", "extra-one", "group-one"):
        index.add(name, "1.0")
    project = make_project(
        tmp_path / "p",
        pyproject="""
[project]
name = "demo"
version = "1"
dependencies = ["alpha"]
[project.optional-dependencies]
ex = ["extra-one"]
[dependency-groups]
gr = ["group-one"]
""",
    )
    resolved = resolve(
        project, {"train": TargetRequirements(groups=("ex", "gr")), "serve": TargetRequirements()}
    )
    assert resolved.targets == {"train": ("alpha", "extra-one", "group-one"), "serve": ("alpha",)}
    with pytest.raises(ProjectError, match="no extra and no dependency group 'nope'; it has: ex, gr"):
        resolve(project, {"train": TargetRequirements(groups=("nope",))})


def test_the_project_itself_is_left_out_and_its_dependencies_are_not(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    for name in ("alpha", "beta", "gamma", "extra-one"):
        index.add(name, "1.0")
        index.add(name, "2.0")
    root = tmp_path / "p"
    project = make_project(root, requirements="-r more/others.txt\n-e .[ex]  # this project\nalpha\n")
    (root / "more").mkdir()
    (root / "more/others.txt").write_text("-c limits.txt\ngamma\n")
    (root / "more/limits.txt").write_text("gamma<2\n")
    (root / "pyproject.toml").write_text(
        '[project]\nname = "demo"\ndynamic = ["version"]\ndependencies = ["beta"]\n'
        '[project.optional-dependencies]\nex = ["extra-one"]\n'
    )
    included = dataclasses.replace(project.requirements, includes_project=True)
    resolved = resolve(dataclasses.replace(project, requirements=included))
    assert pins(resolved) == {"alpha": "2.0", "beta": "2.0", "extra-one": "2.0", "gamma": "1.0"}
    assert sorted(path.name for path in root.iterdir()) == ["more", "pyproject.toml", "requirements.txt"]


def test_a_project_without_requirements_has_no_wheels(tmp_path: Path, resolve: Resolve) -> None:
    assert resolve(make_project(tmp_path / "p")).wheels == ()


@pytest.mark.parametrize(
    ("platform", "python", "tag"),
    [
        ("linux/amd64", "3.11.2", "cp311-cp311-manylinux_2_28_x86_64"),
        ("linux/arm64", "3.11.2", "cp311-cp311-manylinux_2_28_aarch64"),
        ("linux/amd64", "3.13.5", "cp313-cp313-manylinux_2_28_x86_64"),
    ],
)
def test_the_wheel_fits_the_target_and_not_the_host(
    index: Index, tmp_path: Path, resolve: Resolve, platform: str, python: str, tag: str
) -> None:
    for minor in ("311", "313"):
        for machine in ("x86_64", "aarch64"):
            index.add("native", "1.0", tag=f"cp{minor}-cp{minor}-manylinux_2_28_{machine}")
    index.add("native", "1.0", tag="cp311-cp311-win_amd64")
    resolved = resolve(
        make_project(tmp_path / "p", requirements="native\n"), platform=platform, python=python
    )
    assert resolved.wheels[0].filename == f"native-1.0-{tag}.whl"


def test_a_wheel_for_a_later_glibc_than_the_suite_has_is_not_taken(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    index.add("native", "2.0", tag="cp311-cp311-manylinux_2_39_x86_64")
    index.add("native", "1.0", tag="cp311-cp311-manylinux_2_36_x86_64")
    assert pins(resolve(make_project(tmp_path / "p", requirements="native\n"))) == {"native": "1.0"}
    trixie = make_project(tmp_path / "q", requirements="native\n", base="debian:trixie")
    assert pins(resolve(trixie)) == {"native": "2.0"}


def test_markers_are_the_targets(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    for name in ("on-arm", "on-windows", "on-old", "always"):
        index.add(name, "1.0")
    project = make_project(
        tmp_path / "p",
        requirements="always\non-arm; platform_machine == 'aarch64'\n"
        "on-windows; sys_platform == 'win32'\non-old; python_full_version < '3.11.5'\n",
    )
    assert set(pins(resolve(project))) == {"always", "on-old"}
    assert set(pins(resolve(project, platform="linux/arm64", python="3.11.9"))) == {"always", "on-arm"}


def test_a_version_without_wheel_is_passed_over_for_one_that_has(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    index.add("alpha", "1.0")
    index.add_source("alpha", "2.0")
    assert pins(resolve(make_project(tmp_path / "p", requirements="alpha\n"))) == {"alpha": "1.0"}


def test_a_package_without_any_wheel_is_named_with_a_remedy(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    index.add_source("only-source", "2.0")
    index.add("alpha", "1.0", requires=["only-source"])
    with pytest.raises(ResolutionFailed) as caught:
        resolve(make_project(tmp_path / "p", requirements="alpha\n"))
    assert "only-source has no wheel for this Python and platform" in caught.value.message
    assert "alpha" in caught.value.message
    assert any("UV_FIND_LINKS" in hint for hint in caught.value.hints)
    assert caught.value.place == "requirements.txt"


def test_an_unknown_package_is_named(tmp_path: Path, resolve: Resolve) -> None:
    with pytest.raises(ResolutionFailed, match="no index and no wheel folder has a package 'nosuch'"):
        resolve(make_project(tmp_path / "p", requirements="nosuch\n"))


def test_requirements_that_contradict_each_other_are_explained(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    index.add("alpha", "1.0", requires=["beta<2"])
    index.add("beta", "1.0")
    index.add("beta", "2.0")
    with pytest.raises(ResolutionFailed) as caught:
        resolve(make_project(tmp_path / "p", requirements="alpha\nbeta>=2\n"))
    assert "alpha" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_conflict_with_what_a_target_holds_by_itself_says_whose_it_is(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    index.add("beta", "1.0")
    index.add("beta", "2.0")
    index.add("onnxruntime", "1.0", requires=["beta>=2"])
    targets = {"train": TargetRequirements(), "serve": TargetRequirements(only=("onnxruntime",))}
    with pytest.raises(ResolutionFailed) as caught:
        resolve(make_project(tmp_path / "p", requirements="beta<2\n"), targets=targets)
    assert "(onnxruntime comes from the target serve)" in caught.value.message
    assert "share one version" in caught.value.hints[-1]

    written = make_project(tmp_path / "q", requirements="beta<2\nonnxruntime\n")
    written = replace(written, requirements=replace(written.requirements, names=("beta", "onnxruntime")))
    with pytest.raises(ResolutionFailed) as caught:
        resolve(written, targets=targets)
    assert "comes from the target" not in caught.value.message


def test_an_index_that_does_not_answer_is_not_the_projects_fault(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    from fetch.loopback import status

    index.server.answers["/simple/alpha/"] = [status(403)]
    with pytest.raises(OutsideError, match="403 Forbidden") as caught:
        resolve(
            make_project(tmp_path / "p", requirements="alpha\n"),
            more={"UV_DEFAULT_INDEX": index.server.url("/simple/", userinfo="me:hunter2")},
        )
    assert "hunter2" not in str(caught.value) + repr(caught.value.__notes__)


def test_credentials_of_an_index_reach_it_and_stay_out_of_the_lock(
    index: Index, tmp_path: Path, store: Store, environment: dict[str, str], resolve: Resolve
) -> None:
    from lading.lock.indexes import index_credentials

    index.password = "hunter2"
    index.add("alpha", "1.0")
    more = {"UV_DEFAULT_INDEX": index.url}
    fetcher = Fetcher(
        staging=store.staging, environment={}, credentials=index_credentials({**environment, **more})
    )
    request = WheelRequest(
        project=make_project(tmp_path / "p", requirements="alpha\n"),
        target=target_environment("debian:bookworm", "3.11.2", Platform.parse("linux/amd64")),
        accelerator="cpu",
        requirements={"train": PROJECT},
        kept={},
        known_sizes={},
    )
    resolved = resolve_wheels(request, store=store, fetcher=fetcher, environment={**environment, **more})
    fetcher.close()
    assert resolved.wheels[0].url == index.server.url("/files/alpha-1.0-py3-none-any.whl")
    assert "hunter2" not in repr(resolved)


def test_an_index_that_the_project_names_is_read_with_uvs_variables(
    index: Index, tmp_path: Path, store: Store, environment: dict[str, str]
) -> None:
    from lading.lock.access import open_fetcher

    index.password = "hunter2"
    index.add("alpha", "1.0")
    url = index.server.url("/simple/")
    project = make_project(
        tmp_path / "p",
        pyproject='[project]\nname = "demo"\nversion = "1"\ndependencies = ["alpha"]\n'
        f'[[tool.uv.index]]\nname = "corp-index"\nurl = "{url}"\ndefault = true\n',
    )
    named = {name: value for name, value in environment.items() if name != "UV_DEFAULT_INDEX"}
    named |= {"UV_INDEX_CORP_INDEX_USERNAME": "reader", "UV_INDEX_CORP_INDEX_PASSWORD": "hunter2"}
    fetcher = open_fetcher(project.root, store, named)
    request = WheelRequest(
        project=project,
        target=target_environment("debian:bookworm", "3.11.2", Platform.parse("linux/amd64")),
        accelerator="cpu",
        requirements={"train": PROJECT},
        kept={},
        known_sizes={},
    )
    resolved = resolve_wheels(request, store=store, fetcher=fetcher, environment=named)
    fetcher.close()
    assert pins(resolved) == {"alpha": "1.0"}
    assert "hunter2" not in repr(resolved)


@pytest.mark.catalogue("R38")
def test_the_first_index_that_has_a_name_wins(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    """A higher version of a private name on a second index is not taken (dependency confusion)."""
    from fetch.loopback import Loopback

    index.add("private", "9.9")
    with Loopback() as server:
        first = Index(server)
        first.add("private", "1.0")
        project = make_project(tmp_path / "p", requirements="private\n")
        assert pins(resolve(project, more={"UV_INDEX": first.url})) == {"private": "1.0"}
        assert pins(resolve(project, more={"PIP_EXTRA_INDEX_URL": first.url})) == {"private": "1.0"}


def test_kept_versions_move_only_when_they_must(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    for version in ("1.0", "1.1", "2.0"):
        index.add("alpha", version)
        index.add("beta", version)
    project = make_project(tmp_path / "p", requirements="alpha\nbeta\n")
    assert pins(resolve(project)) == {"alpha": "2.0", "beta": "2.0"}
    assert pins(resolve(project, kept={"alpha": "1.0", "beta": "1.1"})) == {"alpha": "1.0", "beta": "1.1"}
    tighter = make_project(tmp_path / "q", requirements="alpha>1.0\nbeta\n")
    assert pins(resolve(tighter, kept={"alpha": "1.0", "beta": "1.1"})) == {"alpha": "2.0", "beta": "1.1"}


def test_a_cpu_build_in_a_wheel_folder_is_taken_for_the_cpu_accelerator(
    index: Index, tmp_path: Path, resolve: Resolve
) -> None:
    """The index has a higher version with CUDA; only for cuda is it the right one."""
    index.add("torch", "2.15.0", requires=["nvidia-cublas"])
    index.add("nvidia-cublas", "13.0")
    folder = tmp_path / "wheels"
    folder.mkdir()
    for build, tag in (
        ("2.12.0+cpu", "cp311-cp311-manylinux_2_28_x86_64"),
        ("2.13.0+cpu", "cp311-cp311-manylinux_2_28_x86_64"),
        ("2.14.0+cpu", "cp312-cp312-manylinux_2_28_x86_64"),
    ):
        filename, content = make_wheel("torch", build, tag=tag)
        (folder / filename).write_bytes(content)
    project = make_project(tmp_path / "p", requirements="torch\n")
    more = {"PIP_FIND_LINKS": str(folder)}
    cpu = resolve(project, more=more)
    assert pins(cpu) == {"torch": "2.13.0+cpu"}
    assert cpu.wheels[0].url is None
    assert cpu.warnings == ()
    assert cpu.notes == ("torch 2.13.0+cpu was taken from a wheel folder: the accelerator is cpu",)
    assert pins(resolve(project, more=more, accelerator="cuda"))["torch"] == "2.15.0"
    forbidding = make_project(tmp_path / "q", requirements="torch>=2.15\n")
    said, _ = resolve(forbidding, more=more).warnings
    assert said == "torch 2.13.0+cpu is in a wheel folder, and the other requirements do not allow it"
    unfitting, _ = resolve(project, more=more, python="3.13.0").warnings
    assert unfitting == (
        "torch-2.14.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl does not fit Python 3.13.0 on linux/amd64:"
        ' set [image] python = "3.12" to use it'
    )


def test_cuda_in_a_cpu_image_is_said_with_a_remedy(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    index.add("torch", "2.15.0", requires=["nvidia-cublas"])
    index.add("nvidia-cublas", "13.0")
    (warning,) = resolve(make_project(tmp_path / "p", requirements="torch\n")).warnings
    assert "1 CUDA package" in warning
    assert "UV_TORCH_BACKEND=cpu lading lock --upgrade torch" in warning


def test_cuda_twice_is_an_error(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    index.add("nvidia-cudnn-cu12", "9.0")
    index.add("nvidia-cudnn-cu13", "9.0")
    with pytest.raises(ResolutionFailed, match="CUDA twice: nvidia-cudnn-cu12, nvidia-cudnn-cu13"):
        resolve(
            make_project(tmp_path / "p", requirements="nvidia-cudnn-cu12\nnvidia-cudnn-cu13\n"),
            accelerator="cuda",
        )


def test_hashes_in_the_requirements_are_kept(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    import hashlib

    filename = index.add("alpha", "1.0")
    good = hashlib.sha256(index.server.files[f"/files/{filename}"]).hexdigest()
    project = make_project(tmp_path / "p", requirements=f"alpha==1.0 \\\n  --hash=sha256:{good}\n")
    assert resolve(project).wheels[0].sha256 == good
    bad = make_project(tmp_path / "q", requirements=f"alpha==1.0 --hash=sha256:{'0' * 64}\n")
    with pytest.raises(ResolutionFailed, match="hash"):
        resolve(bad)


PYLOCK = """
lock-version = "1.0"
created-by = "test"
extras = ["ex"]
dependency-groups = ["gr"]
default-groups = []
"""


def _pylock_entry(index: Index, name: str, marker: str = "") -> str:
    import hashlib

    filename = index.add(name, "1.0")
    content = index.server.files[f"/files/{filename}"]
    return f"""
[[packages]]
name = "{name}"
version = "1.0"
{f'marker = "{marker}"' if marker else ""}
[[packages.wheels]]
url = "{index.server.url(f"/files/{filename}")}"
hashes = {{ sha256 = "{hashlib.sha256(content).hexdigest()}" }}
"""


def test_a_pylock_is_used_as_it_is(index: Index, tmp_path: Path, resolve: Resolve) -> None:
    """Newer versions on the index change nothing; groups choose; what it lacks is resolved beside it."""
    project = make_project(tmp_path / "p", kind=RequirementKind.PYLOCK)
    (tmp_path / "p/pylock.toml").write_text(
        PYLOCK
        + _pylock_entry(index, "alpha")
        + _pylock_entry(index, "in-extra", "'ex' in extras")
        + _pylock_entry(index, "in-group", "'gr' in dependency_groups")
        + _pylock_entry(index, "on-arm", "platform_machine == 'aarch64'")
    )
    index.add("alpha", "2.0")
    index.add("server", "1.0", requires=["alpha"])
    resolved = resolve(
        project,
        {
            "train": TargetRequirements(groups=("ex", "gr")),
            "dev": TargetRequirements(),
            "serve": TargetRequirements(only=("server",)),
        },
    )
    assert pins(resolved) == {"alpha": "1.0", "in-extra": "1.0", "in-group": "1.0", "server": "1.0"}
    assert resolved.targets == {
        "train": ("alpha", "in-extra", "in-group"),
        "dev": ("alpha",),
        "serve": ("alpha", "server"),
    }


def test_a_damaged_pylock_is_named(tmp_path: Path, resolve: Resolve) -> None:
    project = make_project(tmp_path / "p", kind=RequirementKind.PYLOCK)
    (tmp_path / "p/pylock.toml").write_text("lock-version = 3\n")
    with pytest.raises(ProjectError, match=r"pylock\.toml is no valid pylock\.toml"):
        resolve(project)


def test_a_uv_lock_is_used_as_it_is(
    index: Index, tmp_path: Path, environment: dict[str, str], resolve: Resolve
) -> None:
    from lading.lock.uv import Uv

    index.add("alpha", "1.0")
    index.add("group-one", "1.0")
    project = make_project(tmp_path / "p", kind=RequirementKind.UV_LOCK)
    (tmp_path / "p/pyproject.toml").write_text(
        """
[project]
name = "demo"
version = "1"
requires-python = ">=3.11"
dependencies = ["alpha"]
[dependency-groups]
dev = ["group-one"]
"""
    )
    uv = Uv(folder=project.root, environment={**environment, "UV_PYTHON_DOWNLOADS": "never"})
    uv.run(("lock",), doing="locking")
    index.add("alpha", "2.0")
    resolved = resolve(project, {"train": TargetRequirements(), "dev": TargetRequirements(groups=("dev",))})
    assert pins(resolved) == {"alpha": "1.0", "group-one": "1.0"}
    assert resolved.targets == {"train": ("alpha",), "dev": ("alpha", "group-one")}


def test_the_host_has_no_say(
    index: Index,
    tmp_path: Path,
    store: Store,
    fetcher: Fetcher,
    environment: dict[str, str],
    resolve: Resolve,
) -> None:
    """The same wheels whatever HOME, locale, time zone and uv variables about the host's Python say."""
    index.add("alpha", "1.0", requires=["beta; platform_machine == 'x86_64'"])
    index.add("beta", "1.0")
    project = make_project(tmp_path / "p", requirements="alpha\n")
    expected = resolve(project)
    (tmp_path / "elsewhere").mkdir()
    odd: dict[str, Any] = {
        "HOME": str(tmp_path / "elsewhere"),
        "TZ": "Pacific/Kiritimati",
        "LC_ALL": "C",
        "LANG": "tr_TR.UTF-8",
        "UV_PYTHON": "/nonexistent/python",
        "UV_NO_BINARY": "1",
        "UV_TORCH_BACKEND": "auto",
        "VIRTUAL_ENV": "/nonexistent",
        "UV_CACHE_DIR": str(tmp_path / "other-cache"),
    }
    assert resolve(project, more=odd) == expected
    moved = dataclasses.replace(make_project(tmp_path / "deep/er/p", requirements="alpha\n"))
    assert resolve(moved) == expected
