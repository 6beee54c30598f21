"""Where a wheel's files go: equal to what uv installs, but for a short list of wanted differences."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest
import wheels
from trees import InstalledTree, differences, install_with_uv
from wheels import FILENAME, INFO, Entry, MemorySource, archive, members

from lading.fetch.source import LocalFile
from lading.image.wheel.install import INSTALLER, Prefix, WheelInstall, plan_install, verify_wheel, walk

PREFIX = Prefix(python_version="3.11")
SITE = PREFIX.site_packages
ENTRY_POINTS = b"""\
[console_scripts]
demo = demo.cli:main
demo-all = demo.cli:tools.run [fast]

[gui_scripts]
demo-window = demo.gui:main

[demo.plugins]
not a script = anything at all
"""
DATA = "demo-1.0.data"
RICH = {
    "demo/__init__.py": b"answer = 42\n",
    "demo/empty.py": b"",
    "demo/__pycache__/old.cpython-311.pyc": b"compiled\n",
    "demo/with, comma and 'quote\".txt": b"x",
    f"{DATA}/purelib/demo/pure.py": b"pure = 1\n",
    f"{DATA}/platlib/demo/plat.so": b"\x7fELF",
    f"{DATA}/headers/demo.h": b"#define DEMO\n",
    f"{DATA}/data/share/demo/logo.svg": b"<svg/>",
    f"{DATA}/data/etc/demo.conf": b"a=1\n",
    f"{DATA}/scripts/demo-python": b"#!python\nprint('hi')\n",
    f"{DATA}/scripts/demo-pythonw": b"#!pythonw -E\nprint('hi')\n",
    f"{DATA}/scripts/demo-shell": b"#!/bin/sh\necho hi\n",
    f"{DATA}/scripts/short": b"#!",
    f"{DATA}/scripts/no-line-break": b"#!python3.11 -E",
    f"{DATA}/scripts/windows": b"#!python\r\nprint('hi')\r\n",
    f"{DATA}/scripts/demo-all": b"#!python\nprint('an entry point wins')\n",
    f"{INFO}/entry_points.txt": ENTRY_POINTS,
    f"{INFO}/licenses/LICENSE": b"free\n",
    f"{INFO}/INSTALLER": b"someone\n",
    f"{INFO}/REQUESTED": b"",
}
MODES = [
    Entry(name="demo/", mode=0o40755, method=0),
    Entry(name="demo/executable.sh", data=b"#!/bin/sh\n", mode=0o100755),
    Entry(name="demo/group_executable", data=b"x", mode=0o100654),
    Entry(name="demo/private.py", data=b"", mode=0o100600),
    Entry(name="demo/no_mode.py", data=b"", mode=0),
    Entry(name="demo/no_kind", data=b"x", mode=0o755),
    Entry(name="demo/dos.py", data=b"x = 1", mode=0, system=0),
]


def rich_wheel() -> bytes:
    return archive(members(RICH, extra=MODES))


def planned(raw: bytes, prefix: Prefix = PREFIX) -> WheelInstall:
    return plan_install(MemorySource(raw), FILENAME, prefix)


def content(install: WheelInstall, path: str) -> bytes:
    (found,) = (file.content for file in install.files if file.path == path)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def installed_by_uv(tmp_path_factory: pytest.TempPathFactory) -> InstalledTree:
    """A virtual environment into which uv installed the rich wheel."""
    folder = tmp_path_factory.mktemp("uv")
    wheel = folder / FILENAME
    wheel.write_bytes(rich_wheel())
    return install_with_uv(wheel, folder / "venv")


def test_the_tree_is_the_one_uv_installs_but_for_listed_differences(installed_by_uv: InstalledTree) -> None:
    install = planned(rich_wheel(), installed_by_uv.prefix)
    assert differences(installed_by_uv, install) == {
        ("REQUESTED", "only uv"),
        ("direct_url.json", "only uv"),
        ("uv_cache.json", "only uv"),
        ("INSTALLER", "other content"),
        ("RECORD", "other content"),
    }


def test_our_record_differs_from_uvs_only_in_the_installers_own_files(installed_by_uv: InstalledTree) -> None:
    (path,) = installed_by_uv.root.rglob("RECORD")
    by_uv = list(csv.reader(io.StringIO(path.read_text(), newline="")))
    install = planned(rich_wheel(), installed_by_uv.prefix)
    ours = list(csv.reader(io.StringIO(content(install, str(path).lstrip("/")).decode(), newline="")))
    own = {f"{INFO}/{name}" for name in ("INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json")}
    # uv keeps the row of a script that it does not install, because an entry point has its name.
    stale = {f"{DATA}/scripts/demo-all"}
    kept = [row for row in by_uv if row[0] not in own | stale]
    assert [row for row in ours if row[0] not in own] == kept


def test_files_go_where_their_scheme_says() -> None:
    paths = {file.path for file in planned(rich_wheel()).files}
    assert {
        f"{SITE}/demo/__init__.py",
        f"{SITE}/demo/pure.py",
        f"{SITE}/demo/plat.so",
        "opt/venv/include/site/python3.11/demo/demo.h",
        "opt/venv/share/demo/logo.svg",
        "opt/venv/etc/demo.conf",
        "opt/venv/bin/demo-shell",
        "opt/venv/bin/demo",
    } <= paths
    assert not any(".data/" in path for path in paths)


def test_data_for_lib64_goes_to_lib_because_the_one_links_to_the_other() -> None:
    raw = wheels.wheel({f"{DATA}/data/lib64/libdemo.so": b"\x7fELF"})
    assert "opt/venv/lib/libdemo.so" in {file.path for file in planned(raw).files}


def test_scripts_name_the_interpreter_of_the_prefix() -> None:
    install = planned(rich_wheel())
    assert content(install, "opt/venv/bin/demo-python") == b"#!/opt/venv/bin/python\nprint('hi')\n"
    assert content(install, "opt/venv/bin/demo-pythonw") == b"#!/opt/venv/bin/python\nprint('hi')\n"
    launcher = content(install, "opt/venv/bin/demo-all").decode()
    assert launcher.startswith("#!/opt/venv/bin/python\n")
    assert "from demo.cli import tools\n" in launcher
    assert launcher.endswith("    sys.exit(tools.run())\n")


def test_modes_are_one_of_two() -> None:
    modes = {file.path.removeprefix(f"{SITE}/"): file.mode for file in planned(rich_wheel()).files}
    assert set(modes.values()) == {0o644, 0o755}
    executable = {path for path, mode in modes.items() if mode == 0o755}
    assert {path for path in executable if path.startswith("demo/")} == {
        "demo/executable.sh",
        "demo/group_executable",
        "demo/no_kind",
    }
    assert {path for path in executable if not path.startswith("demo/")} == {
        path for path in modes if path.startswith("opt/venv/bin/")
    }


def test_member_files_come_in_the_order_of_their_bytes_then_generated_ones() -> None:
    install = planned(rich_wheel())
    indexes = [file.member_index for file in install.files if file.member_index is not None]
    assert indexes == sorted(indexes)
    assert [file.member_index for file in install.files] == [
        *indexes,
        *[None] * (len(install.files) - len(indexes)),
    ]
    assert all((file.member is None) == (file.content is not None) for file in install.files)
    assert all(len(file.content) == file.size_bytes for file in install.files if file.content is not None)


def test_every_member_is_either_a_file_of_the_image_or_skipped() -> None:
    install = planned(rich_wheel())
    assert [index for index, _ in walk(install)] == list(range(len(install.directory.members)))
    assert tuple(index for index, file in walk(install) if file is None) == install.skipped


@pytest.mark.catalogue("D10")
def test_the_installer_is_lading_and_nothing_says_requested() -> None:
    files = {file.path: file for file in planned(rich_wheel()).files}
    assert files[f"{SITE}/{INFO}/INSTALLER"].content == INSTALLER
    assert f"{SITE}/{INFO}/REQUESTED" not in files


@pytest.mark.catalogue("D10")
def test_record_lists_exactly_what_is_installed() -> None:
    install = verify_wheel(MemorySource(rich_wheel()), FILENAME, PREFIX)
    rows = list(csv.reader(io.StringIO(content(install, f"{SITE}/{INFO}/RECORD").decode(), newline="")))
    listed = {os.path.normpath(f"{SITE}/{row[0]}"): row[2] for row in rows}
    assert len(listed) == len(rows)
    assert listed == {
        file.path: "" if file.path.endswith("/RECORD") else str(file.size_bytes) for file in install.files
    }


@pytest.mark.parametrize("minor", ["3.11", "3.13"])
def test_pip_gets_a_script_for_the_python_of_the_image(minor: str) -> None:
    text = b"[console_scripts]\npip = a:b\npip3 = a:c\npip3.9 = a:d\n"
    raw = wheels.wheel({"demo/__init__.py": b"", f"{INFO}/entry_points.txt": text})
    paths = {file.path for file in planned(raw, Prefix(python_version=minor)).files}
    assert {path for path in paths if "/bin/" in path} == {
        "opt/venv/bin/pip",
        "opt/venv/bin/pip3",
        f"opt/venv/bin/pip{minor}",
    }


def test_importable_names_are_modules_packages_and_extensions() -> None:
    files = {
        "pkg/__init__.py": b"",
        "space/name/deep.py": b"",
        "single.py": b"",
        "fast.cpython-311-x86_64-linux-gnu.so": b"",
        "demo.libs/libx.so": b"",
        "x.pth": b"pkg\n",
        "docs/readme.txt": b"",
    }
    assert planned(wheels.wheel(files)).top_level == ("fast", "pkg", "single", "space")


def test_planning_reads_metadata_at_the_end_in_two_requests() -> None:
    """The tail with the directory, and what of the .dist-info folder lies before it."""
    big = Entry(name="demo/big.bin", data=os.urandom(1 << 20), method=0)
    long = Entry(name=f"{INFO}/licenses/LICENSE", data=os.urandom(300 << 10), method=0)
    source = MemorySource(archive(members(extra=[big, long])))
    plan_install(source, FILENAME, PREFIX)
    assert len(source.reads) == 2


def test_a_local_file_is_a_source_too(tmp_path: Path) -> None:
    path = tmp_path / FILENAME
    path.write_bytes(rich_wheel())
    with LocalFile(path) as source:
        install = verify_wheel(source, path.name, PREFIX)
    assert install.files == planned(rich_wheel()).files
    assert (install.name, install.version) == ("demo", "1.0")
    assert install.metadata == wheels.METADATA.decode()


def test_planning_twice_gives_equal_values() -> None:
    assert planned(rich_wheel()) == planned(rich_wheel())
