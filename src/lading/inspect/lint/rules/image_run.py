"""Rules about whether a built image starts: its command, its libraries, its GPU code, its user. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

from lading.inspect.image.model import GpuCode, MemberKind
from lading.inspect.lint.built import BuiltImage
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.lock.cuda import is_driver_enough
from lading.lock.libraries import optional_purpose
from lading.lock.needs import SharedObject, outside_needs

_CUDNN = re.compile(r"libcudnn\.so\.(\d+)$")
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_ENV = ("/usr/bin/env", "/bin/env")


@rule(
    "LDI007", "A library that a wheel needs is not there", Kind.IMAGE, Severity.ERROR,
    "ELF specification, DT_NEEDED: the loader refuses an object whose needs are not met",
)  # fmt: skip
def missing_library(image: BuiltImage) -> Iterator[Spot]:
    """`ImportError: libGL.so.1: cannot open shared object file`, after everything was built and pushed. The
    needs of the installed wheels are read from their ELF files and looked for by name in the whole image.

    Silent about what is known to be optional (network cards, AMD's GPUs), the GPU's driver, and plugins.

    Bad:

        FROM python:3.12-slim
        RUN pip install opencv-python

    Good:

        FROM python:3.12-slim
        RUN apt-get update && apt-get install -y --no-install-recommends libgl1 libglib2.0-0
        RUN pip install opencv-python
    """
    there = {path.rpartition("/")[2] for path in image.explanation.merged.seen}
    there |= {linkage.soname for linkage in image.linkages.values()}
    wheels: dict[str, list[SharedObject]] = defaultdict(list)
    for path, linkage in image.linkages.items():
        owner = image.explanation.packages.owner(path)
        if owner is not None and owner.kind == "python":
            item = SharedObject(path=path, soname=linkage.soname or None, needed=linkage.needed)
            wheels[owner.name].append(item)
    for need in outside_needs(wheels):
        if need.soname not in there and optional_purpose(need.wheel, need.soname) is None:
            where = image.explanation.merged.seen[need.path]
            message = f"{need.wheel} needs {need.soname}, which no file of the image is"
            yield Spot(start=0, message=message, path=need.path, layer=where.layer + 1)


@rule(
    "LDI008", "The driver is too old for the image's CUDA", Kind.IMAGE, Severity.ERROR,
    "NVIDIA, CUDA compatibility: each major version has an oldest driver",
)  # fmt: skip
def driver(image: BuiltImage) -> Iterator[Spot]:
    """`CUDA driver version is insufficient`, on the machine with the GPU. Said when the driver is:
    `lading lint IMAGE --driver 535`.

    Bad:

        lading lint app:1.4-cu130 --driver 535

    Good:

        lading lint app:1.4-cu126 --driver 535
    """
    side = image.explanation.gpu
    if (
        image.driver is not None
        and side.driver is not None
        and not is_driver_enough(image.driver, side.driver)
    ):
        yield Spot(
            start=0,
            message=f"CUDA {side.cuda} needs driver {side.driver} or later, and yours is {image.driver}",
        )


@rule(
    "LDI009", "A library has no code for the GPU", Kind.IMAGE, Severity.ERROR,
    "CUDA programming guide: machine code runs within its major version, PTX on all later GPUs",
)  # fmt: skip
def gpu_code(image: BuiltImage) -> Iterator[Spot]:
    """`no kernel image is available for execution on the device`. Said when the GPU is:
    `lading lint IMAGE --gpu sm_86`. Machine code runs on GPUs of its own major version, PTX is compiled on
    all later ones.

    Bad:

        lading lint app:1.4 --gpu sm_60    # torch has code from sm_75 on

    Good:

        lading lint app:1.4 --gpu sm_86
    """
    if image.gpu is None:
        return
    by_owner: dict[str, list[GpuCode]] = defaultdict(list)
    for path, codes, _ in _gpu_code(image):
        owner = image.explanation.packages.owner(path)
        by_owner[owner.label if owner is not None else f"/{path}"] += codes
    for name, held_codes in sorted(by_owner.items()):
        if not any(_runs(code, image.gpu) for code in held_codes):
            known = sorted({code.arch for code in held_codes})
            held = ", ".join(f"sm_{arch}" for arch in known)
            yield Spot(start=0, message=f"{name} has no code for sm_{image.gpu}, only for {held}")


def _gpu_code(image: BuiltImage) -> Iterator[tuple[str, tuple[GpuCode, ...], int]]:
    for number, layer in enumerate(image.explanation.image.layers):
        for path, codes in layer.gpu_code.items():
            where = image.explanation.merged.seen.get(path)
            if where is not None and where.layer == number:
                yield path, codes, number + 1


def _runs(code: GpuCode, gpu: int) -> bool:
    if code.kind == "ptx":
        return code.arch <= gpu
    return code.arch // 10 == gpu // 10 and code.arch <= gpu


@rule(
    "LDI010", "Two CUDAs or two cuDNNs", Kind.IMAGE, Severity.ERROR,
    "NVIDIA, CUDA compatibility: libraries of one major version belong together",
)  # fmt: skip
def two_cudas(image: BuiltImage) -> Iterator[Spot]:
    """Which one a process gets depends on what it imports first, and gigabytes are there twice.

    Bad:

        pip install torch==2.9.1 "tensorflow[and-cuda]"   # CUDA 13 and CUDA 12

    Good:

        pip install "torch==2.9.1+cu126" "tensorflow[and-cuda]"
    """
    majors = image.explanation.gpu.majors
    if len(majors) > 1:
        yield Spot(start=0, message=f"two major versions of CUDA: {', '.join(majors)}")
    cudnn: dict[str, str] = {}
    for path in sorted(image.explanation.merged.seen):
        if match := _CUDNN.search(path):
            cudnn.setdefault(match[1], path)
    if len(cudnn) > 1:
        places = ", ".join(f"{major} (/{path})" for major, path in cudnn.items())
        yield Spot(start=0, message=f"two major versions of cuDNN: {places}")


@rule(
    "LDI014", "The image's command cannot start", Kind.IMAGE, Severity.ERROR,
    "execve(2): a file that is missing, not executable, or whose interpreter is missing",
)  # fmt: skip
def command(image: BuiltImage) -> Iterator[Spot]:
    """`exec /entrypoint.sh: no such file or directory`, though it is there: its first line ends with a
    carriage return, or names an interpreter that the image lacks. Also a file that is missing, not
    executable, or for another processor.

    Silent about images without a command.

    Bad:

        COPY entrypoint.sh /entrypoint.sh        # saved on Windows, not executable
        ENTRYPOINT ["/entrypoint.sh"]

    Good:

        COPY --chmod=755 entrypoint.sh /entrypoint.sh
        ENTRYPOINT ["/entrypoint.sh"]
    """
    words = image.command
    if not words or "$" in words[0] or not image.explanation.merged.seen:
        return
    found = image.find_program(words[0])
    if found is None:
        yield Spot(start=0, message=f"its command starts with `{words[0]}`, which is not there")
        return
    path, member = found
    where = image.explanation.merged.seen[path]
    if (message := _why_not(image, path, member.kind, member.mode)) is not None:
        yield Spot(start=0, message=message, path=path, layer=where.layer + 1)


def _why_not(image: BuiltImage, path: str, kind: MemberKind, mode: int) -> str | None:
    if kind not in (MemberKind.FILE, MemberKind.HARDLINK):
        return f"its command is a {kind}"
    if not mode & 0o111:
        return "its command is not executable"
    linkage = image.linkages.get(path)
    architecture = image.explanation.image.platform.partition("/")[2]
    if linkage is not None and _MACHINES.get(linkage.machine, architecture) != architecture:
        return f"its command is for {linkage.machine}, and the image is for {architecture}"
    line = image.scripts.get(path)
    if line is None:
        return None
    if line.endswith("\r"):
        return "its command's first line ends with a carriage return: the kernel looks for such a program"
    interpreter, *rest = line[2:].split() or [""]
    if not interpreter or image.find(interpreter) is None:
        return f"its command wants the interpreter `{interpreter}`, which is not there"
    program = next((word for word in rest if not word.startswith("-") and "=" not in word), None)
    if interpreter in _ENV and program is not None and image.find_program(program) is None:
        return f"its command wants `{program}`, which is not on PATH"
    return None


@rule(
    "LDI016", "A user by name", Kind.IMAGE, Severity.INFO,
    "kubernetes.io, security context: runAsNonRoot cannot tell whether a name is root",
)  # fmt: skip
def named_user(image: BuiltImage) -> Iterator[Spot]:
    """With `runAsNonRoot: true` Kubernetes refuses to start it: a name may be root's, a number tells.

    Bad:

        USER app

    Good:

        USER 1000:1000
    """
    user = str(image.config.get("User") or "").partition(":")[0]
    if user and not user.isdigit() and user != "root":
        yield Spot(start=0, message=f"its user is `{user}`: write the number")
