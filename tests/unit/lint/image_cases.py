"""For each rule over built images, images it must catch and images it must leave alone."""

from __future__ import annotations

import pickle
import struct
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from image.elves import shared_object

from lading.inspect.image.attached import PROVENANCE, SBOM, Attachment
from scanned.images import SITE, Layer, wheel
from scanned.innocent import safetensors
from scanned.planted import GITHUB, LINE, pem


@dataclass(frozen=True, kw_only=True)
class Case:
    layers: tuple[Layer, ...] = ({"a": b"x"},)
    config: Mapping[str, Any] = field(default_factory=dict)
    twice: tuple[tuple[str, bytes], ...] = ()
    """Put behind the members of the first layer, whatever is there already."""
    attached: tuple[Attachment, ...] | None = None
    """`SELF` as subject is the image itself."""
    driver: str | None = None
    gpu: int | None = None


def one(**files: Any) -> Case:
    return Case(layers=(files,))


def layers(*layers: Layer, **more: Any) -> Case:
    return Case(layers=layers, **more)


def member(content: bytes = b"", mode: int = 0o644, mtime: float = 0, **pax: str) -> tarfile.TarInfo:
    """A file of as many bytes; `x` for content."""
    info = tarfile.TarInfo()
    info.size, info.mode, info.mtime, info.pax_headers = len(content), mode, mtime, pax
    return info


class Script(bytes):
    """An executable file."""


def runs(content: bytes | None, *command: str, path: str = "entry.sh", **more: Any) -> Case:
    files: dict[str, Any] = {"bin/sh": Script(shared_object()), "usr/bin/env": Script(shared_object())}
    if content is not None:
        files[path] = Script(content)
    return Case(layers=(files,), config={"config": {"Entrypoint": list(command or ("/entry.sh",)), **more}})


def cuda(*packages: tuple[str, str], **more: Any) -> Case:
    files: dict[str, Any] = {}
    for name, version in packages:
        files |= wheel(name, version, {})
    return Case(layers=(files,), **more)


def fatbin(*entries: tuple[str, int]) -> bytes:
    body = b""
    for kind, arch in entries:
        number = 2 if kind == "sass" else 1
        body += struct.pack("<HHIQIIHHI", number, 0x101, 64, 800, 0, 0, 0, 0, arch).ljust(64, b"\0") + bytes(
            800
        )
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def kernels(*entries: tuple[str, int], gpu: int | None = 86) -> Case:
    library = shared_object().ljust(4096, b"\0") + fatbin(*entries)
    return Case(layers=(wheel("torch", "2.9.1", {"torch/lib/libtorch_cuda.so": library}),), gpu=gpu)


def user(name: str) -> Case:
    return Case(config={"config": {"User": name}})


def built(*times: float, history: str = "2026-11-25T10:00:00Z", **more: Any) -> Case:
    files = {f"f{number}": member(b"x", mtime=time) for number, time in enumerate(times)}
    return Case(layers=(files,), config={"history": [{"created": history, "created_by": "RUN make"}]}, **more)


SELF = "self"


def about(kind: str, subject: str, *, there: bool = True) -> Attachment:
    return Attachment(kind=kind, subject=subject, has_subject=there)


NOON = 1_795_600_800.0
"""2026-11-25T10:00:00Z."""
BIG = b"0123456789abcdef" * 130_000
EVIL = b"import os; os.system('id')\n"
DEMO = wheel("demo", "1.0", {"demo/__init__.py": b"x = 1\n", "demo/data.pkl": pickle.dumps([1, "a"])})
COMPILED = wheel(
    "demo", "1.0", {"demo/__init__.py": b"x = 1\n", "demo/__pycache__/__init__.cpython-312.pyc": b"old"}
)
CV2 = wheel("opencv_python", "4.12.0", {"cv2/cv2.abi3.so": shared_object(("libGL.so.1", "libc.so.6"))})
LIBC = {"lib/libc.so.6": shared_object()}
STATUS = {
    "var/lib/dpkg/status": b"Package: passwd\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n",
    "var/lib/dpkg/info/passwd.list": b"/usr/bin/passwd\n",
}
TORCH_ZIP = b"PK\x03\x04" + bytes(22) + b"\x10\0\0\0archive/data.pkl" + bytes(500)
MANY = {f"root/.cache/pip/http/{n}": b"\xff" + bytes(60_000) for n in range(3)}

