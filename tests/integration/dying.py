"""Tasks that really die on this host, in real containers, and what the doctor then says of them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine_world import layer_of

from lading.engine.embedded import EmbeddedEngine
from lading.errors import TaskFailed
from lading.image.model import Image, LayerRecord
from lading.inspect.doctor.model import Finding
from lading.inspect.doctor.runs.diagnose import diagnose_run
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.reading import gather_run
from lading.oci.digest import DiffId, Digest
from lading.oci.manifest import MEDIA_CONFIG, MEDIA_LAYER_GZIP, Descriptor, ImageConfig, Manifest
from lading.oci.platform import Platform
from lading.project.limits import Limits
from lading.project.model import (
    Code,
    CodeKind,
    ImageSettings,
    Project,
    RequirementKind,
    Requirements,
    Task,
)
from lading.run.ledger import Ledger
from lading.run.report import SilentReporter
from lading.run.submit import run_task
from lading.run.task import prepare_run
from lading.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Death:
    evidence: RunEvidence
    findings: tuple[Finding, ...]
    log: str

    @property
    def cause(self) -> str | None:
        return self.findings[0].cause if self.findings else None

    def told(self) -> str:
        """For a failed assertion."""
        lines = [f"{finding.cause} {finding.certain} {finding.proof}" for finding in self.findings]
        return "\n".join([self.evidence.ending(), *lines, str(self.evidence.seen), self.log])


@dataclass(kw_only=True)
class Mortal:
    """A project whose task is one script, in an image of this host's programs."""

    folder: Path
    layer: tuple[str, str, int]
    level: str = "namespaces"

    def store(self) -> Store:
        return Store.open({"LADING_HOME": str(self.folder / "store")})

    def die(self, script: str, *, run: str = "python3 train.py", **task: Any) -> Death:
        """Run `script` as train.py to its end. `files` are by mode and name; `limits` and whatever else a
        Task has are passed on.
        """
        files: dict[str, bytes | str] = {"app/train.py": script.encode()}
        store = self.store()
        layers = [self.layer, layer_of(store, files, mode=0o644)]
        for mode, more in task.pop("files", {}).items():
            layers.append(
                layer_of(store, {f"app/{name}": content for name, content in more.items()}, mode=mode)
            )
        project = self._project(run, task)
        engine = EmbeddedEngine(store, {**os.environ, "LADING_EMBEDDED_LEVEL": self.level})
        with Ledger.open(store) as ledger:
            prepared = prepare_run(
                project,
                project.tasks["train"],
                _image(store, tuple(layers)),
                store=store,
                ledger=ledger,
                environment=os.environ,
            )
            try:
                run_task(
                    prepared, engine=engine, store=store, ledger=ledger, reporter=SilentReporter(), rerun=True
                )
            except TaskFailed as error:
                assert error.run_id is not None
            row = ledger.runs()[0]
            evidence = gather_run(row, store, ledger)
        log = (store.root / "runs" / row.run_id / "log").read_text(errors="replace")
        return Death(evidence=evidence, findings=diagnose_run(evidence), log=log)

    def _project(self, run: str, task: dict[str, Any]) -> Project:
        settings = ImageSettings(python="3.11", base="debian:bookworm")
        limits = Limits(**task.pop("limits", {}))
        root = self.folder / "project"
        root.mkdir(exist_ok=True)
        return Project(
            root=root,
            name="mortal",
            version=None,
            config_path=None,
            image=settings,
            targets={},
            tasks={"train": Task(name="train", run=run, params={}, limits=limits, **task)},
            serve=None,
            data={},
            requirements=Requirements(kind=RequirementKind.NONE, path=None),
            code=Code(kind=CodeKind.FOLDER, files=()),
            frameworks=(),
            findings=(),
        )


def _image(store: Store, layers: tuple[tuple[str, str, int], ...]) -> Image:
    records = tuple(
        LayerRecord(
            key=f"{number:064x}",
            kind="base",
            title="base",
            digest=Digest(digest),
            diff_id=DiffId(diff_id),
            size_bytes=size_bytes,
            unpacked_bytes=0,
            file_count=0,
        )
        for number, (digest, diff_id, size_bytes) in enumerate(layers)
    )
    config = ImageConfig(
        platform=Platform("linux", "amd64"),
        diff_ids=tuple(record.diff_id for record in records),
        user="1000:1000",
        env=(("PATH", "/opt/venv/bin:/usr/bin:/bin"), ("PYTHONPATH", "/opt/packages")),
        working_dir="/app",
    )
    body = config.to_bytes()
    manifest = Manifest(
        config=Descriptor(media_type=MEDIA_CONFIG, digest=store.blobs.put(body), size_bytes=len(body)),
        layers=tuple(
            Descriptor(media_type=MEDIA_LAYER_GZIP, digest=record.digest, size_bytes=record.size_bytes)
            for record in records
        ),
    )
    return Image(
        project="mortal",
        target="train",
        accelerator="cpu",
        platform="linux/amd64",
        tag="mortal:1-cpu",
        digest=store.blobs.put(manifest.to_bytes()),
        manifest=manifest,
        config=config,
        layers=records,
        lock_digest=Digest.of(b"lock"),
    )
