"""The name people read is one that every registry and engine takes, whatever the project is called."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.utils import canonicalize_name

from lading.image.tag import image_name, image_tag
from lading.oci.reference import Reference
from lading.project.load import load_project
from lading.project.values import NAME


@given(st.from_regex(re.compile(NAME, re.ASCII), fullmatch=True))
def test_the_name_of_an_image_is_the_project_in_the_letters_of_a_registry(name: str) -> None:
    reference = Reference.parse(f"{image_name(name)}:0-cpu")

    assert reference.repository == f"library/{canonicalize_name(name).strip('-')}"
    assert image_name(image_name(name)) == image_name(name)


@pytest.mark.parametrize(
    ("folder", "files", "tag"),
    [
        ("Iris", {}, "iris:0-cpu"),
        ("My Proj \u00fc", {}, "my-proj:0-cpu"),
        (
            "x",
            {"pyproject.toml": '[project]\nname = "Spiral-Net"\nversion = "0.3.1"\n'},
            "spiral-net:0.3.1-cpu",
        ),
        ("x", {"lading.toml": 'name = "A_b.C"\n'}, "a-b-c:0-cpu"),
    ],
)
def test_capitals_are_no_reason_to_fail(tmp_path: Path, folder: str, files: dict[str, str], tag: str) -> None:
    root = tmp_path / folder
    root.mkdir()
    for name, text in {"train.py": "", **files}.items():
        (root / name).write_text(text)
    project = load_project(root, environment={})

    assert image_tag(project, "train", "cpu") == tag
    assert Reference.parse(tag).familiar == tag
    served = image_tag(replace(project, name="Iris"), "Serve_2", "cpu")
    assert served.startswith("iris-serve-2:")
