"""What breaks a host with GPUs, one thing at a time: cause → hosts that have it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doctor.hosts import (
    DRIVER,
    FakeHost,
    adapter,
    answer_smi,
    card,
    fail_smi,
    gpu_host,
    plain_host,
    report,
    topology,
)
from nvidia_host import uuid

Make = Callable[[Path], FakeHost]
NVIDIA = {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}}
SPECIFICATION: dict[str, Any] = {
    "cdiVersion": "0.6.0",
    "kind": "nvidia.com/gpu",
    "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0"}]}}],
    "containerEdits": {
        "mounts": [{"hostPath": f"/opt/driver/lib/libcuda.so.{DRIVER}", "containerPath": "/x"}],
        "deviceNodes": [{"path": "/dev/nvidiactl"}],
    },
}


def broken(*changes: Callable[[FakeHost], object], **gpu: str) -> Make:
    """A host with one GPU, to which `changes` happen."""

    def make(root: Path) -> FakeHost:
        host = gpu_host(root, **gpu)
        for change in changes:
            change(host)
        return host

    return make


def bare(driver: str = "", *changes: Callable[[FakeHost], object]) -> Make:
    """A card on the bus of a host without NVIDIA's module."""

    def make(root: Path) -> FakeHost:
        host = plain_host(root)
        card(host, driver)
        for change in changes:
            change(host)
        return host

    return make


def libraries(host: FakeHost) -> None:
    host.command("nvidia-smi", 'echo "NVIDIA-SMI has failed"; exit 9', folder="usr/bin")


def module(host: FakeHost) -> None:
    host.write("lib/modules/6.8.0-41-generic/updates/dkms/nvidia.ko.zst", "")


def other_modules(host: FakeHost) -> None:
    host.write("lib/modules/6.8.0-41-generic/kernel/fs/overlay.ko", "")
    host.write("lib/modules/6.8.0-40-generic/updates/dkms/nvidia.ko.zst", "")


def secure_boot(host: FakeHost) -> None:
    place = host.write("sys/firmware/efi/efivars/SecureBoot-8be4df61", "")
    place.write_bytes(b"\x06\0\0\0\x01")


def unsecured_boot(host: FakeHost) -> None:
    place = host.write("sys/firmware/efi/efivars/SecureBoot-8be4df61", "")
    place.write_bytes(b"\x06\0\0\0\0")


def in_docker(host: FakeHost) -> None:
    host.write(".dockerenv", "")


def in_pod(host: FakeHost) -> None:
    host.environment["KUBERNETES_SERVICE_HOST"] = "10.0.0.1"


def without(*paths: str) -> Callable[[FakeHost], None]:
    def change(host: FakeHost) -> None:
        for path in paths:
            place = host.root / path
            shutil.rmtree(place) if place.is_dir() else place.unlink()

    return change


_NO_DEVICES = without("dev/nvidia0", "dev/nvidiactl", "dev/nvidia-uvm", "dev/nvidia-caps")
_NO_LIBCUDA = without("opt/driver/lib/libcuda.so.1", f"opt/driver/lib/libcuda.so.{DRIVER}")


def closed(host: FakeHost) -> None:
    for name in ("nvidia0", "nvidiactl"):
        (host.root / "dev" / name).chmod(0o000)


def upgraded(host: FakeHost) -> None:
    """New libraries, while the old module is loaded."""
    folder = host.root / "opt/driver/lib"
    (folder / f"libcuda.so.{DRIVER}").rename(folder / "libcuda.so.580.95.05")
    (folder / "libcuda.so.1").unlink()
    (folder / "libcuda.so.1").symlink_to("libcuda.so.580.95.05")
    fail_smi(host, "Failed to initialize NVML: Driver/library version mismatch NVML library version: 580.95")


def mounted(host: FakeHost) -> None:
    host.mount(host.root / "opt/driver/lib/libcuda.so.580.95.05", "ext4", "ro")


def says(words: str) -> Callable[[FakeHost], None]:
    return lambda host: fail_smi(host, words)


def cuda(status: int | None, **environment: str) -> Callable[[FakeHost], None]:
    def change(host: FakeHost) -> None:
        host.cuda = status
        host.environment |= environment

    return change


def hanging(host: FakeHost) -> None:
    host.command("nvidia-smi", "exec tail -f /dev/null", folder="usr/bin")
    host.patience = 0.02


