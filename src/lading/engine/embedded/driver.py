"""The host's NVIDIA driver in a container: device files, libraries and programs as binds. Pure.

No toolkit is needed for it: CUDA programs carry everything but the driver's own libraries, which must be
those of the loaded kernel module. They stand in one folder, in front of whatever driver an image may hold.
"""

from __future__ import annotations

from dataclasses import replace

from lading.engine.embedded.plan import ContainerPlan, Place
from lading.engine.gpus import gpu_environment
from lading.engine.nvidia import Gpu, HostGpus

FOLDER = "/lading/nvidia"


def with_gpus(plan: ContainerPlan, gpus: tuple[Gpu, ...], host: HostGpus) -> ContainerPlan:
    """`plan` with these `gpus` of `host`."""
    devices = {f"nvidia{gpu.index}": gpu.device for gpu in gpus} | dict(host.devices or {})
    files = {f"lib/{name}": path for name, path in (host.libraries or {}).items()}
    files |= {f"bin/{name}": path for name, path in (host.programs or {}).items()}
    places = tuple(
        Place(target=f"{FOLDER}/{name}", source=path, read_only=True) for name, path in sorted(files.items())
    )
    environment = {**plan.payload.environment, **gpu_environment(gpus)}
    environment["LD_LIBRARY_PATH"] = _joined(f"{FOLDER}/lib", environment.get("LD_LIBRARY_PATH"))
    if host.programs and (path := environment.get("PATH")):
        environment["PATH"] = f"{path}:{FOLDER}/bin"
    payload = replace(plan.payload, environment=environment)
    return replace(plan, payload=payload, devices=devices, places=(*plan.places, *places))


def _joined(*folders: str | None) -> str:
    return ":".join(folder for folder in folders if folder)
