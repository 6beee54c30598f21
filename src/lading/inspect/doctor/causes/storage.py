"""Where the store stands: may it be written, is there room, what kind of file system. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from lading.inspect.doctor.cause import Area, cause
from lading.inspect.doctor.host import Host, Place
from lading.inspect.doctor.model import Severity, Sign

_NETWORK = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "lustre",
        "gpfs",
        "beegfs",
        "ceph",
        "afs",
        "9p",
        "fuse.sshfs",
        "fuse.glusterfs",
        "fuse.ceph",
        "fuse.juicefs",
        "fuse.s3fs",
        "fuse.lustre",
        "wekafs",
    ]
)
_MEMORY = frozenset({"tmpfs", "ramfs"})
_LITTLE_BYTES = 2 << 30
_FEW_INODES = 20_000
_ELSEWHERE = "export LADING_HOME=/var/tmp/$USER/lading"


def _kind(place: Place) -> str:
    return place.mount.kind if place.mount is not None else ""


def _where(place: Place) -> str:
    mount = place.mount
    told = f" on {mount.target} ({mount.kind} of {mount.source})" if mount is not None else ""
    return f"the store {place.path}{told}"


def unwritable(host: Host) -> str:
    """Why the store cannot be written, as one cause; empty where it can."""
    place = host.store
    if place is None:
        return "home-unset"
    if place.writable:
        return ""
    if place.mount is not None and "ro" in place.mount.options:
        return "store-read-only"
    if host.euid == 0 and _kind(place) in _NETWORK:
        return "root-squash"
    if place.path == place.nearest and place.owner not in (host.euid, -1):
        return "store-of-another"
    return "store-not-writable"


def _unwritable(host: Host, name: str, *facts: str, remedy: str) -> Iterator[Sign]:
    if unwritable(host) == name:
        told = (_where(host.store),) if host.store is not None else ()
        yield Sign(proof=(*told, *facts), remedy=remedy)


@cause(
    "home-unset", "No folder for the store", Area.STORAGE, Severity.ERROR,
    "LADING_HOME, XDG_DATA_HOME, HOME",
)  # fmt: skip
def home_unset(host: Host) -> Iterator[Sign]:
    """Services, cron jobs and containers of a bare uid often have no HOME; then there is no place for the
    store.
    """
    yield from _unwritable(
        host, "home-unset", "LADING_HOME, XDG_DATA_HOME and HOME are not set", remedy=_ELSEWHERE
    )


@cause(
    "store-read-only", "The store is on a file system that is mounted read-only", Area.STORAGE,
    Severity.ERROR, "mount options in /proc/self/mountinfo",
)  # fmt: skip
def store_read_only(host: Host) -> Iterator[Sign]:
    """A container with a read-only root, a read-only volume, or a disk that the kernel made read-only after
    errors (`dmesg | grep -i remount`).
    """
    yield from _unwritable(host, "store-read-only", "mounted with the option ro", remedy=_ELSEWHERE)


@cause(
    "root-squash", "The file server takes root's rights away", Area.STORAGE, Severity.ERROR,
    "exports(5): root_squash",
)  # fmt: skip
def root_squash(host: Host) -> Iterator[Sign]:
    """This is root, and may not write a home on a network file system: the server maps root to nobody
    (`root_squash`, the default of NFS). Work as the user whom the home belongs to, or keep the store
    elsewhere.
    """
    yield from _unwritable(host, "root-squash", "uid 0 may not write there", remedy=_ELSEWHERE)


@cause(
    "store-of-another", "The store belongs to another user", Area.STORAGE, Severity.ERROR,
    "owner of the store",
)  # fmt: skip
def store_of_another(host: Host) -> Iterator[Sign]:
    """Mostly after `sudo lading …`, which leaves a store of root's in the user's home. One store is for one
    user.
    """
    place = host.store
    if place is not None:
        yield from _unwritable(
            host,
            "store-of-another",
            f"it belongs to uid {place.owner}, and this is uid {host.euid}",
            remedy=f"sudo chown -R {host.euid} {place.path}",
        )


@cause(
    "store-not-writable", "The store cannot be made or written", Area.STORAGE, Severity.ERROR, "access(2)",
)  # fmt: skip
def store_not_writable(host: Host) -> Iterator[Sign]:
    """The folder of the store, or the nearest above it that is there, may not be written by this user, and
    neither a read-only mount nor another owner of the store explains it: mostly a HOME that does not
    exist.
    """
    place = host.store
    if place is not None:
        yield from _unwritable(
            host,
            "store-not-writable",
            f"{place.nearest} is not writable for uid {host.euid}",
            remedy=_ELSEWHERE,
        )


@cause(
    "disk-full", "Less than 2 GB is free for the store", Area.STORAGE, Severity.ERROR, "statvfs(3)",
)  # fmt: skip
def disk_full(host: Host) -> Iterator[Sign]:
    """The wheels of one image with CUDA take 3 GB and more. `lading store gc` removes what no image, run or
    model needs; `lading store` says what takes how much. Another thing than a lack of inodes, which `df
    -i` shows.
    """
    place = host.store
    if place is not None and place.space is not None and place.space.free_bytes < _LITTLE_BYTES:
        yield Sign(
            proof=(
                _where(place),
                f"{place.space.free_bytes / 1e9:.1f} GB of {place.space.total_bytes / 1e9:.0f} GB free",
            ),
            remedy="lading store gc",
        )


@cause(
    "inodes-used-up", "There is room, but hardly a file can be made any more", Area.STORAGE, Severity.ERROR,
    "statvfs(3): f_favail",
)  # fmt: skip
def inodes_used_up(host: Host) -> Iterator[Sign]:
    """File systems such as ext4 have a fixed number of inodes, one a file; an unpacked image has some ten
    thousand files. The message is `No space left on device`, while `df` shows free space; `df -i` shows
    the truth.
    """
    place = host.store
    if place is None or place.space is None or not place.space.total_inodes:
        return
    if place.space.free_inodes < _FEW_INODES:
        yield Sign(
            proof=(
                _where(place),
                f"{place.space.free_inodes} of {place.space.total_inodes} inodes free (`df -i`)",
            ),
            remedy="lading store gc",
        )


@cause(
    "store-on-network", "The store is on a network file system", Area.STORAGE, Severity.WARNING,
    "overlayfs.rst: NFS cannot be the upper layer; flock(2) over NFS",
)  # fmt: skip
def store_on_network(host: Host) -> Iterator[Sign]:
    """Homes on NFS, Lustre, GPFS and the like: many small files are slow there, locks between hosts are not
    sure, and what containers write goes to memory, since such a file system cannot be an overlay's upper
    layer. Keep the store on a disk of the host; on a cluster, on the node's scratch.
    """
    place = host.store
    if place is not None and place.writable and _kind(place) in _NETWORK:
        yield Sign(proof=(_where(place),), remedy=_ELSEWHERE)


@cause(
    "store-in-memory", "The store is in memory", Area.STORAGE, Severity.WARNING, "tmpfs(5)",
)  # fmt: skip
def store_in_memory(host: Host) -> Iterator[Sign]:
    """Layers of several gigabytes take memory that training needs, and are gone after a restart."""
    place = host.store
    if place is not None and place.writable and _kind(place) in _MEMORY:
        yield Sign(proof=(_where(place),), remedy=_ELSEWHERE)


@cause(
    "store-in-container", "The store goes with this container", Area.STORAGE, Severity.INFO,
    "the container's own overlay is removed with it",
)  # fmt: skip
def store_in_container(host: Host) -> Iterator[Sign]:
    """The store is in the container's own layer: images, runs and models are gone when it is removed, and
    nothing is there the next time. Mount a volume and name it.
    """
    place = host.store
    if place is not None and place.writable and host.container and _kind(place) == "overlay":
        yield Sign(proof=(_where(place), f"this is a container ({host.container})"), remedy=_ELSEWHERE)


@cause(
    "store-noexec", "Programs may not be started from the store", Area.STORAGE, Severity.ERROR,
    "mount(8): noexec",
)  # fmt: skip
def store_noexec(host: Host) -> Iterator[Sign]:
    """The file system of the store is mounted `noexec`. The image's Python is started from there, to compile
    bytecode while building and, at levels chroot and process, to run.
    """
    place = host.store
    if place is not None and place.writable and place.mount is not None and "noexec" in place.mount.options:
        yield Sign(proof=(_where(place), "mounted with the option noexec"), remedy=_ELSEWHERE)


@cause(
    "scratch-in-memory", "What containers write is kept in memory", Area.STORAGE, Severity.INFO,
    "overlayfs.rst: requirements of the upper file system",
)  # fmt: skip
def scratch_in_memory(host: Host) -> Iterator[Sign]:
    """The store's file system cannot be the upper layer of an overlay (no d_type, no user xattrs, or an
    overlay itself), so files that a container writes outside its outputs are in memory, and count as
    such.
    """
    place = host.store
    known = place is None or _kind(place) in _NETWORK | {"overlay"}
    if place is not None and not known and host.kernel.obstacle is None and not host.kernel.disk_scratch:
        yield Sign(proof=(_where(place), "an overlay mount is granted in memory only"), remedy=_ELSEWHERE)
