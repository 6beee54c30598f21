"""The GPU side of an image: CUDA releases, the driver they need, code by architecture. Pure but for facts."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from lading.inspect.explain.packages import Package, Packages
from lading.inspect.image.merge import Merged
from lading.inspect.image.model import ImageEvidence
from lading.lock.cuda import cuda_evidence, cuda_facts, needs_of


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureCode:
    kind: str
    arch: int
    count: int
    size_bytes: int
    packed_bytes: int

    @property
    def name(self) -> str:
        return f"{'compute' if self.kind == 'ptx' else 'sm'}_{self.arch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSide:
    cuda: str | None
    driver: str | None
    """The oldest that runs the image."""
    majors: tuple[str, ...]
    """One line a CUDA major version that is there, with whom it came; two are one too many."""
    copies: tuple[str, ...]
    """Libraries of CUDA that are there more than once."""
    code: tuple[ArchitectureCode, ...]

    def useless_for(self, arch: int) -> tuple[ArchitectureCode, ...]:
        """Machine code that a GPU of compute capability `arch` cannot run: of another major version or a
        later minor one. PTX is kept: it is compiled where no machine code fits."""
        return tuple(c for c in self.code if c.kind == "sass" and not _runs(c.arch, arch))


def _runs(code: int, gpu: int) -> bool:
    return code // 10 == gpu // 10 and code <= gpu


def find_gpu_side(image: ImageEvidence, merged: Merged, packages: Packages) -> GpuSide:
    python: list[Package] = [p for p in packages.packages if p.kind == "python" and not p.gone]
    needs = needs_of(python, cuda_facts())
    sums: dict[tuple[str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    names: dict[str, list[str]] = defaultdict(list)
    for path, where in merged.seen.items():
        name = path.rpartition("/")[2]
        is_cuda = name.startswith(("libcudart.so.", "libcudnn.so.", "libcublas.so.", "libnccl.so."))
        if is_cuda and image.member(where).size_bytes:
            names[name.partition(".so.")[0]].append(f"/{path}")
        for code in image.layers[where.layer].gpu_code.get(path, ()):
            row = sums[code.kind, code.arch]
            row[0] += code.count
            row[1] += code.size_bytes
            row[2] += code.packed_size_bytes
    return GpuSide(
        cuda=needs.version if needs else None,
        driver=needs.driver if needs else None,
        majors=tuple(f"CUDA {major} ({words})" for major, words in cuda_evidence(python).items()),
        copies=tuple(
            f"{name}: {', '.join(sorted(places))}"
            for name, places in sorted(names.items())
            if len(places) > 1
        ),
        code=tuple(
            ArchitectureCode(kind=kind, arch=arch, count=count, size_bytes=size, packed_bytes=packed)
            for (kind, arch), (count, size, packed) in sorted(sums.items(), key=lambda item: -item[1][1])
        ),
    )
