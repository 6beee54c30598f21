"""Tasks that really die in real containers, each told apart from its neighbours by the record."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dying import Death, Mortal
from engine_world import program_archive, put_layer

from lading.engine.embedded import EmbeddedEngine
from lading.engine.embedded.cgroups import make_group
from lading.engine.model import RunState
from lading.project.limits import Limits
from lading.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.root, pytest.mark.network]

ARM = b"\x7fELF\x02\x01\x01" + b"\0" * 9 + b"\x02\0\xb7\0" + b"\0" * 100
FILL_SHARED = """
import mmap
with open("/dev/shm/fill", "w+b") as file:
    file.truncate(1 << 26)
    view = mmap.mmap(file.fileno(), 1 << 26)
    for at in range(0, 1 << 26, 4096):
        view[at] = 1
"""
SHORTENED = """
import mmap
with open("/tmp/weights", "w+b") as file:
    file.truncate(8192)
    view = mmap.mmap(file.fileno(), 8192)
    file.truncate(0)
    print(view[5000])
"""
EAT = "x = []\nwhile True:\n    x.append(bytearray(5_000_000))\n"
THREADS = """
import threading
stop = threading.Event()
try:
    for number in range(200):
        threading.Thread(target=stop.wait).start()
finally:
    stop.set()
"""
POOL = """
import os
from concurrent.futures import ProcessPoolExecutor
def end(number):
    os._exit(1)
if __name__ == "__main__":
    print(list(ProcessPoolExecutor(2).map(end, range(4))))
