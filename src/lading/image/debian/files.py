"""The small files, folders and links that scripts of Debian's base packages would leave. Pure."""

from __future__ import annotations

import posixpath
import re

from lading.image.debian.package import OpenedPackage
from lading.image.debian.root import Root
from lading.image.layer.tree import EntryKind

NSSWITCH = b"""\
passwd:         files
group:          files
shadow:         files
hosts:          files dns
networks:       files
protocols:      files
services:       files
"""
"""Where no package brings its own."""
_HOSTS = b"""\
127.0.0.1\tlocalhost
::1\t\tlocalhost ip6-localhost ip6-loopback
ff02::1\t\tip6-allnodes
ff02::2\t\tip6-allrouters

"""
_NETWORKS = b"default\t\t0.0.0.0\nloopback\t127.0.0.0\nlink-local\t169.254.0.0\n\n"

_DEBIAN_CONFIG = b"""\
[DEFAULT]
# how to byte-compile (comma separated: standard, optimize)
byte-compile = standard
"""

_MAIL_GROUP_ID, _UTMP_GROUP_ID = 8, 43


def write_folders(root: Root) -> None:
    """What every image has, whatever its packages: mount points and places for temporary files."""
    for path in ("dev", "etc", "home", "proc", "run", "sys", "usr/local", "var", "var/lib", "var/log"):
        root.directory_if_absent(path)
    root.directory("root", mode=0o700)
    root.directory("tmp", mode=0o1777)
    root.directory("var/tmp", mode=0o1777)
    root.file_if_absent("etc/hosts", _HOSTS)
    root.file_if_absent("etc/hostname", b"localhost\n")
    root.file_if_absent("etc/resolv.conf", b"")
    root.file_if_absent("etc/nsswitch.conf", NSSWITCH)
    root.file_if_absent("etc/environment", b"")


def write_base_files(root: Root, package: OpenedPackage) -> None:
    if "etc/dpkg/origins/debian" in root:
        root.symlink("etc/dpkg/origins/default", "debian")
    defaults = {"dot.profile": "root/.profile", "dot.bashrc": "root/.bashrc", "profile": "etc/profile"}
    for name, path in {**defaults, "motd": "etc/motd"}.items():
        _install_default(root, f"usr/share/base-files/{name}", path)
    for path in ("mnt", "srv", "opt", "etc/opt", "var/opt", "media"):
        root.directory_if_absent(path)
    root.directory_if_absent("var/mail", mode=0o2775, gid=_MAIL_GROUP_ID)
    root.directory_if_absent("run/lock", mode=0o1777)
    for path, target in (("var/spool/mail", "../mail"), ("var/run", "/run"), ("var/lock", "/run/lock")):
        entry = root.entries.get(path)
        if entry is None or entry.kind is not EntryKind.SYMLINK:
            root.remove(path)
            root.symlink(path, target)
    local = re.findall(
        r"^\s*install_local_dir /(usr/local\S*)$", package.script("postinst") or "", re.MULTILINE
    )
    for path in local:
        root.directory_if_absent(path)
    root.symlink("usr/local/man", "share/man")
    for name, mode in (("wtmp", 0o664), ("btmp", 0o660), ("lastlog", 0o664)):
        root.file_if_absent(f"var/log/{name}", b"", mode=mode, gid=_UTMP_GROUP_ID)


def _install_default(root: Root, default: str, path: str) -> None:
    content = root.read(default)
    if content is not None:
        root.file_if_absent(path, content)


def write_apt_sources(root: Root, package: OpenedPackage) -> None:
    """apt's sources, so that children of an image can install packages: the package's own example.

    Not the mirror that packages were fetched from: that is the maker's.
    """
    examples = "usr/share/doc/apt/examples"
    _install_default(root, f"{examples}/sources.list", "etc/apt/sources.list")
    _install_default(root, f"{examples}/debian.sources", "etc/apt/sources.list.d/debian.sources")


def write_dash(root: Root) -> None:
    if "usr/bin/sh" not in root:
        root.symlink("usr/bin/sh", "dash")


def write_shells(root: Root, package: OpenedPackage) -> None:
    """`/etc/shells`, each shell also by its real path, and the list of those that packages brought."""
    template = (root.read("usr/share/debianutils/shells") or b"").decode("utf-8")
    folder = "usr/share/debianutils/shells.d"
    names = sorted(path for path in root.entries if posixpath.dirname(path) == folder)
    packaged: list[str] = []
    for text in (template, *((root.read(name) or b"").decode("utf-8") for name in names)):
        for line in text.splitlines():
            shell = line.partition("#")[0].strip()
            if shell:
                real = "/" + root.canonical(shell.lstrip("/"), package="debianutils")
                packaged += [shell] if shell == real else [shell, real]
    lines = list(dict.fromkeys(template.splitlines()))
    added = [shell for shell in dict.fromkeys(packaged) if shell not in lines]
    root.file("etc/shells", "".join(f"{line}\n" for line in (*lines, *added)).encode())
    root.file("var/lib/shells.state", "".join(f"{shell}\n" for shell in dict.fromkeys(packaged)).encode())


def write_nsswitch(root: Root, package: OpenedPackage) -> None:
    _install_default(root, "usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf")


def write_inputrc(root: Root, package: OpenedPackage) -> None:
    _install_default(root, "usr/share/readline/inputrc", "etc/inputrc")


def write_hosts(root: Root, package: OpenedPackage) -> None:
    root.file_if_absent("etc/hosts", _HOSTS)
    root.file_if_absent("etc/networks", _NETWORKS)


def write_login(root: Root, package: OpenedPackage) -> None:
    script = package.script("postinst") or ""
    for name in ("var/log/faillog", "etc/subuid", "etc/subgid"):
        if f"/{name}" in script:
            root.file_if_absent(name, b"")


def write_pam_modules(root: Root, package: OpenedPackage) -> None:
    root.file_if_absent("etc/security/opasswd", b"", mode=0o600)
    root.file_if_absent("etc/environment", b"")


def write_timezone(root: Root, package: OpenedPackage) -> None:
    root.symlink("etc/localtime", "/usr/share/zoneinfo/Etc/UTC")
    if 'test -f "$DPKG_ROOT/etc/timezone"' not in (package.script("postinst") or ""):
        # Later versions only keep up a file that is there.
        root.file("etc/timezone", b"Etc/UTC\n")


def write_python(root: Root, package: OpenedPackage) -> None:
    root.file_if_absent("etc/python3/debian_config", _DEBIAN_CONFIG)


def write_python_minimal(root: Root, package: OpenedPackage) -> None:
    version = package.name.removesuffix("-minimal")
    root.directory_if_absent(f"usr/local/lib/{version}")
    root.directory_if_absent(f"usr/local/lib/{version}/dist-packages")
    root.file_if_absent(f"var/lib/python/{version}_installed", b"")


def write_fontconfig(root: Root, package: OpenedPackage) -> None:
    """The package's defaults: slight hinting, subpixel rendering left to the screen, bitmap fonts off."""
    for name in ("10-hinting-slight.conf", "11-lcdfilter-default.conf", "70-no-bitmaps.conf"):
        if f"usr/share/fontconfig/conf.avail/{name}" in root:
            root.symlink(f"etc/fonts/conf.d/{name}", f"/usr/share/fontconfig/conf.avail/{name}")
