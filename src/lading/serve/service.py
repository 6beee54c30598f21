"""Services: start, check, replace, stop, list.

A new revision is announced only after the recorded sample came back from its live address with the recorded
answer; until then the old one goes on. A service outlives the command that started it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lading.engine.model import Engine, Handle, RunState
from lading.errors import EngineError, OutsideError, ProjectError, UsageError
from lading.image.model import Image
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.project.model import ServeSettings
from lading.run.inputs import new_run_id
from lading.run.interrupts import interrupts_deferred
from lading.run.ledger import Ledger
from lading.run.model import SealedModel
from lading.run.once import forget, stop_hard
from lading.run.report import Reporter
from lading.run.rows import ModelRow, ServiceRow
from lading.run.task import remove_tree, watch_lock
from lading.serve.client import is_ready, predict
from lading.serve.container import READY_FILE, server_spec
from lading.serve.replay import differences
from lading.store import Store
from lading.store.atomic import store_errors
from lading.store.locks import file_lock

STARTING, READY, STOPPED, REFUSED = "starting", "ready", "stopped", "refused"
_READY_SECONDS = 180.0
_POLL_SECONDS = 0.02
_STOP_SECONDS = 10.0
_LOG_TAIL_BYTES = 4000
_KEPT_LOG_BYTES = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that answers."""

    row: ServiceRow
    reused: bool = False
    replayed: bool = False

    @property
    def url(self) -> str:
        return self.row.url or ""


def start_service(
    name: str,
    *,
    settings: ServeSettings,
    image: Image,
    model: ModelRow,
    sealed: SealedModel,
    engine: Engine,
    store: Store,
    ledger: Ledger,
    reporter: Reporter,
    ready_seconds: float = _READY_SECONDS,
) -> Service:
    """Start `model` in `image` as the service `name`, or keep the one of the same revision that answers.

    Raises EngineError when it does not become ready, ProjectError when the replayed sample comes to another
    answer; then the new one is stopped and the old one, if there was one, goes on.
    """
    revision = revision_of(image, model, settings)
    with store.lock(f"service-{name}"):
        old = _settle(name, engine, store, ledger)
        if old is not None and old.revision == revision and old.url and is_ready(old.url, name):
            return Service(row=old, reused=True, replayed=_replay(old.url, name, sealed))
        if old is not None and (old.revision == revision or settings.port):
            # The same revision that does not answer, or an address that only one can have.
            _stop(old, engine, store, ledger, "replaced", settings.grace_seconds)
            old = None
        row = _new_row(name, revision, image, model, engine)
        with _attempt(row, old, engine, store, ledger) as attempt:
            url = _launch(attempt, settings, image, model, sealed, store, ready_seconds)
            replayed = _replay(url, name, sealed)
            # From here the new one is the service; an interrupt may not leave both.
            with interrupts_deferred():
                attempt.succeed(url)
                if old is not None:
                    _stop(old, engine, store, ledger, "replaced", settings.grace_seconds, record=False)
        return Service(row=attempt.row, replayed=replayed)


def _new_row(name: str, revision: Digest, image: Image, model: ModelRow, engine: Engine) -> ServiceRow:
    return ServiceRow(
        at=time.time(),
        name=name,
        state=STARTING,
        revision=revision,
        image_digest=image.digest,
        model=model.reference,
        model_digest=model.digest,
        engine=engine.name,
        run_id=new_run_id(),
    )


def stop_service(
    name: str, *, engine: Engine, store: Store, ledger: Ledger, grace_seconds: float = _STOP_SECONDS
) -> bool:
    """Stop the service `name`; False when it was not running. Raises UsageError for a name never served."""
    with store.lock(f"service-{name}"):
        if ledger.service(name) is None:
            known = ", ".join(row.name for row in ledger.services()) or "none"
            raise UsageError(f"no service is called {name!r}; known: {known}")
        row = _settle(name, engine, store, ledger)
        if row is None:
            return False
        _stop(row, engine, store, ledger, "stopped", grace_seconds)
        return True


def list_services(*, engine: Engine, store: Store, ledger: Ledger) -> tuple[ServiceRow, ...]:
    """Every service with its state now, sorted by name; one that has died is written down as `stopped`."""
    for row in ledger.services():
        if row.state not in (STARTING, READY) or row.engine != engine.name:
            continue
        if row.state == READY and _is_running(row, engine):
            continue
        with file_lock(store.root / "locks" / f"service-{row.name}", blocking=False) as free:
            if free:  # else it is being started or stopped right now
                _settle(row.name, engine, store, ledger)
    return ledger.services()


def revision_of(image: Image, model: ModelRow, settings: ServeSettings) -> Digest:
    """What makes two services the same: image, model, address and limits."""
    address = [settings.host, settings.port]
    limits = [settings.limits.cpus, settings.limits.memory_bytes]
    return Digest.of(
        canonical_json([image.manifest.config.digest, model.digest, model.version, address, limits])
    )


class _Attempt:
    """One start: its row in the ledger, its folder, its container."""

    def __init__(self, row: ServiceRow, engine: Engine, store: Store, ledger: Ledger) -> None:
        self.row = row
        self.engine = engine
        self.ledger = ledger
        self.folder = _folder(row, store)

    def started(self, handle: Handle) -> None:
        self.row = replace(self.row, handle=handle)
        self.ledger.add_service(self.row)

    def succeed(self, url: str) -> None:
        self.row = replace(self.row, state=READY, url=url)
        self.ledger.add_service(self.row)


