"""Runs one job of the embedded engine in a process of its own: `engine_driver.py JOB.json`.

The tests fork containers from here, as root or as an ordinary user, never from pytest. A job is JSON: what to
do, a spec, and where the answer goes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from lading.engine.embedded import EmbeddedEngine
from lading.engine.model import ImageLayer, Mount, RunSpec, RunStatus
from lading.errors import LadingError
from lading.oci.digest import DiffId, Digest
from lading.project.limits import Limits
from lading.project.model import GpuRequest
from lading.store import Store


def spec_of(document: dict[str, Any]) -> RunSpec:
    fields = dict(document)
    fields["layers"] = tuple(
        ImageLayer(digest=Digest(d), diff_id=DiffId(i), size_bytes=s) for d, i, s in document["layers"]
    )
    fields["command"] = tuple(document["command"])
    fields["mounts"] = tuple(
        Mount(source=Path(s), target=t, read_only=r) for s, t, r in document.get("mounts", ())
    )
    fields["folders"] = tuple(document.get("folders", ()))
    fields["limits"] = Limits(**document.get("limits", {}))
    if "gpus" in document:
        fields["gpus"] = GpuRequest(**document["gpus"])
    return RunSpec(**fields)


def answer_of(status: RunStatus) -> dict[str, Any]:
    document = dataclasses.asdict(status)
    document["enforced_by"] = dict(status.enforced_by)
    return document


def perform(job: dict[str, Any]) -> dict[str, Any]:
    engine = EmbeddedEngine(Store.open(os.environ), os.environ)
    what = job["do"]
    if what == "probe":
        return dataclasses.asdict(engine.probe())
    if what == "exec":
        handle = {"engine": "embedded", "run_id": job["run_id"]}
        terminal = bool(job.get("terminal"))
        return {"exit_status": engine.exec_in(handle, tuple(job["command"]), terminal=terminal)}
    if what in ("stop", "observe", "wait"):
        handle = {"engine": "embedded", "run_id": job["run_id"]}
        calls = {
            "stop": lambda: engine.stop(handle, job.get("grace", 5.0)),
            "observe": lambda: engine.observe(handle),
            "wait": lambda: engine.wait(handle, 60.0),
        }
        return answer_of(calls[what]())
    if what == "logs":
        handle = {"engine": "embedded", "run_id": job["run_id"]}
        return {"log": b"".join(engine.logs(handle, job.get("after", 0))).decode()}
    spec = spec_of(job["spec"])
    if what == "submit":
        return {"handle": engine.submit(spec)}
    begin = time.perf_counter()
    status = engine.run_attached(spec)
    return {**answer_of(status), "seconds": time.perf_counter() - begin}


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    # A descriptor that must not reach a container (X07); made inheritable on purpose.
    os.set_inheritable(os.open("/", os.O_RDONLY | os.O_DIRECTORY), True)
    try:
        answer = perform(job)
    except LadingError as error:
        answer = {"error": error.message, "hints": list(error.hints)}
    Path(job["answer"]).write_text(json.dumps(answer))


main()
