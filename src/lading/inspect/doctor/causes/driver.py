"""Why a GPU of NVIDIA's cannot be used: one question, one answer. Pure.

`trouble` asks in the order in which things build on each other: a card, a module, device files, libraries,
an answer. So one fault gives one finding, never the row of those that follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Gpus, Host
from lading.inspect.doctor.model import Severity, Sign

_CUDA_SAYS = {
    34: "libcuda-stub",
    802: "fabric-manager",
    803: "driver-library-mismatch",
    804: "cuda-compat",
    805: "mps-unreachable",
    806: "mps-unreachable",
    807: "mps-unreachable",
    808: "mps-unreachable",
    809: "mps-unreachable",
}
_CUDA_NAMES = {
    2: "out of memory",
    3: "not initialized",
    34: "stub library",
    100: "no device",
    101: "invalid device",
    304: "operating system call failed",
    802: "system not yet initialized",
    803: "system driver mismatch",
    804: "forward compatibility attempted on a GPU that does not support it",
    805: "MPS connection failed",
    806: "MPS RPC failure",
    807: "MPS server not ready",
    808: "MPS has no room for another client",
    999: "unknown error",
}
_SMI_SAYS = (
    ("version mismatch", "driver-library-mismatch"),
    ("gpu is lost", "gpu-fallen-off"),
    ("fallen off the bus", "gpu-fallen-off"),
    ("unable to determine the device handle", "gpu-fallen-off"),
    ("no devices were found", "gpu-not-initialised"),
)


def trouble(host: Host) -> str:
    """The one cause; empty where GPUs work, and where there are none."""
    gpus = host.gpus
    if gpus.driver.driver is None:
        return _without_driver(gpus)
    if gpus.integrated:
        return ""  # nothing here is known of those
    return _without_files(host) or _without_answer(host)


def _without_driver(gpus: Gpus) -> str:
    drivers = {card.driver for card in gpus.cards}
    if not gpus.cards:
        return ""
    if "nouveau" in drivers:
        return "nouveau"
    if drivers == {"vfio-pci"}:
        return "gpu-passed-through"
    if "libcuda.so.1" not in gpus.installed_libraries and "nvidia-smi" not in gpus.installed_programs:
        return "driver-missing"
    if gpus.module_built is False:
        return "driver-not-built"
    return "driver-unsigned" if gpus.secure_boot else "driver-not-loaded"


def _without_files(host: Host) -> str:
    gpus = host.gpus
    names = {device.name for device in gpus.devices}
    if not any(re.fullmatch(r"nvidia\d+", name) for name in names):
        return "gpu-not-granted" if host.container else "device-files-missing"
    if "nvidiactl" not in names:
        return "device-files-missing"
    if any(not device.usable for device in gpus.devices):
        return "device-permission"
    if "nvidia-uvm" not in names:
        return "uvm-missing"
    if "libcuda.so.1" not in gpus.installed_libraries:
        granted = host.environment.get("NVIDIA_DRIVER_CAPABILITIES", "")
        narrow = host.container and granted and not {"compute", "all"} & set(granted.split(","))
        return "compute-not-granted" if narrow else "libcuda-missing"
    return ""


def _without_answer(host: Host) -> str:
    gpus = host.gpus
    if gpus.library_version is not None and gpus.library_version != gpus.driver.driver:
        baked = host.container and not gpus.library_mounted
        return "libcuda-in-image" if baked else "driver-library-mismatch"
    if gpus.smi_late:
        return "smi-hangs"
    words = gpus.smi_words.lower()
    if host.container and "failed to initialize nvml: unknown error" in words:
        return "gpu-lost-after-reload"
    for said, name in _SMI_SAYS:
        if said in words:
            return name
    if gpus.cuda_status:
        return _CUDA_SAYS.get(gpus.cuda_status, "cuda-init-fails")
    waits = any(gpu.fabric_state == "In Progress" for gpu in gpus.smi)
    return "fabric-manager" if waits else ""


def _found(host: Host, name: str, *facts: str, remedy: str = "") -> Iterator[Sign]:
    if trouble(host) != name:
        return
    gpus = host.gpus
    said = [f"nvidia-smi: {gpus.smi_words}"] if gpus.smi_words else []
    if gpus.cuda_status:
        words = _CUDA_NAMES.get(gpus.cuda_status, "an error")
        said.append(f"cuInit returns {gpus.cuda_status}: {words}")
    yield Sign(proof=(*facts, *said), remedy=remedy)


def _cards(host: Host) -> str:
    words = [f"{card.address} ({card.driver or 'no driver'})" for card in host.gpus.cards]
    return f"NVIDIA on the PCI bus: {', '.join(words)}"


def _loaded(host: Host) -> str:
    return f"driver {host.gpus.driver.driver} is loaded (/proc/driver/nvidia/version)"


@cause(
    "driver-missing", "There is an NVIDIA GPU and no driver of NVIDIA's", Area.DRIVER, Severity.ERROR,
    "/sys/bus/pci/devices: vendor 0x10de; /proc/driver/nvidia",
)  # fmt: skip
def driver_missing(host: Host) -> Iterator[Sign]:
    """The card is there; neither the kernel module nor the libraries are installed. Ubuntu: `sudo
    ubuntu-drivers install --gpgpu`. Debian: `sudo apt-get install nvidia-driver` with `non-free-firmware`
    and `contrib` in its sources. In a container the driver belongs to its host.
    """
    yield from _found(
        host,
        "driver-missing",
        _cards(host),
        "no libcuda.so.1 and no nvidia-smi",
        remedy="sudo ubuntu-drivers install --gpgpu",
    )


@cause(
    "nouveau", "The GPU is held by the driver nouveau, which has no CUDA", Area.DRIVER, Severity.ERROR,
    "/sys/bus/pci/devices/*/driver",
)  # fmt: skip
def nouveau(host: Host) -> Iterator[Sign]:
    """NVIDIA's module cannot take a card that nouveau has. Keep nouveau from loading and restart:

        printf 'blacklist nouveau\\noptions nouveau modeset=0\\n' | sudo tee /etc/modprobe.d/no-nouveau.conf
        sudo update-initramfs -u && sudo reboot

    NVIDIA's packages do that themselves; it is needed where the driver came from a runfile, or not at all.
    """
    yield from _found(host, "nouveau", _cards(host))


@cause(
    "gpu-passed-through", "The GPU is set aside for virtual machines", Area.DRIVER, Severity.INFO,
    "/sys/bus/pci/devices/*/driver: vfio-pci",
)  # fmt: skip
def passed_through(host: Host) -> Iterator[Sign]:
    """Every NVIDIA card of this host is bound to `vfio-pci`: a guest has it, or is meant to. CUDA works in
    the guest.
    """
    yield from _found(host, "gpu-passed-through", _cards(host))


@cause(
    "driver-not-built", "NVIDIA's module is not built for the running kernel", Area.DRIVER, Severity.ERROR,
    "/lib/modules/KERNEL; DKMS",
)  # fmt: skip
def driver_not_built(host: Host) -> Iterator[Sign]:
    """The driver is installed and its module is missing for this kernel: the kernel was upgraded, and DKMS
    had no headers to build with, or failed. `dkms status` lists what is built for which kernel.
    """
    kernel = host.kernel.evidence.kernel
    yield from _found(
        host,
        "driver-not-built",
        _cards(host),
        f"no nvidia.ko below /lib/modules/{kernel}",
        remedy="sudo apt-get install linux-headers-$(uname -r) && sudo dkms autoinstall",
    )


@cause(
    "driver-unsigned", "Secure Boot keeps NVIDIA's module from loading", Area.DRIVER, Severity.ERROR,
    "/sys/firmware/efi/efivars/SecureBoot-*; modprobe: Key was rejected by service",
)  # fmt: skip
def driver_unsigned(host: Host) -> Iterator[Sign]:
    """The module is there for this kernel and not loaded, and the firmware loads only signed code. A module
    that DKMS built is signed with a key of this machine, which has to be enrolled once, at the console,
    after a restart.
    """
    yield from _found(
        host,
        "driver-unsigned",
        _cards(host),
        "the module is built; Secure Boot is on",
        remedy="sudo mokutil --import /var/lib/shim-signed/mok/MOK.der",
    )


@cause(
    "driver-not-loaded", "NVIDIA's driver is installed and not loaded", Area.DRIVER, Severity.ERROR,
    "/proc/driver/nvidia/version is missing; libcuda.so.1 is there",
)  # fmt: skip
def driver_not_loaded(host: Host) -> Iterator[Sign]:
    """The libraries are there, and as far as can be seen a module for this kernel too; nothing loaded it.
    Where `modprobe` fails, `sudo dmesg | grep -i nvrm` says why. In a container, load it on its host.
    """
    yield from _found(host, "driver-not-loaded", _cards(host), remedy="sudo modprobe nvidia")


@cause(
    "driver-library-mismatch", "The driver's library is of another version than its kernel module",
    Area.DRIVER, Severity.ERROR, "NVML: Driver/library version mismatch; CUDA error 803",
)  # fmt: skip
def library_mismatch(host: Host) -> Iterator[Sign]:
    """The driver was upgraded while its module was loaded, so the old module and the new libraries meet.
    Every CUDA program fails from now on. After a restart both are new; without one, stop what uses the
    GPUs and

        sudo rmmod nvidia_uvm nvidia_drm nvidia_modeset nvidia && sudo modprobe nvidia

    In a container it is its host that has to do so.
    """
    version = host.gpus.library_version
    facts = (f"libcuda.so.1 is of {version}",) if version is not None else ()
    yield from _found(host, "driver-library-mismatch", _loaded(host), *facts, remedy="sudo reboot")


@cause(
    "libcuda-in-image", "The image brings a libcuda of its own", Area.DRIVER, Severity.ERROR,
    "the driver's libraries belong to the host; /proc/self/mountinfo",
)  # fmt: skip
def libcuda_in_image(host: Host) -> Iterator[Sign]:
    """libcuda.so.1 is part of the driver and must be that of the host's module. This one is a file of the
    image, not one that the container runtime mounted: `apt-get install nvidia-cuda-toolkit`, `libcuda1`
    or `libnvidia-compute-…` in the image brought it. Remove that package from the image; toolkits come
    without it (`cuda-toolkit-12-8`, the wheels).
    """
    gpus = host.gpus
    yield from _found(
        host,
        "libcuda-in-image",
        _loaded(host),
        f"{gpus.installed_libraries.get('libcuda.so.1', '')} is of {gpus.library_version}, and no mount",
        remedy="dpkg --search libcuda.so",
    )


@cause(
    "libcuda-missing", "The driver is loaded, and its libcuda.so.1 is nowhere", Area.DRIVER, Severity.ERROR,
    "the linker's cache and the usual folders",
)  # fmt: skip
def libcuda_missing(host: Host) -> Iterator[Sign]:
    """The kernel module and the device files are there; the library that CUDA programs open is not. On a
    host its package is missing (`libcuda1`, `libnvidia-compute-535`), or it stands where a GPU operator
    put it: then name that folder, `export LADING_NVIDIA_ROOT=/run/nvidia/driver`.
    """
    yield from _found(host, "libcuda-missing", _loaded(host), remedy="ldconfig -p | grep libcuda")


@cause(
    "compute-not-granted", "The container was given GPUs for something else than computing", Area.DRIVER,
    Severity.ERROR, "NVIDIA_DRIVER_CAPABILITIES without compute",
)  # fmt: skip
def compute_not_granted(host: Host) -> Iterator[Sign]:
    """NVIDIA_DRIVER_CAPABILITIES says which of the driver's libraries are mounted; without `compute`,
    libcuda.so.1 is not among them, though nvidia-smi works. Images that set `utility` alone, or a
    variable of a compose file, do that.
    """
    granted = host.environment.get("NVIDIA_DRIVER_CAPABILITIES", "")
    yield from _found(
        host,
        "compute-not-granted",
        f"NVIDIA_DRIVER_CAPABILITIES={granted}",
        "no libcuda.so.1",
        remedy="docker run --env NVIDIA_DRIVER_CAPABILITIES=compute,utility --gpus all",
    )


@cause(
    "libcuda-stub", "Programs get a stub instead of libcuda", Area.DRIVER, Severity.ERROR,
    "CUDA error 34: stub library",
)  # fmt: skip
def libcuda_stub(host: Host) -> Iterator[Sign]:
    """The toolkit ships an empty libcuda to link against, in a folder `stubs`. At run time it must not be
    found: take the folder out of LD_LIBRARY_PATH.
    """
    path = host.environment.get("LD_LIBRARY_PATH", "")
    yield from _found(host, "libcuda-stub", f"LD_LIBRARY_PATH={path}", remedy="unset LD_LIBRARY_PATH")


@cause(
    "cuda-compat", "A forward compatibility package is used on a GPU that has none", Area.DRIVER,
    Severity.ERROR, "CUDA error 804; NVIDIA: CUDA compatibility, forward compatibility",
)  # fmt: skip
def cuda_compat(host: Host) -> Iterator[Sign]:
    """The folder `compat` of a CUDA image holds a newer libcuda for older drivers. It works on data centre
    GPUs alone; on a GeForce it ends every CUDA program. Take it out of LD_LIBRARY_PATH, or use an image
    of a CUDA that the driver runs.
    """
    path = host.environment.get("LD_LIBRARY_PATH", "")
    names = {gpu.name for gpu in host.gpus.driver.gpus if gpu.name}
    yield from _found(
        host, "cuda-compat", f"LD_LIBRARY_PATH={path}", f"GPU: {', '.join(sorted(names)) or 'unnamed'}",
        remedy="unset LD_LIBRARY_PATH",
    )  # fmt: skip


@cause(
    "fabric-manager", "The GPUs wait for the fabric manager", Area.DRIVER, Severity.ERROR,
    "CUDA error 802; NVIDIA Fabric Manager user guide",
)  # fmt: skip
def fabric_manager(host: Host) -> Iterator[Sign]:
    """GPUs that NVSwitches connect (HGX, DGX) can be used when the fabric manager, of the very version of
    the driver, has set the switches up. nvidia-smi lists them all the same. In a container the service
    belongs to the host.
    """
    states = {f"fabric state: {gpu.fabric_state}" for gpu in host.gpus.smi if gpu.fabric_state}
    yield from _found(
        host,
        "fabric-manager",
        _loaded(host),
        *sorted(states),
        remedy="sudo systemctl restart nvidia-fabricmanager",
    )


@cause(
    "mps-unreachable", "CUDA cannot reach the Multi-Process Service", Area.DRIVER, Severity.ERROR,
    "CUDA errors 805 to 809",
)  # fmt: skip
def mps_unreachable(host: Host) -> Iterator[Sign]:
    """Its folder of pipes is there, and the server behind it refuses: it runs for another user (one server
    is for one user), has no room, or died. `echo quit | nvidia-cuda-mps-control` as its owner ends it;
    then programs share the GPU by turns.
    """
    pipes = host.gpus.mps.pipes if host.gpus.mps is not None else "/tmp/nvidia-mps"
    yield from _found(
        host, "mps-unreachable", f"pipes: {pipes}", remedy="echo get_server_list | nvidia-cuda-mps-control"
    )


@cause(
    "smi-hangs", "nvidia-smi does not answer", Area.DRIVER, Severity.ERROR, "nvidia-smi -q, within 10 s",
)  # fmt: skip
def smi_hangs(host: Host) -> Iterator[Sign]:
    """The driver waits for a GPU that does not answer; programs that use it hang as well, in a state that
    `kill` does not end. The kernel's log has the Xid error that says which and why. Mostly only a restart
    of the machine helps.
    """
    yield from _found(host, "smi-hangs", "no answer in 10 s", remedy="sudo dmesg | grep -i xid")


@cause(
    "gpu-fallen-off", "A GPU no longer answers on the bus", Area.DRIVER, Severity.ERROR,
    "NVIDIA: Xid 79, GPU has fallen off the bus",
)  # fmt: skip
def gpu_fallen_off(host: Host) -> Iterator[Sign]:
    """The driver lost a GPU while it ran: overheated, short of power, badly seated, or broken. Until the
    machine is restarted, better switched off and on, CUDA may fail for all GPUs of it.
    """
    yield from _found(host, "gpu-fallen-off", remedy="sudo dmesg | grep -i xid")


@cause(
    "gpu-not-initialised", "The driver could not start the GPU", Area.DRIVER, Severity.ERROR,
    "nvidia-smi: No devices were found; the kernel's log: RmInitAdapter failed",
)  # fmt: skip
def gpu_not_initialised(host: Host) -> Iterator[Sign]:
    """The driver is loaded, the device files are there, and no GPU could be started: a driver that is too
    old or too new for it, the open module for a GPU before Turing, or too small an address window of the
    firmware (Above 4G Decoding).
    """
    yield from _found(host, "gpu-not-initialised", _loaded(host), remedy="sudo dmesg | grep -i nvrm")


@cause(
    "cuda-init-fails", "CUDA does not start, for a reason nobody states", Area.DRIVER, Severity.ERROR,
    "the driver API's cuInit",
)  # fmt: skip
def cuda_init_fails(host: Host) -> Iterator[Sign]:
    """Module, device files and libraries are there and fit together, and `cuInit` fails all the same. The
    kernel's log is the next place to look.
    """
    yield from _found(host, "cuda-init-fails", _loaded(host), remedy="sudo dmesg | grep -i -e nvrm -e xid")
