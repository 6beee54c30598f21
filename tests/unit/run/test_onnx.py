"""Laws of the ONNX reader: real files are read, no bytes crash it, nothing outside is referred to."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.errors import ProjectError
from lading.run.onnx import OnnxValue, read_onnx
from run.tiny_onnx import doubling_model, field


def read(folder: Path, content: bytes) -> object:
    path = folder / "model.onnx"
    path.write_bytes(content)
    return read_onnx(path)


def test_signature_and_versions(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(doubling_model())
    summary = read_onnx(path)
    assert (summary.ir_version, summary.opsets) == (8, (("", 13),))
    assert summary.inputs == (OnnxValue(name="X", datatype="FP32", shape=(-1, 2)),)
    assert summary.outputs == (OnnxValue(name="Y", datatype="FP32", shape=(-1, 2)),)


def test_weights_beside_the_model_are_named_and_are_no_inputs(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(doubling_model(weights="sub/w.bin"))
    assert read_onnx(path).external_files == ("sub/w.bin",)
    assert [value.name for value in read_onnx(path).inputs] == ["X"]


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "a/../../b", "", "a\\b", "a\0b"])
def test_weights_outside_the_folder_are_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ProjectError, match="outside"):
        read(tmp_path, doubling_model(weights=location))


@pytest.mark.parametrize("keep", range(0, len(doubling_model()), 7))
def test_a_model_cut_short_is_told(tmp_path: Path, keep: int) -> None:
    with pytest.raises(ProjectError, match="no ONNX model or is cut short"):
        read(tmp_path, doubling_model()[:keep])


@given(content=st.binary(max_size=200))
def test_no_bytes_crash_the_reader(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    with contextlib.suppress(ProjectError):
        read(tmp_path_factory.getbasetemp(), content)


@given(position=st.integers(0, len(doubling_model()) - 1), byte=st.integers(0, 255))
def test_no_changed_byte_crashes_the_reader(
    tmp_path_factory: pytest.TempPathFactory, position: int, byte: int
) -> None:
    content = bytearray(doubling_model(weights="w"))
    content[position] = byte
    with contextlib.suppress(ProjectError):
        read(tmp_path_factory.getbasetemp(), bytes(content))


def test_a_length_beyond_the_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="beyond"):
        read(tmp_path, field(1, 8) + b"\x3a\xff\xff\xff\xff\x0f")
