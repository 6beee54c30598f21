"""A standalone Python over a base that has none, from the mirror that uv's own variable names.

The archive is a stand-in: Debian's Python 3.11, laid out as python-build-standalone lays out `install_only`
archives, under the name that uv's catalogue gives the newest build. Unlike a real one it is linked with
libexpat and zlib, which the base therefore has.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from bases import Bases, locked, write_project
from folder_server import FolderServer, folder_server

from foreign_images import put_tar, tree_tar
from lading.lock.uv import find_uv
from services.process import Tool, run

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.registry, pytest.mark.root]

MOVED = {
    "usr/bin/python3.11": "python/bin/python3.11",
    "usr/lib/python3.11": "python/lib/python3.11",
    "usr/include/python3.11": "python/include/python3.11",
}
CODE = """\
import json, six, sys, ssl, sysconfig
print(json.dumps([sys.base_prefix, sys.version_info[:2], six.__file__, six.__cached__, json.__cached__]))
"""


def archive_name(mirror: str) -> str:
    """Where uv's catalogue has its newest 3.11 below `mirror`."""
    words = ("python", "list", "cpython-3.11-linux-x86_64-gnu", "--all-versions", "--only-downloads")
    environment = {**os.environ, "UV_PYTHON_INSTALL_MIRROR": mirror}
    said = run([find_uv(), *words, "--output-format", "json"], env=environment, timeout_seconds=60).stdout
    builds = [build for build in json.loads(said) if build["variant"] == "default"]
    newest = max(builds, key=lambda build: int(build["version_parts"]["patch"]))
    return unquote(urlsplit(newest["url"]).path).lstrip("/")


@pytest.fixture
def mirror(bases: Bases, tmp_path: Path) -> Iterator[FolderServer]:
    """Serves the archive and, beside it, the sums of its release."""
    folder = tmp_path / "mirror"
    with folder_server(folder) as server:
        place = folder / archive_name(server.url)
        place.parent.mkdir(parents=True)
        with (
            tarfile.open(fileobj=io.BytesIO(tree_tar(bases.root, MOVED))) as tree,
            tarfile.open(place, "w:gz", compresslevel=1) as archive,
        ):
            for member in tree:
                if not member.linkname.startswith("/"):  # sitecustomize.py, which Debian keeps in /etc
                    archive.addfile(member, tree.extractfile(member) if member.isreg() else None)
            for name in ("python3", "python"):
                link = tarfile.TarInfo(f"python/bin/{name}")
                link.type, link.linkname = tarfile.SYMTYPE, "python3.11"
                archive.addfile(link)
        digest = hashlib.sha256(place.read_bytes()).hexdigest()
        (place.parent / "SHA256SUMS").write_text(f"{'0' * 64}  another.tar.gz\n{digest}  {place.name}\n")
        yield server


def test_a_standalone_python_goes_on_top_of_a_base_without_one(
    bases: Bases, mirror: FolderServer, lading: Tool, tmp_path: Path
) -> None:
    """It is fetched once, checked by its sha256, compiles the bytecode, and runs the project."""
    libraries = {path: path for path in bases.libraries()}
    base = bases.push("bare-libraries", bases.base, put_tar(bases.store, tree_tar(bases.root, libraries)))
    project = write_project(tmp_path / "p", base, "six\n", 'python = "3.11"\n', code=CODE)
    from_mirror = {"UV_PYTHON_INSTALL_MIRROR": mirror.url, "LADING_HOME": str(tmp_path / "home")}

    first = lading("lock", cwd=project, env=from_mirror)
    said = json.loads(lading("run", "--", "python", "main.py", cwd=project, env=from_mirror).stdout)
    again = json.loads(lading("build", "--json", "--prove", cwd=project, env=from_mirror).stdout)

    assert f"{base} has no Python: a standalone Python 3.11 goes on top" in first.stderr
    prefix, version, module, cached, library = said
    assert (prefix, version) == ("/opt/python", [3, 11])
    assert module == "/opt/venv/lib/python3.11/site-packages/six.py"
    assert cached.endswith("site-packages/__pycache__/six.cpython-311.pyc")
    assert library == "/opt/python/lib/python3.11/json/__pycache__/__init__.cpython-311.pyc"
    inside = f"test -f {cached} && test -f {library}"
    lading("run", "--", "sh", "-c", inside, cwd=project, env=from_mirror)
    assert [layer["kind"] for layer in again["layers"]][2:4] == ["interpreter", "venv"]
    interpreter = locked(project)["interpreter"]
    assert interpreter["provider"] == "standalone"
    assert interpreter["url"].startswith(mirror.url)
    fetched = [path for path in mirror.asked if path.startswith("GET") and path.endswith(".tar.gz")]
    assert len(fetched) == 1


def test_another_archive_than_the_locked_one_is_refused(
    bases: Bases, mirror: FolderServer, lading: Tool, tmp_path: Path
) -> None:
    base = bases.push("bare-other", bases.base)
    project = write_project(tmp_path / "p", base, "six\n", 'python = "3.11"\n')
    from_mirror = {"UV_PYTHON_INSTALL_MIRROR": mirror.url, "LADING_HOME": str(tmp_path / "home")}
    lading("lock", cwd=project, env=from_mirror)
    (place,) = (tmp_path / "mirror").rglob("*.tar.gz")
    content = bytearray(place.read_bytes())
    content[-100] ^= 1
    place.write_bytes(content)
    refused = lading("build", cwd=project, env=from_mirror, check=False)
    assert refused.returncode == 3
    assert "sha256" in refused.stderr
