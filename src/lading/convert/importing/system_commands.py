"""Commands of the system (packages, users, folders, modes): what they leave in an image of lading's. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lading.convert.importing.model import Fate
from lading.convert.importing.wanted import Said, Where

_PYTHON_ITSELF = re.compile(
    r"python3?(?:\.\d+)?(?:-(?:pip|venv|distutils|full|minimal|setuptools|wheel|dev|virtualenv))?"
    r"|python-is-python3|libpython3.*|python3?-(?:pip|dev|venv)"
)
_PYTHON_PATH = re.compile(r"(?:.*/)?(?:python|pip)3?(?:\.\d+)?")
_ALWAYS_THERE = frozenset(
    {
        "apt", "apt-transport-https", "apt-utils", "base-files", "bash", "ca-certificates", "coreutils",
        "dash", "debianutils", "findutils", "gnupg", "gnupg2", "grep", "gzip", "libc6", "libc-bin",
        "libgcc-s1", "libgomp1", "libstdc++6", "lsb-release", "netbase", "passwd", "sed",
        "software-properties-common", "tar", "tzdata", "util-linux", "locales", "dirmngr",
    }
)  # fmt: skip
_RENAMED = {"libgl1-mesa-glx": "libgl1", "libgl1-mesa-dev": "libgl-dev", "netcat": "netcat-openbsd"}
"""Names that Debian's suites of today have no more."""
_BUILD_TOOLS = frozenset(
    {
        "build-essential", "gcc", "g++", "cpp", "make", "cmake", "ninja-build", "pkg-config", "autoconf",
        "automake", "libtool", "gfortran", "clang", "llvm", "cargo", "rustc", "swig", "nasm", "yasm",
        "patchelf", "ccache", "dpkg-dev",
    }
)  # fmt: skip
_WITHOUT_TRACE = frozenset(
    {
        ":", "true", "false", "echo", "printf", "set", "unset", "which", "type", "command", "test", "[",
        "ls", "cat", "pwd", "whoami", "id", "uname", "date", "sleep", "sync", "hash", "ulimit", "umask",
        "env", "du", "df", "head", "tail", "nvidia-smi", "nvcc", "apt-mark", "dpkg-reconfigure",
        "locale-gen", "update-locale", "add-apt-repository", "apt-key", "ldconfig",
        "update-ca-certificates", "find", "strip",
    }
)  # fmt: skip
_SYSTEM_USERS = {
    "root": (0, 0), "daemon": (1, 1), "www-data": (33, 33), "nobody": (65534, 65534),
    "nonroot": (65532, 65532), "jovyan": (1000, 100), "ubuntu": (1000, 1000), "mambauser": (57439, 57439),
}  # fmt: skip
FIRST_USER = 1000


@dataclass(slots=True, kw_only=True)
class System:
    """What the commands of a stage have left so far."""

    apt: dict[str, None] = field(default_factory=dict)
    tools: dict[str, None] = field(default_factory=dict)
    """Compilers and headers, which are left out."""
    users: dict[str, tuple[int, int]] = field(default_factory=lambda: dict(_SYSTEM_USERS))
    groups: dict[str, int] = field(default_factory=dict)
    folders: dict[str, None] = field(default_factory=dict)
    modes: dict[str, int] = field(default_factory=dict)
    """Files that were made executable, or given a mode."""
    python: str | None = None
    has_pip: bool = False


_READ_ONLY = (
    "whoever runs an image cannot change its files: write to $LADING_OUTPUTS, or to a folder that mkdir makes"
    " outside the code"
)


