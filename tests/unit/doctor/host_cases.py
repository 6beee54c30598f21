"""What breaks a plain host, one thing at a time: cause → ways to bring it about."""

from __future__ import annotations

import base64
import errno
import json
from datetime import timedelta

from doctor.hosts import Break, FakeHost
from lading.engine.embedded.probe import Trial
from lading.inspect.doctor.machine import Space

PROXY = "http://proxy.example:3128"
FULL = Space(free_bytes=1 << 30, total_bytes=500 << 30, free_inodes=10_000_000, total_inodes=30_000_000)
NO_INODES = Space(free_bytes=200 << 30, total_bytes=500 << 30, free_inodes=12, total_inodes=30_000_000)
SMALL = Space(free_bytes=64 << 20, total_bytes=64 << 20, free_inodes=1000, total_inodes=1000)


def refused(stage: str, number: int, **status: str) -> Break:
    def change(host: FakeHost) -> None:
        host.status |= status
        host.refuse(stage, number)

    return change


def setting(path: str, text: str, stage: str, number: int, **status: str) -> Break:
    def change(host: FakeHost) -> None:
        host.write(path, text)
        refused(stage, number, **status)(host)

    return change


def in_docker(host: FakeHost) -> None:
    host.write(".dockerenv", "")


def docker_on_ubuntu(host: FakeHost) -> None:
    """Docker's default profile on Ubuntu 24.04: its setting is seen inside, and is not what refuses."""
    in_docker(host)
    setting(
        "proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "unshare", errno.EPERM, Seccomp="2"
    )(host)


def apparmor_profile(host: FakeHost) -> None:
    in_docker(host)
    host.write("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n")
    setting("proc/self/attr/current", "docker-default (enforce)\n", "private mounts", errno.EACCES)(host)


def selinux(host: FakeHost) -> None:
    host.write("run/.containerenv", "")
    host.write("sys/fs/selinux/enforce", "1")
    setting(
        "proc/self/attr/current", "system_u:system_r:container_t:s0:c1,c2\0", "private mounts", errno.EACCES
    )(host)


def no_overlay(host: FakeHost) -> None:
    host.write("proc/filesystems", "nodev\tproc\n\text4\n")
    host.refuse("overlay", errno.EPERM)


def old_kernel(host: FakeHost) -> None:
    host.write("proc/sys/kernel/osrelease", "4.18.0-553.el8.x86_64\n")
    host.refuse("bind", errno.ENOSYS)


def no_cgroups(host: FakeHost) -> None:
    host.cgroup_options = ""


def memory_off(host: FakeHost) -> None:
    group = "sys/fs/cgroup/user.slice/app.scope"
    host.write(f"{group}/cgroup.controllers", "cpu pids\n")
    host.write("proc/cmdline", "root=/dev/mmcblk0p2 cgroup_disable=memory quiet\n")


def read_only_cgroups(host: FakeHost) -> None:
    host.cgroup_options = "ro,nosuid"
    host.closed.add(host.root / "sys/fs/cgroup")


def undelegated(host: FakeHost) -> None:
    host.closed.add(host.root / "sys/fs/cgroup")


def undelegated_split(host: FakeHost) -> None:
    """Version 1, where each controller has a tree of its own."""
    host.cgroup_options = ""
    host.mounts += [
        f"4{n} 25 0:3 / /sys/fs/cgroup/{n} rw - cgroup c rw,{n}" for n in ("memory", "cpu", "pids")
    ]
    host.write("proc/self/cgroup", "3:memory:/user\n2:cpu:/user\n1:pids:/user\n")
    undelegated(host)


def small_memory(host: FakeHost) -> None:
    host.write("sys/fs/cgroup/user.slice/app.scope/memory.max", f"{512 << 20}\n")


def no_home(host: FakeHost) -> None:
    del host.environment["HOME"]


def read_only_store(host: FakeHost) -> None:
    host.mount(host.home, "ext4", "ro")
    host.closed.add(host.home)


def squashed(host: FakeHost) -> None:
    host.status["Uid"] = "0\t0\t0\t0"
    host.mount(host.home, "nfs4", source="files:/home")
    host.closed.add(host.home)


def of_root(host: FakeHost) -> None:
    host.store.mkdir(parents=True)
    host.closed.add(host.store)


