"""The process level's paths: what is translated to where, and how a program of the image is started."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from lading.engine.embedded.relocate import PathMap
from lading.engine.embedded.shadow import Program, make_shadow, program_of

MAP = PathMap(
    mounts={"/data": "/host/data", "/data/inner": "/host/other", "/lading/inputs/one": "/host/one"},
    shadow="/s",
    view="/run/view",
    temporary="/run/tmp",
    working=("/app", "/run/working"),
    exists=lambda path: path in ("/s/etc/passwd", "/s/opt/venv/bin", "/s/usr/bin", "/s/var/cache"),
)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data", "/host/data"),
        ("/data/x/y", "/host/data/x/y"),
        ("/data/inner/x", "/host/other/x"),
        ("/data2", "/data2"),
        ("/lading/inputs", "/run/view/lading/inputs"),
        ("/lading/inputs/one/x", "/host/one/x"),
        ("/app", "/run/working"),
        ("/app/main.py", "/run/working/main.py"),
        ("/tmp/x", "/run/tmp/x"),
        ("/var/tmp/x", "/run/tmp/x"),
        ("/etc/passwd", "/s/etc/passwd"),
        ("/dev/null", "/dev/null"),
        ("/proc/self", "/proc/self"),
        ("/", "/"),
        ("/v1/predict", "/v1/predict"),
        ("relative/x", "relative/x"),
        ("//host/share", "//host/share"),
        ("/data/../etc/passwd", "/s/etc/passwd"),
    ],
)
def test_a_path_is_translated_where_it_is_known(path: str, expected: str) -> None:
    assert MAP.translate(path) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PATH", "/opt/venv/bin:/usr/bin", "/s/opt/venv/bin:/s/usr/bin"),
        ("URL", "https://example.org/data", "https://example.org/data"),
        ("HOME", "/home/lading", "/run/view/home/lading"),
        ("HF_HOME", "/var/cache", "/run/view/var/cache"),
        ("XDG_CACHE_HOME", "/tmp/cache", "/run/tmp/cache"),
        ("ROUTE", "/v1/predict", "/v1/predict"),
        ("LADING_OUTPUTS", "/data", "/host/data"),
    ],
)
def test_environment_values_are_translated_part_by_part(name: str, value: str, expected: str) -> None:
    assert MAP.value(name, value) == expected


def test_words_of_a_command_are_paths_or_options_with_paths() -> None:
    words = ("--data=/data/x", "/app/main.py", "-c", "print('/data')", "a=b")
    expected = ["--data=/host/data/x", "/run/working/main.py", "-c", "print('/data')", "a=b"]
    assert [MAP.word(word) for word in words] == expected


def elf(loader: bytes) -> bytes:
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 1)
    segment = struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(loader), len(loader), 1)
    return bytes(header) + segment + loader


def test_a_program_says_how_it_starts() -> None:
    assert program_of(elf(b"/lib64/ld.so\0")) == Program(loader="/lib64/ld.so")
    assert program_of(b"#!/usr/bin/env python3\nx") == Program(interpreter=("/usr/bin/env", "python3"))
    assert program_of(b"#! /bin/sh -e x\n") == Program(interpreter=("/bin/sh", "-e x"))
    for data in (b"", b"#!", b"#!\n", b"text", b"\x7fELF", elf(b"x")[:100]):
        assert program_of(data) is None


def test_the_shadow_wraps_programs_and_links_the_rest(tmp_path: Path) -> None:
    root = tmp_path / "root"
    for folder in ("usr/bin", "usr/lib", "opt/venv/bin", "etc"):
        (root / folder).mkdir(parents=True)
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/tool").write_bytes(elf(b"/lib64/ld.so\0"))
    (root / "opt/venv/bin/script").write_bytes(b"#!/opt/venv/bin/python\n")
    (root / "opt/venv/bin/data").write_bytes(b"plain")
    (root / "opt/venv/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11\n")
    shadow = tmp_path / "shadow"
    make_shadow(root, shadow, tmp_path)
    assert str((shadow / "bin").readlink()) == "usr/bin"
    assert (shadow / "etc").readlink() == root / "etc"
    assert (shadow / "usr/lib").readlink() == root / "usr/lib"
    assert (shadow / "opt/venv/pyvenv.cfg").read_text() == f"home = {shadow}/usr/bin\nversion = 3.11\n"
    tool = (shadow / "usr/bin/tool").read_text().split("\n")[1]
    assert tool.startswith(f"exec {root}/lib64/ld.so --inhibit-cache --library-path {root}/usr/lib ")
    assert tool.endswith(f'--argv0 "$0" {root}/usr/bin/tool "$@"')
    script = (shadow / "opt/venv/bin/script").read_text()
    assert script == f'#!/bin/sh\nexec {shadow}/opt/venv/bin/python {root}/opt/venv/bin/script "$@"\n'
    assert (shadow / "opt/venv/bin/data").readlink() == root / "opt/venv/bin/data"
