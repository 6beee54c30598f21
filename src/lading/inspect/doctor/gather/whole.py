"""`gather_host`: everything the causes of a host judge by. Reads and asks; never raises."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from lading.errors import LadingError
from lading.inspect.doctor.gather.answers import ask_all
from lading.inspect.doctor.gather.engines import gather_docker, gather_podman
from lading.inspect.doctor.gather.fabric import gather_fabric
from lading.inspect.doctor.gather.gpus import gather_gpus
from lading.inspect.doctor.gather.kernel import gather_cgroups, gather_kernel
from lading.inspect.doctor.gather.network import gather_network
from lading.inspect.doctor.gather.registry import gather_log_ins
from lading.inspect.doctor.gather.sources import gather_sources
from lading.inspect.doctor.gather.storage import gather_place, parse_mounts
from lading.inspect.doctor.gather.toolkit import gather_toolkit
from lading.inspect.doctor.host import Host, Need
from lading.inspect.doctor.machine import Machine, is_file
from lading.store.home import store_root


def gather_host(machine: Machine, *, online: bool = False) -> Host:
    """`online`: the indexes, mirrors and registries that are configured are asked, too."""
    mounts = parse_mounts(machine.text("/proc/self/mountinfo"))
    store = None
    with contextlib.suppress(LadingError):
        store = gather_place(machine, store_root(machine.environment), mounts)
    kernel = gather_kernel(machine, store)  # forks: before there are threads
    euid = kernel.evidence.euid
    gpus = gather_gpus(machine, mounts, euid)
    sources, log_ins = gather_sources(machine), gather_log_ins(machine)
    with ThreadPoolExecutor(max_workers=2) as pool:
        docker = pool.submit(gather_docker, machine, mounts)
        network = pool.submit(gather_network, machine)
        return Host(
            now=machine.now,
            euid=euid,
            container=find_container(machine),
            environment=machine.environment,
            kernel=kernel,
            cgroups=gather_cgroups(machine),
            store=store,
            network=network.result(),
            sources=sources,
            log_ins=log_ins,
            answers=ask_all(machine, sources, log_ins) if online else (),
            docker=docker.result(),
            podman=gather_podman(machine, euid),
            gpus=gpus,
            toolkit=gather_toolkit(machine),
            fabric=gather_fabric(machine, mounts),
            needs=tuple(_needs(machine)),
        )


_GROUPS = (("kubepods", "kubernetes"), ("/docker", "docker"), ("libpod", "podman"), ("/lxc", "lxc"))


def find_container(machine: Machine) -> str:
    """What this process runs in; empty for a host of its own."""
    if machine.environment.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    for path, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if machine.exists(path):
            return name
    groups = machine.text("/proc/self/cgroup")
    for word, name in _GROUPS:
        if word in groups:
            return name
    return machine.environment.get("container", "")


def _needs(machine: Machine) -> Iterator[Need]:
    """Of the lock in the folder. A damaged one is for the commands that use it."""
    path = machine.folder / "lading.lock"
    if not is_file(path):
        return
    from lading.lock.lockfile import read_lock

    with contextlib.suppress(LadingError, OSError, UnicodeDecodeError):
        lock = read_lock(path.read_text("utf-8"), str(path))
        for variant in lock.variants:
            for name, target in variant.targets.items():
                if target.cuda is not None:
                    yield Need(target=name, accelerator=variant.accelerator, cuda=target.cuda)
