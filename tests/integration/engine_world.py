"""What the embedded engine's tests stand on: a small image of this host's programs, and who runs it."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import tarfile
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lading.oci.digest import DiffId
from lading.store import Store

DRIVER = Path(__file__).parent / "engine_driver.py"
_PROGRAMS = (
    *("dash", "cat", "chmod", "env", "head", "id", "ls", "mkdir", "rm", "readlink", "sleep", "stat"),
    *("touch", "true", "false", "hostname", "ln", "dd", "df", "kill"),
)
_SKIPPED = ("dist-packages", "test", "tests", "idlelib", "lib2to3", "ensurepip", "pydoc_data", "__pycache__")
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nlading:x:1000:1000::/home/lading:/bin/sh\n"


def program_archive() -> bytes:
    """A tar of a merged-/usr root: dash, some tools, Debian's Python and library, what they link to."""
    python = Path("/usr/bin/python3").resolve()
    library = Path("/usr/lib") / python.name
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name in ("usr", "usr/bin", "etc", "tmp", "home", "proc", "opt", "opt/venv", "opt/venv/bin"):
            _folder(tar, name)
        for name, target in {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}.items():
            _link(tar, name, target)
        programs = [Path(f"/usr/bin/{name}") for name in _PROGRAMS] + [python]
        for program in programs:
            _file(tar, f"usr/bin/{program.name}", program.resolve().read_bytes(), 0o755)
        _link(tar, "usr/bin/sh", "dash")
        _link(tar, "usr/bin/python3", python.name)
        _link(tar, "opt/venv/bin/python", f"/usr/bin/{python.name}")
        _file(tar, "opt/venv/pyvenv.cfg", b"home = /usr/bin\ninclude-system-site-packages = false\n")
        _file(tar, f"opt/venv/lib/{python.name}/site-packages/inside.py", b"WHERE = __file__\n")
        _file(tar, "etc/passwd", _PASSWD.encode())
        _file(tar, "etc/group", b"root:x:0:\nlading:x:1000:\n")
        modules = [path for path in library.rglob("*") if _wanted(path.relative_to(library))]
        for path in sorted(modules):
            _file(tar, f"usr/lib/{python.name}/{path.relative_to(library)}", path.read_bytes())
        native = [path for path in modules if path.suffix == ".so"]
        for path in sorted(_linked([*programs, *native])):
            place = str(path).lstrip("/")
            _file(
                tar, place if place.startswith("usr/") else f"usr/{place}", path.resolve().read_bytes(), 0o755
            )
    return buffer.getvalue()


def _wanted(path: Path) -> bool:
    source = Path("/usr/lib", Path("/usr/bin/python3").resolve().name, path)
    return source.is_file() and not any(part in _SKIPPED for part in path.parts)


def _linked(programs: list[Path]) -> set[Path]:
    """Shared libraries and loaders, as the host's own loader finds them."""
    found: set[Path] = set()
    for program in programs:
        done = subprocess.run(["/usr/bin/ldd", program], capture_output=True, text=True, check=False)
        found |= {Path(match) for match in re.findall(r"(/\S+) \(0x", done.stdout)}
    beside_libc = next(path.parent for path in found if path.name.startswith("libc.so"))
    extra = ("libpthread.so.0", "libdl.so.2", "librt.so.1", "libm.so.6", "libutil.so.1")
    return found | {beside_libc / name for name in extra if (beside_libc / name).exists()}


def _folder(tar: tarfile.TarFile, name: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(info)


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    tar.addfile(info)


def _file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(content), mode, 315619200
    tar.addfile(info, io.BytesIO(content))


def put_layer(store: Store, archive: bytes) -> tuple[str, str, int]:
    blob = gzip.compress(archive, 1, mtime=0)
    return store.blobs.put(blob), DiffId.of(archive), len(blob)


def layer_of(store: Store, members: dict[str, bytes | str], mode: int = 0o755) -> tuple[str, str, int]:
    """A layer of files (bytes) and symbolic links (text)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            if isinstance(content, str):
                _link(tar, name, content)
            else:
                _file(tar, name, content, mode)
    return put_layer(store, buffer.getvalue())


@dataclass(frozen=True, slots=True)
class Outcome:
    answer: dict[str, Any]
    out: str
    err: str

    @property
    def exit_status(self) -> int:
        assert "exit_status" in self.answer, (self.answer, self.out, self.err)
        status = self.answer["exit_status"]
        assert isinstance(status, int)
        return status


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Someone with a store: `run` starts the small image there and answers what happened."""

    python: Path
    prefix: tuple[str, ...]
    uid: int
    folder: Path
    base: tuple[str, str, int]
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "store"

    def store(self) -> Store:
        """The same store, opened by the test itself: files it adds are readable by all."""
        return Store.open({"LADING_HOME": str(self.home)})

    def spec(self, command: tuple[str, ...], **fields: Any) -> dict[str, Any]:
        layers = [self.base, *fields.pop("layers", ())]
        document = {
            "run_id": f"t{uuid.uuid4().hex[:12]}",
            "command": list(command),
            "env": {"PATH": "/opt/venv/bin:/usr/bin:/bin"},
            "user": "1000:1000",
        }
        return {**document, **fields, "layers": layers}

    def job(self, **job: Any) -> tuple[list[str], dict[str, str], Path]:
        """A driver's command line, environment and where its answer will be."""
        name = uuid.uuid4().hex
        answer = self.folder / f"{name}.answer"
        place = self.folder / f"{name}.json"
        place.write_text(json.dumps({**job, "answer": str(answer)}))
        command = [*self.prefix, str(self.python), str(DRIVER), str(place)]
        environment = {"LADING_HOME": str(self.home), "HOST_SECRET": "hunter2", "PATH": os.environ["PATH"]}
        return command, {**environment, **self.environment}, answer

    def perform(self, **job: Any) -> Outcome:
        command, environment, answer = self.job(**job)
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert answer.exists(), (done.stdout, done.stderr)
        return Outcome(json.loads(answer.read_text()), done.stdout, done.stderr)

    def run(self, *command: str, **fields: Any) -> Outcome:
        return self.perform(do="attached", spec=self.spec(command, **fields))

    def sh(self, script: str, **fields: Any) -> Outcome:
        return self.run("sh", "-c", script, **fields)

    def py(self, script: str, **fields: Any) -> Outcome:
        return self.run("python3", "-c", script, **fields)

    def shared(self, name: str) -> Path:
        """A folder that belongs to the caller."""
        folder = self.folder / name
        folder.mkdir()
        os.chown(folder, self.uid, self.uid)
        return folder

    def scratch_folders(self) -> list[str]:
        place = self.home / "scratch"
        return sorted(os.listdir(place)) if place.exists() else []
