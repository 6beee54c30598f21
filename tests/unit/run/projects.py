"""Small values for tests: a project folder, an image without layers, a reporter that remembers."""

from __future__ import annotations

from pathlib import Path

from lading.image.model import Image
from lading.oci.digest import Digest
from lading.oci.manifest import MEDIA_CONFIG, Descriptor, ImageConfig, Manifest
from lading.oci.platform import Platform
from lading.project.model import (
    Code,
    CodeKind,
    DataSource,
    ImageSettings,
    Project,
    RequirementKind,
    Requirements,
    ServeSettings,
    Task,
)
from lading.run.report import Step
from lading.store import Store


class Remembering:
    """A Reporter that keeps what it was told."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.steps: list[Step] = []
        self.printed = b""

    def phase(self, name: str) -> None:
        self.phases.append(name)

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.warnings.append(text)

    def output(self, data: bytes) -> None:
        self.printed += data

    def finished(self, step: Step) -> None:
        self.steps.append(step)


def make_project(
    root: Path,
    *tasks: Task,
    serve: ServeSettings | None = None,
    data: tuple[DataSource, ...] = (),
    name: str = "digits",
) -> Project:
    settings = ImageSettings(python="3.11", base="debian:bookworm")
    return Project(
        root=root,
        name=name,
        version=None,
        config_path=root / "lading.toml",
        image=settings,
        targets=dict.fromkeys(("train", "serve", "dev"), settings),
        tasks={task.name: task for task in tasks},
        serve=serve,
        data={source.name: source for source in data},
        requirements=Requirements(kind=RequirementKind.NONE, path=None),
        code=Code(kind=CodeKind.FOLDER, files=()),
        frameworks=(),
        findings=(),
    )


def make_image(store: Store, target: str = "train", *, content: str = "1") -> Image:
    platform = Platform("linux", "amd64")
    config = ImageConfig(platform=platform, diff_ids=(), env=(("FROM_IMAGE", content),), user="1000:1000")
    body = config.to_bytes()
    descriptor = Descriptor(media_type=MEDIA_CONFIG, digest=store.blobs.put(body), size_bytes=len(body))
    manifest = Manifest(config=descriptor, layers=())
    return Image(
        project="digits",
        target=target,
        accelerator="cpu",
        platform="linux/amd64",
        tag="digits:1-cpu",
        digest=store.blobs.put(manifest.to_bytes()),
        manifest=manifest,
        config=config,
        layers=(),
        lock_digest=Digest.of(b"lock"),
    )
