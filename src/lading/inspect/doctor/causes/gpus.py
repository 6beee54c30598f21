"""The state of GPUs that work: MIG, MPS, modes, heat, memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign
from lading.inspect.doctor.smi import SmiGpu


def _each(host: Host, judge: Callable[[SmiGpu], str], remedy: Callable[[SmiGpu], str]) -> Iterator[Sign]:
    """One finding for all GPUs that `judge` has words about."""
    found = [(gpu, words) for gpu in host.gpus.smi if (words := judge(gpu))]
    if found:
        proof = tuple(f"GPU {gpu.number} ({gpu.name or gpu.address}): {words}" for gpu, words in found)
        yield Sign(proof=proof, remedy=remedy(found[0][0]))


@cause(
    "mig-empty", "MIG is on, and no instance was made", Area.GPU, Severity.ERROR,
    "NVIDIA Multi-Instance GPU user guide",
)  # fmt: skip
def mig_empty(host: Host) -> Iterator[Sign]:
    """A GPU in MIG mode computes in instances alone; without one, CUDA finds no device while nvidia-smi
    shows the GPU. `nvidia-smi mig -lgip` lists the sizes. Instances are gone after a restart.
    """
    yield from _each(
        host,
        lambda gpu: "MIG enabled, no MIG devices" if gpu.mig == "Enabled" and not gpu.mig_devices else "",
        lambda gpu: f"sudo nvidia-smi mig -i {gpu.number} -cgi 0 -C",
    )


@cause(
    "mig-pending", "MIG mode changes with the next reset", Area.GPU, Severity.WARNING,
    "NVIDIA Multi-Instance GPU user guide: pending mode",
)  # fmt: skip
def mig_pending(host: Host) -> Iterator[Sign]:
    """`nvidia-smi -mig` was called while something used the GPU; it changes when the GPU is reset, perhaps
    at the next restart, when nobody expects it.
    """
    yield from _each(
        host,
        lambda gpu: (
            f"MIG {gpu.mig}, pending {gpu.mig_pending}"
            if gpu.mig and gpu.mig_pending and gpu.mig != gpu.mig_pending
            else ""
        ),
        lambda gpu: f"sudo nvidia-smi --gpu-reset -i {gpu.number}",
    )


@cause(
    "compute-prohibited", "The GPU is set to compute nothing", Area.GPU, Severity.ERROR,
    "nvidia-smi(1): compute mode",
)  # fmt: skip
def compute_prohibited(host: Host) -> Iterator[Sign]:
    """Compute mode `Prohibited`: no CUDA program may use it. Somebody set it, mostly for a GPU that drives a
    display.
    """
    yield from _each(
        host,
        lambda gpu: "compute mode Prohibited" if gpu.compute_mode == "Prohibited" else "",
        lambda gpu: f"sudo nvidia-smi -i {gpu.number} -c DEFAULT",
    )


@cause(
    "exclusive-and-taken", "The GPU takes one program at a time, and has one", Area.GPU, Severity.WARNING,
    "nvidia-smi(1): compute mode Exclusive_Process; CUDA error 46, devices unavailable",
)  # fmt: skip
def exclusive_and_taken(host: Host) -> Iterator[Sign]:
    """Compute mode `Exclusive_Process` and a program on it: the next one gets `all CUDA-capable devices are
    busy or unavailable`, however much memory is free. With the Multi-Process Service several share it.
    """
    shared = host.gpus.mps is not None and host.gpus.mps.daemon
    yield from _each(
        host,
        lambda gpu: (
            f"compute mode Exclusive_Process, {gpu.processes} programs on it"
            if gpu.compute_mode == "Exclusive_Process" and gpu.processes and not shared
            else ""
        ),
        lambda gpu: f"sudo nvidia-smi -i {gpu.number} -c DEFAULT",
    )


@cause(
    "mps-stopped", "The Multi-Process Service was asked for, and does not run", Area.GPU, Severity.WARNING,
    "NVIDIA MPS: CUDA_MPS_PIPE_DIRECTORY",
)  # fmt: skip
def mps_stopped(host: Host) -> Iterator[Sign]:
    """CUDA_MPS_PIPE_DIRECTORY names a folder behind which no control daemon lives: programs share the GPU by
    turns, without a word, and limits such as CUDA_MPS_ACTIVE_THREAD_PERCENTAGE mean nothing. Start it as
    the user whose programs it is for.
    """
    mps = host.gpus.mps
    if mps is not None and mps.asked and mps.usable and not mps.daemon:
        yield Sign(
            proof=(
                f"CUDA_MPS_PIPE_DIRECTORY={mps.pipes}",
                "no nvidia-cuda-mps-control runs" if mps.there else "there is no such folder",
            ),
            remedy="nvidia-cuda-mps-control -d",
        )


@cause(
    "mps-closed", "The Multi-Process Service's pipes are closed to this user", Area.GPU, Severity.WARNING,
    "NVIDIA MPS: one server a user",
)  # fmt: skip
def mps_closed(host: Host) -> Iterator[Sign]:
    """The folder of pipes belongs to somebody else, and this user may not enter it. Start a control daemon
    of your own with a folder of your own in CUDA_MPS_PIPE_DIRECTORY and CUDA_MPS_LOG_DIRECTORY.
    """
    mps = host.gpus.mps
    if mps is not None and mps.there and not mps.usable:
        yield Sign(
            proof=(f"{mps.pipes} may not be read by uid {host.euid}",),
            remedy="export CUDA_MPS_PIPE_DIRECTORY=$XDG_RUNTIME_DIR/mps",
        )


@cause(
    "throttled-by-heat", "A GPU is slowed down: too hot", Area.GPU, Severity.WARNING,
    "NVML: clocks event reasons, thermal slowdown",
)  # fmt: skip
def throttled_by_heat(host: Host) -> Iterator[Sign]:
    """The clocks are lowered to keep the chip or its memory from overheating: fans, dust, the flow of air, a
    neighbour's heat. Training goes on, slower. `nvidia-smi -q -d TEMPERATURE` shows how far the limits
    are.
    """
    heat = {"hw_thermal_slowdown", "sw_thermal_slowdown"}
    yield from _each(
        host,
        lambda gpu: (
            f"{', '.join(sorted(gpu.slowdowns & heat))} active at {gpu.temperature or 'a temperature unsaid'}"
            if gpu.slowdowns & heat
            else ""
        ),
        lambda gpu: f"nvidia-smi -i {gpu.number} -q -d TEMPERATURE,PERFORMANCE",
    )


@cause(
    "throttled-by-power", "A GPU is slowed down: the power supply says so", Area.GPU, Severity.WARNING,
    "NVML: clocks event reasons, hw_power_brake_slowdown",
)  # fmt: skip
def throttled_by_power(host: Host) -> Iterator[Sign]:
    """The board's power brake is pulled from outside: a supply that failed or is too small, or a data centre
    that caps a rack. The clocks are halved or worse. (A GPU at its own power limit under load,
    `sw_power_cap`, is no fault.)
    """
    yield from _each(
        host,
        lambda gpu: "hw_power_brake_slowdown active" if "hw_power_brake_slowdown" in gpu.slowdowns else "",
        lambda gpu: f"nvidia-smi -i {gpu.number} -q -d POWER,PERFORMANCE",
    )


def _memory_fault(gpu: SmiGpu) -> str:
    if gpu.remap_failed:
        return "row remapping failed"
    if gpu.uncorrectable:
        return f"{gpu.uncorrectable} uncorrectable memory errors"
    return "more on-chip errors than the driver puts up with" if gpu.worn else ""


def _wish(gpu: SmiGpu) -> str:
    if gpu.remap_failed or gpu.uncorrectable or gpu.worn:
        return ""  # that is another finding
    if gpu.remap_pending:
        return "a row waits to be remapped"
    return f"the driver asks for: {gpu.recovery}" if gpu.recovery else ""


@cause(
    "gpu-memory-failing", "A GPU's memory fails", Area.GPU, Severity.ERROR,
    "NVIDIA GPU memory error management: uncorrectable errors, row remapping failure",
)  # fmt: skip
def gpu_memory_failing(host: Host) -> Iterator[Sign]:
    """Errors that could not be corrected, or a bad row for which no spare is left: programs end with
    `uncorrectable ECC error`, or compute wrongly. A reset clears the count; if it comes again, the GPU is
    to be replaced.
    """
    yield from _each(
        host,
        _memory_fault,
        lambda gpu: f"nvidia-smi -i {gpu.number} -q -d ECC,ROW_REMAPPER",
    )


@cause(
    "gpu-reset-needed", "A GPU waits to be reset", Area.GPU, Severity.WARNING,
    "NVIDIA GPU memory error management: pending remapping; nvidia-smi: reset required",
)  # fmt: skip
def gpu_reset_needed(host: Host) -> Iterator[Sign]:
    """A bad row of its memory is to be replaced by a spare, which happens at a reset; until then it is in
    use. Stop what uses the GPU first.
    """
    yield from _each(
        host,
        _wish,
        lambda gpu: f"sudo nvidia-smi --gpu-reset -i {gpu.number}",
    )


@cause(
    "pcie-narrow", "A GPU has half of its PCIe lanes or fewer", Area.GPU, Severity.WARNING,
    "nvidia-smi -q: link width, current and max",
)  # fmt: skip
def pcie_narrow(host: Host) -> Iterator[Sign]:
    """Data reaches it at a fraction of the speed: a riser, a slot that is wired with fewer lanes, a card
    that sits loosely. (A low *generation* is no fault: an idle GPU lowers it.)
    """
    yield from _each(
        host,
        lambda gpu: f"{gpu.width} of {gpu.widest} lanes" if 0 < gpu.width <= gpu.widest // 2 else "",
        lambda gpu: f"sudo lspci -vv -s {gpu.address.removeprefix('0000')}",
    )