"""
TAKEN = """
import socket
first = socket.create_server(("127.0.0.1", 0))
socket.create_server(first.getsockname())
"""
CUT = "import pickle\npickle.loads(pickle.dumps(list(range(1000)))[:500])\n"
KILLED = "import os, signal\nos.kill(os.getpid(), signal.{})\n"
DEATHS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("run-segfault", "import ctypes\nctypes.string_at(0)\n", {}),
    ("run-bus-error", SHORTENED, {}),
    ("run-killed", KILLED.format("SIGKILL"), {}),
    ("run-terminated", KILLED.format("SIGTERM"), {}),
    ("run-illegal-instruction", KILLED.format("SIGILL"), {}),
    ("run-signal", KILLED.format("SIGFPE"), {}),
    ("run-aborted", "import os\nos.abort()\n", {}),
    ("run-memory-limit", EAT, {"limits": {"memory_bytes": 120_000_000}}),
    ("run-process-limit", THREADS, {"limits": {"pids": 40}}),
    ("run-allocation-refused", "bytearray(10**15)\n", {}),
    ("run-worker-died", POOL, {}),
    ("run-command-not-found", "", {"run": "traim --epochs 3"}),
    ("run-not-executable", "", {"run": "./train.py"}),
    ("run-wrong-architecture", "", {"run": "./tool", "files": {0o755: {"tool": ARM}}}),
    ("run-library-missing", "import ctypes\nctypes.CDLL('libnothere.so.1')\n", {}),
    ("run-module-missing", "import cv2\n", {}),
    ("run-module-version", "from json import nothing_here\n", {}),
    ("run-variable-missing", "import os\nos.environ['HF_TOKEN']\n", {}),
    ("run-model-truncated", CUT, {}),
    ("run-model-version", "import pickle\npickle.loads(bytes([0x80, 9, 0x7D, 0x2E]))\n", {}),
    ("run-model-format", "import pickle\npickle.loads(b'version https://git-lfs.github.com/spec/v1')\n", {}),
    ("run-disk-full", "with open('/dev/full', 'w') as file:\n    file.write('x' * 100000)\n", {}),
    (
        "run-open-files",
        "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))\n"
        "x = [open('/dev/null') for _ in range(30)]\n",
        {},
    ),
    ("run-file-missing", "open('/data/rows.csv')\n", {}),
    ("run-port-taken", TAKEN, {}),
    ("run-exception", "raise ValueError('the data is bad')\n", {}),
    ("run-exit-code", "import sys\nprint('no such option')\nsys.exit(3)\n", {}),
)
CONTAINED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("run-shm-full", FILL_SHARED, {"limits": {"shm_bytes": 8_000_000}}),
    ("run-network-off", "import socket\nsocket.getaddrinfo('example.org', 443)\n", {}),
    ("run-read-only", "open('/lading/params.json', 'w')\n", {}),
    ("run-permission", "open('/app/rows.csv').read()\n", {"files": {0o000: {"rows.csv": b"x"}}}),
    (
        "run-model-permission",
        "open('/app/model.onnx').read()\n",
        {"files": {0o000: {"model.onnx": b"x"}}},
    ),
)
"""What only a container of its own can show."""


@pytest.fixture(scope="module")
def archive() -> bytes:
    return program_archive()


@pytest.fixture(scope="module")
def folder(archive: bytes) -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="lading-dead-"))
    place.chmod(0o755)
    yield place
    while place.exists():  # a supervisor flushes a new tree, and marks it, after its run has ended
        with contextlib.suppress(OSError):
            shutil.rmtree(place)


@pytest.fixture(scope="module")
def layer(folder: Path, archive: bytes) -> tuple[str, str, int]:
    return put_layer(Store.open({"LADING_HOME": str(folder / "store")}), archive)


def check(death: Death, cause: str) -> None:
    assert death.cause == cause, death.told()
    assert death.findings[0].certain or cause == "run-exit-code", death.told()


@pytest.mark.parametrize(("cause", "script", "task"), DEATHS, ids=[cause for cause, _, _ in DEATHS])
@pytest.mark.parametrize("level", ["namespaces", "process"])
def test_a_real_death_has_its_cause(
    folder: Path, layer: tuple[str, str, int], level: str, cause: str, script: str, task: dict[str, Any]
) -> None:
    check(Mortal(folder=folder, layer=layer, level=level).die(script, **task), cause)


@pytest.mark.parametrize(("cause", "script", "task"), CONTAINED, ids=[cause for cause, _, _ in CONTAINED])
def test_a_real_death_in_a_container_has_its_cause(
    folder: Path, layer: tuple[str, str, int], cause: str, script: str, task: dict[str, Any]
) -> None:
    check(Mortal(folder=folder, layer=layer).die(script, **task), cause)


def test_a_timeout_is_told_from_a_stop_and_both_from_a_kill(
    folder: Path, layer: tuple[str, str, int]
) -> None:
    mortal = Mortal(folder=folder, layer=layer)
    sleep = "import time\nprint('started', flush=True)\ntime.sleep(6173)\n"
    check(mortal.die(sleep, limits={"timeout_seconds": 0.5}), "run-timeout")
    engine = EmbeddedEngine(mortal.store(), os.environ)
    before = {handle["run_id"] for handle in engine.handles()}

    def stop() -> None:
        while True:
            for handle in engine.handles():
                running = engine.observe(handle).state is RunState.RUNNING
                if handle["run_id"] not in before and running and any(engine.logs(handle, follow=False)):
                    engine.stop(handle, 5)
                    return

    stopper = threading.Thread(target=stop)
    stopper.start()
    death = mortal.die(sleep)
    stopper.join()
    check(death, "run-stopped")
    assert death.evidence.signal == signal.SIGTERM


def test_a_limit_around_lading_is_told_from_the_runs_own(folder: Path, layer: tuple[str, str, int]) -> None:
    """The test stands for a pod: a group with a limit in which lading runs."""
    group = make_group(f"dead-{os.getpid()}", Limits(memory_bytes=300_000_000))
    assert group is not None
    program = (
        "import json, sys\nsys.path[:0] = json.loads(sys.argv[1])\n"
        "from dying import Mortal\nfrom pathlib import Path\n"
        "death = Mortal(folder=Path(sys.argv[2]), layer=tuple(json.loads(sys.argv[3]))).die(sys.argv[4])\n"
        "print(json.dumps([death.cause, death.findings[0].certain, death.told()]))\n"
    )
    join = "".join(f"echo $$ > {path} && " for path in group.join_files())
    paths = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    arguments = [json.dumps(paths), str(folder), json.dumps(layer), EAT]
    try:
        done = subprocess.run(
            ["sh", "-c", f'{join}exec "$@"', "sh", sys.executable, "-c", program, *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.stdout, done.stderr
        cause, certain, told = json.loads(done.stdout)
        assert (cause, certain) == ("run-surrounding-limit", True), told
    finally:
        group.remove()


def test_a_worker_killed_at_the_runs_limit_is_the_runs_limit(
    folder: Path, layer: tuple[str, str, int]
) -> None:
    script = (
        "import subprocess, sys\n"
        f"done = subprocess.run([sys.executable, '-c', {EAT!r}])\n"
        "sys.exit('the worker ended with %d' % done.returncode)\n"
    )
    death = Mortal(folder=folder, layer=layer).die(script, limits={"memory_bytes": 120_000_000})
    check(death, "run-memory-limit")


def test_what_a_run_used_is_seen(folder: Path, layer: tuple[str, str, int]) -> None:
    script = (
        "import time\nx = bytearray(200_000_000)\n"
        "end = time.monotonic() + 1.5\nwhile time.monotonic() < end:\n    pass\n"
    )
    seen = Mortal(folder=folder, layer=layer).die(script, limits={"cpus": 0.5}).evidence.seen
    assert max(sample.memory_bytes for sample in seen.samples) > 200_000_000
    assert len(seen.samples) > 5
    assert seen.throttled_share is None or seen.throttled_share > 0
    assert seen.least_free_memory_bytes
    assert seen.least_free_disk_bytes