def system_command(words: tuple[str, ...], where: Where, system: System) -> list[Said] | None:
    """What a command comes to; None for one that is not known here."""
    name = words[0].rpartition("/")[2]
    if name in ("apt-get", "apt", "aptitude"):
        return _apt(words[1:], system)
    if name in ("apk", "yum", "dnf", "microdnf", "zypper", "pacman"):
        return _foreign_packages(name, words[1:])
    if name in ("useradd", "adduser", "groupadd", "addgroup", "usermod"):
        return _account(name, words[1:], system)
    if name in ("mkdir", "install") and (name == "mkdir" or "-d" in words):
        return _folders(words[1:], where, system)
    if name == "chmod":
        return _mode(words[1:], where, system)
    if name == "chown" or name == "chgrp":
        return _owner(words[1:], where, system)
    if name in ("ln", "update-alternatives") and any(_PYTHON_PATH.fullmatch(word) for word in words[1:]):
        return [(Fate.NOT_NEEDED, "python, python3 and pip's programs are those of /opt/venv")]
    if name in ("rm", "rmdir"):
        return _remove(words[1:])
    if name in ("source", ".", "exec", "trap", "deactivate", "pyenv", "shopt"):
        return [(Fate.NOT_NEEDED, "it concerns this RUN alone")]
    if name in ("service", "systemctl", "su", "sudo", "gosu", "dpkg", "rpm"):
        return [(Fate.LOST, f"{name} needs more than the one user that a step has")]
    if name in _WITHOUT_TRACE:
        return _without_trace(name)
    return None


def _without_trace(name: str) -> list[Said]:
    if name in ("add-apt-repository", "apt-key"):
        return [(Fate.LOST, "packages come from Debian alone, not from further archives")]
    return [(Fate.NOT_NEEDED, "it leaves nothing that an image of lading lacks")]


def _apt(words: tuple[str, ...], system: System) -> list[Said]:
    bare = [word for word in words if not word.startswith("-")]
    if not bare or bare[0] != "install":
        return [(Fate.NOT_NEEDED, "packages are unpacked; no lists and caches are left")]
    said: list[Said] = []
    wanted, tools, brought, odd = [], [], [], []
    for word in _packages(words):
        package = re.split(r"[=/]", word)[0].partition(":")[0]
        package = _RENAMED.get(package, package)
        if _PYTHON_ITSELF.fullmatch(package):
            brought.append(package)
            system.has_pip = True
            if match := re.match(r"python(3\.\d+)", package):
                system.python = match[1]
        elif package in _ALWAYS_THERE:
            brought.append(package)
        elif package in _BUILD_TOOLS or package.endswith("-dev"):
            tools.append(package)
        elif re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", package):
            wanted.append(package)
        else:
            odd.append(word)
    if wanted:
        system.apt.update((name, None) for name in wanted)
        said.append((Fate.CARRIED, f"apt = {_list(wanted)}"))
    if tools:
        system.tools.update((name, None) for name in tools)
        note = "wheels are built apart ([image.build.NAME] apt); [image] apt for what compiles at run time"
        said.append((Fate.NOT_NEEDED, f"{', '.join(tools)}: {note}"))
    if brought:
        said.append((Fate.NOT_NEEDED, f"{', '.join(brought)}: in every image, or chosen in lading.toml"))
    if odd:
        said.append((Fate.LOST, f"{', '.join(odd)}: no names of Debian packages"))
    return said or [(Fate.NOT_NEEDED, "it names no package")]


def _packages(words: tuple[str, ...]) -> list[str]:
    found, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-o", "-t", "--option", "--target-release", "-c"):
            skip = True
        elif not word.startswith("-") and word != "install":
            found.append(word)
    return list(dict.fromkeys(found))


