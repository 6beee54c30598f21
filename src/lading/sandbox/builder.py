"""Builds a wheel once: in the store's own folder, in a container, under a lock of its key.

Lays out a work folder, starts the frontend in the room's image, takes the wheel and removes the rest.
Nothing of the host is mounted but that folder and the frontend.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import secrets
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lading_builder
from lading.engine.embedded import EmbeddedEngine
from lading.engine.model import ImageLayer, Level, Mount, RunSpec, RunStatus
from lading.errors import BuildFailed, EngineError
from lading.image.request import BuildContext
from lading.lock.builder import BuildJob, BuiltWheel, MoreRequirements
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.platform import Platform
from lading.project.limits import Limits
from lading.sandbox.room import room_environment, room_image, room_plan
from lading.sandbox.wheel import WheelFile, canonical_wheel
from lading.store.atomic import store_errors, temporary_name
from lading.store.records import Records

FRONTEND_RULE = 1
"""Raised when the same job would come out as another wheel."""
_WORK = "/build"
_FRONTEND = "/opt/lading-build/build_wheel.py"
_MEMORY_BYTES = 8 << 30
_TIMEOUT_SECONDS = 3600.0
_PIDS = 4096
_SHOWN_LINES = 25
_KEPT_OUTPUT_BYTES = 1 << 20
_INTERRUPTED = 128 + int(signal.SIGINT)
_MISSING_HEADER = "fatal error: "
_NO_COMPILER = re.compile(
    r"(?:command|execute) '[^']*?(?:gcc|g\+\+|cc|c\+\+|gfortran)'[^\n]*No such file"
    r"|No such file or directory: '[^']*?(?:gcc|g\+\+|cc|c\+\+|gfortran)'"
    r"|Unknown compiler\(s\)|No CMAKE_\w+_COMPILER could be found"
)
"""What setuptools, meson and CMake say where there is none."""


class Sandbox:
    """A WheelBuilder on the embedded engine."""

    def __init__(
        self,
        context: BuildContext,
        *,
        allow_unisolated: bool = False,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`say` hears what is really built, once each."""
        self._say = say
        self._context = context
        self._store = context.store
        self._records = Records(context.store.root, "builds")
        self._allow_unisolated = allow_unisolated

    def build(self, job: BuildJob) -> BuiltWheel:
        """Raises BuildFailed, EngineError, MoreRequirements, and what making an image raises."""
        key = job_key(job)
        if (known := self._known(key)) is not None:
            return known
        with self._store.lock(f"wheel-{key[:32]}"):
            if (known := self._known(key)) is not None:
                return known
            self._say(f"building {job.name} from source")
            wheel, level = self._make(job)
            with self._store.using():
                digest = self._store.blobs.put(wheel.content)
                self._records.put(
                    key,
                    {
                        "name": wheel.name,
                        "version": wheel.version,
                        "filename": wheel.filename,
                        "digest": str(digest),
                        "size_bytes": len(wheel.content),
                        "isolation": level,
                    },
                )
        built = self._known(key)
        assert built is not None, "it was just recorded"
        return built

    def _known(self, key: str) -> BuiltWheel | None:
        record = self._records.get(key)
        if record is None:
            return None
        if record["isolation"] != Level.NAMESPACES and not self._allow_unisolated:
            return None
        digest = Digest(record["digest"])
        if self._store.blobs.size_bytes(digest) != record["size_bytes"]:
            return None
        return BuiltWheel(
            name=record["name"],
            version=record["version"],
            filename=record["filename"],
            sha256=digest.hex,
            size_bytes=record["size_bytes"],
            isolation=record["isolation"],
            path=self._store.blobs.path(digest),
        )

    def _make(self, job: BuildJob) -> tuple[WheelFile, str]:
        engine = EmbeddedEngine(self._store, self._context.environment)
        self._refuse_unfit(engine, job)
        image = room_image(job, self._context)
        with self._work_folder() as work:
            _lay_out(work, job)
            settings = job.settings
            spec = RunSpec(
                run_id=f"build-{secrets.token_hex(8)}",
                layers=tuple(
                    ImageLayer(digest=one.digest, diff_id=one.diff_id, size_bytes=one.size_bytes)
                    for one in image.layers
                ),
                command=("/opt/venv/bin/python", "-B", _FRONTEND, f"{_WORK}/job.json"),
                env=room_environment(image, {**job.variables, **settings.env}),
                working_dir=_WORK,
                user="1000:1000",
                mounts=(
                    Mount(source=work, target=_WORK),
                    Mount(source=_frontend(), target=_FRONTEND, read_only=True),
                ),
                read_only_root=True,
                limits=Limits(
                    memory_bytes=settings.memory_bytes or _MEMORY_BYTES,
                    pids=_PIDS,
                    timeout_seconds=settings.timeout_seconds or _TIMEOUT_SECONDS,
                ),
                hostname="build",
            )
            status, output = _run(engine, spec)
            wheel = _taken(work, job, status, output)
        level = status.level.value if status.level is not None else Level.PROCESS.value
        return wheel, level

    def _refuse_unfit(self, engine: EmbeddedEngine, job: BuildJob) -> None:
        machine = Platform.parse(job.room.platform).machine
        if machine != platform.machine():
            raise EngineError(
                f"{job.name} has to be built for {job.room.platform}, and this is {platform.machine()}",
                hints=("lock on a machine of that kind, or take it out of [image] platform",),
            )
        probe = engine.probe()
        if probe.level is Level.NAMESPACES:
            return
        why = probe.reason or "no namespaces"
        if not self._allow_unisolated:
            raise EngineError(
                f"{job.name} has to be built, and here foreign code cannot be kept apart: {why}",
                hints=(
                    *((probe.remedy,) if probe.remedy else ()),
                    "trust it, and let it see this machine: lading lock --allow-unisolated-builds",
                ),
            )
        self._context.listener.warned(
            f"{job.name} is built without isolation, as --allow-unisolated-builds says: {why}"
        )

    @contextmanager
    def _work_folder(self) -> Iterator[Path]:
        """A folder that only the caller can enter; those of builds that were killed go first."""
        root = self._store.root / "builds"
        with store_errors("making a build's folder", root):
            root.mkdir(mode=0o700, exist_ok=True)
            for left in root.iterdir():
                if not _is_alive(left.name):
                    _remove(left)
            work = root / temporary_name()
            work.mkdir(mode=0o700)
            for name in ("home", "tmp"):
                (work / name).mkdir()
        try:
            yield work
        finally:
            _remove(work)


