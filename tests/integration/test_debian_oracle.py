"""A Debian root without maintainer scripts against one that `mmdebstrap` made of the same packages.

Each difference in paths, kinds, modes, owners, link targets and sha256 is listed with its reason in
debian_differences.toml; where two files say the same in other words, that is checked here.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import subprocess
import tarfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from lading.image.debian import debian_layers
from lading.image.layer.tree import EntryKind
from lading.lock.debian import (
    DebianResolution,
    base_packages,
    fetch_packages,
    interpreter_packages,
    python_suite,
    resolve_packages,
)
from lading.lock.debian.mirror import discover_mirrors
from lading.lock.debian.signature import keyring_path
from lading.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.root]

TABLE = tomllib.loads((Path(__file__).parent / "debian_differences.toml").read_text())
MERGED_HOOK = "/usr/share/mmdebstrap/hooks/merged-usr"


@dataclass
class Roots:
    suite: str
    ours: Path
    oracle: Path
    minimal: Path


def unpack(resolution: DebianResolution, store: Store, python: str, flavour: str, folder: Path) -> Path:
    """The layers as tar files, unpacked by tar one over the other."""
    base = resolution.closure(base_packages(flavour), flavour=flavour)
    whole = resolution.closure(base_packages(flavour) + interpreter_packages(python), flavour=flavour)
    upper = [package for package in whole if package not in base]
    debs = fetch_packages(whole, store=store, environment=os.environ)
    groups = [[(package, debs[package.name]) for package in group] for group in (base, upper)]
    root = folder / flavour
    root.mkdir()
    for entries in debian_layers(groups, flavour=flavour, staging=store.staging):
        layer = folder / "layer.tar"
        with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
            for entry in entries:
                info = tarfile.TarInfo(entry.path)
                info.mode, info.uid, info.gid = entry.mode, entry.uid, entry.gid
                info.type = {
                    EntryKind.FILE: tarfile.REGTYPE, EntryKind.DIRECTORY: tarfile.DIRTYPE,
                    EntryKind.SYMLINK: tarfile.SYMTYPE, EntryKind.HARDLINK: tarfile.LNKTYPE,
                }[entry.kind]  # fmt: skip
                info.linkname = entry.link_target or ""
                content = entry.content() if callable(entry.content) else entry.content
                info.size = len(content)
                tar.addfile(info, BytesIO(content))
        subprocess.run(["tar", "--numeric-owner", "-xpf", layer, "-C", root], check=True)
    return root


def make_oracle(resolution: DebianResolution, suite: str, python: str, folder: Path) -> Path:
    names = resolution.closure(base_packages("standard") + interpreter_packages(python))
    mirrors = discover_mirrors(os.environ, suite)
    signed = f"[signed-by={keyring_path({})}]"
    sources = [f"deb {signed} {mirrors.archive} {name} main" for name in (suite, f"{suite}-updates")]
    if mirrors.security is not None:
        sources.append(f"deb {signed} {mirrors.security} {suite}-security main")
    folder.chmod(0o755)
    include = ",".join(package.name for package in names)
    command = [
        "mmdebstrap",
        "--variant=custom",
        "--mode=root",
        f"--hook-dir={MERGED_HOOK}",
        f"--include={include}",
    ]
    done = subprocess.run([*command, suite, folder / "oracle", *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-4000:]
    return folder / "oracle"


@pytest.fixture(scope="module", params=["3.11", "3.13"])
def roots(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roots]:
    if shutil.which("mmdebstrap") is None:
        pytest.fail("mmdebstrap is not installed: apt-get install mmdebstrap")
    python = request.param
    suite = python_suite(python)
    folder = tmp_path_factory.mktemp(suite)
    for parent in folder.parents:  # mmdebstrap's apt drops its privileges
        if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
            parent.chmod(0o755)
    store = Store.open({"LADING_HOME": str(folder / "store")})
    wanted = base_packages("standard") + base_packages("minimal") + interpreter_packages(python)
    resolution = resolve_packages(
        suite=suite, architecture="amd64", wanted=wanted, store=store, environment=os.environ
    )
    yield Roots(
        suite=suite,
        ours=unpack(resolution, store, python, "standard", folder),
        oracle=make_oracle(resolution, suite, python, folder),
        minimal=unpack(resolution, store, python, "minimal", folder),
    )
    shutil.rmtree(folder)


def scan(root: Path) -> dict[str, tuple[object, ...]]:
    """Path → kind, mode, owner and link target or sha256."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            status = path.lstat()
            mode, owner = stat.S_IMODE(status.st_mode), (status.st_uid, status.st_gid)
            key = str(path.relative_to(root))
            if stat.S_ISLNK(status.st_mode):
                found[key] = ("link", str(path.readlink()))
            elif stat.S_ISREG(status.st_mode):
                found[key] = ("file", mode, owner, hashlib.sha256(path.read_bytes()).hexdigest())
            else:
                found[key] = (stat.S_IFMT(status.st_mode), mode, owner)
    return found


def without_user(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("lading:")]


def without_dates(text: str) -> list[str]:
    """Field 3 of shadow(5) is the day of the installation."""
    return [re.sub(r"^([^:]*:[^:]*):\d*:", r"\1::", line) for line in without_user(text)]


