"""The contract with user code in real containers: as root and as a user, isolated and not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from engine_world import program_archive, put_layer

from lading.store import Store
from services.process import require

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.network]

DRIVER = """
import json, os, signal, sys
from pathlib import Path
from lading.engine.embedded import EmbeddedEngine
from lading.errors import LadingError, Terminated
from lading.image.model import Image, LayerRecord
from lading.oci.digest import DiffId, Digest
from lading.oci.manifest import MEDIA_CONFIG, MEDIA_LAYER_GZIP, Descriptor, ImageConfig, Manifest
from lading.oci.platform import Platform
from lading.project.model import *
from lading.run.ledger import Ledger
from lading.run.submit import run_task
from lading.run.task import prepare_run
from lading.store import Store

job = json.loads(sys.stdin.read())
root = Path(job["root"])
store = Store.open(os.environ)
digest, diff_id, size = job["layer"]
layer = LayerRecord(key="0" * 64, kind="base", title="base", digest=Digest(digest), diff_id=DiffId(diff_id),
                    size_bytes=size, unpacked_bytes=0, file_count=0)
config = ImageConfig(platform=Platform("linux", "amd64"), diff_ids=(layer.diff_id,), user="1000:1000",
                     env=(("PATH", "/opt/venv/bin:/usr/bin:/bin"),), working_dir="/app")
body = config.to_bytes()
manifest = Manifest(
    config=Descriptor(media_type=MEDIA_CONFIG, digest=store.blobs.put(body), size_bytes=len(body)),
    layers=(Descriptor(media_type=MEDIA_LAYER_GZIP, digest=layer.digest, size_bytes=size),))
image = Image(project="p", target="train", accelerator="cpu", platform="linux/amd64", tag="p:1-cpu",
              digest=store.blobs.put(manifest.to_bytes()), manifest=manifest, config=config, layers=(layer,),
              lock_digest=Digest.of(b"lock"))
settings = ImageSettings(python="3.11", base="debian:bookworm")
task = Task(name="train", run=job["run"], params={"epochs": 3}, outputs=job.get("outputs", "out"),
            inputs={"rows": "data:rows", "folder": "data"}, secrets=("TOKEN",), env={"MINE": "1"})
project = Project(
    root=root, name="p", version=None, config_path=None, image=settings, targets={}, tasks={"train": task},
    serve=None, data={"rows": DataSource(name="rows", source="data/rows.csv")},
    requirements=Requirements(kind=RequirementKind.NONE, path=None),
    code=Code(kind=CodeKind.FOLDER, files=()), frameworks=(), findings=())

def terminated(number, frame):
    raise Terminated
signal.signal(signal.SIGTERM, terminated)

class Reporter:
    def phase(self, name): pass
    def line(self, text): print(text, flush=True)
    def finished(self, step): pass
    def warning(self, text): print("warning:", text, file=sys.stderr)
    def output(self, data): sys.stdout.buffer.write(data); sys.stdout.buffer.flush()

with Ledger.open(store) as ledger:
    try:
        prepared = prepare_run(project, task, image, store=store, ledger=ledger,
                               environment={"TOKEN": "s3cret-value"}, dev=job.get("dev", False))
        result = run_task(prepared, engine=EmbeddedEngine(store, os.environ), store=store, ledger=ledger,
                          reporter=Reporter())
    except LadingError as error:
        print(json.dumps({"error": error.message, "exit_status": error.exit_status}))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    row = result.row
    print(json.dumps({"reused": result.reused, "level": row.level, "metrics": dict(row.metrics),
                      "peak": row.cost.peak_memory_bytes, "enforced_by": dict(row.enforced_by),
                      "left_behind": result.left_behind}))
"""

PATIENT = """
import signal, sys, threading
def ended(number, frame):
    print("SIGTERM", flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, ended)
print("started", flush=True)
try:
    threading.Event().wait()
except KeyboardInterrupt:
    print("KeyboardInterrupt", flush=True)
finally:
    threading.Event().wait(0.3)
    print("saved", flush=True)
"""

STUBBORN = """
import signal, threading
def no(number, frame):
    print("no", flush=True)
