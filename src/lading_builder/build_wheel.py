"""Builds one wheel inside the sandbox: unpacks the source, calls its PEP 517 backend, leaves the wheel.

Runs as `python build_wheel.py JOB`, where JOB is a JSON file: archive or nothing, subdirectory, backend,
backend_path, config. The answer is `answer.json` beside it. Standard library only, Python 3.10 or later.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any


def main(job_path: str) -> int:
    os.umask(0o022)
    work = Path(job_path).parent
    job: dict[str, Any] = json.loads(Path(job_path).read_text("utf-8"))
    source = work / "source"
    if job["archive"] is not None:
        source = unpack(work / job["archive"], source)
    os.chdir(source / job["subdirectory"])
    backend = load_backend(job["backend"], job["backend_path"])
    wanted = list(getattr(backend, "get_requires_for_build_wheel", no_requirements)(job["config"] or None))
    if missing := [text for text in wanted if not is_installed(text)]:
        answer(work, {"missing": sorted(missing)})
        return 0
    out = work / "out"
    out.mkdir()
    filename = backend.build_wheel(str(out), job["config"] or None)
    answer(work, {"wheel": str(filename)})
    return 0


def unpack(archive: Path, target: Path) -> Path:
    """The archive's only folder, or `target` itself where it has none. It is foreign, and so is this room."""
    target.mkdir()
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(target)
    else:
        with tarfile.open(archive) as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(target, filter="data")
            else:
                tar.extractall(target)
    entries = [entry for entry in target.iterdir() if entry.name != "pax_global_header"]
    return entries[0] if len(entries) == 1 and entries[0].is_dir() else target


def load_backend(name: str, backend_path: list[str]) -> Any:
    module, _, attribute = name.partition(":")
    # setup.py scripts import their neighbours; pip's and build's legacy way has the folder on the path too.
    legacy = name.endswith(":__legacy__")
    sys.path[:0] = [str(Path(path).resolve()) for path in backend_path] or (
        [str(Path.cwd())] if legacy else []
    )
    backend: Any = importlib.import_module(module)
    for part in filter(None, attribute.split(".")):
        backend = getattr(backend, part)
    return backend


def no_requirements(config: dict[str, Any] | None) -> list[str]:
    return []


def is_installed(requirement: str) -> bool:
    """By name alone: whether its version fits was decided when the build requirements were resolved."""
    match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement.strip())
    try:
        metadata.distribution(match.group(0) if match else requirement)
    except metadata.PackageNotFoundError:
        return False
    return True


def answer(work: Path, document: dict[str, Any]) -> None:
    temporary = work / "answer.json.part"
    temporary.write_text(json.dumps(document), "utf-8")
    shutil.move(temporary, work / "answer.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
