"""The system calls Python 3.11 does not offer, one function each. Knows numbers, nothing of lading.

Every function raises OSError. Sources: unshare(2), setns(2), mount(2), mount_setattr(2), open_tree(2),
move_mount(2), pivot_root(2), prctl(2), capset(2), netdevice(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4

_AT_FDCWD = -100
_AT_EMPTY_PATH = 0x1000
_AT_RECURSIVE = 0x8000
_OPEN_TREE_CLONE = 0x1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_MOVE_MOUNT_T_EMPTY_PATH = 0x40

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_LAST_CAPABILITY = 40
_CAPABILITY_VERSION_3 = 0x20080522

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442  # one number on every architecture since Linux 5.1
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.mount.argtypes = (
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_char_p,
    ctypes.c_ulong,
    ctypes.c_char_p,
)


def _check(result: int, what: str) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)
    return result


def _syscall(number: int, what: str, *arguments: object) -> int:
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return _check(_libc.syscall(ctypes.c_long(number), *converted), what)


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, kind: int) -> None:
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def mount(source: str, target: str, file_system: str, flags: int = 0, options: str = "") -> None:
    """`target` is followed when it is a link; name places inside a container by /proc/self/fd/N only."""
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), file_system.encode(), flags, os.fsencode(options) or None
    )
    _check(result, f"mount {file_system or 'flags'} on {target}")


def unmount(target: str) -> None:
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(MNT_DETACH)), "umount2")


def clone_mount(source: int | str) -> int:
    """A detached recursive bind of a path or an open directory or file; the caller closes the descriptor."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | _AT_RECURSIVE
    if isinstance(source, int):
        return _syscall(_OPEN_TREE, "open_tree", source, b"", flags | _AT_EMPTY_PATH)
    return _syscall(_OPEN_TREE, "open_tree", _AT_FDCWD, os.fsencode(source), flags)


def restrict_mount(descriptor: int, attributes: int, *, recursive: bool = True) -> None:
    """Add MOUNT_ATTR_* to a mount, by default to all below it as well."""
    value = struct.pack("=QQQQ", attributes, 0, 0, 0)
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if recursive else 0)
    _syscall(_MOUNT_SETATTR, "mount_setattr", descriptor, b"", flags, value, len(value))


def attach_mount(mount_descriptor: int, target_descriptor: int) -> None:
    """Put a detached mount onto an open target; no path is walked, so no link is followed."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    _syscall(_MOVE_MOUNT, "move_mount", mount_descriptor, b"", target_descriptor, b"", flags)


def pivot_root_here() -> None:
    """Make the current folder, a mount, the root, and take the old root away."""
    _syscall(_PIVOT_ROOT[os.uname().machine], "pivot_root", b".", b".")
    unmount(".")
    os.chdir("/")


def set_hostname(name: str) -> None:
    encoded = name.encode()
    _check(_libc.sethostname(encoded, ctypes.c_size_t(len(encoded))), "sethostname")


def bring_loopback_up() -> None:
    """In a new network namespace the loopback interface exists and is down."""
    descriptor = _check(_libc.socket(2, 2 | os.O_CLOEXEC, 0), "socket")
    try:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        name, flags, _ = struct.unpack("16sH14s", fcntl.ioctl(descriptor, _SIOCGIFFLAGS, request))
        fcntl.ioctl(descriptor, _SIOCSIFFLAGS, struct.pack("16sH14s", name, flags | _IFF_UP, b""))
    finally:
        os.close(descriptor)


def _prctl(option: int, argument: int, what: str, third: int = 0) -> None:
    converted = [ctypes.c_ulong(value) for value in (argument, third, 0, 0)]
    _check(_libc.prctl(ctypes.c_int(option), *converted), what)


def die_with_parent(signal_number: int) -> None:
    """Cleared by a change of credentials: call it after the last one."""
    _prctl(_PR_SET_PDEATHSIG, signal_number, "prctl PDEATHSIG")


def adopt_orphans(wanted: bool = True) -> None:
    """Become the parent of descendants whose own parent has gone."""
    _prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), "prctl CHILD_SUBREAPER")


def hide_memory() -> None:
    """Nobody without CAP_SYS_PTRACE on the host reads this process's memory or environment."""
    _prctl(_PR_SET_DUMPABLE, 0, "prctl DUMPABLE")


def forbid_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "prctl NO_NEW_PRIVS")


def drop_bounding_capabilities() -> None:
    """So that not even a set-uid program gains one. Needs CAP_SETPCAP."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            _prctl(_PR_CAPBSET_DROP, capability, "prctl CAPBSET_DROP")
        except OSError as error:
            if error.errno != 22:  # EINVAL: this kernel has fewer
                raise


def drop_capabilities() -> None:
    """Empty the permitted, effective, inheritable and ambient sets."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, "prctl CAP_AMBIENT")
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def sync_file_system(descriptor: int) -> None:
    _check(_libc.syncfs(ctypes.c_int(descriptor)), "syncfs")