signal.signal(signal.SIGINT, no)
print("started", flush=True)
threading.Event().wait()
"""

PROBE = """
import json, os, pathlib, socket, tempfile
env = os.environ
out = pathlib.Path(env["LADING_OUTPUTS"])
seen = {"params": json.loads(pathlib.Path(env["LADING_PARAMS"]).read_text()), "epochs": env["EPOCHS"]}
inputs = pathlib.Path(env["LADING_INPUTS"])
seen["rows"] = (inputs / "rows").read_text()
seen["folder"] = sorted(os.listdir(inputs / "folder"))
seen["one"] = pathlib.Path(env["LADING_INPUT_ROWS"]).read_text()
try:
    (inputs / "folder" / "new").write_text("x")
    seen["inputs_writable"] = True
except OSError:
    seen["inputs_writable"] = False
for name in "HOME TMPDIR HF_HOME TORCH_HOME TRITON_CACHE_DIR NUMBA_CACHE_DIR MPLCONFIGDIR".split():
    path = pathlib.Path(env[name]); path.mkdir(parents=True, exist_ok=True); (path / "x").write_text("x")
seen["tempfile"] = tempfile.gettempdir() == env["TMPDIR"]
seen["secret"] = len(env["TOKEN"])
seen["mine"] = env["MINE"]
seen["threads"] = env["OMP_NUM_THREADS"]
try:
    socket.create_connection(("127.0.0.1", 9), timeout=1)
except OSError as error:
    seen["network"] = type(error).__name__
count = pathlib.Path(env["LADING_CHECKPOINTS"]) / "count"
count.write_text(str(int(count.read_text()) + 1 if count.exists() else 1))
(out / "sub").mkdir()
(out / "sub/weights.bin").write_bytes(b"w" * 1000)
(out / "seen.json").write_text(json.dumps(seen))
(out / "metrics.json").write_text('{"accuracy": 0.9}')
print("done")
"""


@dataclass
class Caller:
    python: Path
    prefix: tuple[str, ...]
    uid: int
    level: str
    folder: Path
    layer: tuple[str, str, int]

    def start(self, run: str, **job: Any) -> subprocess.Popen[str]:
        environment = {
            "LADING_HOME": str(self.folder / "store"),
            "LADING_EMBEDDED_LEVEL": self.level,
            "PATH": os.environ["PATH"],
        }
        child = subprocess.Popen(
            [*self.prefix, str(self.python), "-c", DRIVER],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert child.stdin is not None
        child.stdin.write(json.dumps({"root": str(self.project), "layer": self.layer, "run": run, **job}))
        child.stdin.close()
        child.stdin = None
        return child

    def run(self, run: str, **job: Any) -> tuple[str, dict[str, Any]]:
        """What the task printed and the driver's answer."""
        out, err = self.start(run, **job).communicate(timeout=120)
        assert out, err
        *printed, answer = out.splitlines()
        return "\n".join(printed), json.loads(answer)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def leftovers(self) -> list[str]:
        home = self.folder / "store"
        paths = [
            *home.glob("runs/*/*"),
            *home.glob("staging/*"),
            *home.glob("scratch/*"),
            *home.glob("locks/run-*"),
        ]
        return sorted(path.name for path in paths if path.name not in ("log", "circumstances.json"))


@pytest.fixture(scope="module")
def archive() -> bytes:
    return program_archive()


@pytest.fixture(params=["root-namespaces", "user-namespaces", "root-process", "user-process"])
def caller(request: pytest.FixtureRequest, archive: bytes, readable_venv: Path) -> Iterator[Caller]:
    who, _, level = request.param.partition("-")
    uid = 0 if who == "root" else 1000
    folder = Path(tempfile.mkdtemp(prefix="lading-run-"))
    folder.chmod(0o755)
    (folder / "project/data").mkdir(parents=True)
    (folder / "project/data/rows.csv").write_text("1,2,3\n")
    (folder / "project/probe.py").write_text(PROBE)
    layer = put_layer(Store.open({"LADING_HOME": str(folder / "store")}), archive)
    switch: tuple[str, ...] = ()
    if uid:
        for place in (folder, *folder.rglob("*")):
            os.chown(place, uid, uid, follow_symlinks=False)
        ids = (f"--reuid={uid}", f"--regid={uid}", "--clear-groups")
        switch = (require("setpriv", "util-linux"), *ids, "--inh-caps=-all", "--bounding-set=-all")
    python = readable_venv / "python"
    yield Caller(python=python, prefix=switch, uid=uid, level=level, folder=folder, layer=layer)
    while folder.exists():  # a supervisor flushes a new tree, and marks it, after its run has ended
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