def job_key(job: BuildJob) -> str:
    """All that a wheel's bytes depend on; nothing of the machine. Pure."""
    document: dict[str, Any] = {
        "rule": FRONTEND_RULE,
        "source": [job.source_digest, job.subdirectory],
        "backend": [job.backend.name, list(job.backend.path)],
        "room": [spec.key for spec in room_plan(job.room).layers],
        "env": {**job.variables, **job.settings.env},
    }
    return hashlib.sha256(canonical_json(document)).hexdigest()


def _run(engine: EmbeddedEngine, spec: RunSpec) -> tuple[RunStatus, str]:
    """Attached: whatever ends this process ends the container. Its end and the end of what it said."""
    with tempfile.TemporaryFile() as said, open(os.devnull, "rb") as nothing:
        status = engine.run_attached(spec, stdin=nothing.fileno(), stdout=said.fileno(), stderr=said.fileno())
        if status.exit_status == _INTERRUPTED and not status.timed_out:
            raise KeyboardInterrupt
        said.seek(max(0, said.seek(0, os.SEEK_END) - _KEPT_OUTPUT_BYTES))
        return status, said.read().decode(errors="replace")


def _frontend() -> Path:
    return Path(lading_builder.__file__).with_name("build_wheel.py")


def _lay_out(work: Path, job: BuildJob) -> None:
    archive = None
    with store_errors("laying out a source", work):
        if job.path.is_dir():
            for name in job.files:
                target = work / "source" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(job.path / name, target, follow_symlinks=False)
            for name in job.empty_files:
                target = work / "source" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
        else:
            archive = "archive"
            shutil.copyfile(job.path, work / archive)
        document: dict[str, Any] = {
            "archive": archive,
            "subdirectory": job.subdirectory or ".",
            "backend": job.backend.name,
            "backend_path": list(job.backend.path),
            "config": {},
        }
        (work / "job.json").write_text(json.dumps(document), "utf-8")


