"""Who needs a C compiler at run time: triton compiles a launcher for each kernel it makes. Pure.

`torch.compile` on a GPU goes through triton, which calls `gcc` with Python's headers; without them it fails
in the middle of a training run. Serving images have no compiler: what is served is compiled before.
"""

from __future__ import annotations

from collections.abc import Collection

from lading.lock.model import AddedPackage, LockedInterpreter
from lading.project.accelerators import wants_gpu
from lading.project.model import Project

_WITHOUT_COMPILER = ("serve",)
_TRITON = ("triton", "pytorch-triton")
_BECAUSE = "triton compiles kernels"


def compiler_packages(
    project: Project,
    accelerator: str,
    interpreter: LockedInterpreter,
    held: dict[str, Collection[str]],
) -> tuple[AddedPackage, ...]:
    """What targets that hold triton get besides; `held` maps targets to the names of their wheels.

    Not `serve`, no target of flavour `minimal`, which holds nothing that is not needed to start, and none
    that wants no packages added.
    """
    targets = tuple(
        sorted(
            target
            for target, names in held.items()
            if wants_gpu(accelerator)
            and target not in _WITHOUT_COMPILER
            and project.targets[target].flavour != "minimal"
            and project.targets[target].add_packages
            and any(name in _TRITON for name in names)
        )
    )
    if not targets:
        return ()
    wanted = ["gcc", "libc6-dev"]
    if interpreter.provider == "debian":  # a standalone build has its headers with it
        wanted.append(f"libpython{interpreter.version}-dev")
    return tuple(AddedPackage(name=name, because=_BECAUSE, targets=targets) for name in sorted(wanted))
