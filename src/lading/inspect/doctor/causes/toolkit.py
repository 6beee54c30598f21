"""GPUs in containers of Docker and Podman: NVIDIA's toolkit, and the Container Device Interface. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host
from lading.inspect.doctor.model import Severity, Sign

_KIND = "nvidia.com/gpu"
_CONFIGURE = "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"
_GENERATE = "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml"


def _has_gpus(host: Host) -> bool:
    """A host, not a container, with GPUs to hand on."""
    return bool(host.gpus.driver.gpus) and not host.container


def _runtimes(document: Mapping[str, Any] | None, key: str) -> Mapping[str, Any]:
    found = document.get(key) if document is not None else None
    return found if isinstance(found, dict) else {}


def _docker_gpus(host: Host) -> str:
    """Why Docker cannot give a container GPUs, as one cause; empty where it can, or is not used."""
    docker, toolkit = host.docker, host.toolkit
    if docker is None or docker.info is None or not docker.local or not _has_gpus(host):
        return ""
    if "nvidia" in _runtimes(docker.info, "Runtimes"):
        return "" if docker.nvidia_there else "runtime-path-broken"
    if toolkit.control is None and toolkit.runtime is None and toolkit.hook is None:
        return "toolkit-missing"
    return (
        "docker-not-restarted"
        if "nvidia" in _runtimes(docker.configuration, "runtimes")
        else "runtime-unregistered"
    )


@cause(
    "toolkit-missing", "Docker cannot give GPUs: NVIDIA's container toolkit is not installed", Area.TOOLKIT,
    Severity.WARNING, "docker: could not select device driver \"\" with capabilities: [[gpu]]",
)  # fmt: skip
def toolkit_missing(host: Host) -> Iterator[Sign]:
    """`docker run --gpus` and compose's `devices` need the package nvidia-container-toolkit of NVIDIA's
    repository on the host. lading's own runs need none.
    """
    if _docker_gpus(host) == "toolkit-missing":
        yield Sign(
            proof=(
                f"{len(host.gpus.driver.gpus)} GPUs, driver {host.gpus.driver.driver}; Docker runs",
                "no nvidia-ctk, nvidia-container-runtime or nvidia-container-runtime-hook in PATH",
            ),
            remedy="sudo apt-get install nvidia-container-toolkit",
        )


@cause(
    "runtime-unregistered", "NVIDIA's toolkit is installed, and Docker was not told", Area.TOOLKIT,
    Severity.WARNING, "docker info: Runtimes; nvidia-ctk runtime configure",
)  # fmt: skip
def runtime_unregistered(host: Host) -> Iterator[Sign]:
    """Installing the package does not change Docker's configuration: `unknown or invalid runtime name:
    nvidia`. The command writes it to `/etc/docker/daemon.json`; Docker reads it when it starts.
    """
    if _docker_gpus(host) == "runtime-unregistered":
        names = ", ".join(sorted(_runtimes(host.docker.info if host.docker else None, "Runtimes")))
        yield Sign(
            proof=(
                f"docker info: Runtimes: {names}",
                "/etc/docker/daemon.json names no runtime nvidia",
                f"toolkit: {host.toolkit.control or host.toolkit.runtime or host.toolkit.hook}",
            ),
            remedy=_CONFIGURE,
        )


@cause(
    "docker-not-restarted", "Docker has not read its new configuration", Area.TOOLKIT, Severity.WARNING,
    "docker info: Runtimes, beside /etc/docker/daemon.json",
)  # fmt: skip
def docker_not_restarted(host: Host) -> Iterator[Sign]:
    """`daemon.json` has NVIDIA's runtime, the running daemon has not: it started before the file was
    written.
    """
    if _docker_gpus(host) == "docker-not-restarted":
        names = ", ".join(sorted(_runtimes(host.docker.info if host.docker else None, "Runtimes")))
        yield Sign(
            proof=("/etc/docker/daemon.json: runtimes: nvidia", f"docker info: Runtimes: {names}"),
            remedy="sudo systemctl restart docker",
        )


@cause(
    "runtime-path-broken", "Docker's runtime nvidia leads to no program", Area.TOOLKIT, Severity.WARNING,
    "daemon.json: runtimes.nvidia.path",
)  # fmt: skip
def runtime_path_broken(host: Host) -> Iterator[Sign]:
    """The runtime is registered, and the program it names is gone: the toolkit was removed, or moved by an
    upgrade or an operator. With `default-runtime: nvidia` no container starts at all.
    """
    if _docker_gpus(host) == "runtime-path-broken" and host.docker is not None:
        yield Sign(
            proof=(f"docker info: Runtimes: nvidia: {host.docker.nvidia_path}", "there is no such program"),
            remedy="sudo apt-get install --reinstall nvidia-container-toolkit-base",
        )


def _is_rootless(host: Host) -> bool:
    options = host.docker.info.get("SecurityOptions") if host.docker and host.docker.info else None
    return any("rootless" in str(option) for option in options or ())


@cause(
    "toolkit-no-cgroups", "The toolkit grants no device rules to root's Docker", Area.TOOLKIT,
    Severity.WARNING, "/etc/nvidia-container-runtime/config.toml: no-cgroups",
)  # fmt: skip
def toolkit_no_cgroups(host: Host) -> Iterator[Sign]:
    """`no-cgroups = true` is for rootless engines, which have no device rules. Docker of root has them, and
    its containers see the GPUs' files and may not open them: `Failed to initialize NVML: Unknown Error`,
    from the first second on.
    """
    if (
        host.toolkit.no_cgroups
        and _has_gpus(host)
        and host.docker
        and host.docker.info
        and not _is_rootless(host)
    ):
        yield Sign(
            proof=(
                "/etc/nvidia-container-runtime/config.toml: no-cgroups = true",
                "Docker does not run rootless",
            ),
            remedy="sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups=false --in-place",
        )


@cause(
    "toolkit-rootless-cgroups", "The toolkit wants device rules that rootless Docker cannot set",
    Area.TOOLKIT, Severity.WARNING, "nvidia-container-cli: failed to add device rules: bpf_prog_query",
)  # fmt: skip
def toolkit_rootless_cgroups(host: Host) -> Iterator[Sign]:
    """Docker runs rootless, and the toolkit's configuration lacks `no-cgroups = true`: starting a container
    with GPUs ends with `operation not permitted`.
    """
    registered = host.docker is not None and "nvidia" in _runtimes(host.docker.info, "Runtimes")
    if registered and _has_gpus(host) and _is_rootless(host) and not host.toolkit.no_cgroups:
        yield Sign(
            proof=(
                "docker info: rootless",
                "/etc/nvidia-container-runtime/config.toml: no-cgroups is not true",
            ),
            remedy="sudo nvidia-ctk config --set nvidia-container-cli.no-cgroups --in-place",
        )


@cause(
    "gpu-loss-ahead", "Containers here will lose their GPUs when systemd reloads", Area.TOOLKIT,
    Severity.WARNING, "NVIDIA/nvidia-container-toolkit issue 48; /dev/char",
)  # fmt: skip
def gpu_loss_ahead(host: Host) -> Iterator[Sign]:
    """systemd keeps the device rules of Docker's containers, and finds GPUs by links in `/dev/char`, which
    are missing here. With the next `systemctl daemon-reload` every running container loses its GPUs: see
    `gpu-lost-after-reload`. The links are gone after a restart; a udev rule makes them each time.
    """
    info = host.docker.info if host.docker is not None else None
    if info is None or not _has_gpus(host) or "nvidia" not in _runtimes(info, "Runtimes"):
        return
    if info.get("CgroupDriver") == "systemd" and not host.toolkit.has_device_links:
        yield Sign(
            proof=("docker info: Cgroup Driver: systemd", "no /dev/char/195:0"),
            remedy="sudo nvidia-ctk system create-dev-char-symlinks --create-all",
        )


@cause(
    "cdi-missing", "Podman cannot give GPUs: no CDI specification", Area.TOOLKIT, Severity.WARNING,
    "Container Device Interface: /etc/cdi, /var/run/cdi",
)  # fmt: skip
def cdi_missing(host: Host) -> Iterator[Sign]:
    """`podman run --device nvidia.com/gpu=all` looks the device up in a specification, which nvidia-ctk
    writes: `unresolvable CDI devices nvidia.com/gpu=all`.
    """
    if host.podman is None or not _has_gpus(host) or host.toolkit.specifications:
        return
    lacking = () if host.toolkit.control else ("and no nvidia-ctk in PATH",)
    yield Sign(
        proof=("/etc/cdi and /var/run/cdi hold no specification", *lacking),
        remedy=_GENERATE if host.toolkit.control else "sudo apt-get install nvidia-container-toolkit",
    )


@cause(
    "cdi-broken", "A CDI specification cannot be read", Area.TOOLKIT, Severity.WARNING,
    "Container Device Interface: cdiVersion, kind, devices",
)  # fmt: skip
def cdi_broken(host: Host) -> Iterator[Sign]:
    """Engines leave such a file out, with a line in their log, and its devices are unknown."""
    for file in host.toolkit.specifications:
        if file.fault:
            yield Sign(
                proof=(f"{file.path}: {file.fault}",),
                remedy=_GENERATE if "nvidia" in file.path else f"cat {file.path}",
            )


@cause(
    "cdi-stale", "A CDI specification is of an earlier driver", Area.TOOLKIT, Severity.WARNING,
    "hostPath of its mounts and devices",
)  # fmt: skip
def cdi_stale(host: Host) -> Iterator[Sign]:
    """The specification names each file of the driver, with its version. After an upgrade they are gone, and
    containers with GPUs do not start: `error mounting … no such file or directory`. Write it anew after
    each upgrade, or let `nvidia-cdi-refresh.service` of toolkit 1.18 do it.
    """
    driver = host.gpus.driver.driver
    if driver is None or host.container:
        return
    for file in host.toolkit.specifications:
        other = [version for version in file.versions if version != driver]
        if file.kind.startswith("nvidia.com/") and (other or file.missing):
            facts = [f"{file.path} is of driver {version}, and {driver} is loaded" for version in other]
            facts += [f"{file.path} names {path}, which is not there" for path in file.missing]
            yield Sign(proof=tuple(facts), remedy=f"sudo nvidia-ctk cdi generate --output={file.path}")


@cause(
    "cdi-conflict", "Two CDI specifications name the same device", Area.TOOLKIT, Severity.WARNING,
    "Container Device Interface: conflicts within a folder",
)  # fmt: skip
def cdi_conflict(host: Host) -> Iterator[Sign]:
    """Within one folder none has precedence, and engines refuse the device. Mostly a copy that was kept
    beside the new one.
    """
    names: dict[tuple[str, str], list[str]] = {}
    for file in host.toolkit.specifications:
        for device, count in Counter(file.devices).items():
            key = (str(PurePath(file.path).parent), f"{file.kind}={device}")
            names.setdefault(key, []).extend([file.path] * count)
    found: dict[tuple[str, ...], str] = {}
    for (_, device), paths in names.items():
        if len(paths) > 1:
            found.setdefault(tuple(paths), device)
    for both, device in found.items():
        yield Sign(proof=(f"{device} is in {' and in '.join(both)}",), remedy=f"sudo rm {both[-1]}")
