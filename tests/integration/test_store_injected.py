"""The kernel says no in the middle of a write: an error with a next step, nothing half-made, nothing lost.

strace makes one system call fail with a chosen error; which of them is tried one after the other.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lading.errors import StoreError
from lading.store import Store
from lading.store.collect import gc
from lading.store.verify import verify
from services.process import require

pytestmark = [pytest.mark.slow, pytest.mark.engines]

PUT = """
import sys
from lading.errors import StoreError
from lading.errors import StoreError
from lading.store import Store
store = Store.open({"LADING_HOME": sys.argv[1]})
open("/dev/null").close()
try:
    digest = store.blobs.put(b"content " * 1000)
    store.layers.put(digest.hex, {"digest": str(digest)})
except StoreError as error:
    print("refused", error.exit_status, bool(error.hints), error.message)
else:
    print("kept", digest)
"""


def put(home: Path, *inject: str, trace: Path | None = None) -> str:
    """What `PUT` says in a store at `home`, where strace fails the calls that `inject` names."""
    command = [sys.executable, "-c", PUT, str(home)]
    if inject or trace:
        calls = "write,fsync,rename,renameat,openat,close"
        strace = [
            require("strace", "strace"),
            "-f",
            "-qq",
            "-e",
            f"trace={calls}",
            "-o",
            str(trace or "/dev/null"),
        ]
        for text in inject:
            strace += ["-e", f"inject={text}"]
        command = [*strace, *command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def calls_of_the_store(home: Path, name: str, trace: Path) -> list[int]:
    """Numbers of the calls of `name` that an undisturbed put makes, counted from the start of the program."""
    put(home, trace=trace)
    lines = [line for line in trace.read_text().splitlines() if re.match(rf"\d+ +({name}|openat)\(", line)]
    numbers, number, begun = [], 0, False
    for line in lines:
        begun = begun or '"/dev/null"' in line
        if re.match(rf"\d+ +{name}\(", line):
            number += 1
            if begun and not re.search(r"write\(1,|/dev/null", line):
                numbers.append(number)
    return numbers


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        pytest.param("write", "ENOSPC", "No space left", id="S14-full-at-each-write"),
        pytest.param("fsync", "EIO", "Input/output error", id="S15-fsync-fails"),
        pytest.param("write", "EDQUOT", "quota", id="S16-over-quota"),
        pytest.param("openat", "EMFILE", "Too many open files", id="S18-no-descriptor-at-each-open"),
        pytest.param("rename", "EXDEV", "cross-device", id="S20-another-file-system"),
        pytest.param("write", "EIO", "Input/output error", id="S15-write-fails"),
    ],
)
def test_a_call_that_fails_is_an_error_and_leaves_nothing(
    call: str, error: str, words: str, tmp_path: Path
) -> None:
    """Whichever of the calls fails. It is not tried again: a second fsync may succeed without the data."""
    sound = put(tmp_path / "sound")
    numbers = calls_of_the_store(tmp_path / "counted", call, tmp_path / "trace")
    assert numbers
    refused = 0
    for number in numbers:
        home = tmp_path / str(number)
        said = put(home, f"{call}:error={error}:when={number}")
        store = Store.open({"LADING_HOME": str(home)})
        if said != sound:
            assert said.startswith("refused 3 True "), said
            assert words.lower() in said.lower(), said
            refused += 1
        assert os.listdir(store.staging) == []
        assert verify(store).damages == ()
        assert put(home) == sound
    assert refused > 0


@pytest.mark.parametrize("call", ["write", "fsync", "openat"], ids=lambda call: f"S19-{call}-interrupted")
def test_an_interrupted_call_is_made_again(call: str, tmp_path: Path) -> None:
    """EINTR at every second call changes nothing."""
    sound = put(tmp_path / "sound")
    first = calls_of_the_store(tmp_path / "counted", call, tmp_path / "trace")[0]
    assert put(tmp_path / "home", f"{call}:error=EINTR:when={first}+2") == sound
    assert verify(Store.open({"LADING_HOME": str(tmp_path / "home")})).damages == ()


@pytest.mark.catalogue("S32")
def test_what_a_later_version_left_is_read_past_and_kept(tmp_path: Path) -> None:
    """Folders and keys that this version does not know: every command works, and none of them is removed."""
    env = {**os.environ, "LADING_HOME": str(tmp_path)}
    lading = str(Path(sys.executable).parent / "lading")
    store = Store.open(env)
    digest = store.blobs.put(b"x")
    store.images.put("a" * 64, {"format": 99, "digest": str(digest), "new_key": {"deep": [1]}})
    (tmp_path / "future").mkdir()
    (tmp_path / "future/thing").write_text("of a later version")
    for command in (("store", "du"), ("store", "verify"), ("runs",), ("store", "gc")):
        done = subprocess.run(
            [lading, *command, "--json"], env=env, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert all(json.loads(line) for line in done.stdout.splitlines())
    gc(store, [], keep_seconds=0)
    assert (tmp_path / "future/thing").read_text() == "of a later version"
    assert verify(store).damages == ()


@pytest.mark.catalogue("S32")
def test_a_store_of_a_later_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "FORMAT").write_text("2\n")
    with pytest.raises(StoreError, match="format '2'"):
        Store.open({"LADING_HOME": str(tmp_path)})
    assert os.listdir(tmp_path) == ["FORMAT"]
