"""The laws of an `Engine`. Subclass `EngineContract`, give it an engine and an image; pytest does the rest.

    class TestMyEngine(EngineContract):
        @pytest.fixture
        def engine(self): ...
        @pytest.fixture
        def layers(self): ...   # an image with /bin/sh, cat and sleep

A fixture named `engine` answers the implementation, `layers` the image's layers, oldest first.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from lading.engine.model import Engine, Handle, ImageLayer, Mount, RunSpec, RunState, RunStatus
from lading.errors import EngineError
from lading.project.limits import Limits

_PATIENCE_SECONDS = 30.0
_ENDED = (RunState.EXITED, RunState.LOST)


def wait_until_ended(engine: Engine, handle: Handle) -> RunStatus:
    """Watch as a caller would. Raises AssertionError after 30 s."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while (status := engine.observe(handle)).state not in _ENDED:
        assert time.monotonic() < end, f"still {status.state} after {_PATIENCE_SECONDS} s"
        time.sleep(0.02)
    return status


def shell(layers: tuple[ImageLayer, ...], script: str, **fields: Any) -> RunSpec:
    """A run of `script` with a new run id."""
    defaults: dict[str, Any] = {"env": {"PATH": "/usr/bin:/bin"}, "user": "1000:1000"}
    return RunSpec(
        run_id=f"contract-{uuid.uuid4().hex[:12]}",
        layers=layers,
        command=("sh", "-c", script),
        **{**defaults, **fields},
    )


class EngineContract:
    """Twelve laws; none depends on how an engine works."""

    def test_a_probe_never_raises_and_says_why_not(self, engine: Engine) -> None:
        probe = engine.probe()
        assert probe.engine == engine.name
        assert probe.usable or probe.reason

    def test_the_exit_status_is_the_commands(self, engine: Engine, layers: tuple[ImageLayer, ...]) -> None:
        status = wait_until_ended(engine, engine.submit(shell(layers, "exit 41")))
        assert (status.state, status.exit_status) == (RunState.EXITED, 41)
        assert not status.out_of_memory
        assert not status.timed_out

    def test_a_command_that_is_missing_ends_with_127(
        self, engine: Engine, layers: tuple[ImageLayer, ...]
    ) -> None:
        status = wait_until_ended(engine, engine.submit(shell(layers, "no-such-command-anywhere")))
        assert status.exit_status == 127

    def test_output_and_errors_are_one_log_with_offsets(
        self, engine: Engine, layers: tuple[ImageLayer, ...]
    ) -> None:
        handle = engine.submit(shell(layers, "echo one; echo two >&2; echo three"))
        assert b"".join(engine.logs(handle)) == b"one\ntwo\nthree\n"
        assert b"".join(engine.logs(handle, 4)) == b"two\nthree\n"

    def test_a_log_can_be_followed_from_the_start_to_the_end(
        self, engine: Engine, layers: tuple[ImageLayer, ...]
    ) -> None:
        handle = engine.submit(shell(layers, "echo early; sleep 0.5; echo late"))
        pieces = engine.logs(handle)
        assert next(pieces) == b"early\n"
        assert b"".join(pieces) == b"late\n"

    def test_a_run_id_is_started_once(
        self, engine: Engine, layers: tuple[ImageLayer, ...], tmp_path: Path
    ) -> None:
        mounts = (Mount(source=tmp_path, target="/out"),)
        spec = shell(
            layers, 'echo once >> "$OUT/file"', mounts=mounts, env={"PATH": "/usr/bin", "OUT": "/out"}
        )
        handle = engine.submit(spec)
        assert engine.submit(spec) == handle
        wait_until_ended(engine, handle)
        assert engine.submit(spec) == handle
        assert (tmp_path / "file").read_text() == "once\n"

    def test_a_handle_is_json_and_says_enough(self, engine: Engine, layers: tuple[ImageLayer, ...]) -> None:
        handle = json.loads(json.dumps(engine.submit(shell(layers, "exit 3"))))
        assert wait_until_ended(engine, handle).exit_status == 3

    def test_stop_asks_then_kills_and_may_be_repeated(
        self, engine: Engine, layers: tuple[ImageLayer, ...]
    ) -> None:
        polite = engine.submit(shell(layers, "trap 'exit 9' TERM; echo up; sleep 60 & wait"))
        assert next(engine.logs(polite)) == b"up\n"
        assert b"".join(engine.logs(polite, follow=False)) == b"up\n"
        assert engine.stop(polite, 10.0).exit_status == 9
        assert engine.stop(polite, 10.0).exit_status == 9
        stubborn = engine.submit(shell(layers, "trap '' TERM; echo up; sleep 60; sleep 60"))
        assert next(engine.logs(stubborn)) == b"up\n"
        assert engine.stop(stubborn, 0.2).exit_status == 137

    def test_a_timeout_is_told_from_an_exit(self, engine: Engine, layers: tuple[ImageLayer, ...]) -> None:
        limits = Limits(timeout_seconds=0.3)
        status = wait_until_ended(engine, engine.submit(shell(layers, "sleep 60", limits=limits)))
        assert status.timed_out
        assert status.exit_status != 0
        assert status.enforced_by["timeout"]

    def test_the_environment_is_what_was_asked_and_secrets_are_in_it(
        self, engine: Engine, layers: tuple[ImageLayer, ...]
    ) -> None:
        env = {"PATH": "/usr/bin:/bin", "GREETING": "hello world"}
        spec = shell(layers, 'echo "$GREETING $TOKEN $HOME_OF_CALLER"', env=env, secrets={"TOKEN": "t"})
        assert b"".join(engine.logs(engine.submit(spec))) == b"hello world t \n"

    def test_a_mount_is_read_and_written_and_belongs_to_the_caller(
        self, engine: Engine, layers: tuple[ImageLayer, ...], tmp_path: Path
    ) -> None:
        (tmp_path / "in").write_text("given")
        spec = shell(
            layers,
            'cat "$DATA/in"; echo made > "$DATA/out"',
            mounts=(Mount(source=tmp_path, target="/data"),),
            env={"PATH": "/usr/bin:/bin", "DATA": "/data"},
        )
        assert b"".join(engine.logs(engine.submit(spec))) == b"given"
        assert (tmp_path / "out").read_text() == "made\n"
        assert (tmp_path / "out").stat().st_uid == tmp_path.stat().st_uid

    def test_what_cannot_be_started_is_an_engine_error(
        self, engine: Engine, layers: tuple[ImageLayer, ...], tmp_path: Path
    ) -> None:
        for fields in (
            {"mounts": (Mount(source=tmp_path / "missing", target="/data"),)},
            {"working_dir": "/proc/self/fd/8"},
            {"user": "nobody-of-that-name"},
        ):
            with pytest.raises(EngineError):
                engine.submit(shell(layers, "true", **fields))