def variables(**values: str) -> Callable[[FakeHost], None]:
    return lambda host: host.environment.update(values)


def toolkit(host: FakeHost) -> None:
    for name in ("nvidia-ctk", "nvidia-container-runtime", "nvidia-container-runtime-hook"):
        host.command(name)


def docker(**info: Any) -> Callable[[FakeHost], None]:
    return lambda host: host.docker(**info)


def configured(host: FakeHost) -> None:
    host.write(
        "etc/docker/daemon.json", json.dumps({"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}}})
    )


def no_cgroups(host: FakeHost) -> None:
    host.write("etc/nvidia-container-runtime/config.toml", "[nvidia-container-cli]\nno-cgroups = true\n")


def podman(host: FakeHost) -> None:
    host.command("podman")
    host.command("newuidmap")
    host.write("etc/subuid", "ada:100000:65536\n")


def specification(path: str = "etc/cdi/nvidia.yaml", text: str | None = None) -> Callable[[FakeHost], None]:
    """JSON is YAML."""
    return lambda host: host.write(path, json.dumps(SPECIFICATION) if text is None else text)


def older(driver: str) -> Callable[[FakeHost], object]:
    return lambda host: host.write("etc/cdi/nvidia.yaml", json.dumps(SPECIFICATION).replace(DRIVER, driver))


def mps(path: str = "mps", *, number: str = "") -> Callable[[FakeHost], None]:
    """A folder of pipes that the environment names; `number`: of its daemon."""

    def change(host: FakeHost) -> None:
        host.write(f"{path}/control", "")
        host.write(f"{path}/nvidia-cuda-mps-control.pid", number)
        host.environment["CUDA_MPS_PIPE_DIRECTORY"] = str(host.root / path)

    return change


def closed_pipes(host: FakeHost) -> None:
    host.write("tmp/nvidia-mps/control", "")
    host.closed.add(host.root / "tmp/nvidia-mps")


def pair(*changes: Callable[[FakeHost], object], kind: str = "NV4") -> Make:
    def make(root: Path) -> FakeHost:
        host = gpu_host(root, 2)
        answer_smi(host, report({}, {}), topology=topology(kind), count=2)
        for change in changes:
            change(host)
        return host

    return make


def low_limit(host: FakeHost) -> None:
    host.write(
        "proc/self/limits", "Max locked memory         8388608              8388608              bytes\n"
    )


def closed_module(host: FakeHost) -> None:
    """NVIDIA's own flavour of the kernel module, and no nvidia_peermem."""
    place = host.root / "proc/driver/nvidia/version"
    place.write_text(place.read_text().replace("Open Kernel Module", "Kernel Module"))
    shutil.rmtree(host.root / "sys/module/nvidia_peermem")


def two_nodes(allowed: str, card_node: str) -> Callable[[FakeHost], None]:
    def change(host: FakeHost) -> None:
        host.write("sys/devices/system/node/node1/cpulist", "8-15\n")
        host.write("sys/bus/pci/devices/0000:00:00.0/numa_node", card_node + "\n")
        host.status["Cpus_allowed_list"] = allowed

    return change


def far(host: FakeHost) -> None:
    two_nodes("8-15", "0")(host)


CASES: dict[str, tuple[Make, ...]] = {
    "driver-missing": (bare(),),
    "nouveau": (bare("nouveau"), bare("nouveau", libraries, module)),
    "gpu-passed-through": (bare("vfio-pci"),),
    "driver-not-built": (bare("", libraries, other_modules),),
    "driver-unsigned": (bare("", libraries, module, secure_boot),),
    "driver-not-loaded": (
        bare("", libraries, module),
        bare("", libraries, module, unsecured_boot),
        bare("", libraries),
    ),
    "driver-library-mismatch": (
        broken(upgraded),
        broken(upgraded, mounted, in_docker),
        broken(cuda(803)),
        broken(says("Failed to initialize NVML: Driver/library version mismatch")),
    ),
    "libcuda-in-image": (broken(upgraded, in_docker),),
    "libcuda-missing": (
        broken(_NO_LIBCUDA),
        broken(_NO_LIBCUDA, in_docker, variables(NVIDIA_DRIVER_CAPABILITIES="compute,utility")),
    ),
    "compute-not-granted": (broken(_NO_LIBCUDA, in_docker, variables(NVIDIA_DRIVER_CAPABILITIES="utility")),),
    "libcuda-stub": (broken(cuda(34, LD_LIBRARY_PATH="/usr/local/cuda/lib64/stubs")),),
    "cuda-compat": (broken(cuda(804, LD_LIBRARY_PATH="/usr/local/cuda/compat")),),
    "fabric-manager": (broken(cuda(802)), broken(cuda(None), fabric="In Progress")),
    "mps-unreachable": (
        broken(cuda(805)),
        broken(cuda(807), mps(number="1"), lambda host: host.write("proc/1/comm", "x")),
    ),
    "smi-hangs": (broken(hanging),),
    "gpu-fallen-off": (
        broken(says("Unable to determine the device handle for GPU0: 0000:01:00.0: GPU is lost.  Reboot")),
        broken(says("Unable to determine the device handle for GPU 0000:41:00.0: Unknown Error")),
    ),
    "gpu-not-initialised": (broken(says("No devices were found")),),
    "cuda-init-fails": (broken(cuda(999)), broken(cuda(3))),
    "gpu-not-granted": (
        broken(_NO_DEVICES, in_docker),
        broken(_NO_DEVICES, in_pod, variables(NVIDIA_VISIBLE_DEVICES="void")),
    ),
    "device-files-missing": (
        broken(_NO_DEVICES),
        broken(without("dev/nvidiactl")),
        broken(without("dev/nvidiactl"), in_docker),
    ),
    "uvm-missing": (broken(without("dev/nvidia-uvm")), broken(without("dev/nvidia-uvm"), in_docker)),
    "device-permission": (broken(closed), broken(closed, in_docker)),
    "gpu-lost-after-reload": (
        broken(in_docker, says("Failed to initialize NVML: Unknown Error")),
        broken(in_pod, says("Failed to initialize NVML: Unknown Error"), cuda(100)),
    ),
    "gpus-hidden": (broken(variables(CUDA_VISIBLE_DEVICES="")), broken(variables(CUDA_VISIBLE_DEVICES="-1"))),
    "gpu-named-wrongly": (
        broken(variables(CUDA_VISIBLE_DEVICES="1")),
        broken(variables(CUDA_VISIBLE_DEVICES="0,GPU-ffff")),
        pair(variables(CUDA_VISIBLE_DEVICES=f"{uuid(1)},all")),
    ),
    "toolkit-missing": (broken(docker()),),
    "runtime-unregistered": (broken(toolkit, docker()),),
    "docker-not-restarted": (broken(toolkit, configured, docker()),),
    "runtime-path-broken": (
        broken(docker(Runtimes={"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}})),
        broken(configured, docker(Runtimes=NVIDIA)),
    ),
    "toolkit-no-cgroups": (broken(toolkit, no_cgroups, docker(Runtimes=NVIDIA)),),
    "toolkit-rootless-cgroups": (
        broken(toolkit, docker(Runtimes=NVIDIA, SecurityOptions=["name=seccomp", "name=rootless"])),
    ),
    "gpu-loss-ahead": (broken(toolkit, docker(Runtimes=NVIDIA, CgroupDriver="systemd")),),
    "cdi-missing": (broken(podman), broken(podman, toolkit)),
    "cdi-broken": (
        broken(specification(text="cdiVersion: 0.6.0\ndevices: [")),
        broken(podman, specification(text="kind: nvidia.com/gpu\n")),
        broken(specification(path="var/run/cdi/nvidia.json", text="{")),
    ),
    "cdi-stale": (
        broken(podman, older("535.104.05")),
        broken(
            specification(),
            without("dev/nvidia-caps"),
            lambda host: host.write(
                "etc/cdi/nvidia.yaml", json.dumps(SPECIFICATION).replace("nvidiactl", "nvidia9")
            ),
        ),
    ),
    "cdi-conflict": (broken(specification(), specification("etc/cdi/nvidia-old.json")),),
    "driver-below-default": (lambda root: gpu_host(root, driver="535.104.05"),),
    "gpu-older-than-default": (
        broken(lambda host: answer_smi(host, report({}), capability="6.1", name="NVIDIA GeForce GTX 1080")),
    ),
    "mig-empty": (broken(mig="Enabled", mig_pending="Enabled"),),
    "mig-pending": (broken(mig="Disabled", mig_pending="Enabled"),),
    "compute-prohibited": (broken(mode="Prohibited"),),
    "exclusive-and-taken": (broken(mode="Exclusive_Process", processes="1"),),
    "mps-stopped": (
        broken(variables(CUDA_MPS_PIPE_DIRECTORY="/nowhere/mps")),
        broken(mps(number="4321")),
        broken(mps()),
    ),
    "mps-closed": (broken(closed_pipes),),
    "throttled-by-heat": (broken(slow="hw_slowdown hw_thermal_slowdown", temperature="91 C"),),
    "throttled-by-power": (broken(slow="hw_slowdown hw_power_brake_slowdown"),),
    "gpu-memory-failing": (
        broken(errors="3"),
        broken(remap_failed="Yes", remap_pending="Yes"),
        broken(worn="Yes"),
    ),
    "gpu-reset-needed": (
        broken(remap_pending="Yes"),
        broken(required="Yes"),
        broken(recovery="Drain and Reset"),
    ),
    "pcie-narrow": (broken(lanes="4"),),
    "infiniband-hidden": (broken(lambda host: adapter(host, verbs=False)),),
    "infiniband-down": (
        broken(lambda host: adapter(host, "1: DOWN")),
        broken(lambda host: adapter(host, "2: INIT", verbs=False)),
    ),
    "locked-memory-low": (broken(adapter, low_limit),),
    "peer-memory-missing": (broken(adapter, closed_module),),
    "nccl-interface-missing": (
        broken(variables(NCCL_SOCKET_IFNAME="ib0")),
        broken(variables(NCCL_SOCKET_IFNAME="=eth")),
    ),
    "nccl-interface-loopback": (broken(variables(NCCL_SOCKET_IFNAME="lo")),),
    "nccl-adapter-missing": (broken(adapter, variables(NCCL_IB_HCA="mlx4_0:1")),),
    "nccl-peers-off": (pair(variables(NCCL_P2P_DISABLE="1")),),
    "gpus-far-apart": (pair(kind="SYS"),),
    "processors-far-from-gpu": (broken(far),),
    "numa-unknown": (broken(two_nodes("0-15", "-1")),),
}

WORKING: dict[str, Make] = {
    "one GPU": broken(),
    "two GPUs": pair(),
    "two GPUs on one bridge, peers off": pair(variables(NCCL_P2P_DISABLE="1"), kind="PHB"),
    "in a container": broken(in_docker),
    "without nvidia-smi": broken(without("usr/bin/nvidia-smi")),
    "Docker with the toolkit": broken(toolkit, configured, docker(Runtimes=NVIDIA)),
    "Docker with device links": broken(
        toolkit,
        docker(Runtimes=NVIDIA, CgroupDriver="systemd"),
        lambda host: host.write("dev/char/195:0", ""),
    ),
    "Docker on another host": broken(docker(), variables(DOCKER_HOST="tcp://other.example:2376")),
    "rootless Docker": broken(
        toolkit, no_cgroups, docker(Runtimes=NVIDIA, SecurityOptions=["name=rootless"])
    ),
    "Podman with a specification": broken(podman, toolkit, specification()),
    "specifications in two folders": broken(specification(), specification("var/run/cdi/nvidia.json")),
    "MIG with instances": broken(mig="Enabled", mig_pending="Enabled", instances="2"),
    "exclusive and free": broken(mode="Exclusive_Process"),
    "exclusive with MPS": broken(
        mps(number="77"),
        lambda host: host.write("proc/77/comm", "nvidia-cuda-mps"),
        mode="Exclusive_Process",
        processes="2",
    ),
    "at its power limit, and idle": broken(slow="sw_power_cap gpu_idle"),
    "a Tegra": broken(
        without("dev/nvidia-uvm", "dev/nvidiactl"),
        lambda host: host.write("proc/device-tree/compatible", "nvidia,p3737-0000\0nvidia,tegra234\0"),
    ),
    "InfiniBand": broken(adapter, variables(NCCL_IB_HCA="mlx5", NCCL_SOCKET_IFNAME="eth")),
    "InfiniBand without the interface lo": broken(adapter, variables(NCCL_SOCKET_IFNAME="^lo,docker")),
    "a choice of GPUs": pair(variables(CUDA_VISIBLE_DEVICES=f"{uuid(1)[:12]},0")),
    "two NUMA nodes": broken(two_nodes("0-15", "1")),
}