def _taken(work: Path, job: BuildJob, status: RunStatus, output: str) -> WheelFile:
    """The wheel that was left. What lies in `work` was written by strangers: links are not followed."""
    answer = _answer(work / "answer.json")
    if status.exit_status != 0 or answer is None:
        raise _failure(job, status, output)
    if missing := answer.get("missing"):
        raise MoreRequirements(tuple(str(text) for text in missing))
    filename = str(answer.get("wheel"))
    path = work / "out" / filename
    if "/" in filename or path.parent.is_symlink() or path.is_symlink() or not path.is_file():
        raise BuildFailed(f"building {job.name} left no wheel {filename!r}", place=job.name)
    return canonical_wheel(path)


def _answer(path: Path) -> dict[str, Any] | None:
    if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
        return None
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _failure(job: BuildJob, status: RunStatus, output: str) -> BuildFailed:
    lines = [line for line in output.splitlines() if line.strip()]
    said = "\n".join(f"  | {line}" for line in lines[-_SHOWN_LINES:])
    if status.timed_out:
        what = "took longer than its time limit"
    elif status.out_of_memory:
        what = "needed more memory than its limit"
    else:
        what = f"failed with exit code {status.exit_status}"
    words = f"building {job.name} {what}"
    return BuildFailed(
        f"{words}; it said last:\n{said}" if said else words, place=job.name, hints=_hints(job, output)
    )


def _hints(job: BuildJob, output: str) -> tuple[str, ...]:
    """What usually helps, by what the compiler or Python said. Pure."""
    table = f"[image.build.{job.name}]"
    base = job.room.image
    if base is not None and _NO_COMPILER.search(output):
        return _base_hints(f"{base.reference} has no compiler, and lading adds one to Debian bases alone")
    if base is not None and f"{_MISSING_HEADER}Python.h" in output:
        return _base_hints(f"{base.reference} lacks the headers of its Python")
    if "No module named 'torch'" in output or ("torch" in output and "ModuleNotFoundError" in output):
        return (f'{table} needs = ["torch"]',)
    if "ModuleNotFoundError: No module named" in output:
        module = output.rpartition("ModuleNotFoundError: No module named ")[2].splitlines()[0].strip(" '\"")
        return (f'{table} needs = ["{module}"], if the project depends on it',)
    if _MISSING_HEADER in output and "No such file" in output:
        header = output.rpartition(_MISSING_HEADER)[2].partition(":")[0]
        return (f'{table} apt = ["lib…-dev"], the Debian package that has {header}',)
    if "setuptools-scm" in output or "setuptools_scm" in output:
        return (f'{table} env = {{ SETUPTOOLS_SCM_PRETEND_VERSION = "1.0" }}',)
    if "Name or service not known" in output or "Temporary failure in name resolution" in output:
        return ("a build has no network: let its source bring what it needs",)
    return (f"{table} takes needs, apt, env, memory and timeout",)


def _base_hints(lack: str) -> tuple[str, ...]:
    return (
        f"{lack}: choose a base that has them, often called devel",
        "or give the wheel: export UV_FIND_LINKS=/folder/of/wheels",
    )


def _is_alive(name: str) -> bool:
    number = name.partition("-")[0]
    if not number.isdigit():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _remove(path: Path) -> None:
    """Also folders that the backend made unwritable. Best effort: the next build tries again."""
    for base, folders, _ in os.walk(path):
        for name in folders:
            if not (Path(base, name)).is_symlink():
                Path(base, name).chmod(0o700)
    shutil.rmtree(path, ignore_errors=True)
