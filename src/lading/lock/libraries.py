"""What is known about libraries that no file says: data, each entry seen on the day named here. Pure.

`BASE_LIBRARIES` spares the question for what every image has, `COMMON_LIBRARIES` the suite's index of
contents for what wheels need most; `OPTIONAL` is what real wheels name and can do without; `OPENED_BY_NAME`
is what Python code opens with `ctypes`, which no ELF file tells; `SELF_CONTAINED` spares reading large wheels
whose needs are known to be met.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

SEEN = "2026-11-25"
"""When the tables were last compared with real wheels and indexes."""

_GLIBC = (
    "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2", "libanl.so.1", "libc.so.6", "libdl.so.2", "libm.so.6",
    "libmvec.so.1", "libpthread.so.0", "libresolv.so.2", "librt.so.1", "libthread_db.so.1", "libutil.so.1",
)  # fmt: skip
BASE_LIBRARIES: Mapping[str, str] = {
    **dict.fromkeys(_GLIBC, "libc6"),
    "libgcc_s.so.1": "libgcc-s1",
    "libgomp.so.1": "libgomp1",
    "libgomp.so.1.0.0": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}
"""Soname → the package that ships it in every suite; met without a question where the image has that one."""

_GLIB = ("libglib2.0-0t64", "libglib2.0-0")
COMMON_LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "libEGL.so.1": ("libegl1",),
    "libGL.so.1": ("libgl1",),
    "libGLX.so.0": ("libglx0",),
    "libICE.so.6": ("libice6",),
    "libOpenGL.so.0": ("libopengl0",),
    "libSM.so.6": ("libsm6",),
    "libX11.so.6": ("libx11-6",),
    "libXext.so.6": ("libxext6",),
    "libXrender.so.1": ("libxrender1",),
    "libcairo.so.2": ("libcairo2",),
    "libdbus-1.so.3": ("libdbus-1-3",),
    "libexpat.so.1": ("libexpat1",),
    "libfontconfig.so.1": ("libfontconfig1",),
    "libfreetype.so.6": ("libfreetype6",),
    "libgio-2.0.so.0": _GLIB,
    "libglib-2.0.so.0": _GLIB,
    "libgobject-2.0.so.0": _GLIB,
    "libgthread-2.0.so.0": _GLIB,
    "libmagic.so.1": ("libmagic1t64", "libmagic1"),
    "libportaudio.so.2": ("libportaudio2",),
    "libsndfile.so.1": ("libsndfile1",),
    "libudev.so.1": ("libudev1",),
    "libusb-1.0.so.0": ("libusb-1.0-0",),
    "libxcb.so.1": ("libxcb1",),
    "libxkbcommon.so.0": ("libxkbcommon0",),
    "libzbar.so.0": ("libzbar0t64", "libzbar0"),
}
"""Soname → the package that ships it, by the name it has in one suite or the other: what PEP 600 lets a wheel
expect of its system, and a few more. The index of contents says the same, twelve megabytes later."""

OPTIONAL: tuple[tuple[str, str, str], ...] = (
    ("*", "libcuda.so.1", "the GPU's driver brings it"),
    ("*", "libnvidia-*.so.*", "the GPU's driver brings it"),
    ("*", "libnvcuvid.so.1", "the GPU's driver brings it"),
    ("*", "libamdhip64.so.*", "for AMD's GPUs"),
    ("*", "libcudart.so.*", "for CUDA; its wheel brings it"),
    ("*", "libtorch*.so", "torch's wheel brings it"),
    ("*", "libc10*.so", "torch's wheel brings it"),
    ("nvidia-*", "lib*.so.*", "NVIDIA's libraries find each other, and network cards' only where these are"),
    ("numba", "libtbb.so.*", "one of numba's three threading layers"),
    ("onnxruntime*", "libnvinfer*.so.*", "for TensorRT, when it is asked for"),
    ("onnxruntime*", "libcu*.so.*", "for CUDA; its wheels bring it"),
    ("open3d*", "libtensorflow_framework.so.*", "its operations for TensorFlow, when that is there"),
)
"""(wheel, soname, what it is for): names that may stay unmet, and are never added."""

SELF_CONTAINED = (
    "aiohttp", "av", "catboost", "contourpy", "cryptography", "cuda-*", "cupy-cuda*", "duckdb", "fonttools",
    "grpcio", "h5py", "hf-xet", "kiwisolver", "llvmlite", "lxml", "matplotlib", "ml-dtypes", "numexpr",
    "numpy", "nvidia-*", "onnx", "onnxruntime", "onnxruntime-gpu", "orjson", "pandas", "pillow",
    "pillow-heif", "polars-runtime-*", "protobuf", "psutil", "psycopg2-binary", "pyarrow", "pydantic-core",
    "pyyaml", "ray", "regex", "safetensors", "scikit-learn", "scipy", "sentencepiece", "shapely",
    "sqlalchemy", "statsmodels", "tensorflow", "tiktoken", "tokenizers", "torch", "torchaudio", "torchvision",
    "triton", "xgboost",
)  # fmt: skip
"""Wheels that need nothing but what every image has, or each other: not read when locking."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedByName:
    """What the Python code of a wheel opens: libraries by soname, programs as packages."""

    sonames: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    unless_bundled: bool = False
    """Only the wheel for any platform opens the system's: the others bring the library."""


OPENED_BY_NAME: Mapping[str, OpenedByName] = {
    "cairocffi": OpenedByName(sonames=("libcairo.so.2",)),
    "pyopengl": OpenedByName(sonames=("libGL.so.1",)),
    "pdf2image": OpenedByName(packages=("poppler-utils",)),
    "pydub": OpenedByName(packages=("ffmpeg",)),
    "pylibdmtx": OpenedByName(sonames=("libdmtx.so.0",), unless_bundled=True),
    "pytesseract": OpenedByName(packages=("tesseract-ocr",)),
    "python-magic": OpenedByName(sonames=("libmagic.so.1",)),
    "pyzbar": OpenedByName(sonames=("libzbar.so.0",), unless_bundled=True),
    "sounddevice": OpenedByName(sonames=("libportaudio.so.2",), unless_bundled=True),
    "soundfile": OpenedByName(sonames=("libsndfile.so.1",), unless_bundled=True),
    "weasyprint": OpenedByName(
        sonames=("libfontconfig.so.1", "libharfbuzz.so.0", "libpango-1.0.so.0", "libpangoft2-1.0.so.0")
    ),
}


def opened_by_name(wheel: str, filename: str) -> OpenedByName:
    """What the code of `wheel` opens; nothing for a wheel that is not in the table."""
    opened = OPENED_BY_NAME.get(wheel, OpenedByName())
    bundled = opened.unless_bundled and not filename.endswith("-any.whl")
    return OpenedByName() if bundled else opened


def is_self_contained(wheel: str) -> bool:
    return any(fnmatchcase(wheel, pattern) for pattern in SELF_CONTAINED)


def optional_purpose(wheel: str, soname: str) -> str | None:
    """What an optional library is for; None for one that is needed."""
    for wheels, sonames, purpose in OPTIONAL:
        if fnmatchcase(wheel, wheels) and fnmatchcase(soname, sonames):
            return purpose
    return None