IMAGES: dict[str, tuple[tuple[Case, ...], tuple[Case, ...]]] = {
    "LDI001": (
        (
            layers({"root/.netrc": LINE}, {"root/.wh..netrc": b""}),
            one(**{"app/settings.py": b"KEY = '" + GITHUB.encode() + b"'\n"}),
            Case(config={"config": {"Env": [f"HF_TOKEN={GITHUB}"]}}),
            Case(config={"history": [{"created_by": f"ARG T={GITHUB}", "empty_layer": True}]}),
        ),
        (
            one(**{"app/uv.lock": b'hash = "sha256:' + b"0123456789abcdef" * 4 + b'"\n'}),
            layers(wheel("demo", "1.0", {"demo/tests/key.pem": pem("").encode()})),
            Case(config={"config": {"Env": ["GPG_KEY=E3FF2839C048B25C084DEBE9B26995E310250568"]}}),
            one(**{"model.safetensors": safetensors()}),
        ),
    ),
    "LDI002": (
        (
            Case(layers=({"a": b"x"},), twice=(("a", b"y"),)),
            Case(layers=({"app/main.py": b"x", "b": b"x"},), twice=(("./app/main.py", b"x"),)),
            Case(
                layers=({f"f{n}": b"x" for n in range(30)},), twice=tuple((f"f{n}", b"y") for n in range(30))
            ),
        ),
        (
            layers({"a": b"x"}, {"a": b"y"}),
            one(a=b"x", b=b"x"),
            one(**{"d/a": b"x", "d/b": b"x"}),
        ),
    ),
    "LDI003": (
        (
            built(NOON - 60, NOON - 59),
            built(NOON - 3000, NOON - 10, NOON),
            built(NOON - 1, NOON + 1, 0),
        ),
        (
            built(NOON, NOON, NOON),
            built(0, 0, 100),
            built(NOON - 90_000, NOON - 80_000),
            Case(layers=({"a": member(b"x", mtime=NOON)},)),
            built(NOON - 60, NOON - 59, history="nonsense"),
        ),
    ),
    "LDI004": (
        (
            layers(DEMO, {f"{SITE}/demo/__init__.py": b"import os\n"}),
            layers({**DEMO, f"{SITE}/demo/__init__.py": b""}),
            layers(DEMO, {f"{SITE}/demo-1.0.dist-info/METADATA": b"Name: demo\nVersion: 1.0\n"}),
        ),
        (
            layers(DEMO),
            layers(DEMO, {f"{SITE}/demo/.wh.__init__.py": b""}),
            layers(DEMO, {f"{SITE}/demo/more.py": b"x"}),
            layers(COMPILED, {f"{SITE}/demo/__pycache__/__init__.cpython-312.pyc": b"new"}),
        ),
    ),
    "LDI005": (
        (
            one(**{f"{SITE}/a.pth": EVIL}),
            one(**{f"{SITE}/sitecustomize.py": b"x = 1\n"}),
            layers(wheel("evil", "1.0", {"_manylinux.py": b"x = 1\n"})),
        ),
        (
            one(**{f"{SITE}/a.pth": b"/opt/more\n"}),
            one(**{"app/sitecustomize/a.pth": EVIL}),
            layers({f"{SITE}/a.pth": EVIL}, {f"{SITE}/.wh.a.pth": b""}),
        ),
    ),
    "LDI006": (
        (
            one(**{"app/model.pkl": pickle.dumps({"a": [1, 2]})}),
            one(**{"app/model.safetensors": pickle.dumps([1, 2], protocol=2)}),
            one(**{"app/model.pt": TORCH_ZIP}),
        ),
        (
            layers(DEMO),
            one(**{"app/model.safetensors": safetensors()}),
            layers({"app/model.pkl": pickle.dumps([1])}, {"app/.wh.model.pkl": b""}),
            one(**{"app/a.pkl": b"a pickle in name alone\n"}),
        ),
    ),
    "LDI007": (
        (
            layers({**CV2, **LIBC}),
            layers(wheel("a", "1", {"a.abi3.so": shared_object(("libmissing.so.3",))})),
            layers({**CV2, **LIBC, "usr/lib/libGL.so.1": b"x"}, {"usr/lib/.wh.libGL.so.1": b""}),
        ),
        (
            layers({**CV2, **LIBC, "usr/lib/x86_64-linux-gnu/libGL.so.1": shared_object()}),
            layers({**wheel("a", "1", {"a.abi3.so": shared_object(("libcuda.so.1", "libc.so.6"))}), **LIBC}),
            one(**{"app/tool": shared_object(("libmissing.so.3",))}),
            layers(
                wheel(
                    "a",
                    "1",
                    {"a.abi3.so": shared_object(("libown.so",)), "a.libs/libown.so": shared_object()},
                )
            ),
        ),
    ),
    "LDI008": (
        (
            cuda(("nvidia-cuda-runtime", "13.0.48"), driver="535"),
            cuda(("nvidia-cuda-runtime-cu12", "12.8.90"), driver="470.82"),
            cuda(("torch", "2.9.1+cu126"), driver="515"),
        ),
        (
            cuda(("nvidia-cuda-runtime-cu12", "12.8.90"), driver="535"),
            cuda(("nvidia-cuda-runtime", "13.0.48")),
            cuda(("numpy", "2.0"), driver="470"),
        ),
    ),
    "LDI009": (
        (
            kernels(("sass", 90)),
            kernels(("sass", 75), ("ptx", 90)),
            kernels(("sass", 80), ("sass", 86), gpu=75),
        ),
        (
            kernels(("sass", 80)),
            kernels(("ptx", 75)),
            kernels(("sass", 90), gpu=None),
            Case(gpu=86),
        ),
    ),
    "LDI010": (
        (
            cuda(("nvidia-cublas-cu12", "12.8"), ("nvidia-cuda-runtime", "13.0.48")),
            one(**{"a/libcudnn.so.8": b"x", "b/libcudnn.so.9": b"x"}),
            cuda(("torch", "2.9.1+cu126"), ("nvidia-cudnn-cu13", "9.1")),
        ),
        (
            cuda(("nvidia-cublas-cu12", "12.8"), ("torch", "2.9.1+cu126")),
            one(**{"a/libcudnn.so.9": b"x", "b/libcudnn.so.9": b"x"}),
            cuda(("numpy", "2.0")),
        ),
    ),
    "LDI011": (
        (
            layers({"a": BIG}, {".wh.a": b""}),
            layers({"a": BIG, "b": BIG}, {"a": BIG}),
            layers({"d/a": BIG, "b": b"x"}, {".wh.d": b""}),
        ),
        (
            layers({"a": BIG}),
            layers({"a": b"x" * 1000}, {".wh.a": b""}),
            layers({"a": BIG, "b": BIG * 20}, {".wh.a": b""}),
        ),
    ),
    "LDI012": (
        (
            one(**MANY),
            one(**{"var/lib/apt/lists/deb.example_main_Packages": BIG}),
            one(**{"root/.cache/huggingface/hub/blobs/a": b"\0" * 200_000}),
        ),
        (
            one(**{"root/.cache/pip/a": b"x"}),
            one(**{"models/model.bin": b"\0" * 200_000}),
            one(**{"var/lib/apt/extended_states": BIG}),
        ),
    ),
    "LDI013": (
        (
            one(**{"usr/local/bin/tool": member(b"x", 0o4755)}),
            one(**{"usr/local/bin/tool": member(b"x", 0o2755)}),
            one(**{"usr/bin/ping": member(b"x", 0o755, **{"SCHILY.xattr.security.capability": "x"})}),
        ),
        (
            layers({**STATUS, "usr/bin/passwd": member(b"x", 0o4755)}),
            one(**{"usr/local/bin/tool": member(b"x", 0o755)}),
            layers({"usr/local/bin/tool": member(b"x", 0o4755)}, {"usr/local/bin/tool": member(b"x", 0o755)}),
        ),
    ),
    "LDI014": (
        (
            runs(None),
            runs(b"#!/bin/sh\r\necho\r\n"),
            runs(b"#!/bin/bash\n"),
            runs(b"#!/usr/bin/env python3\n"),
            layers({"entry.sh": member(b"x", 0o644)}, config={"config": {"Cmd": ["/entry.sh"]}}),
            runs(None, "serve"),
        ),
        (
            runs(b"#!/bin/sh -e\n"),
            runs(b"#!/usr/bin/env -S sh -e\n"),
            runs(None, "sh", "-c", "exec nothing"),
            runs(b"#!/bin/sh\n", "./run.sh", path="app/run.sh", WorkingDir="/app"),
            Case(),
            runs(None, "$PROGRAM"),
        ),
    ),
    "LDI015": (
        (
            Case(attached=()),
            Case(attached=(about(SBOM, SELF),)),
            Case(attached=(about(PROVENANCE, "sha256:" + "0" * 64, there=False), about(SBOM, SELF))),
            Case(attached=(about(PROVENANCE, "sha256:" + "0" * 64), about(SBOM, "sha256:" + "0" * 64))),
        ),
        (
            Case(attached=(about(SBOM, SELF), about(PROVENANCE, SELF))),
            Case(),
            Case(
                attached=(about(PROVENANCE, "sha256:" + "0" * 64), about(SBOM, SELF), about(PROVENANCE, SELF))
            ),
        ),
    ),
    "LDI016": (
        (user("app"), user("nobody:nogroup"), user("app:1000")),
        (user("1000"), user("1000:1000"), user(""), user("root")),
    ),
}
