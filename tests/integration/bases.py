"""Stand-ins for images that people build on, made of Debian's own files in the shapes that these have."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foreign_images import AMD64, Layer, PutLayer, layer_tar, push_image, put_image, put_tar, tree_tar
from lading.oci.digest import DiffId, Digest
from lading.oci.platform import Platform
from lading.store import Store
from services.process import Tool

SLIM_PYTHON: Layer = {"usr/local/bin/python3": "python3.11"}


@dataclass
class Bases:
    """A registry with one image a kind, and what these are made of: Debian 12 and its Python."""

    registry: str
    root: Path
    """Debian's own root: Python, its headers and its libraries, unpacked."""
    base: PutLayer
    """Debian without Python."""
    store: Store
    platform: Platform = AMD64

    def push(self, name: str, *layers: PutLayer, env: dict[str, str] | None = None) -> str:
        manifest = put_image(self.store, layers, env=env, platform=self.platform)
        return push_image(self.store, manifest, f"{self.registry}/bases/{name}:1")

    def python_at(self, prefix: str) -> PutLayer:
        """Debian's Python 3.11 and its libraries, at another prefix."""
        moved = {
            "usr/bin/python3.11": f"{prefix}/bin/python3.11",
            "usr/lib/python3.11": f"{prefix}/lib/python3.11",
        }
        moved |= {path: path for path in self.libraries()}
        return put_tar(self.store, tree_tar(self.root, moved))

    def headers_at(self, prefix: str) -> PutLayer:
        """Of that Python, as images of Python and conda have them."""
        multiarch = self.platform.multiarch
        moved = {
            "usr/include/python3.11": f"{prefix}/include/python3.11",
            f"usr/include/{multiarch}/python3.11": f"{prefix}/include/{multiarch}/python3.11",
        }
        return put_tar(self.store, tree_tar(self.root, moved))

    def layer(self, files: Layer) -> PutLayer:
        return put_tar(self.store, layer_tar(files))

    def libraries(self) -> list[str]:
        """Shared libraries of Debian, of which its Python needs a few."""
        folder = f"usr/lib/{self.platform.multiarch}"
        return sorted(f"{folder}/{path.name}" for path in (self.root / folder).glob("*.so*"))


def make_bases(lading: Tool, umoci: Tool, registry: str, folder: Path, platform: Platform = AMD64) -> Bases:
    """What the stand-ins are made of: lading's own Debian, unpacked by somebody else."""
    project = folder / "p"
    project.mkdir()
    platforms = json.dumps(sorted({str(AMD64), str(platform)}))  # the library's bytecode is compiled here
    settings = f'platform = {platforms}\npython = "3.11"\nbytecode = false\napt = ["libpython3.11-dev"]\n'
    (project / "lading.toml").write_text(f"[image]\n{settings}")
    (project / "main.py").write_text("\n")
    words = ("--platform", str(platform), "--output", f"oci:{folder}/layout")
    built = json.loads(lading("build", "--json", *words, cwd=project).stdout)
    tag = built["tag"].rpartition(":")[2]
    umoci("unpack", "--image", f"layout:{tag}", folder / "bundle", cwd=folder)
    store = Store.open({"LADING_HOME": str(folder / "store")})
    first = built["layers"][0]
    assert first["kind"] == "base"
    return Bases(
        registry=registry,
        root=folder / "bundle/rootfs",
        base=put_layer(store, folder / "layout", first),
        store=store,
        platform=platform,
    )


def put_layer(store: Store, layout: Path, layer: dict[str, Any]) -> PutLayer:
    """A layer of an image that lading wrote to `layout` and described."""
    blob = layout / "blobs/sha256" / layer["digest"].removeprefix("sha256:")
    store.blobs.put(blob.read_bytes())
    return PutLayer(
        digest=Digest(layer["digest"]), diff_id=DiffId(layer["diff_id"]), size_bytes=layer["size_bytes"]
    )


def write_project(folder: Path, base: str, requirements: str, more: str = "", code: str = "") -> Path:
    folder.mkdir()
    (folder / "lading.toml").write_text(f'[image]\nbase = "{base}"\n{more}')
    (folder / "requirements.txt").write_text(requirements)
    (folder / "main.py").write_text(f"{code}\n")
    return folder


def locked(project: Path) -> dict[str, Any]:
    """The only variant of a project's lock."""
    (variant,) = tomllib.loads((project / "lading.lock").read_text())["variant"]
    return dict(variant)


def numpy_held(site: str) -> Layer:
    """A numpy that only a base could hold: no index has this version."""
    said = b"Metadata-Version: 2.1\nName: numpy\nVersion: 2.99.0+base\n"
    return {
        f"{site}/numpy/__init__.py": b"__version__ = '2.99.0+base'\n",
        f"{site}/numpy-2.99.0+base.dist-info/METADATA": said,
    }


def torch_held(site: str) -> Layer:
    """A stand-in for the torch of a vendor's image, which needs a held package."""
    said = b"Metadata-Version: 2.1\nName: torch\nVersion: 2.8.0a0+nv25.6\nRequires-Dist: numpy\n"
    return {
        f"{site}/torch/__init__.py": b"import numpy\n__version__ = '2.8.0a0+nv25.6'\n",
        f"{site}/torch-2.8.0a0+nv25.6.dist-info/METADATA": said,
        **numpy_held(site),
    }
