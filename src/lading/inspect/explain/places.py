"""What a path says of a file that no package owns, and what kind of ballast it may be. Pure."""

from __future__ import annotations

import re

_CACHES = (
    (re.compile(r"(^|/)\.cache/pip/"), "pip's cache"),
    (re.compile(r"(^|/)\.cache/uv/"), "uv's cache"),
    (re.compile(r"(^|/)\.cache/huggingface/"), "Hugging Face's cache"),
    (re.compile(r"(^|/)\.cache/torch/"), "torch's cache"),
    (re.compile(r"^var/lib/apt/lists/."), "apt's package lists"),
    (re.compile(r"^var/cache/apt/"), "apt's cache"),
    (re.compile(r"^var/cache/(apk|dnf|yum)/"), "the package manager's cache"),
    (
        re.compile(
            r"(^|/)(mini|ana|mamba|mini(forge|mamba))?(conda3?|forge3?)?/?pkgs/[^/]+\.(conda|tar\.bz2)$"
        ),
        "conda's archives",
    ),
    (re.compile(r"(^|/)\.npm/"), "npm's cache"),
    (re.compile(r"^(var/)?tmp/."), "temporary files"),
    (re.compile(r"(^|/)\.cache/"), "other caches"),
)
_MODEL = re.compile(r"\.(safetensors|gguf|onnx|pt|pth|ckpt|h5|tflite|bin)$")
_MODEL_BYTES = 1 << 20
_PYTHON = re.compile(
    r"(^|/)lib/(python3[^/]*)/(?!site-packages/|dist-packages/)|(^|/)bin/python3?[^/]*$|libpython3[^/]*$"
)
_SITE = re.compile(r"(^|/)(site|dist)-packages/(?P<top>[^/]+)")
_PROJECT = re.compile(r"^(app|code|workspace|workdir|src|srv|home|opt/app|opt/ml|opt/program)/")
_CUDA = re.compile(r"^usr/local/cuda[^/]*/")
_BALLAST = (
    (re.compile(r"/(site|dist)-packages/(.*/)?tests?/|/lib/python3[^/]*/test/"), "tests of packages"),
    (re.compile(r"^usr/share/(doc|man|info|doc-base|lintian)/"), "documentation"),
    (re.compile(r"^usr/share/locale/|^usr/share/i18n/"), "translations"),
    (re.compile(r"/(site|dist)-packages/.*\.(a|lib)$|^usr/local/cuda[^/]*/.*\.a$"), "static libraries"),
    (re.compile(r"/(site|dist)-packages/.*/include/.*\.(h|hpp|cuh|inl|ipp)$"), "headers of packages"),
)  # fmt: skip


def cache_of(path: str) -> str | None:
    """The words for the cache that `path` is in."""
    return next((words for pattern, words in _CACHES if pattern.search(path)), None)


def ballast_of(path: str) -> str | None:
    """What `path` is that running does not need, as far as its place tells."""
    return next((words for pattern, words in _BALLAST if pattern.search(path)), None)


def group_of(path: str, size_bytes: int) -> tuple[str, str]:
    """Group and name of a file that no package owns."""
    if (cache := cache_of(path)) is not None:
        return "caches", cache
    if size_bytes >= _MODEL_BYTES and _MODEL.search(path):
        return "models", path.rpartition("/")[2]
    if match := _SITE.search(path):
        return "Python, in no record", match["top"]
    if _PYTHON.search(path):
        return "interpreter", "python"
    if match := _CUDA.match(path):
        return "CUDA in the system", match[0].rstrip("/")
    if _PROJECT.match(path):
        return "project", "/" + "/".join(path.split("/")[:1])
    return "other files", "/" + "/".join(path.split("/")[:2])
