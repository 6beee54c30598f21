"""An environment.yml becomes requirement lines; what is no wheel is said, thing by thing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lading.errors import ConfigError
from lading.lock.check import inputs_digest
from lading.lock.requirements import allowed_hashes, compile_arguments
from lading.project.conda.document import read_document
from lading.project.conda.names import conda_names
from lading.project.load import detect_project
from lading.project.model import CondaEnvironment, Project, RequirementKind
from lading.project.report import Report
from lading.project.requirement_lines import normalized

from ..folders import load_folder, write_folder

ENVIRONMENT = """\
name: digits
channels: [conda-forge, pytorch]
dependencies:
  - python=3.11
  - pip
  - pytorch::pytorch=2.1
  - pytorch-cuda=12.1
  - numpy >=1.26,<3   # why
  - opencv==4.10.0
  - mkl
  - ffmpeg
  - libsndfile
  - librosa
  - six 1.16.0 pyhd8ed1ab_0
  - pip:
      - -r more.txt
      - tqdm==4.66.5  # pinned
      - --extra-index-url https://example.org/simple
variables:
  THREADS: 4
"""
FILES = {
    "environment.yml": ENVIRONMENT,
    "more.txt": "rich\n",
    "train.py": "",
    "lading.toml": '[image]\napt = ["ffmpeg", "libsndfile1"]\nenv = { THREADS = "4" }\n',
}


def conda(project: Project) -> CondaEnvironment:
    assert project.requirements.conda is not None
    return project.requirements.conda


def environment(*dependencies: str) -> dict[str, str]:
    return {"environment.yml": "dependencies:\n" + "".join(f"- {one}\n" for one in dependencies)}


def told(root: Path, files: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_folder(root, files)
    return "\n".join(map(str, caught.value.problems))


def test_a_whole_file_becomes_lines_python_and_accelerator(tmp_path: Path) -> None:
    project = load_folder(tmp_path, FILES)
    assert project.requirements.kind is RequirementKind.CONDA
    assert conda(project).lines == (
        "torch==2.1.*",
        "numpy>=1.26,<3",
        "opencv-python-headless==4.10.0.*",
        "librosa",
        "six==1.16.0",
        "-r more.txt",
        "tqdm==4.66.5",
        "--extra-index-url https://example.org/simple",
    )
    assert project.requirements.names == (
        "torch", "numpy", "opencv-python-headless", "librosa", "six", "rich", "tqdm",
    )  # fmt: skip
    assert project.requirements.index_urls == ("https://example.org/simple",)
    assert (project.image.python, project.image.base) == ("3.11", "debian:bookworm")
    assert project.image.accelerators == ("cu121",)
    assert project.frameworks == ("torch",)
    said = {finding.what: finding for finding in project.findings}
    assert "pytorch-cuda=12.1 in environment.yml:7" in said["accelerator"].because
    assert "pytorch → torch" in said["conda names"].value
    assert said["conda left out"].value == "pip, mkl"
    assert said["conda builds"].value == "six"
    assert said["conda channels"].value == "conda-forge, pytorch"


def test_uv_is_given_the_lines_with_paths_that_hold(tmp_path: Path) -> None:
    project = load_folder(tmp_path / "p", FILES)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (written,) = compile_arguments(project, (), scratch)
    assert written.endswith(".txt")
    text = Path(written).read_text()
    assert "torch==2.1.*\n" in text
    included = next(line for line in text.splitlines() if line.startswith("-r "))
    assert Path(included.removeprefix("-r ")).read_text() == "rich\n"


def test_hashes_in_the_pip_part_are_kept(tmp_path: Path) -> None:
    pin = f"six==1.16 --hash=sha256:{'a' * 64}"
    project = load_folder(tmp_path, {"environment.yml": f"dependencies:\n- pip:\n  - {pin}\n"})
    assert allowed_hashes(project) == {"six": frozenset({"a" * 64})}


def test_only_what_the_file_comes_to_moves_the_lock(tmp_path: Path) -> None:
    files = environment("numpy=1.26")
    before = inputs_digest(load_folder(tmp_path / "p", files))
    renamed = {"environment.yml": f"name: other\nchannels: [x]\n{files['environment.yml']}"}
    assert inputs_digest(load_folder(tmp_path / "p", renamed)) == before
    assert inputs_digest(load_folder(tmp_path / "p", environment("numpy=1.25"))) != before


@pytest.mark.parametrize(
    ("files", "kind", "name", "ignored"),
    [
        (("requirements.txt", "environment.yml"), RequirementKind.REQUIREMENTS, "requirements.txt", 1),
        (("pyproject.toml", "environment.yml"), RequirementKind.PYPROJECT, "pyproject.toml", 1),
        (("environment.yml", "environment.yaml"), RequirementKind.CONDA, "environment.yml", 1),
        (("environment.yaml",), RequirementKind.CONDA, "environment.yaml", 0),
        (("requirements.txt", "larger"), RequirementKind.CONDA, "environment.yml", 0),
    ],
)
def test_stronger_files_go_first_but_for_one_that_is_included(
    tmp_path: Path, files: tuple[str, ...], kind: RequirementKind, name: str, ignored: int
) -> None:
    content = {
        "requirements.txt": ("requirements.txt", "six\n"),
        "pyproject.toml": ("pyproject.toml", '[project]\nname = "p"\nversion = "1"\ndependencies = []\n'),
        "environment.yml": ("environment.yml", "dependencies: [tqdm]\n"),
        "environment.yaml": ("environment.yaml", "dependencies: [tqdm]\n"),
        "larger": ("environment.yml", "dependencies:\n- tqdm\n- pip:\n  - '-r requirements.txt'\n"),
    }
    requirements = load_folder(tmp_path, dict(content[one] for one in files)).requirements
    assert requirements.kind is kind
    assert requirements.path is not None
    assert requirements.path.name == name
    assert len(requirements.ignored) == ignored


def test_a_bare_project_table_leaves_the_environment_in_charge_and_dot_means_the_project(
    tmp_path: Path,
) -> None:
    files = {
        "pyproject.toml": '[project]\nname = "p"\nversion = "1"\n',
        "environment.yml": "dependencies:\n- pip:\n  - -e .\n",
    }
    assert load_folder(tmp_path, files).requirements.includes_project


@pytest.mark.parametrize(
    ("lines", "accelerators"),
    [
        (("pytorch", "cpuonly"), ("cpu",)),
        (("pytorch", "pytorch-cuda=11.8"), ("cu118",)),
        (("cudatoolkit=11.3.1",), ("cu113",)),
        (("cuda-version >=12",), ("cuda",)),
        (("pytorch-gpu=2.1", "cuda-version=12.4"), ("cu124",)),
        (("pytorch=2.1.0=py3.11_cuda12.1_cudnn8.9.2_0",), ("cu121",)),
        (("pytorch=2.1.0=cpu_mkl*",), ("cpu",)),
        (("tensorflow=2.15=cuda120py311h5cbd639_3",), ("cu120",)),
        (("pytorch",), ("cpu",)),
    ],
)
def test_cuda_of_conda_is_the_accelerator(
    tmp_path: Path, lines: tuple[str, ...], accelerators: tuple[str, ...]
) -> None:
    assert load_folder(tmp_path, environment(*lines)).image.accelerators == accelerators


def test_what_is_written_goes_before_what_conda_says(tmp_path: Path) -> None:
    files = {**environment("cpuonly"), "lading.toml": 'image.accelerator = ["cpu", "cuda"]\n'}
    assert load_folder(tmp_path, files).image.accelerators == ("cpu", "cuda")


@pytest.mark.parametrize(
    ("line", "python", "base"),
    [
        ("python=3.12", "3.12", "debian:trixie"),
        ("python 3.11.4", "3.11", "debian:bookworm"),
        ("python>=3.10,<3.12", "3.11", "debian:bookworm"),
        ("python", "3.13", "debian:trixie"),
    ],
)
def test_the_python_of_conda_is_the_images(tmp_path: Path, line: str, python: str, base: str) -> None:
    image = load_folder(tmp_path, environment(line)).image
    assert (image.python, image.base) == (python, base)


def test_over_a_registry_image_condas_one_python_is_asked_for(tmp_path: Path) -> None:
    files = {**environment("python=3.12"), "lading.toml": 'image.base = "registry.example/a/b:1"\n'}
    assert load_folder(tmp_path, files).image.python == "3.12"


def test_the_users_own_names_go_before_the_table(tmp_path: Path) -> None:
    own = '[image.conda]\nffmpeg = false\nmylib = "my-lib[fast]"\nopencv = "opencv-python"\n'
    files = {**environment("ffmpeg", "mylib=1.2", "opencv==4.10.0"), "lading.toml": own}
    project = load_folder(tmp_path, files)
    assert conda(project).lines == ("my-lib[fast]==1.2.*", "opencv-python==4.10.0")


def test_init_writes_nothing_that_detection_finds(tmp_path: Path) -> None:
    write_folder(tmp_path, environment("pytorch-cuda=12.1"))
    project = load_folder(tmp_path, {})
    from lading.project.render import render_difference

    text = render_difference(project, detect_project(tmp_path, environment={}))
    assert "[image]" not in text
    assert "# detected: accelerator cu121" in text


def test_each_program_is_named_with_its_debian_package(tmp_path: Path) -> None:
    text = told(tmp_path, environment("cmake", "gxx_linux-64=12", "r-base", "cupy"))
    for words in ('apt = ["cmake"]', 'apt = ["g++"]', "R is not read", "cupy-cuda12x"):
        assert words in text
    assert "environment.yml:2" in text
    assert "environment.yml:5" in text


def test_no_row_of_the_table_says_what_holds_without_it_and_none_contradicts_another() -> None:
    names = conda_names()
    assert [name for name, twin in names.twins.items() if normalized(name) == normalized(twin)] == []
    kinds = [set(names.twins), set(names.debian), set(names.instead), set(names.cuda), set(names.same)]
    for index, one in enumerate(kinds):
        for other in kinds[index + 1 :]:
            assert one & other == set()
    for name in names.same:
        assert names.of(name).distribution == name


def test_aliases_cost_nothing(tmp_path: Path) -> None:
    """Nine levels of ten aliases would be a billion words."""
    rows = ["a0: &a0 [numpy]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "is no key" in told(tmp_path, {"environment.yml": "\n".join([*rows, "dependencies: *a9"])})


def test_depth_and_size_are_bounded(tmp_path: Path) -> None:
    assert "nested too deeply" in told(tmp_path, {"environment.yml": "dependencies: " + "[" * 20_000})
    assert "bytes" in told(tmp_path, {"environment.yml": "# " + "x" * 300_000})


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=80) | st.text("-:[]{}&*!#'\"|> \n\tnumpyi=<0.1", max_size=80).map(str.encode))
def test_any_content_is_read_or_reported(content: bytes) -> None:
    read_document(content, "environment.yml", Report())
