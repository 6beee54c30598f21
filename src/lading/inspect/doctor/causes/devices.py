"""Device files of GPUs, and which of them this process may use. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.causes.driver import trouble
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign


def _present(host: Host) -> str:
    return f"/dev has {', '.join(device.name for device in host.gpus.devices) or 'none of nvidia*'}"


@cause(
    "gpu-not-granted", "This container was started without GPUs", Area.DEVICES, Severity.WARNING,
    "/proc/driver/nvidia shows the host's driver in every container; /dev shows what was granted",
)  # fmt: skip
def gpu_not_granted(host: Host) -> Iterator[Sign]:
    """The host has NVIDIA's driver and this container none of its device files. Docker: `--gpus all` (or
    `device=0`) before the name of the image; after it, it is an argument of the program. Compose:
    `deploy.resources.reservations.devices` with `capabilities: [gpu]`. Kubernetes: `resources.limits:
    {nvidia.com/gpu: 1}`.
    """
    if trouble(host) == "gpu-not-granted":
        visible = host.environment.get("NVIDIA_VISIBLE_DEVICES")
        told = () if visible is None else (f"NVIDIA_VISIBLE_DEVICES={visible}",)
        yield Sign(
            proof=(
                f"the host's driver is {host.gpus.driver.driver} (/proc/driver/nvidia/version)",
                _present(host),
                *told,
            ),
            remedy="docker run --gpus all",
        )


@cause(
    "device-files-missing", "The driver is loaded, and its device files are missing", Area.DEVICES,
    Severity.ERROR, "nvidia-modprobe(1)",
)  # fmt: skip
def device_files_missing(host: Host) -> Iterator[Sign]:
    """On a host without a display nothing makes `/dev/nvidia0` and `/dev/nvidiactl` until a program of
    root's asks for a GPU. nvidia-persistenced does it at each start of the machine.
    """
    if trouble(host) == "device-files-missing":
        yield Sign(
            proof=(f"driver {host.gpus.driver.driver} is loaded", _present(host)),
            remedy="sudo nvidia-modprobe -c 0 -u",
        )


@cause(
    "uvm-missing", "/dev/nvidia-uvm is missing", Area.DEVICES, Severity.ERROR,
    "CUDA needs the module nvidia_uvm; nvidia-smi does not",
)  # fmt: skip
def uvm_missing(host: Host) -> Iterator[Sign]:
    """nvidia-smi works, and CUDA says `unknown error` (999) or finds no device: the module for unified
    memory is not loaded, or was not granted to this container.
    """
    if trouble(host) == "uvm-missing":
        yield Sign(proof=(_present(host), "no nvidia-uvm"), remedy="sudo nvidia-modprobe -c 0 -u")


@cause(
    "device-permission", "This user may not open the GPU's device files", Area.DEVICES, Severity.ERROR,
    "NVreg_DeviceFileMode, NVreg_DeviceFileGID",
)  # fmt: skip
def device_permission(host: Host) -> Iterator[Sign]:
    """The files are there, for another group: the administrator gave `/dev/nvidia*` to it with the module's
    options, or a batch system grants GPUs by it. Ask to be put into that group (`stat -c %G`), or for a
    job with a GPU.
    """
    if trouble(host) == "device-permission":
        closed = [device for device in host.gpus.devices if not device.usable]
        yield Sign(
            proof=tuple(
                f"/dev/{device.name}: mode {device.mode:04o}, owner {device.owner}; this is uid {host.euid}"
                for device in closed
            ),
            remedy=f"stat -c %G /dev/{closed[0].name}",
        )


@cause(
    "gpu-lost-after-reload", "This container has lost its GPUs", Area.DEVICES, Severity.ERROR,
    "NVIDIA/nvidia-container-toolkit issue 48: NVML Unknown Error",
)  # fmt: skip
def gpu_lost_after_reload(host: Host) -> Iterator[Sign]:
    """The device files are there and may no longer be opened: `systemctl daemon-reload` on the host (each
    package upgrade does one) wrote the container's device rules anew, without the GPUs, which the toolkit
    had added behind systemd's back. A container made anew has them again; this one never.

    So that it does not happen again, on the host: `sudo nvidia-ctk system create-dev-char-symlinks
    --create-all` at each start of the machine, or GPUs by CDI (`--device nvidia.com/gpu=all`). Where it
    fails from the beginning, the toolkit has `no-cgroups = true`.
    """
    if trouble(host) == "gpu-lost-after-reload":
        yield Sign(
            proof=(
                f"nvidia-smi: {host.gpus.smi_words}",
                _present(host),
                f"this is a container ({host.container})",
            ),
            remedy="docker restart $(hostname)",
        )


@cause(
    "gpus-hidden", "CUDA_VISIBLE_DEVICES hides every GPU", Area.DEVICES, Severity.WARNING,
    "CUDA C++ Programming Guide, environment variables",
)  # fmt: skip
def gpus_hidden(host: Host) -> Iterator[Sign]:
    """Empty, or -1: CUDA programs of this shell find no GPU, and lading grants none. A batch system sets it
    so in a job that asked for none.
    """
    value = host.environment.get("CUDA_VISIBLE_DEVICES")
    if host.gpus.driver.gpus and value is not None and value.strip() in ("", "-1", "NoDevFiles"):
        yield Sign(proof=(f"CUDA_VISIBLE_DEVICES={value!r}",), remedy="unset CUDA_VISIBLE_DEVICES")


@cause(
    "gpu-named-wrongly", "CUDA_VISIBLE_DEVICES names a GPU that is not there", Area.DEVICES, Severity.ERROR,
    "CUDA C++ Programming Guide: an invalid index hides itself and all that follow",
)  # fmt: skip
def gpu_named_wrongly(host: Host) -> Iterator[Sign]:
    """CUDA takes the names in order up to the first that it does not know, without a word. In a container
    GPUs count from 0, whichever of the host's they are.
    """
    gpus = host.gpus.driver.gpus
    value = host.environment.get("CUDA_VISIBLE_DEVICES", "").strip()
    if not gpus or value in ("", "-1", "NoDevFiles"):
        return
    for word in (part.strip() for part in value.split(",")):
        by_name = word.startswith("MIG-") or any(
            (gpu.uuid or "GPU-").startswith(word) for gpu in gpus if word
        )
        by_number = word.isdecimal() and int(word) < len(gpus)
        if not by_name and not by_number:
            names = ", ".join(f"{number}: {gpu.uuid or gpu.device}" for number, gpu in enumerate(gpus))
            yield Sign(
                proof=(f"CUDA_VISIBLE_DEVICES={value}", f"{word!r} is none of {names}"),
                remedy="nvidia-smi -L",
            )
            return