def test_the_contract_with_user_code(caller: Caller) -> None:
    printed, answer = caller.run("python3 probe.py", dev=True)
    assert printed.endswith("done"), answer
    assert (answer["level"], answer["metrics"]) == (caller.level, {"accuracy": 0.9})
    seen = json.loads((caller.project / "out/seen.json").read_text())
    assert (seen["params"], seen["epochs"]) == ({"epochs": 3}, "3")
    assert seen["rows"] == seen["one"] == "1,2,3\n"
    assert "rows.csv" in seen["folder"]
    assert seen["tempfile"]
    assert (seen["secret"], seen["mine"]) == (12, "1")
    if caller.level == "namespaces":
        assert not seen["inputs_writable"]
        assert seen["network"] in ("ConnectionRefusedError", "OSError")
    for path in (caller.project / "out").rglob("*"):
        assert path.stat().st_uid == caller.uid
    assert caller.leftovers() == []
    for path in (caller.folder / "store").rglob("*"):
        if path.is_file():
            assert b"s3cret-value" not in path.read_bytes()


def test_a_sealed_run_is_reused_and_checkpoints_stay(caller: Caller) -> None:
    command = "sh -c 'echo x >> $LADING_CHECKPOINTS/count; cat $LADING_CHECKPOINTS/count'"
    first = caller.run(command)
    second = caller.run(command)
    assert (first[0], first[1]["reused"]) == ("x", False)
    assert (second[0], second[1]["reused"]) == ("", True)
    assert caller.run(command, dev=True)[0] == "x\nx"


def test_what_a_task_writes_beside_its_outputs_is_named(caller: Caller) -> None:
    script = "mkdir models out/deep; for i in model.joblib models/y out/deep/z .hidden; do echo x > $i; done"
    _, answer = caller.run(f"sh -c '{script}'")
    assert answer["left_behind"] == ["model.joblib", "models/y"]
    assert (caller.project / "out/deep/z").read_text() == "x\n"
    assert caller.leftovers() == []


@pytest.mark.parametrize("folder", ["out", "models/best"])
def test_the_working_tree_is_read_only_but_for_the_outputs(caller: Caller, folder: str) -> None:
    (caller.project / "train.sh").write_text(f"echo x > {folder}/model && {{ echo x > new || true; }}\n")
    for _ in range(2):
        _, answer = caller.run("sh train.sh", dev=True, outputs=folder)
        assert answer["left_behind"] == (["new"] if caller.level == "process" else [])
        assert (caller.project / folder / "model").read_text() == "x\n"
        assert not (caller.project / "new").exists()
    assert not any(path.is_symlink() for path in caller.project.rglob("*"))
    assert caller.leftovers() == []


def test_a_failure_has_the_childs_exit_code(caller: Caller) -> None:
    assert caller.run("sh -c 'exit 23'")[1]["exit_status"] == 23
    assert caller.leftovers() == []


def test_an_interrupt_ends_the_container_and_leaves_nothing(caller: Caller) -> None:
    child = caller.start("sh -c 'echo started; sleep 6173'")
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert caller.leftovers() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_task_is_told_as_at_a_terminal_and_has_the_last_word(
    caller: Caller, number: int
) -> None:
    (caller.project / "train.py").write_text(PATIENT)
    child = caller.start("python3 train.py", dev=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    child.send_signal(number)
    printed = child.communicate(timeout=60)[0]
    name = "KeyboardInterrupt" if number == signal.SIGINT else "SIGTERM"
    assert printed == f"waiting up to 10 s for the task to end (^C again kills it)\n{name}\nsaved\n"
    (log,) = caller.folder.glob("store/runs/*/log")
    assert log.read_text() == f"started\n{name}\nsaved\n"
    assert child.returncode == 130
    assert caller.leftovers() == []


def test_a_second_interrupt_kills(caller: Caller) -> None:
    (caller.project / "train.py").write_text(STUBBORN)
    child = caller.start("python3 train.py", dev=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    child.send_signal(signal.SIGINT)
    assert child.stdout.readline().startswith("waiting")
    assert child.stdout.readline() == "no\n"
    child.send_signal(signal.SIGINT)
    assert child.communicate(timeout=60)[0] == ""
    assert child.returncode == 130
    assert caller.leftovers() == []


def test_after_kill_9_the_next_run_ends_what_was_left(caller: Caller) -> None:
    child = caller.start("sh -c 'echo started; sleep 6173'")
    assert child.stdout is not None
    assert child.stdout.readline() == "started\n"
    child.kill()
    child.communicate()
    assert caller.run("sh -c 'echo next'")[0] == "next"
    assert caller.leftovers() == []
    assert "sleep 6173" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
