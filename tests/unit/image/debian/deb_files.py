"""Makes `.deb` files byte by byte, so that every rule of the reader can be broken on purpose."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Iterable
from pathlib import Path

from lading.lock.model import LockedPackage

Member = tuple[str, str, bytes | str]
"""Kind (`file`, `dir`, `link`, `hard`, `fifo`), name, and content or target."""

_TYPES = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE,
          "fifo": tarfile.FIFOTYPE}  # fmt: skip


def tar_of(
    members: Iterable[Member], *, form: int = tarfile.GNU_FORMAT, modes: dict[str, int] | None = None
) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for kind, name, value in members:
            info = tarfile.TarInfo(name)
            info.type = _TYPES[kind]
            info.mode = (modes or {}).get(name, 0o755 if kind == "dir" else 0o644)
            content = value if isinstance(value, bytes) else b""
            info.linkname = value if isinstance(value, str) else ""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def ar_of(members: Iterable[tuple[str, bytes]]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, content in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode())
        parts.append(content + b"\n" * (len(content) % 2))
    return b"".join(parts)


def control_of(
    name: str = "thing", version: str = "1", *, scripts: dict[str, str] | None = None, **fields: str
) -> bytes:
    lines = {"Package": name, "Version": version, "Architecture": "amd64", **fields, "Description": "a thing"}
    text = "".join(f"{key.replace('_', '-')}: {value}\n" for key, value in lines.items())
    members: list[Member] = [("dir", "./", b""), ("file", "./control", text.encode())]
    members += [("file", f"./{script}", content.encode()) for script, content in (scripts or {}).items()]
    return tar_of(members)


def deb_of(control: bytes, data: bytes, *, compress: str = ".xz") -> bytes:
    pack = {".xz": lzma.compress, ".gz": gzip.compress, "": bytes}[compress]
    return ar_of(
        [
            ("debian-binary", b"2.0\n"),
            (f"control.tar{compress}", pack(control)),
            (f"data.tar{compress}", pack(data)),
        ]
    )


def write_deb(
    folder: Path, content: bytes, *, name: str = "thing", version: str = "1"
) -> tuple[LockedPackage, Path]:
    path = folder / f"{name}_{version}.deb"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    locked = LockedPackage(
        name=name,
        version=version,
        architecture="amd64",
        filename=f"pool/{path.name}",
        sha256=digest,
        size_bytes=len(content),
        suite="bookworm",
    )
    return locked, path


PASSWD = b"root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUP = b"root:*:0:\nshadow:*:42:\nnogroup:*:65534:\n"


def base_passwd(folder: Path) -> tuple[LockedPackage, Path]:
    """The least that every root needs."""
    data = tar_of(
        [
            ("dir", "./", b""), ("dir", "./usr/", b""), ("dir", "./usr/share/", b""),
            ("dir", "./usr/share/base-passwd/", b""),
            ("file", "./usr/share/base-passwd/passwd.master", PASSWD),
            ("file", "./usr/share/base-passwd/group.master", GROUP),
        ]
    )  # fmt: skip
    return write_deb(folder, deb_of(control_of("base-passwd"), data), name="base-passwd")
