"""Writes the golden layers and prints their digests as JSON: `python tests/golden/layers.py STORE`.

Self-contained, so that it also runs under an emulator with nothing but lading and its two compressors. The
content is made here, by arithmetic: nothing of the host can enter.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
import zlib
from pathlib import Path

from lading.fetch.source import LocalFile
from lading.image.kinds.wheels import write_wheels
from lading.image.layer.recipe import CHUNK_BYTES
from lading.image.layer.tree import EntryKind, TreeEntry
from lading.image.layer.writer import LayerWriter
from lading.image.spec import WheelsLayer
from lading.lock.model import LockedWheel
from lading.store import Store


def pseudo_random(size_bytes: int, seed: int) -> bytes:
    """Bytes that compress a little, the same everywhere."""
    blocks = (hashlib.sha256(b"%d.%d" % (seed, n)).digest() for n in range(size_bytes // 48 + 1))
    return b"".join(block + block[:16] for block in blocks)[:size_bytes]


def tree_entries() -> list[TreeEntry]:
    """Every kind of entry, every size class, names that need pax."""

    def file(path: str, content: bytes, mode: int = 0o644) -> TreeEntry:
        return TreeEntry(path=path, kind=EntryKind.FILE, mode=mode, content=content)

    return [
        TreeEntry(path="usr/bin", kind=EntryKind.DIRECTORY, mode=0o755),
        TreeEntry(path="bin", kind=EntryKind.SYMLINK, mode=0o777, link_target="usr/bin"),
        file("usr/bin/tool", pseudo_random(70_000, 1), 0o755),
        TreeEntry(path="usr/bin/again", kind=EntryKind.HARDLINK, mode=0o755, link_target="usr/bin/tool"),
        TreeEntry(path="tmp", kind=EntryKind.DIRECTORY, mode=0o1777),
        file("etc/empty", b""),
        file("etc/block", b"x" * 512),
        file("usr/share/" + "long/" * 40 + "name", b"deep\n"),
        file("usr/share/n\u00e4me-\u4e2d", "text \u00fc\n".encode()),
        file("usr/lib/large", pseudo_random(9_500_000, 2)),
        TreeEntry(path="usr/lib/l", kind=EntryKind.SYMLINK, mode=0o777, link_target="../" * 45 + "x"),
    ]


def wheel_bytes() -> bytes:
    """A small valid wheel with deflated and stored members, scripts and a console script."""
    files = {
        "golden/__init__.py": b"VALUE = 1\n" * 50,
        "golden/data.bin": pseudo_random(300_000, 3),
        "golden/stored.bin": pseudo_random(150_000, 4),
        "golden/empty.py": b"",
        "golden-1.0.data/scripts/golden-tool": b"#!python\nprint('golden')\n",
        "golden-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: golden\nVersion: 1.0\n",
        "golden-1.0.dist-info/WHEEL": (
            b"Wheel-Version: 1.0\nGenerator: golden\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "golden-1.0.dist-info/entry_points.txt": b"[console_scripts]\ngolden = golden:main\n",
    }
    import base64

    rows = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},"
        f"{len(data)}\n"
        for name, data in files.items()
    )
    files["golden-1.0.dist-info/RECORD"] = (rows + "golden-1.0.dist-info/RECORD,,\n").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            info = zipfile.ZipInfo(name, (2020, 2, 2, 2, 2, 2))
            info.external_attr = 0o100644 << 16
            stored = name.endswith("stored.bin")
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return buffer.getvalue()


WHEEL_NAME = "golden-1.0-py3-none-any.whl"


def streamed_layer(store: Store) -> dict[str, str]:
    """Large files in chunks, compressed and stored, and what marks removed paths."""
    incompressible = b"".join(hashlib.sha256(b"5.%d" % n).digest() for n in range(160_000))
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        writer.file("etc/.wh.removed", b"", mode=0o644)
        writer.directory("etc/skel", mode=0o700)
        writer.file("etc/skel/.wh..wh..opq", b"", mode=0o644)
        for name, content, compress in (
            ("text", pseudo_random(9_500_000, 2), True),
            ("weights", incompressible, False),
            ("empty", b"", False),
        ):
            chunks = (content[cut : cut + CHUNK_BYTES] for cut in range(0, len(content), CHUNK_BYTES))
            writer.stream(f"opt/{name}", chunks, mode=0o644, size_bytes=len(content), compress=compress)
        layer = writer.finish()
    return {"digest": str(layer.digest), "diff_id": str(layer.diff_id)}


def golden_layers(store: Store, wheel: Path) -> dict[str, dict[str, str]]:
    """name → digest and diff ID of each golden layer."""
    found = {}
    with store.blobs.writer() as blob:
        writer = LayerWriter(blob)
        writer.entries(tree_entries())
        tree = writer.finish()
    found["tree"] = {"digest": str(tree.digest), "diff_id": str(tree.diff_id)}
    found["streamed"] = streamed_layer(store)
    content = wheel.read_bytes()
    locked = LockedWheel(
        name="golden",
        version="1.0",
        filename=WHEEL_NAME,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )
    for kind in ("wheel", "tail"):
        spec = WheelsLayer(kind=kind, title="golden", wheels=(locked,), python_version="3.11")
        with store.blobs.writer() as blob:
            writer = LayerWriter(blob)
            write_wheels(spec, writer, lambda _: LocalFile(wheel))
            layer = writer.finish()
        found[kind] = {"digest": str(layer.digest), "diff_id": str(layer.diff_id)}
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    wheel = Path(__file__).parent / WHEEL_NAME
    store = Store.open({"LADING_HOME": str(folder)})
    print(json.dumps(golden_layers(store, wheel), indent=2, sort_keys=True))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make-wheel"]:
        # Committed once: zlib's output differs between builds, so the wheel itself must be a fixed file.
        (Path(__file__).parent / WHEEL_NAME).write_bytes(wheel_bytes())
        print(zlib.ZLIB_RUNTIME_VERSION)
    else:
        main()