SAME_IN_OTHER_WORDS: dict[str, Callable[[str], object]] = {
    "etc/passwd": without_user,
    "etc/group": without_user,
    "etc/gshadow": without_user,
    "etc/shadow": without_dates,
    "var/lib/dpkg/status": lambda text: sorted(text.splitlines()),
    "var/lib/dpkg/triggers/File": lambda text: sorted(text.splitlines()),
}


def cached_libraries(root: Path) -> list[str]:
    """What ldconfig itself reads in a root's cache, less the line that names ldconfig."""
    command = ["ldconfig", "-p", "-C", root / "etc/ld.so.cache"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [line for line in text.splitlines()[1:] if not line.startswith("Cache generated")]


def is_same(path: str, roots: Roots) -> bool:
    if path == "etc/ld.so.cache":
        return cached_libraries(roots.ours) == cached_libraries(roots.oracle)
    if path not in SAME_IN_OTHER_WORDS:
        return False
    read = SAME_IN_OTHER_WORDS[path]
    ours, oracle = roots.ours / path, roots.oracle / path
    modes = {(p.stat().st_mode, p.stat().st_uid, p.stat().st_gid) for p in (ours, oracle)}
    return len(modes) == 1 and read(ours.read_text()) == read(oracle.read_text())


def is_listed(kind: str, path: str) -> bool:
    return any(re.fullmatch(entry["paths"], path) for entry in TABLE[kind])


def test_every_difference_to_mmdebstrap_is_listed(roots: Roots) -> None:
    ours, oracle = scan(roots.ours), scan(roots.oracle)
    assert len(ours) > 4000
    unexplained = [
        f"missing {path}" for path in sorted(oracle.keys() - ours.keys()) if not is_listed("missing", path)
    ]
    unexplained += [
        f"added {path}" for path in sorted(ours.keys() - oracle.keys()) if not is_listed("added", path)
    ]
    unexplained += [
        f"changed {path}: {oracle[path]} -> {ours[path]}"
        for path in sorted(ours.keys() & oracle.keys())
        if ours[path] != oracle[path] and not is_same(path, roots) and not is_listed("changed", path)
    ]
    assert not unexplained, "\n".join(unexplained)


def test_every_entry_of_the_table_has_a_reason() -> None:
    assert all(entry["reason"].strip() for entries in TABLE.values() for entry in entries)


def inside(root: Path, command: str, *, user: str = "root") -> str:
    """Run a command in the root, which has no /proc and only /dev/null, as an engine at its poorest."""
    null = root / "dev/null"
    null.parent.mkdir(exist_ok=True)
    if not null.is_char_device():
        null.unlink(missing_ok=True)
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        null.chmod(0o666)
    done = subprocess.run(
        ["/usr/sbin/chroot", f"--userspec={user}", root, "/bin/sh", "-c", command],
        capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"},
    )  # fmt: skip
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


PYTHON_WORKS = """
import bz2, ctypes, ctypes.util, hashlib, lzma, readline, sqlite3, ssl, venv, zoneinfo
assert zoneinfo.ZoneInfo("Europe/Rome")
assert len(ssl.create_default_context().get_ca_certs()) > 100
ctypes.CDLL("libgomp.so.1"); ctypes.CDLL("libstdc++.so.6")
print("works")
"""


def test_what_users_do_works_in_the_root(roots: Roots) -> None:
    """After the comparison: running things leaves traces."""
    python = "import ctypes.util; assert ctypes.util.find_library('z');" + PYTHON_WORKS
    assert inside(roots.ours, f"python3 -c '{python.replace(chr(39), chr(34))}'") == "works\n"
    assert inside(roots.ours, "dpkg --audit; apt-get check -qq") == ""
    assert "ii  libc6:amd64" in inside(roots.ours, "dpkg -l")
    assert "libc.so.6 (libc6,x86-64)" in inside(roots.ours, "ldconfig -p")
    assert inside(roots.ours, "getent passwd lading").startswith(
        "lading:x:1000:1000:lading:/home/lading:/bin/bash"
    )
    assert inside(roots.ours, "cd /home/lading && touch x && id -un", user="1000:1000") != ""
    assert inside(roots.ours, "echo a b | awk '{print $2}'") == "b\n"
    assert inside(
        roots.ours, "openssl verify -CApath /etc/ssl/certs /etc/ssl/certs/ISRG_Root_X1.pem"
    ).endswith("OK\n")
    assert inside(roots.ours, "su lading -c 'id -u'") == "1000\n"
    inside(roots.ours, "useradd someone")


def test_minimal_has_a_python_and_no_shell(roots: Roots) -> None:
    names = {path.name for path in (roots.minimal / "usr/bin").iterdir()}
    assert not names & {"sh", "bash", "dash", "dpkg", "apt", "perl"}
    done = subprocess.run(
        ["/usr/sbin/chroot", roots.minimal, "/usr/bin/python3", "-c", PYTHON_WORKS],
        capture_output=True, text=True, env={"PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.stdout == "works\n", done.stderr
    assert "Package: libc6\n" in (roots.minimal / "var/lib/dpkg/status").read_text()
