"""A package index on loopback (PEP 503, 658 and 691) with wheels made here, and projects that use it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fetch.loopback import Handler, Loopback

from lading.project.model import (
    Code,
    CodeKind,
    ImageSettings,
    Project,
    RequirementKind,
    Requirements,
)
from small_wheel import make_wheel

__all__ = ["Index", "make_project", "make_wheel"]


@dataclass
class Index:
    """`server` serves `/simple/NAME/` and `/files/NAME`."""

    server: Loopback
    files: dict[str, list[str]] = field(default_factory=dict)
    password: str | None = None

    @property
    def url(self) -> str:
        userinfo = f"reader:{self.password}" if self.password else ""
        return self.server.url("/simple/", userinfo=userinfo)

    def add(self, name: str, version: str, **options: Any) -> str:
        """Offer a wheel; returns its file name."""
        filename, content = make_wheel(name, version, **options)
        self._offer(name, filename, content)
        metadata = zipfile.ZipFile(io.BytesIO(content)).read(
            f"{name.replace('-', '_')}-{version}.dist-info/METADATA"
        )
        self.server.files[f"/files/{filename}.metadata"] = metadata
        return filename

    def add_source(self, name: str, version: str) -> None:
        """Offer a source archive alone; building it would fail loudly."""
        self._offer(name, f"{name}-{version}.tar.gz", b"not an archive")

    def _offer(self, name: str, filename: str, content: bytes) -> None:
        self.server.files[f"/files/{filename}"] = content
        self.files.setdefault(name, []).append(filename)
        page = json.dumps(
            {
                "meta": {"api-version": "1.1"},
                "name": name,
                "versions": sorted({one.split("-")[1] for one in self.files[name]}),
                "files": [self._entry(one) for one in self.files[name]],
            }
        ).encode()
        self.server.files[f"/simple/{name}/"] = page
        self.server.answers[f"/simple/{name}/"] = [self._page]
        self.server.answers[f"/files/{filename}"] = [self._file]

    def _entry(self, filename: str) -> dict[str, Any]:
        content = self.server.files[f"/files/{filename}"]
        entry = {
            "filename": filename,
            "url": f"../../files/{filename}",
            "hashes": {"sha256": hashlib.sha256(content).hexdigest()},
        }
        metadata = self.server.files.get(f"/files/{filename}.metadata")
        if metadata is not None:
            entry["core-metadata"] = {"sha256": hashlib.sha256(metadata).hexdigest()}
        return entry

    def _page(self, handler: Handler, content: bytes) -> None:
        if self._forbidden(handler):
            return
        handler.begin(200, len(content), Content_Type="application/vnd.pypi.simple.v1+json")
        handler.body(content)

    def _file(self, handler: Handler, content: bytes) -> None:
        from fetch.loopback import ranges

        if not self._forbidden(handler):
            ranges(handler, content)

    def _forbidden(self, handler: Handler) -> bool:
        if self.password is None:
            return False
        expected = base64.b64encode(f"reader:{self.password}".encode()).decode()
        if handler.headers.get("Authorization") == f"Basic {expected}":
            return False
        handler.begin(401, 0, WWW_Authenticate='Basic realm="index"')
        return True


def make_project(
    root: Path,
    *,
    requirements: str | None = None,
    pyproject: str | None = None,
    kind: RequirementKind | None = None,
    groups: dict[str, tuple[str, ...]] | None = None,
    **image: Any,
) -> Project:
    """A project in `root`; `groups` by target."""
    root.mkdir(parents=True, exist_ok=True)
    path = None
    found = RequirementKind.NONE
    if requirements is not None:
        path, found = root / "requirements.txt", RequirementKind.REQUIREMENTS
        path.write_text(requirements)
    if pyproject is not None:
        path, found = root / "pyproject.toml", RequirementKind.PYPROJECT
        path.write_text(pyproject)
    if kind in (RequirementKind.UV_LOCK, RequirementKind.PYLOCK):
        path, found = root / str(kind), kind
    settings: dict[str, Any] = {"python": "3.11", "base": "debian:bookworm", **image}
    targets = {
        target: ImageSettings(**{**settings, "groups": (groups or {}).get(target, ())})
        for target in ("train", "serve", "dev")
    }
    return Project(
        root=root,
        name="demo",
        version=None,
        config_path=None,
        image=ImageSettings(**settings),
        targets=targets,
        tasks={},
        serve=None,
        data={},
        requirements=Requirements(kind=found, path=path),
        code=Code(kind=CodeKind.FOLDER, files=()),
        frameworks=(),
        findings=(),
    )