def nobodys_home(host: FakeHost) -> None:
    (host.root / "srv").mkdir()
    host.environment["HOME"] = str(host.root / "srv/nobody")
    host.closed.add(host.root / "srv")


def kind(name: str, options: str = "rw") -> Break:
    def change(host: FakeHost) -> None:
        host.mount(host.home, name, options, source="files:/home")

    return change


def on_nfs_without_upper(host: FakeHost) -> None:
    kind("nfs4")(host)
    host.trial = Trial(failure=None, user_namespace=True, disk_scratch=False)


def in_container(host: FakeHost) -> None:
    in_docker(host)
    host.mounts[0] = "25 1 0:50 / / rw,relatime - overlay overlay rw"
    host.trial = Trial(failure=None, user_namespace=True, disk_scratch=False)


def on_old_xfs(host: FakeHost) -> None:
    kind("xfs")(host)
    host.trial = Trial(failure=None, user_namespace=True, disk_scratch=False)


def without(*paths: str) -> Break:
    def change(host: FakeHost) -> None:
        for path in paths:
            (host.root / path).unlink()

    return change


def space(value: Space) -> Break:
    def change(host: FakeHost) -> None:
        host.space[str(host.home)] = value

    return change


def variables(**values: str) -> Break:
    def change(host: FakeHost) -> None:
        host.environment |= values

    return change


def unreachable(host: FakeHost) -> None:
    host.environment |= {"HTTPS_PROXY": "http://127.0.0.1:3128", "NO_PROXY": "localhost"}
    host.refused[("127.0.0.1", 3128)] = "Connection refused"


def bundle(variable: str, text: str | None) -> Break:
    def change(host: FakeHost) -> None:
        path = host.root / "company.pem"
        if text is not None:
            path.write_text(text)
        host.environment |= {variable: str(path), "SSL_CERT_FILE": str(path)}

    return change


def bundle_for_pip_alone(host: FakeHost) -> None:
    path = host.write("company.pem", "-----BEGIN CERTIFICATE-----\n")
    host.environment["REQUESTS_CA_BUNDLE"] = str(path)


def clock(host: FakeHost) -> None:
    host.now -= timedelta(days=3000)


def auths(document: object, mode: int = 0o600) -> Break:
    return lambda host: host.auths(document, mode)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def token(document: object) -> str:
    return encoded(json.dumps(document))


def desktop_helper(host: FakeHost) -> None:
    host.command("docker-credential-secretservice")
    host.auths({"credsStore": "secretservice"})


def docker_words(words: str, **environment: str) -> Break:
    def change(host: FakeHost) -> None:
        host.no_docker(words)
        host.environment |= environment

    return change


STOPPED = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
DENIED = "permission denied while trying to connect to the Docker daemon socket"


def answering(words: str) -> Break:
    """A daemon that listens and answers with an error."""

    def change(host: FakeHost) -> None:
        host.no_docker(words)
        host.write("var/run/docker.sock", "")

    return change


def stopped_in_json(host: FakeHost) -> None:
    """Some releases of Docker's client end with 0 all the same."""
    host.prints("docker", json.dumps({"ServerErrors": [STOPPED], "ClientInfo": {}}))


def broken_configuration(host: FakeHost) -> None:
    host.no_docker(STOPPED)
    host.write("etc/docker/daemon.json", '{"runtimes": {},}')


def docker_full(host: FakeHost) -> None:
    host.docker(DockerRootDir="/data/docker")
    (host.root / "data/docker").mkdir(parents=True)
    host.space[str(host.root / "data")] = FULL
    host.mount(host.root / "data", "xfs", source="/dev/sdb1")


def docker_without_proxy(host: FakeHost) -> None:
    host.docker()
    host.environment |= {"HTTPS_PROXY": PROXY, "NO_PROXY": "localhost"}


def hanging_docker(host: FakeHost) -> None:
    host.command("docker", "exec /usr/bin/tail -f /dev/null")
    host.patience = 0.05


def socks(host: FakeHost) -> None:
    host.environment |= {"ALL_PROXY": "socks5://proxy.example:1080", "NO_PROXY": "localhost"}
    host.modules = set()


def no_subids(host: FakeHost) -> None:
    host.command("podman")
    host.command("newuidmap")
    host.write("etc/subuid", "grace:100000:65536\n")


def no_mapper(host: FakeHost) -> None:
    host.command("podman")
    host.write("etc/subuid", "ada:100000:65536\n")