@contextlib.contextmanager
def _attempt(
    row: ServiceRow, old: ServiceRow | None, engine: Engine, store: Store, ledger: Ledger
) -> Iterator[_Attempt]:
    """Whatever cuts the start short: its container is stopped, and the ledger says what runs now."""
    attempt = _Attempt(row, engine, store, ledger)
    lock = watch_lock(store, attempt.folder.name)
    try:
        with file_lock(lock):
            yield attempt
    except BaseException as error:
        with interrupts_deferred():
            if attempt.row.state != READY:
                interrupted = isinstance(error, KeyboardInterrupt)
                _refuse(attempt, old, "interrupted" if interrupted else str(error) or repr(error), store)
        raise
    finally:
        lock.unlink(missing_ok=True)


def _refuse(attempt: _Attempt, old: ServiceRow | None, reason: str, store: Store) -> None:
    if attempt.row.handle is not None:
        _end(attempt.row, attempt.engine, store, 0)
        attempt.ledger.add_service(replace(attempt.row, state=REFUSED, reason=reason))
        if old is not None:
            attempt.ledger.add_service(old)
    remove_tree(attempt.folder / "state")


def _launch(
    attempt: _Attempt,
    settings: ServeSettings,
    image: Image,
    model: ModelRow,
    sealed: SealedModel,
    store: Store,
    ready_seconds: float,
) -> str:
    state = attempt.folder / "state"
    with store_errors("making the folder of a service", attempt.folder):
        state.mkdir(parents=True)
        state.chmod(0o777)
        attempt.folder.chmod(0o700)
    spec = server_spec(
        run_id=attempt.folder.name,
        name=attempt.row.name,
        version=str(model.version),
        image=image,
        model=sealed,
        settings=settings,
        state=state,
        store=store,
    )
    with interrupts_deferred():
        handle = attempt.engine.submit(spec)
        attempt.started(handle)
    return _wait_ready(attempt.engine, handle, state / READY_FILE, attempt.row.name, ready_seconds)


def _wait_ready(engine: Engine, handle: Handle, ready_file: Path, name: str, ready_seconds: float) -> str:
    deadline = time.monotonic() + ready_seconds
    url = None
    while time.monotonic() < deadline:
        if engine.observe(handle).state not in (RunState.STARTING, RunState.RUNNING):
            tail = b"".join(engine.logs(handle))[-_LOG_TAIL_BYTES:].decode(errors="replace").strip()
            raise EngineError(f"the service {name!r} ended before it was ready:\n{tail}")
        url = url or _announced(ready_file)
        if url is not None and is_ready(url, name):
            return url
        time.sleep(_POLL_SECONDS)
    raise EngineError(f"the service {name!r} was not ready after {ready_seconds:g} s")


def _announced(ready_file: Path) -> str | None:
    try:
        document = json.loads(ready_file.read_bytes())
        host, port = str(document["host"]), int(document["port"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _replay(url: str, name: str, sealed: SealedModel) -> bool:
    """True when the recorded sample came back as recorded; False when there is none. Raises ProjectError."""
    if sealed.sample is None or not sealed.sample.outputs:
        return False
    answer = predict(url, name, sealed.sample.request)
    wrong = differences(sealed.sample.outputs, answer.get("outputs") or [])
    if wrong:
        raise ProjectError(
            f"the service {name!r} answers the sample otherwise than was recorded: {'; '.join(wrong)}",
            hints=("lading run --rerun",),
        )
    return True


def _settle(name: str, engine: Engine, store: Store, ledger: Ledger) -> ServiceRow | None:
    """The running service `name`, or None; a row that no longer tells the truth is followed by one that does.

    The caller holds the service's lock, so `starting` means that its starter was killed.
    """
    row = ledger.service(name)
    if row is None or row.state not in (STARTING, READY):
        return None
    if row.engine != engine.name:
        raise EngineError(f"the service {name!r} runs on the engine {row.engine}", hints=("lading engines",))
    if row.state == READY and _is_running(row, engine):
        return row
    _stop(row, engine, store, ledger, "it had ended" if row.state == READY else "its starter was killed", 0)
    return None


def _is_running(row: ServiceRow, engine: Engine) -> bool:
    if row.handle is None:
        return False
    try:
        return engine.observe(dict(row.handle)).state in (RunState.STARTING, RunState.RUNNING)
    except OutsideError:
        return False


def _stop(
    row: ServiceRow,
    engine: Engine,
    store: Store,
    ledger: Ledger,
    reason: str,
    grace_seconds: float,
    *,
    record: bool = True,
) -> None:
    _end(row, engine, store, grace_seconds)
    if record:
        ledger.add_service(replace(row, state=STOPPED, reason=reason, url=None))
    remove_tree(_folder(row, store) / "state")


def _end(row: ServiceRow, engine: Engine, store: Store, grace_seconds: float) -> None:
    """Stop the container and keep its last words as `runs/ID/log`, where every run's log is."""
    if row.handle is None:
        return
    handle = dict(row.handle)
    stop_hard(engine, handle, grace_seconds)
    with contextlib.suppress(OSError, OutsideError):
        log = b"".join(engine.logs(handle))
        _folder(row, store).mkdir(parents=True, exist_ok=True)
        (_folder(row, store) / "log").write_bytes(log[-_KEPT_LOG_BYTES:])
    forget(engine, handle)


def _folder(row: ServiceRow, store: Store) -> Path:
    return store.root / "runs" / (row.run_id or "none")
