"""Changed wheels, code that starts by itself, programs with other rights; exceptions and gates over all."""

from __future__ import annotations

import tarfile
from datetime import date
from pathlib import Path

import pytest

from lading.inspect.scan.model import Check
from lading.inspect.scan.output import as_json, sarif
from lading.project.scan_settings import Allowed
from lading.run.gate import Outcome
from scanned.images import SITE, scan, store_in, wheel
from scanned.planted import LINE

DEMO = wheel(
    "demo", "1.0", {"demo/__init__.py": b"x = 1\n", "demo/empty.py": b"", "../../../bin/demo": b"#!/x\n"}
)


def program(mode: int, **pax: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.mode, member.size, member.pax_headers = mode, 3, pax
    return member


def link(target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo()
    member.type, member.linkname = tarfile.LNKTYPE, target
    return member


def test_a_wheel_as_it_was_installed_is_not_altered(tmp_path: Path) -> None:
    report = scan(store_in(tmp_path), DEMO, checks=(Check.ALTERED,))
    assert report.findings == ()


@pytest.mark.parametrize("path", [f"{SITE}/demo/__init__.py", f"{SITE}/demo/empty.py", "opt/venv/bin/demo"])
def test_a_file_that_differs_from_record_is_found(tmp_path: Path, path: str) -> None:
    """Also one that was empty, and a script outside of site-packages; a later layer may do it."""
    report = scan(store_in(tmp_path), DEMO, {path: b"import os\n"}, checks=(Check.ALTERED,))
    assert [(found.path, found.layer, found.package) for found in report.findings] == [(path, 2, "demo")]
    assert report.verdict.outcome is Outcome.FAIL


PYC = f"{SITE}/demo/__pycache__/__init__.cpython-312.pyc"
BYTECODE = wheel(
    "demo",
    "1.0",
    {
        "demo/__init__.py": b"x = 1\n",
        "demo/__pycache__/__init__.cpython-312.pyc": b"old",
        "demo/__pycache__/__init__.cpython-312.opt-1.pyc": b"old",
        "demo/__pycache__/__init__.cpython-312-pytest-8.0.0.pyc": b"old",
        "demo/__pycache__/gone.cpython-312.pyc": b"old",
        "demo/plain.pyc": b"old",
        "top.py": b"",
        "__pycache__/top.cpython-312.pyc": b"old",
    },
)


def test_bytecode_that_was_written_anew_from_its_source_is_not_altered(tmp_path: Path) -> None:
    """Installers and lading's own layer of bytecode write `__pycache__` again."""
    new = {
        PYC: b"new",
        PYC.replace(".pyc", ".opt-1.pyc"): b"new",
        f"{SITE}/__pycache__/top.cpython-312.pyc": b"n",
    }
    assert scan(store_in(tmp_path), BYTECODE, new, checks=(Check.ALTERED,)).findings == ()


@pytest.mark.parametrize(
    ("layer", "found"),
    [
        ({f"{SITE}/demo/plain.pyc": b"new"}, [f"{SITE}/demo/plain.pyc"]),
        (
            {f"{SITE}/demo/__pycache__/gone.cpython-312.pyc": b"new"},
            [f"{SITE}/demo/__pycache__/gone.cpython-312.pyc"],
        ),
        ({PYC: b"new", f"{SITE}/demo/.wh.__init__.py": b""}, [PYC]),
        ({PYC: b"new", f"{SITE}/demo/__init__.py": b"y"}, [f"{SITE}/demo/__init__.py", PYC]),
        (
            {PYC.replace("312.", "312-pytest-8.0.0."): b"new"},
            [PYC.replace("312.", "312-pytest-8.0.0.")],
        ),
    ],
    ids=["importable", "no source", "source left out", "source altered", "of another program"],
)
def test_bytecode_without_its_source_as_it_was_is_altered(
    tmp_path: Path, layer: dict[str, bytes], found: list[str]
) -> None:
    report = scan(store_in(tmp_path), BYTECODE, layer, checks=(Check.ALTERED,))
    assert [one.path for one in report.findings] == found


def test_files_left_out_shared_or_linked_are_not_altered(tmp_path: Path) -> None:
    """Tests are taken out to save room; two wheels may have one path; a hard link has its target's bytes."""
    other = wheel("other", "2.0", {"demo/__init__.py": b"y = 2\n"})
    layer = {path: content for path, content in DEMO.items() if not path.endswith("empty.py")}
    report = scan(store_in(tmp_path), layer, other, checks=(Check.ALTERED,))
    assert report.findings == ()
    linked = {**DEMO, f"{SITE}/copy.py": b"x = 1\n", f"{SITE}/demo/__init__.py": link(f"{SITE}/copy.py")}
    assert scan(store_in(tmp_path), linked, checks=(Check.ALTERED,)).findings == ()


NAMESPACE = (
    b"import sys, types, os;has_mfs = sys.version_info > (3, 5);p = os.path.join(sys._getframe(1).f_locals"
    b"['sitedir'], *('google',));importlib = has_mfs and __import__('importlib.util');has_mfs and __import__"
    b"('importlib.machinery');m = has_mfs and sys.modules.setdefault('google', importlib.util."
    b"module_from_spec(importlib.machinery.PathFinder.find_spec('google', [os.path.dirname(p)])));"
    b"m = m or sys.modules.setdefault('google', types.ModuleType('google'));"
    b"mp = (m or []) and m.__dict__.setdefault('__path__',[]);"
    b"(p not in mp) and mp.append(p)\n"
)
DISTUTILS = (
    b"import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os.environ.get(var, 'local') == 'local'; "
    b"enabled and __import__('_distutils_hack').add_shim(); "
)
STARTUP = {
    f"{SITE}/evil.pth": b"/some/folder\nimport os; os.system('id')\n",
    f"{SITE}/distutils-precedence.pth": DISTUTILS + b"import evil\n",
    f"{SITE}/google-nspkg.pth": NAMESPACE.replace(b"has_mfs = sys", b"has_mfs = __import__('evil'); sys"),
    f"{SITE}/sitecustomize.py": b"print('hello')\n",
    f"{SITE}/_manylinux.py": b"manylinux1_compatible = False\n",
    "usr/local/lib/python3.12/usercustomize.py": b"print('hello')\n",
    f"{SITE}/nul.pth": b"# \0\nimport os; os.system('id')\n",
    f"{SITE}/zip.pth": b"PK\x03\x04\nimport os; os.system('id')\n",
    f"{SITE}/elf.pth": b"\x7fELF\nimport os; os.system('id')\n",
    f"{SITE}/mark.pth": b"\xef\xbb\xbfimport os; os.system('id')\n",
    f"{SITE}/feed.pth": b"# nothing\x0cimport os; os.system('id')\n",
    f"{SITE}/old.pth": b"/some/folder\rimport os; os.system('id')\r",
    f"{SITE}/long.pth": b"# nothing\n" * 200_000 + b"import os\n",
    f"{SITE}/sitecustomize/__init__.py": b"print('hello')\n",
    f"{SITE}/sitecustomize.cpython-312-x86_64-linux-gnu.so": b"\x7fELF" + bytes(100),
}
HARMLESS = {
    f"{SITE}/folders.pth": b"/some/folder\n# import this\n",
    f"{SITE}/distutils-precedence.pth": DISTUTILS,
    f"{SITE}/google-nspkg.pth": NAMESPACE,
    f"{SITE}/package/sitecustomize.py": b"print('nobody imports me')\n",
    "models/checkpoint.pth": b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0archive/data.pkl" + b"import os\n",
}


@pytest.mark.parametrize("path", STARTUP)
def test_code_that_starts_by_itself_is_found(tmp_path: Path, path: str) -> None:
    report = scan(store_in(tmp_path), {path: STARTUP[path]}, checks=(Check.STARTUP,))
    assert [found.path for found in report.findings] == [path]


@pytest.mark.parametrize("path", HARMLESS)
def test_folders_and_setuptools_own_lines_are_no_code(tmp_path: Path, path: str) -> None:
    assert scan(store_in(tmp_path), {path: HARMLESS[path]}, checks=(Check.STARTUP,)).findings == ()


def test_startup_code_names_the_wheel_it_came_with_and_not_what_is_gone(tmp_path: Path) -> None:
    files = wheel("evil", "1.0", {"evil.pth": b"import evil\n"})
    report = scan(store_in(tmp_path), files, checks=(Check.STARTUP,))
    assert report.findings[0].message.endswith("from evil 1.0")
    gone = {f"{SITE}/.wh.evil.pth": b""}
    assert scan(store_in(tmp_path), files, gone, checks=(Check.STARTUP,)).findings == ()


def test_programs_with_other_rights_are_found_with_their_package(tmp_path: Path) -> None:
    status = b"Package: passwd\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:4.13\n"
    layer = {
        "usr/bin/passwd": program(0o4755),
        "usr/bin/wall": program(0o2755),
        "usr/bin/ping": program(0o755, **{"SCHILY.xattr.security.capability": "x"}),
        "usr/bin/true": program(0o755),
        "var/lib/dpkg/status": status,
        "var/lib/dpkg/info/passwd.list": b"/usr/bin/passwd\n",
    }
    report = scan(store_in(tmp_path), layer, checks=(Check.SETUID,))
    assert [(found.path, found.message) for found in report.findings] == [
        ("usr/bin/passwd", "setuid (user 0); from passwd 1:4.13"),
        ("usr/bin/ping", "file capabilities (group 0); of no package"),
        ("usr/bin/wall", "setgid (group 0); of no package"),
    ]


def allow(finding: str, path: str = "", package: str = "", expires: date = date(2027, 1, 1)) -> Allowed:
    return Allowed(finding=finding, package=package, path=path, reason="a sample", expires=expires, key=())


def test_z10_an_exception_lets_a_finding_be_until_its_day(tmp_path: Path) -> None:
    store = store_in(tmp_path)
    layer = {"app/keys/a.txt": LINE, "app/b.txt": LINE}
    report = scan(store, layer, allowed=(allow("secret", "/app/keys/*"), allow("CVE-2026-9")))
    assert [found.allowed for found in report.findings] == ["", "a sample"]
    assert report.metrics["secrets"] == 1
    assert [str(entry) for entry in report.judged.unused] == ["CVE-2026-9"]
    expired = scan(store, layer, allowed=(allow("secret", "app/*", expires=date(2026, 1, 1)),))
    assert [found.allowed for found in expired.findings] == ["", ""]


def test_sarif_has_every_finding_and_says_what_is_suppressed(tmp_path: Path) -> None:
    report = scan(
        store_in(tmp_path), {"app/a b.txt": LINE, "app/c.txt": LINE}, allowed=(allow("secret", "app/c.txt"),)
    )
    run = sarif(report)["runs"][0]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["secrets"]
    places = [one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for one in run["results"]]
    assert places == ["app/a%20b.txt", "app/c.txt"]
    assert [one.get("suppressions") for one in run["results"]] == [
        None, [{"kind": "external", "justification": "a sample"}]
    ]  # fmt: skip


def test_the_document_has_every_part(tmp_path: Path) -> None:
    document = as_json(scan(store_in(tmp_path), {"app/a.txt": LINE}))
    assert document["gate"]["outcome"] == "fail"
    assert document["findings"][0] == {
        "check": "secrets",
        "id": "secret",
        "message": "holds what looks like a Hugging Face token",
        "path": "app/a.txt",
        "layer": 1,
        "line": 1,
        "package": "",
        "version": "",
        "inside": "",
        "hidden": "",
        "allowed": None,
    }