def _list(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def _foreign_packages(name: str, words: tuple[str, ...]) -> list[Said]:
    bare = [word for word in words if not word.startswith("-")]
    if not bare or bare[0] not in ("add", "install", "groupinstall", "-S"):
        return [(Fate.NOT_NEEDED, "packages are unpacked; no lists and caches are left")]
    named = [word for word in bare[1:] if not word.startswith(".")]
    left = [word for word in named if not _PYTHON_ITSELF.fullmatch(word) and word not in _ALWAYS_THERE]
    left = [word for word in left if word not in _BUILD_TOOLS and not word.endswith(("-dev", "-devel"))]
    if not left:
        return [(Fate.NOT_NEEDED, "Python and compilers: an image has the one and does not need the others")]
    return [(Fate.LOST, f"{', '.join(left)}: packages of {name}; name Debian's in [image] apt")]


def _account(name: str, words: tuple[str, ...], system: System) -> list[Said]:
    values: dict[str, str] = {}
    bare: list[str] = []
    at = 0
    while at < len(words):
        option, equals, value = words[at].partition("=")
        at += 1
        if not option.startswith("-"):
            bare.append(option)
        elif equals:
            values[option] = value
        elif option in _WITH_VALUE and at < len(words):
            values[option] = words[at]
            at += 1
    number = _number(values, "-u", "--uid") if "user" in name else None
    group = _number(values, "-g", "--gid")
    if not bare:
        return [(Fate.NOT_NEEDED, "images run as a number, without an account")]
    account = bare[0] if name == "adduser" else bare[-1]
    if name in ("groupadd", "addgroup"):
        system.groups[account] = FIRST_USER if group is None else group
        return [(Fate.NOT_NEEDED, "images run as a number, without an account")]
    if name != "usermod":
        named = system.groups.get(
            values.get("-g") or values.get("--gid") or values.get("--ingroup") or account
        )
        uid = FIRST_USER if number is None else number
        gid = group if group is not None else named
        system.users[account] = (uid, uid if gid is None else gid)
    return [(Fate.NOT_NEEDED, "images run as a number, without an account")]


_WITH_VALUE = frozenset(
    {
        "-u", "--uid", "-g", "--gid", "-G", "--groups", "-d", "--home", "--home-dir", "-s", "--shell",
        "-c", "--comment", "--gecos", "-k", "--skel", "--ingroup", "-h", "-K", "--key",
    }
)  # fmt: skip


def _number(values: dict[str, str], *names: str) -> int | None:
    found = next((values[name] for name in names if name in values), None)
    return int(found) if found is not None and re.fullmatch(r"\d{1,9}", found) else None


def _folders(words: tuple[str, ...], where: Where, system: System) -> list[Said]:
    named: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in ("-m", "--mode", "-o", "-g", "--owner", "--group"):
            skip = True
        elif not word.startswith("-"):
            named.append(where.absolute(word))
    system.folders.update((folder, None) for folder in named if "{" not in folder)
    return [(Fate.STEP, f"folder {', '.join(named)}")] if named else []


def _mode(words: tuple[str, ...], where: Where, system: System) -> list[Said]:
    bare = [word for word in words if not word.startswith("-") or re.match(r"-[rwx]", word)]
    if len(bare) < 2:
        return []
    mode, paths = bare[0], [where.absolute(word) for word in bare[1:]]
    number = (
        int(mode, 8) if re.fullmatch(r"[0-7]{3,4}", mode) else 0o755 if "x" in mode and "+" in mode else None
    )
    for path in paths:
        if number is not None:
            system.modes[path] = number
    made = all(any(path == one or path.startswith(f"{one}/") for one in system.folders) for path in paths)
    if number is not None and number & 0o002 and not made:
        return [(Fate.LOST, _READ_ONLY)]
    return [(Fate.CARRIED, "files keep the mode that they have in the project, or get this one")]


def _owner(words: tuple[str, ...], where: Where, system: System) -> list[Said]:
    bare = [word for word in words if not word.startswith("-")]
    system.folders.update(
        (folder, None) for folder in map(where.absolute, bare[1:]) if folder in system.folders
    )
    return [
        (
            Fate.NOT_NEEDED,
            "everything is root's and can be read by all; folders made here can be written by all",
        )
    ]


def _remove(words: tuple[str, ...]) -> list[Said] | None:
    caches = re.compile(
        r"/var/(?:lib/apt|cache|log|tmp)|/tmp|/root/\.|~/\.cache|.*\.(?:sh|deb|tgz|tar\.\w+|zip|whl)$|.*(?:__pycache__|\.pyc)"
        r"|.*/(?:requirements|constraints)[^/]*\.txt$|requirements[^/]*\.txt$|/wheels|.*cache.*|/etc/apt"
    )
    bare = [word for word in words if not word.startswith("-")]
    if all(caches.match(word) for word in bare):
        return [(Fate.NOT_NEEDED, "lading leaves no caches and no installers behind")]
    return None
