"""Rules about what a Python project asks for. Pure; a package with a marker may never meet the other, and
is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.lint.dependencies import Dependencies
from lading.inspect.lint.model import Edit, Severity, Spot
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


def _alone(dependencies: Dependencies) -> dict[str, Entry]:
    return {entry.name: entry for entry in dependencies.entries if entry.name and not entry.marker}


@rule(
    "LDP004", "torch and torchvision or torchaudio that do not fit", Kind.REQUIREMENTS, Severity.ERROR,
    "github.com/pytorch/vision and github.com/pytorch/audio: their tables of versions", mends=True,
)  # fmt: skip
def torch_pair(dependencies: Dependencies) -> Iterator[Spot]:
    """Each torchvision and torchaudio is built for one torch and requires exactly that: pip finds no
    solution.

    Bad:

        torch==2.6.0
        torchvision==0.20.1

    Good:

        torch==2.6.0
        torchvision==0.21.0

    The mend writes the version that belongs to torch's, in a requirements file without hashes.
    """
    pins = _alone(dependencies)
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
                edits=_fitting(entry, wanted, pins["torch"].pin),
            )


def _fitting(entry: Entry, wanted: tuple[int, int], torch: str) -> tuple[Edit, ...]:
    """Both releases of a minor version count their patches alike; a local version goes along."""
    if entry.pin_start is None or entry.hashed or torch.endswith("*") or entry.pin.endswith("*"):
        return ()
    public, plus, local = torch.partition("+")
    parts = public.split(".")
    if len(parts) != 3 or not parts[2].isdecimal() or ("+" in entry.pin) != bool(plus):
        return ()
    text = f"{wanted[0]}.{wanted[1]}.{parts[2]}{plus}{local}"
    return (Edit(start=entry.pin_start, end=entry.pin_start + len(entry.pin), text=text),)


@rule(
    "LDP005", "Frameworks that need different CUDA versions", Kind.REQUIREMENTS, Severity.ERROR,
    "the packages' METADATA: which nvidia-* wheels they require",
)  # fmt: skip
def two_cudas(dependencies: Dependencies) -> Iterator[Spot]:
    """Each framework brings the CUDA libraries it was built with. Two major versions in one process are two
    cuBLAS and two cuDNN: gigabytes more, and crashes where they meet. Silent about torch from an index of
    its own, whose CUDA the name does not say.

    Bad:

        torch==2.6.0
        jax[cuda13]

    Good:

        torch==2.6.0
        jax[cuda12]
    """
    found: dict[int, Entry] = {}
    for entry in _alone(dependencies).values():
        major = _cuda_major(entry, dependencies.has_index)
        if major is not None:
            found.setdefault(major, entry)
    if len(found) > 1:
        (low, one), (high, other) = sorted(found.items())[0], sorted(found.items())[-1]
        later = max(one, other, key=lambda entry: entry.start)
        yield Spot(
            start=later.start,
            message=f"{one.name} needs CUDA {low} and {other.name} needs CUDA {high}: take one",
        )


def _cuda_major(entry: Entry, other_index: bool) -> int | None:
    from lading.lock.cuda import build_release, cuda_facts

    for extra in entry.extras:
        if entry.name == "jax" and extra.startswith("cuda") and extra[4:6].isdecimal():
            return int(extra[4:6])
    for begin in ("cupy-cuda", "jax-cuda"):
        digits = entry.name.removeprefix(begin)[:2]
        if entry.name.startswith(begin) and digits.isdecimal():
            return int(digits)
    if entry.name == "tensorflow" and "and-cuda" in entry.extras and entry.release is not None:
        return {(2, 14): 11}.get(entry.release, 12) if (2, 14) <= entry.release <= (2, 20) else None
    if entry.name != "torch" or not entry.pin:
        return None
    if "+" in entry.pin:
        built = build_release(entry.pin)
        return int(built.partition(".")[0]) if built is not None else None
    default = None if other_index else cuda_facts().default_cuda(entry.pin)
    return int(default.partition(".")[0]) if default is not None else None


@rule(
    "LDP008", "A Git dependency without a commit or tag", Kind.REQUIREMENTS, Severity.WARNING,
    "pip's documentation on VCS support",
)  # fmt: skip
def moving_git(dependencies: Dependencies) -> Iterator[Spot]:
    """Without a revision it is whatever the default branch holds on the day of the build.

    Bad:

        git+https://git.example/group/package.git

    Good:

        git+https://git.example/group/package.git@0123456789abcdef0123456789abcdef01234567
    """
    for entry in dependencies.entries:
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
def same_files(dependencies: Dependencies) -> Iterator[Spot]:
    """Both install the same module; which one wins depends on the order. With onnxruntime and
    onnxruntime-gpu the GPU may stay idle without a word.

    Bad:

        onnxruntime
        onnxruntime-gpu

    Good:

        onnxruntime-gpu
    """
    found = _alone(dependencies)
    for one, other in _SAME_FILES:
        if one in found and other in found:
            later = max(found[one], found[other], key=lambda entry: entry.start)
            yield Spot(
                start=later.start, message=f"{one} and {other} install the same module: keep one of them"
            )
