"""The ledger: what was built, run, sealed and served, in `ledger.db` of the store.

Safe for many processes and against kill -9: each method is one SQLite transaction. Knows rows; must not know
how a container runs or what a blob holds. Values of secrets never reach it: a row has no field for them.
"""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from lading.errors import StoreError
from lading.image.model import Image
from lading.oci.digest import Digest
from lading.run.ledger_schema import connect, ledger_errors
from lading.run.rows import Cost, ImageRow, ModelRow, RunPhase, RunRow, ServiceRow
from lading.store import Store


class Ledger:
    """Open with `Ledger.open`; close it, or use it as a context manager. One thread at a time."""

    def __init__(self, store: Store, connection: sqlite3.Connection, now: Callable[[], float]) -> None:
        self._path = store.root / "ledger.db"
        self._connection = connection
        self._now = now

    @classmethod
    def open(cls, store: Store, *, now: Callable[[], float] = time.time) -> Self:
        """Raises StoreError for a damaged file or one of a later schema."""
        return cls(store, connect(store), now)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add_image(self, image: Image) -> None:
        """Record a built image; one that is the latest of its target already adds nothing."""
        latest = self.latest_image(image.project, image.target, image.accelerator, image.platform)
        if latest is not None and latest.digest == image.digest and latest.tag == image.tag:
            return
        self._insert(
            "images",
            at=self._now(),
            project=image.project,
            target=image.target,
            accelerator=image.accelerator,
            platform=image.platform,
            tag=image.tag,
            digest=image.digest,
            config_digest=image.manifest.config.digest,
            lock_digest=image.lock_digest,
            size_bytes=sum(layer.size_bytes for layer in image.manifest.layers),
            seconds=image.seconds,
        )

    def latest_image(self, project: str, target: str, accelerator: str, platform: str) -> ImageRow | None:
        rows = self._select(
            "SELECT * FROM images WHERE project = ? AND target = ? AND accelerator = ? AND platform = ?"
            " ORDER BY id DESC LIMIT 1",
            project,
            target,
            accelerator,
            platform,
        )
        return next((_image_row(row) for row in rows), None)

    def images(self) -> tuple[ImageRow, ...]:
        """Newest first."""
        return tuple(_image_row(row) for row in self._select("SELECT * FROM images ORDER BY id DESC"))

    def add_run(self, run: RunRow) -> None:
        """Record that a run starts. Raises StoreError for a run id that is taken."""
        with self._transaction():
            self._insert(
                "runs",
                run_id=run.run_id,
                at=run.at,
                project=run.project,
                task=run.task,
                seal=run.seal,
                seal_terms=_dump(run.seal_terms),
                reusable=int(run.reusable),
                image_digest=run.image_digest,
                lock_digest=run.lock_digest,
                limits=_dump(run.limits),
            )
            self._event(run.run_id, RunPhase.STARTED, {})

    def mark_running(self, run_id: str, *, engine: str, handle: Mapping[str, Any]) -> None:
        """Record the handle, so that any later process can observe or stop the container."""
        self._event(run_id, RunPhase.RUNNING, {"engine": engine, "handle": dict(handle)})

    def finish_run(
        self,
        run_id: str,
        phase: RunPhase,
        *,
        exit_status: int | None = None,
        cost: Cost | None = None,
        level: str | None = None,
        enforced_by: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        outputs: Digest | None = None,
        reason: str | None = None,
    ) -> None:
        """Record the end of a run, once: an ended run keeps its first end."""
        detail = {
            "exit_status": exit_status,
            "cost": (cost or Cost()).as_json(),
            "level": level,
            "enforced_by": dict(enforced_by or {}),
            "metrics": json_metrics(metrics or {}),
            "outputs": outputs,
            "reason": reason,
        }
        with self._transaction():
            run = self.run(run_id)
            if run is not None and not run.phase.ended:
                self._event(run_id, phase, detail)

    def run(self, run_id: str) -> RunRow | None:
        return next(self._runs("WHERE run_id = ?", run_id), None)

    def runs(self, project: str | None = None, task: str | None = None) -> tuple[RunRow, ...]:
        """Newest first."""
        where = "WHERE (?1 IS NULL OR project = ?1) AND (?2 IS NULL OR task = ?2)"
        return tuple(self._runs(where, project, task))

    def open_runs(self) -> tuple[RunRow, ...]:
        """Runs with no recorded end: running now, or their watcher was killed."""
        ended = ", ".join(f"'{phase}'" for phase in RunPhase if phase.ended)
        events = f"SELECT run_id FROM run_events WHERE state IN ({ended})"
        return tuple(self._runs(f"WHERE run_id NOT IN ({events})"))

    def find_run(self, seal: Digest) -> RunRow | None:
        """The newest run with this seal that finished well and may stand for a new one."""
        rows = self._runs("WHERE seal = ? AND reusable = 1", seal)
        return next((row for row in rows if row.phase is RunPhase.FINISHED), None)

    def add_model(
        self,
        *,
        name: str,
        digest: Digest,
        project: str,
        run_id: str | None,
        metrics: Mapping[str, float],
    ) -> ModelRow:
        """Give a sealed model its next version; the same digest keeps the version it has."""
        with self._transaction():
            same = self.model(name, digest)
            if same is not None:
                return same
            newest = self._select("SELECT max(version) AS newest FROM models WHERE name = ?", name)
            version = (newest[0]["newest"] or 0) + 1
            self._insert(
                "models",
                at=self._now(),
                name=name,
                version=version,
                digest=digest,
                project=project,
                run_id=run_id,
                metrics=_dump(json_metrics(metrics)),
            )
        row = self.model(name, digest)
        if row is None:
            raise StoreError(f"model {name}@{version} was written and is not there", place=str(self._path))
        return row

    def model(self, name: str, which: Digest | int) -> ModelRow | None:
        """One model by name and version or digest."""
        column = "version" if isinstance(which, int) else "digest"
        rows = self._select(f"SELECT * FROM models WHERE name = ? AND {column} = ?", name, which)
        return next((_model_row(row) for row in rows), None)

    def models(self, name: str | None = None) -> tuple[ModelRow, ...]:
        """Newest first."""
        rows = self._select("SELECT * FROM models WHERE ?1 IS NULL OR name = ?1 ORDER BY id DESC", name)
        return tuple(_model_row(row) for row in rows)

    def add_service(self, service: ServiceRow) -> None:
        """Append a service's new state."""
        self._insert(
            "service_events",
            at=self._now(),
            name=service.name,
            state=service.state,
            revision=service.revision,
            detail=_dump(
                {
                    "image_digest": service.image_digest,
                    "model": service.model,
                    "model_digest": service.model_digest,
                    "engine": service.engine,
                    "handle": dict(service.handle) if service.handle is not None else None,
                    "url": service.url,
                    "run_id": service.run_id,
                    "reason": service.reason,
                }
            ),
        )

    def service(self, name: str) -> ServiceRow | None:
        """The last recorded state of one service; whether it is alive is the engine's to say."""
        return next((row for row in self.services() if row.name == name), None)

    def services(self) -> tuple[ServiceRow, ...]:
        """Each service's last recorded state, sorted by name."""
        last = "SELECT max(id) FROM service_events GROUP BY name"
        rows = self._select(f"SELECT * FROM service_events WHERE id IN ({last}) ORDER BY name")
        return tuple(_service_row(row) for row in rows)

    def container_ids(self) -> frozenset[str]:
        """Ids of every container that was ever written down, of runs and of services."""
        rows = self._select(
            "SELECT run_id FROM runs UNION SELECT json_extract(detail, '$.run_id') FROM service_events"
        )
        return frozenset(row[0] for row in rows if row[0] is not None)

    def live_digests(self) -> frozenset[Digest]:
        """Manifests that the collector keeps, with all they name: models, outputs, images of services."""
        runs = [run.outputs for run in self.runs() if run.phase is RunPhase.FINISHED]
        models = [model.digest for model in self.models()]
        images = [service.image_digest for service in self.services() if service.state == "ready"]
        return frozenset(digest for digest in (*runs, *models, *images) if digest is not None)

    def _runs(self, where: str, *values: Any) -> Iterator[RunRow]:
        events: dict[str, list[sqlite3.Row]] = {}
        chosen = f"SELECT run_id FROM runs {where}"
        for event in self._select(
            f"SELECT * FROM run_events WHERE run_id IN ({chosen}) ORDER BY id", *values
        ):
            events.setdefault(event["run_id"], []).append(event)
        for row in self._select(f"SELECT * FROM runs {where} ORDER BY at DESC, rowid DESC", *values):
            if row["run_id"] in events:  # else it was added between the two reads
                yield _run_row(row, events[row["run_id"]])

    def _event(self, run_id: str, phase: RunPhase, detail: Mapping[str, Any]) -> None:
        self._insert("run_events", run_id=run_id, at=self._now(), state=phase.value, detail=_dump(detail))

    def _insert(self, table: str, **values: Any) -> None:
        marks = ", ".join("?" for _ in values)
        with ledger_errors(self._path):
            self._connection.execute(
                f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})",
                [str(value) if isinstance(value, str) else value for value in values.values()],
            )

    def _select(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        with ledger_errors(self._path):
            plain = [str(value) if isinstance(value, str) else value for value in values]
            return self._connection.execute(statement, plain).fetchall()

    def _transaction(self) -> _Transaction:
        return _Transaction(self)


class _Transaction:
    """BEGIN IMMEDIATE … COMMIT: takes the write lock at once, so that a read inside it cannot go stale."""

    def __init__(self, ledger: Ledger) -> None:
        self._connection = ledger._connection
        self._path = ledger._path

    def __enter__(self) -> None:
        with ledger_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with ledger_errors(self._path):
            self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def json_metrics(metrics: Mapping[str, float]) -> dict[str, float | None]:
    """Metrics as JSON can hold them: None for NaN and infinities."""
    return {name: value if math.isfinite(value) else None for name, value in sorted(metrics.items())}


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _image_row(row: sqlite3.Row) -> ImageRow:
    values = {key: row[key] for key in row.keys() if key != "id"}  # noqa: SIM118 - a Row iterates values
    digests = {key: Digest(row[key]) for key in ("digest", "config_digest", "lock_digest")}
    return ImageRow(**{**values, **digests})


def _run_row(row: sqlite3.Row, events: Sequence[sqlite3.Row]) -> RunRow:
    detail: dict[str, Any] = {}
    for event in events:
        detail |= json.loads(event["detail"])
    phase = RunPhase(events[-1]["state"])
    return RunRow(
        run_id=row["run_id"],
        at=row["at"],
        project=row["project"],
        task=row["task"],
        seal=Digest(row["seal"]),
        seal_terms=json.loads(row["seal_terms"]),
        reusable=bool(row["reusable"]),
        image_digest=Digest(row["image_digest"]),
        lock_digest=Digest(row["lock_digest"]),
        limits=json.loads(row["limits"]),
        phase=phase,
        ended_at=events[-1]["at"] if phase.ended else None,
        engine=detail.get("engine"),
        handle=detail.get("handle"),
        exit_status=detail.get("exit_status"),
        cost=Cost(**(detail.get("cost") or {})),
        level=detail.get("level"),
        enforced_by=detail.get("enforced_by") or {},
        metrics=detail.get("metrics") or {},
        outputs=Digest(detail["outputs"]) if detail.get("outputs") else None,
        reason=detail.get("reason"),
    )


def _model_row(row: sqlite3.Row) -> ModelRow:
    return ModelRow(
        at=row["at"],
        name=row["name"],
        version=row["version"],
        digest=Digest(row["digest"]),
        project=row["project"],
        run_id=row["run_id"],
        metrics=json.loads(row["metrics"]),
    )


def _service_row(row: sqlite3.Row) -> ServiceRow:
    detail = json.loads(row["detail"])
    return ServiceRow(
        at=row["at"],
        name=row["name"],
        state=row["state"],
        revision=Digest(row["revision"]),
        image_digest=Digest(detail["image_digest"]),
        model=detail["model"],
        model_digest=Digest(detail["model_digest"]),
        engine=detail["engine"],
        handle=detail["handle"],
        url=detail["url"],
        run_id=detail["run_id"],
        reason=detail["reason"],
    )
