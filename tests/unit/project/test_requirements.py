"""Which requirement files are used, and what is read from them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lading.project.load import load_project
from lading.project.model import Project, RequirementKind

from .folders import load_folder, write_folder

PYPROJECT = """\
[project]
name = "Digits_App"
version = "1.4"
requires-python = ">=3.11"
dependencies = ["scikit-learn>=1.5 ; python_version < '4'", "Torch[opt]", "skl2onnx"]

[project.optional-dependencies]
serve = ["fastapi"]

[dependency-groups]
test = ["pytest", { include-group = "lint" }]
lint = ["ruff"]

[tool.uv]
find-links = ["wheels"]

[[tool.uv.index]]
name = "cpu"
url = "https://example.org/cpu"

[tool.uv.sources]
torch = { index = "cpu" }
"""


def because(project: Project, what: str) -> list[str]:
    return [f"{finding.value}: {finding.because}" for finding in project.findings if finding.what == what]


def test_pep_621_gives_names_groups_and_what_uv_is_told(tmp_path: Path) -> None:
    project = load_folder(tmp_path, {"pyproject.toml": PYPROJECT, "wheels/x.whl": ""})
    requirements = project.requirements
    assert requirements.kind is RequirementKind.PYPROJECT
    assert requirements.names == ("scikit-learn", "torch", "skl2onnx")
    assert requirements.groups == ("serve", "test", "lint")
    assert requirements.find_links == (str(tmp_path / "wheels"),)
    assert requirements.index_urls == ("https://example.org/cpu",)
    assert project.frameworks == ("torch", "scikit-learn", "skl2onnx")
    assert (project.name, project.version) == ("Digits_App", "1.4")
    assert [file.path for file in project.code.files] == ["pyproject.toml"]


@pytest.mark.parametrize(
    ("files", "kind", "ignored"),
    [
        (("uv.lock", "pylock.toml", "pyproject.toml", "requirements.txt"), RequirementKind.UV_LOCK, 3),
        (("pylock.toml", "pyproject.toml", "requirements.txt"), RequirementKind.PYLOCK, 2),
        (("pyproject.toml", "requirements.txt"), RequirementKind.PYPROJECT, 1),
        (("requirements.txt", "environment.yml"), RequirementKind.REQUIREMENTS, 1),
        (("uv.lock", "requirements.txt"), RequirementKind.REQUIREMENTS, 0),
        ((), RequirementKind.NONE, 0),
    ],
)
def test_what_is_locked_goes_first_and_the_rest_is_named(
    tmp_path: Path, files: tuple[str, ...], kind: RequirementKind, ignored: int
) -> None:
    content = {
        "uv.lock": "version = 1\n",
        "pylock.toml": 'lock-version = "1.0"\n[[packages]]\nname = "Torch"\nversion = "2"\n',
        "pyproject.toml": '[project]\nname = "p"\nversion = "1"\ndependencies = ["torch"]\n',
        "requirements.txt": "torch\n",
        "environment.yml": "name: x\n",
    }
    project = load_folder(tmp_path, {name: content[name] for name in files})
    assert project.requirements.kind is kind
    assert len(project.requirements.ignored) == ignored
    assert len([line for line in because(project, "requirements") if "not used" in line]) == ignored
    if kind is not RequirementKind.NONE:
        assert project.requirements.names == ("torch",)


def test_a_project_table_without_dependencies_leaves_requirements_txt_in_charge(tmp_path: Path) -> None:
    files = {"pyproject.toml": '[project]\nname = "p"\nversion = "1"\n', "requirements.txt": "numpy\n"}
    assert load_folder(tmp_path, files).requirements.kind is RequirementKind.REQUIREMENTS


def test_requirement_lines_are_read_as_pip_reads_them(tmp_path: Path) -> None:
    files = {
        "requirements.txt": (
            "# comment\n--index-url https://a.example/simple\n--extra-index-url=https://b.example/simple\n"
            "-r more/base.txt\n-c constraints.txt\n-f wheels\n--pre\n"
            'Torch == 2.1 ; python_version >= "3.8"  # why\n'
            f"numpy==2.1 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{'1' * 64}\n"
        ),
        "more/base.txt": "pandas[excel]>=2\n-r ../deep.txt\n",
        "deep.txt": "tqdm\n",
        "constraints.txt": "six<2\n",
        "wheels/a.txt": "",
    }
    requirements = load_folder(tmp_path, files).requirements
    assert requirements.names == ("pandas", "tqdm", "torch", "numpy")
    assert [path.name for path in requirements.included] == ["base.txt", "deep.txt", "constraints.txt"]
    assert requirements.index_urls == ("https://a.example/simple", "https://b.example/simple")
    assert requirements.find_links == (str(tmp_path / "wheels"),)


@pytest.mark.parametrize("line", ["-e .", "--editable=.", ".", "-e .[serve]"])
def test_a_line_that_means_the_project_itself_is_noted(tmp_path: Path, line: str) -> None:
    files = {
        "requirements.txt": f"{line}\nnumpy\n",
        "pyproject.toml": '[project]\nname = "p"\nversion = "1"\n',
    }
    requirements = load_folder(tmp_path, files).requirements
    assert requirements.includes_project
    assert requirements.names == ("numpy",)


def test_variables_come_from_the_environment_given_and_passwords_stay_out(tmp_path: Path) -> None:
    write_folder(tmp_path, {"requirements.txt": "--index-url https://${HOST_NAME}/simple\nnumpy\n"})
    project = load_project(tmp_path, environment={"HOST_NAME": "x.example"})
    assert project.requirements.index_urls == ("https://x.example/simple",)


def test_a_locked_project_is_read_without_parsing_its_lock(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": PYPROJECT.replace('find-links = ["wheels"]', ""),
        "uv.lock": "this is not = [toml\n",
    }
    assert load_folder(tmp_path, files).requirements.kind is RequirementKind.UV_LOCK


def test_start_up_needs_no_heavy_module(tmp_path: Path) -> None:
    """A common project loads without modules that take 20 ms each."""
    write_folder(
        tmp_path, {"pyproject.toml": PYPROJECT.replace(" ; python_version < '4'", ""), "wheels/a": ""}
    )
    program = (
        "import sys, pathlib; from lading.project.load import load_project; "
        f"load_project(pathlib.Path({str(tmp_path)!r}), environment={{}}); "
        "print([m for m in ('packaging', 'pathspec', 'difflib', 'requests', 'yaml') if m in sys.modules])"
    )
    import sys

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
