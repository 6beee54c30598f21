"""Runs that died on a GPU: its memory, the driver, code for another GPU, the device itself, NCCL. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.errors import OutsideError
from lading.inspect.doctor.causes.run_memory import shm_full
from lading.inspect.doctor.model import Sign
from lading.inspect.doctor.runs.evidence import RunEvidence, size
from lading.inspect.doctor.runs.register import death, said, told

_OUT_OF_MEMORY = re.compile(
    r"CUDA out of memory|CUDA error: out of memory|OutOfMemoryError: CUDA|CUDA_ERROR_OUT_OF_MEMORY"
    r"|cudaErrorMemoryAllocation|RESOURCE_EXHAUSTED: .*(?:[Oo]ut of memory|OOM)|OOM when allocating tensor"
    r"|CUBLAS_STATUS_ALLOC_FAILED|CUBLAS_STATUS_NOT_INITIALIZED"
    r"|Failed to allocate memory for requested buffer"
)
_QUANTITY = r"([\d.]+) ([KMGT]?i?B)"
_TRIED = re.compile(rf"Tried to allocate {_QUANTITY}")
_TOTAL = re.compile(rf"total capac?ity of {_QUANTITY}|{_QUANTITY} total capacity")
_FREE = re.compile(rf"of which {_QUANTITY} is free|{_QUANTITY} free;")
_OTHERS = re.compile(rf"Process (\d+) has {_QUANTITY} memory in use")
_OWN = re.compile(rf"[Tt]his process has {_QUANTITY} memory in use")
_ALLOCATED = re.compile(rf"Of the allocated memory {_QUANTITY} is allocated by PyTorch")
_RESERVED = re.compile(rf"{_QUANTITY} is reserved by PyTorch but unallocated")
_OLD_FORM = re.compile(rf"{_QUANTITY} already allocated; {_QUANTITY} free; {_QUANTITY} reserved in total")
_UNITS = {"B": 0, "KB": 10, "KiB": 10, "MB": 20, "MiB": 20, "GB": 30, "GiB": 30, "TB": 40, "TiB": 40}

_DRIVER_OLD = re.compile(
    r"NVIDIA driver on your system is too old(?: \(found version (\d+)\))?"
    r"|CUDA driver version is insufficient for CUDA runtime version|cudaErrorInsufficientDriver"
    r"|forward compatibility was attempted on non supported HW|unsupported PTX version"
    r"|provided PTX was compiled with an unsupported toolchain"
    r"|system has unsupported display driver / cuda driver combination"
)
_NO_KERNEL = re.compile(
    r"no kernel image is available for execution on the device|cudaErrorNoKernelImageForDevice"
    r"|with CUDA capability (sm_\d+\w?) is not compatible with the current PyTorch installation"
    r"|device kernel image is invalid|no kernel image found for GPU"
)
_NO_GPU = re.compile(
    r"No CUDA GPUs are available|Found no NVIDIA driver on your system|no CUDA-capable device is detected"
    r"|CUDA_ERROR_NO_DEVICE|libcuda\.so(?:\.1)?: cannot open shared object file|Unable to find a GPU"
    r"|No GPU/TPU found|CUDA unknown error - this may be due to an incorrectly set up environment"
    r"|invalid device ordinal|`?cuda`? (?:is not available|was requested but)|No supported gpu backend found"
)
_NO_CUDA_BUILD = re.compile(
    r"Torch not compiled with CUDA enabled|not compiled with GPU support"
    r"|'CUDAExecutionProvider' is not in available provider|This (?:jaxlib|build) .*without CUDA"
)
_ASSERT = re.compile(
    r"device-side assert triggered|Assertion `[^`']+` failed\.?$|CUDA kernel errors might be asynchronously"
)
_CUDA_ASSERT = re.compile(r"device-side assert triggered")
_DEVICE_LINE = re.compile(r"(?:\.cu|\.cuh):\d+: .*Assertion `[^`']+` failed")
_ILLEGAL = re.compile(
    r"an illegal memory access was encountered|CUDA_ERROR_ILLEGAL_ADDRESS|misaligned address"
)
_HARDWARE = re.compile(
    r"uncorrectable ECC error|ECC error encountered|GPU has fallen off the bus|GPU is lost"
    r"|CUDA_ERROR_ECC_UNCORRECTABLE|hardware error|Unable to determine the device handle"
)
_XID = re.compile(r"NVRM: Xid \(([^)]+)\): (\d+)")
_HARDWARE_XIDS = {"48", "61", "62", "63", "64", "74", "79", "92", "94", "95", "119", "120"}
_LOST = re.compile(
    r"Failed to initialize NVML: Unknown Error|CUDA error: unknown error|cudaErrorUnknown|NVML_ERROR_UNKNOWN"
)
_NCCL_TIMEOUT = re.compile(
    r"Watchdog caught collective operation timeout|collective operation timeout: WorkNCCL"
    r"|NCCL watchdog thread terminated|Timed out waiting \d+ms for (?:recv|send)|ncclCommAbort"
    r"|\bRendezvousTimeoutError|wait timeout after \d+ms|Timeout waiting for key|DistStoreError: Timed out"
)
_NCCL_WORK = re.compile(r"OpType=(\w+)|SeqNum=(\d+)")
_NCCL = re.compile(
    r"NCCL error|ncclSystemError|ncclUnhandledCudaError|ncclInternalError|ncclRemoteError|ncclInvalidUsage"
    r"|Bootstrap : no socket interface found|DistBackendError"
)
_DUPLICATE = re.compile(r"Duplicate GPU detected")


def _bytes(match: re.Match[str] | None, first: int = 1) -> int | None:
    """The first quantity of `match` that is there."""
    if match is None:
        return None
    groups = match.groups()[first - 1 :]
    for number, unit in zip(groups[::2], groups[1::2], strict=False):
        if number is not None and unit in _UNITS:
            return int(float(number) * (1 << _UNITS[unit]))
    return None


class _Account:
    """What an out-of-memory message says: of torch 1 and 2."""

    def __init__(self, text: str) -> None:
        self.tried = _bytes(_TRIED.search(text))
        self.total = _bytes(_TOTAL.search(text))
        self.free = _bytes(_FREE.search(text))
        self.unallocated = _bytes(_RESERVED.search(text))
        allocated = _bytes(_ALLOCATED.search(text))
        others = [_bytes(match, 2) or 0 for match in _OTHERS.finditer(text)]
        self.own = _bytes(_OWN.search(text))
        if self.own is None and allocated is not None:
            # In a container the driver's numbers of processes are the host's: ours is among the "others".
            least = allocated + (self.unallocated or 0)
            self.own = min((size_bytes for size_bytes in others if size_bytes >= least), default=least)
            if self.own in others:
                others.remove(self.own)
        self.others = sum(others)
        if old := _OLD_FORM.search(text):
            allocated, self.free, reserved = (_bytes(old, first) or 0 for first in (1, 3, 5))
            self.own = reserved
            self.unallocated = reserved - allocated
            if self.total:
                self.others = max(0, self.total - reserved - self.free)

    @property
    def is_fragmented(self) -> bool:
        """The request would have fitted into what the process had taken and did not use."""
        return bool(self.tried and self.unallocated and self.unallocated >= self.tried)

    @property
    def is_taken(self) -> bool:
        """Others hold more than the run, and so much that the request would have fitted without them."""
        return bool(
            self.tried and self.others > (self.own or 0) and self.others >= self.tried - (self.free or 0)
        )

    def lines(self) -> tuple[str, ...]:
        parts = {
            "asked for": self.tried, "of": self.total, "free": self.free, "this process": self.own,
            "others": self.others or None, "reserved and unused": self.unallocated,
        }  # fmt: skip
        words = [f"{name} {size(value)}" for name, value in parts.items() if value is not None]
        return (", ".join(words),) if words else ()


def _account(run: RunEvidence) -> _Account | None:
    match = said(run, _OUT_OF_MEMORY)
    if match is None:
        return None
    raised = run.words.last
    text = raised.message if raised is not None and "memory" in raised.message else ""
    return _Account(f"{match.line}\n{text}")


@death("run-cuda-memory", "The GPU's memory was full", "torch.cuda.memory: OutOfMemoryError")
def cuda_memory(run: RunEvidence) -> Iterator[Sign]:
    """The run itself filled the GPU: weights, gradients, the optimiser's state and the activations of a
    batch. cuBLAS and cuDNN that cannot be initialised mean the same, mostly.

    Two neighbours have pages of their own: memory in pieces, and memory that another program holds. Both are
    told apart by the numbers in the message.

    Mend: a smaller batch with gradient accumulation, mixed precision, checkpointing of activations, or a GPU
    with more: `gpus = { count = 1, memory = "40GB" }`.
    """
    account = _account(run)
    if account is None or account.is_fragmented or account.is_taken:
        return
    use = tuple(
        f"GPU {gpu.index}: peak {size(gpu.peak_memory_bytes)} of {size(gpu.memory_bytes)}"
        for gpu in run.seen.gpus
    )
    yield from told(run, said(run, _OUT_OF_MEMORY), f"lading logs {run.task}", *account.lines(), *use)


@death("run-cuda-fragmentation", "The GPU's memory was in pieces", "PyTorch notes: PYTORCH_CUDA_ALLOC_CONF")
def cuda_fragmentation(run: RunEvidence) -> Iterator[Sign]:
    """PyTorch had reserved enough, and none of the free pieces was large enough: batches of changing shapes
    leave holes. "Reserved by PyTorch but unallocated" is at least what was asked for.

    Mend: `PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True`, and fewer different shapes (padding to few
    lengths).
    """
    account = _account(run)
    if account is not None and account.is_fragmented:
        remedy = run.again("--env PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True")
        yield from told(run, said(run, _OUT_OF_MEMORY), remedy, *account.lines())


@death(
    "run-cuda-memory-taken",
    "Another program held the GPU's memory",
    "torch.cuda.memory; nvidia-smi",
    exit_status=OutsideError.exit_status,
)
def cuda_memory_taken(run: RunEvidence) -> Iterator[Sign]:
    """The GPU was full before the run asked for much: another user, a notebook that still holds it, a process
    of an earlier run that did not end.

    Mend: `nvidia-smi` lists who has what; end it, or ask for a GPU with enough free (`gpus = { memory = … }`:
    lading takes one that has it).
    """
    account = _account(run)
    if account is not None and not account.is_fragmented and account.is_taken:
        others = tuple(
            f"process {match[1]} held {size(_bytes(match, 2) or 0)}" for match in _OTHERS.finditer(_text(run))
        )
        yield from told(run, said(run, _OUT_OF_MEMORY), "nvidia-smi", *account.lines(), *others[:3])


def _text(run: RunEvidence) -> str:
    match = said(run, _OUT_OF_MEMORY)
    raised = run.words.last
    return "\n".join(filter(None, (match.line if match else "", raised.message if raised else "")))


@death(
    "run-driver-old",
    "The host's NVIDIA driver is too old for the image's CUDA",
    "CUDA compatibility guide: minor version and forward compatibility",
    exit_status=OutsideError.exit_status,
)
def driver_old(run: RunEvidence) -> Iterator[Sign]:
    """CUDA 13 needs driver 580, CUDA 12 needs 525, CUDA 11 needs 450; kernels that are compiled as they run
    (PTX) need the driver of their own CUDA release. The number that torch prints (12020) is the CUDA release
    the driver knows: 12.2.

    lading refuses such a run before it starts where it knows the image's needs; this image brought CUDA in a
    way it does not read.

    Mend: a newer driver, or an image for the older one: `accelerator = "cu126"`.
    """
    match = said(run, _DRIVER_OLD)
    found = match.match[1] if match is not None else None
    known = f"the driver knows CUDA {int(found) // 1000}.{int(found) % 1000 // 10}" if found else ""
    yield from told(run, match, "lading doctor", known)


@death(
    "run-gpu-too-new-or-old", "The image has no code for this GPU", "CUDA C guide: compute capability, PTX"
)
def no_kernel(run: RunEvidence) -> Iterator[Sign]:
    """`no kernel image is available`: the wheel holds machine code for other generations. A GPU newer than
    the wheel (sm_120 with torch for CUDA 12.6), or one that the wheel no longer serves (Pascal and Volta with
    CUDA 13).

    Mend: `lading explain` lists for which GPUs an image has code; another `accelerator` brings another set.
    """
    match = said(run, _NO_KERNEL)
    found = match.match[1] if match is not None else None
    yield from told(run, match, "lading explain train", f"this GPU is {found}" if found else "")


@death("run-gpu-not-given", "The code wanted a GPU and the run had none", "docs/guides/accelerators.md")
def gpu_not_given(run: RunEvidence) -> Iterator[Sign]:
    """A container has the GPUs its task asks for, and none otherwise, whatever the host has.

    Where the task did ask, the driver did not answer in the container: `lading doctor` looks at the host.

    Mend: `gpus = 1` under the task, or `--gpus 1`; in code, `"cuda" if torch.cuda.is_available() else "cpu"`.
    """
    match = said(run, _NO_GPU)
    if run.gpus:
        yield from told(run, match, "lading doctor", f"the task asked for {run.gpus} GPUs")
    else:
        yield from told(run, match, run.again("--gpus 1"), "the task asks for no GPUs")


@death("run-built-for-cpu", "The image's wheels are for the CPU alone", "docs/guides/accelerators.md")
def built_for_cpu(run: RunEvidence) -> Iterator[Sign]:
    """`Torch not compiled with CUDA enabled`: the image was built for the accelerator `cpu`, or the lock
    holds a CPU wheel.

    Mend: `accelerator = ["cpu", "cuda"]` under `[image]`, and `--accelerator cuda`.
    """
    remedy = run.again("--accelerator cuda --gpus 1")
    yield from told(run, said(run, _NO_CUDA_BUILD), remedy, f"the image's accelerator is {run.accelerator}")


@death("run-device-assert", "A kernel's own check failed on the GPU", "CUDA runtime: cudaErrorAssert")
def device_assert(run: RunEvidence) -> Iterator[Sign]:
    """`device-side assert triggered`: an index beyond a table, mostly a label or token id as large as the
    number of classes or the vocabulary. The Python line in the traceback is a later one: kernels run on while
    Python goes ahead.

    Mend: run once more with `CUDA_LAUNCH_BLOCKING=1`, or on the CPU: there the message names the index.
    """
    match = said(run, _CUDA_ASSERT)
    line = run.words.find(_DEVICE_LINE)
    yield from told(
        run, match, run.again("--env CUDA_LAUNCH_BLOCKING=1"), line.proof if line is not None else ""
    )


@death(
    "run-illegal-address", "A kernel used memory that is not its own", "CUDA runtime: cudaErrorIllegalAddress"
)
def illegal_address(run: RunEvidence) -> Iterator[Sign]:
    """`an illegal memory access was encountered`: a bug in a custom kernel or a library, or tensors on
    different devices handed to one. The line in the traceback is a later one.

    Mend: run once more with `CUDA_LAUNCH_BLOCKING=1`; then `compute-sanitizer`.
    """
    if not any(True for _ in gpu_failed(run)):
        yield from told(run, said(run, _ILLEGAL), run.again("--env CUDA_LAUNCH_BLOCKING=1"))


@death(
    "run-gpu-failed",
    "The GPU or its link failed",
    "NVIDIA: XID errors",
    exit_status=OutsideError.exit_status,
)
def gpu_failed(run: RunEvidence) -> Iterator[Sign]:
    """Uncorrectable memory errors, a GPU that fell off the bus, a broken NVLink: the driver logs an XID. 48,
    63, 64, 94 and 95 are memory, 74 is NVLink, 79 the bus, 119 and 120 the GPU's own processor.

    Your code is not the reason, and running again on the same GPU does not help for long.

    Mend: take the GPU out of use, reset it or restart the host; `nvidia-smi -q` shows its counters.
    """
    lines = [line for line in run.seen.kernel if (xid := _XID.search(line)) and xid[2] in _HARDWARE_XIDS]
    match = said(run, _HARDWARE)
    if lines:
        proof = (*(f"kernel: {line}" for line in lines[:3]), *((match.proof,) if match else ()), run.ending())
        yield Sign(proof=proof, remedy="nvidia-smi -q -d ECC,PAGE_RETIREMENT")
    else:
        yield from told(run, match, "nvidia-smi -q -d ECC,PAGE_RETIREMENT")


@death(
    "run-gpu-lost",
    "The GPUs went away while the run was going on",
    "NVIDIA container toolkit: loss of GPUs after systemctl daemon-reload",
    exit_status=OutsideError.exit_status,
)
def gpu_lost(run: RunEvidence) -> Iterator[Sign]:
    """`Failed to initialize NVML: Unknown Error`: the container's right to the device files was taken, as
    systemd does with containers of others on `daemon-reload`, or the driver was replaced underneath.

    Mend: start again; see `lading doctor` for the host.
    """
    yield from told(run, said(run, _LOST), "lading doctor")


@death(
    "run-collective-timeout",
    "A collective operation never came to its end (NCCL)",
    "torch.distributed: watchdog",
)
def collective_timeout(run: RunEvidence) -> Iterator[Sign]:
    """One rank waited for the others until the watchdog ended all. Mostly another rank is the cause: it died,
    raised, read more data than the rest, or skipped a step; more seldom the network hangs.

    The last operation of each rank tells who was behind: the one with the smaller number.

    Mend: look at the other ranks' last words first; then `NCCL_DEBUG=INFO`,
    `TORCH_NCCL_TRACE_BUFFER_SIZE=2000`.
    """
    match = said(run, _NCCL_TIMEOUT)
    work = " ".join(found[0] for found in _NCCL_WORK.finditer(match.line)) if match is not None else ""
    yield from told(run, match, run.again("--env NCCL_DEBUG=INFO"), work)


@death("run-collective-setup", "GPUs could not be connected (NCCL)", "NCCL user guide: troubleshooting")
def collective_setup(run: RunEvidence) -> Iterator[Sign]:
    """NCCL found no way between the GPUs: no network interface (`NCCL_SOCKET_IFNAME` names one that is not
    there), two ranks on one GPU, a peer that ended, no room in /dev/shm (that has a page of its own).

    Mend: `NCCL_DEBUG=INFO` says what it tried; one GPU a rank (`LOCAL_RANK`).
    """
    if any(True for _ in shm_full(run)) or said(run, _NCCL_TIMEOUT) is not None:
        return
    match = said(run, _DUPLICATE, _NCCL)
    double = "two ranks use one GPU: torch.cuda.set_device(LOCAL_RANK)" if run.words.has(_DUPLICATE) else ""
    yield from told(run, match, run.again("--env NCCL_DEBUG=INFO"), double)
