"""Rules about requirements files. Pure; a package with a marker may never meet the other, and is
left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.requirements_file import Entry
from lading.inspect.lint.rule import Kind, rule

_SAME_FILES = (
    ("opencv-python", "opencv-python-headless"),
    ("opencv-contrib-python", "opencv-contrib-python-headless"),
    ("opencv-python", "opencv-contrib-python"),
    ("onnxruntime", "onnxruntime-gpu"),
    ("tensorflow", "tensorflow-cpu"),
)
_VISION_AFTER_TORCH = 15
"""torchvision 0.(N + 15) is built for torch 2.N, so far as both are known: 2.0 to 2.9."""


def _alone(entries: Sequence[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries if entry.name and not entry.marker}


@rule(
    "LDP004", "torch and torchvision or torchaudio that do not fit", Kind.REQUIREMENTS, Severity.ERROR,
    "github.com/pytorch/vision and github.com/pytorch/audio: their tables of versions",
)  # fmt: skip
def torch_pair(entries: Sequence[Entry]) -> Iterator[Spot]:
    """Each torchvision and torchaudio is built for one torch and requires exactly that: pip finds no
    solution.

    Bad:

        torch==2.6.0
        torchvision==0.20.1

    Good:

        torch==2.6.0
        torchvision==0.21.0
    """
    pins = _alone(entries)
    torch = pins["torch"].release if "torch" in pins else None
    if torch is None or torch[0] != 2 or torch[1] > 9:
        return
    for name, wanted in (("torchvision", (0, torch[1] + _VISION_AFTER_TORCH)), ("torchaudio", torch)):
        entry = pins.get(name)
        if entry is not None and entry.release is not None and entry.release != wanted:
            yield Spot(
                start=entry.start,
                message=f"torch {torch[0]}.{torch[1]} needs {name} {wanted[0]}.{wanted[1]}.*: "
                "pip finds no solution",
            )


@rule(
    "LDP008", "A Git dependency without a commit or tag", Kind.REQUIREMENTS, Severity.WARNING,
    "pip's documentation on VCS support",
)  # fmt: skip
def moving_git(entries: Sequence[Entry]) -> Iterator[Spot]:
    """Without a revision it is whatever the default branch holds on the day of the build.

    Bad:

        git+https://git.example/group/package.git

    Good:

        git+https://git.example/group/package.git@0123456789abcdef0123456789abcdef01234567
    """
    for entry in entries:
        if entry.url.startswith("git+") and "$" not in entry.url:
            path = entry.url.partition("#")[0].partition("://")[2].partition("/")[2]
            if path and "@" not in path:
                yield Spot(
                    start=entry.start, message="names no commit: it is another package after each push"
                )


@rule(
    "LDP009", "Two packages with the same files", Kind.REQUIREMENTS, Severity.WARNING,
    "the packages' own pages: install only one of them",
)  # fmt: skip
def same_files(entries: Sequence[Entry]) -> Iterator[Spot]:
    """Both install the same module; which one wins depends on the order. With onnxruntime and
    onnxruntime-gpu the GPU may stay idle without a word.

    Bad:

        onnxruntime
        onnxruntime-gpu

    Good:

        onnxruntime-gpu
    """
    found = _alone(entries)
    for one, other in _SAME_FILES:
        if one in found and other in found:
            later = max(found[one], found[other], key=lambda entry: entry.start)
            yield Spot(
                start=later.start, message=f"{one} and {other} install the same module: keep one of them"
            )