def small_shm(host: FakeHost) -> None:
    in_docker(host)
    host.space[str(host.root / "dev/shm")] = SMALL


def no_shm(host: FakeHost) -> None:
    (host.root / "dev/shm").rmdir()


CASES: dict[str, tuple[Break, ...]] = {
    "kernel-too-old": (old_kernel,),
    "userns-off": (setting("proc/sys/user/max_user_namespaces", "0\n", "unshare", errno.ENOSPC),),
    "userns-limit": (setting("proc/sys/user/max_user_namespaces", "15000\n", "unshare", errno.ENOSPC),),
    "userns-root-only": (
        setting("proc/sys/kernel/unprivileged_userns_clone", "0\n", "unshare", errno.EPERM),
    ),
    "seccomp": (
        refused("unshare", errno.EPERM, Seccomp="2"),
        docker_on_ubuntu,
        refused("bind", errno.ENOSYS, Seccomp="2"),
    ),
    "apparmor-userns": (
        setting("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "unshare", errno.EPERM),
        setting("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n", "map", errno.EACCES),
    ),
    "apparmor-profile": (apparmor_profile,),
    "selinux": (selinux,),
    "proc-masked": (refused("proc", errno.EPERM),),
    "overlay-missing": (no_overlay, refused("overlay", errno.ENODEV)),
    "overlay-refused": (refused("overlay", errno.EPERM),),
    "namespaces-refused": (refused("unshare", errno.EPERM), refused("host name", errno.EPERM)),
    "cgroups-missing": (no_cgroups,),
    "cgroup-memory-off": (memory_off,),
    "cgroups-read-only": (read_only_cgroups,),
    "cgroups-not-delegated": (undelegated, undelegated_split),
    "memory-limit-small": (small_memory,),
    "home-unset": (no_home,),
    "store-read-only": (read_only_store,),
    "root-squash": (squashed,),
    "store-of-another": (of_root,),
    "store-not-writable": (nobodys_home,),
    "disk-full": (space(FULL),),
    "inodes-used-up": (space(NO_INODES),),
    "store-on-network": (kind("nfs4"), kind("lustre"), on_nfs_without_upper),
    "store-in-memory": (kind("tmpfs"),),
    "store-in-container": (in_container,),
    "store-noexec": (kind("ext4", "rw,noexec"),),
    "scratch-in-memory": (on_old_xfs,),
    "proxy-malformed": (
        variables(HTTPS_PROXY="http://:3128", NO_PROXY="localhost"),
        variables(https_proxy="http://ada:p/w@proxy.example:3128", no_proxy="*"),
        variables(HTTPS_PROXY="ftp://proxy.example", NO_PROXY="localhost"),
    ),
    "proxy-socks": (socks,),
    "proxy-unreachable": (unreachable,),
    "proxy-for-loopback": (variables(HTTPS_PROXY=PROXY), variables(https_proxy=PROXY, no_proxy=".example")),
    "proxy-two-values": (
        variables(HTTPS_PROXY=PROXY, https_proxy="http://other.example:8080", NO_PROXY="localhost"),
    ),
    "proxy-http-only": (variables(HTTP_PROXY=PROXY, NO_PROXY="127.0.0.1"),),
    "certificates-missing": (bundle("SSL_CERT_FILE", None),),
    "certificates-empty": (bundle("SSL_CERT_FILE", ""), bundle("SSL_CERT_FILE", "\x30\x82")),
    "certificates-not-for-uv": (bundle_for_pip_alone,),
    "clock-behind": (clock,),
    "mirror-unknown": (
        without("etc/apt/sources.list"),
        without("etc/apt/sources.list", "bin/gpgv"),
        lambda host: host.write("etc/apt/sources.list", "deb https://mirror.example/ubuntu noble main\n"),
    ),
    "verifier-missing": (without("bin/gpgv"),),
    "wheel-folder-missing": (
        variables(UV_FIND_LINKS="/mnt/wheels"),
        variables(PIP_FIND_LINKS="https://wheels.example/ wheels"),
    ),
    "credentials-broken": (auths('{"auths": {},}'), auths("[]")),
    "credentials-open": (auths({"auths": {"registry.example": {"auth": encoded("ada:pw")}}}, 0o644),),
    "helper-missing": (auths({"credsStore": "desktop.exe"}), auths({"credHelpers": {"r.example": "gcloud"}})),
    "helper-without-desktop": (desktop_helper,),
    "log-in-empty": (auths({"auths": {"registry.example": {}}}),),
    "log-in-garbled": (auths({"auths": {"registry.example": {"auth": "ada:pw"}}}),),
    "log-in-expired": (
        auths(
            {"auths": {"1.dkr.ecr.eu.example": {"auth": encoded("AWS:" + token({"expiration": 1700000000}))}}}
        ),
        auths({"auths": {"r.example": {"identitytoken": f"{token({})}.{token({'exp': 1700000000})}.c2ln"}}}),
    ),
    "docker-stopped": (
        docker_words(STOPPED),
        docker_words(f"WARNING: Error loading config file: open /root/.docker: permission denied {STOPPED}"),
        stopped_in_json,
    ),
    "docker-permission": (docker_words(DENIED),),
    "docker-hangs": (hanging_docker,),
    "docker-versions": (
        answering("Error response from daemon: client version 1.41 is too old. Minimum API version is 1.44"),
    ),
    "docker-fails": (
        answering("Error response from daemon: layer store: input/output error"),
        answering("something that nobody has seen yet"),
    ),
    "docker-host-wrong": (
        docker_words(
            "error during connect: dial tcp: lookup old.example: no such host",
            DOCKER_HOST="tcp://old.example:2375",
        ),
        docker_words(STOPPED, DOCKER_HOST="unix:///run/user/1234/docker.sock"),
    ),
    "docker-configuration": (broken_configuration,),
    "docker-vfs": (lambda host: host.docker(Driver="vfs"),),
    "docker-disk-full": (docker_full,),
    "docker-without-proxy": (docker_without_proxy,),
    "podman-subids": (no_subids,),
    "podman-newuidmap": (no_mapper,),
    "shared-memory-small": (small_shm,),
    "shared-memory-missing": (no_shm,),
}


def root(host: FakeHost) -> None:
    host.status |= {"Uid": "0\t0\t0\t0", "CapEff": "000001ffffffffff"}


def idle_podman(host: FakeHost) -> None:
    host.command("podman")
    host.command("newuidmap")
    host.write("etc/subuid", "ada:100000:65536\n")


def kept_by_helper(host: FakeHost) -> None:
    host.command("docker-credential-pass")
    host.auths({"auths": {"registry.example": {}}, "credsStore": "pass"})


WORKING = {
    "plain": lambda path: FakeHost(path),
    **{
        name: (lambda path, change=change: (host := FakeHost(path), change(host))[0])  # type: ignore[misc]
        for name, change in {
            "root": root,
            "Docker": lambda host: host.docker(),
            "Podman": idle_podman,
            "Podman called docker": lambda host: host.prints(
                "docker", '{"host": {}, "store": {}, "version": {}}'
            ),
            "Docker in a virtual machine, with a proxy": lambda host: (
                host.docker(ClientInfo={"Context": "desktop-linux"}),
                host.environment.update(HTTPS_PROXY=PROXY, NO_PROXY="localhost"),
            ),
            "a proxy": variables(
                HTTPS_PROXY=PROXY, HTTP_PROXY=PROXY, https_proxy=PROXY, NO_PROXY="localhost,.example"
            ),
            "a log-in": auths({"auths": {"registry.example": {"auth": encoded("ada:pw")}}}),
            "a helper": kept_by_helper,
            "a token that holds": auths(
                {"auths": {"r.example": {"auth": encoded("AWS:" + token({"expiration": 1900000000}))}}}
            ),
            "a mirror by variable": lambda host: (
                without("etc/apt/sources.list")(host),
                host.environment.update(LADING_DEBIAN_MIRROR="https://mirror.example/debian"),
            ),
            "certificates for pip": lambda host: host.environment.update(
                PIP_CERT=str(host.write("company.pem", "-----BEGIN CERTIFICATE-----\n"))
            ),
            "certificates": bundle("REQUESTS_CA_BUNDLE", "-----BEGIN CERTIFICATE-----\n"),
            "a start that works without user namespaces": lambda host: host.write(
                "proc/sys/user/max_user_namespaces", "0\n"
            ),
            "a small /dev/shm that containers do not use": lambda host: host.space.update(
                {str(host.root / "dev/shm"): SMALL}
            ),
        }.items()
    },
}
