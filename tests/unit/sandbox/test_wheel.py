"""A built wheel's bytes follow from its files alone."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from lading.errors import BuildFailed
from lading.fetch.source import LocalFile
from lading.image.wheel.install import Prefix, plan_install
from lading.sandbox.wheel import canonical_wheel

FILES = {
    "demo/__init__.py": (b"VALUE = 1\n", 0o644),
    "demo/naïve, name.txt": (b"", 0o644),
    "demo/fast.so": (b"\x7fELF" * 1000, 0o755),
    "demo-1.0.dist-info/METADATA": (b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n", 0o644),
    "demo-1.0.dist-info/WHEEL": (
        b"Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
        0o644,
    ),
    "demo-1.0.dist-info/RECORD": (b"whatever\n", 0o644),
}


def wheel(folder: Path, names: list[str], year: int, method: int) -> Path:
    folder.mkdir()
    path = folder / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in names:
            info = zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0))
            info.external_attr = FILES[name][1] << 16
            archive.writestr(info, FILES[name][0], method)
    return path


def test_order_time_and_compression_leave_no_trace(tmp_path: Path) -> None:
    one = canonical_wheel(wheel(tmp_path / "a", list(FILES), 2020, zipfile.ZIP_STORED))
    two = canonical_wheel(wheel(tmp_path / "b", list(reversed(FILES)), 2030, zipfile.ZIP_DEFLATED))
    assert one == two


def test_what_comes_out_is_a_wheel_that_layers_accept(tmp_path: Path) -> None:
    made = canonical_wheel(wheel(tmp_path / "a", list(FILES), 2020, zipfile.ZIP_STORED))
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in FILES if "RECORD" not in name} == {
            name: content for name, (content, _) in FILES.items() if "RECORD" not in name
        }
    path = tmp_path / made.filename
    path.write_bytes(made.content)
    install = plan_install(LocalFile(path), made.filename, Prefix(python_version="3.11", root="opt/venv"))
    assert {file.path.rpartition("/")[2] for file in install.files} >= {"__init__.py", "fast.so"}


def test_what_is_no_wheel_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "demo-1.0-py3-none-any.whl"
    broken.write_bytes(b"PK nothing")
    with pytest.raises(BuildFailed, match="no wheel"):
        canonical_wheel(broken)
    bare = wheel(tmp_path / "a", ["demo/__init__.py"], 2020, zipfile.ZIP_STORED)
    with pytest.raises(BuildFailed, match="RECORD"):
        canonical_wheel(bare)
