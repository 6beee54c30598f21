"""What a foreign image is, judged by a few files of it: its C library, its Python, its packages. Pure.

Nothing of the image is run. What cannot be told is refused rather than guessed.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import HeaderParser

from packaging.utils import canonicalize_name

from lading.errors import ProjectError
from lading.registry.stack import Stack, StackedKind

_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_STATE_BYTES = 64 << 20
_LIBC_BYTES = 8 << 20
_GLIBC = re.compile(rb"(?:stable|development) release version 2\.(\d+)")
_EXACT = re.compile(rb'#define\s+PY_VERSION\s+"(\d+\.\d+\.\d+)')
_CONDA = re.compile(r"python-(3\.\d+\.\d+)-")
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)")
_STATE_FILES = frozenset(
    {
        *("usr/lib/os-release", "etc/os-release", "var/lib/dpkg/status", "var/lib/dpkg/diversions"),
        *("etc/passwd", "etc/group", "etc/shells", "var/lib/dpkg/triggers/File"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPython:
    executable: str
    """`/usr/local/bin/python3.12`: no link."""
    version: str
    """`3.12`."""
    exact: str
    """`3.12.4`, or the minor version again where nothing says more."""
    environment: str = ""
    """The virtual environment it was started from, `/venv`; empty: none."""
    has_headers: bool = False
    """`Python.h` is there: extensions can be compiled for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    distribution: str
    glibc_minor: int
    python: FoundPython | None
    metadata: Mapping[str, str]
    """METADATA of each Python distribution that the interpreter sees, by normalized name."""
    packages: Mapping[str, str]
    """Debian packages that are installed: name → version."""


def is_probed(path: str, size_bytes: int) -> bool:
    """Whether the probe wants the bytes of this file: registry.stack.Wanted."""
    if path in _STATE_FILES or path.startswith("var/lib/dpkg/status.d/"):
        return size_bytes <= _STATE_BYTES
    name = posixpath.basename(path)
    if name == "libc.so.6" or re.fullmatch(r"libc-2\.\d+\.so", name):
        return size_bytes <= _LIBC_BYTES
    if name == "METADATA" and path.endswith(".dist-info/METADATA"):
        return size_bytes <= _LIBC_BYTES
    return name == "patchlevel.h" and "/include/python3." in path and size_bytes <= _LIBC_BYTES


def probe(stack: Stack, env: Mapping[str, str], name: str) -> Probe:
    """Raises ProjectError for an image without glibc: wheels for it do not exist."""
    packages = _debian_packages(stack)
    python = _python(stack, env, packages)
    return Probe(
        distribution=_distribution(stack),
        glibc_minor=_glibc_minor(stack, packages, name),
        python=python,
        metadata=_metadata(stack, python) if python is not None else {},
        packages=packages,
    )


def _distribution(stack: Stack) -> str:
    text = (stack.read("etc/os-release") or stack.read("usr/lib/os-release") or b"").decode(
        "utf-8", "replace"
    )
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    values = {key: value.strip().strip("\"'") for key, value in fields.items()}
    version = values.get("VERSION_CODENAME") or values.get("VERSION_ID", "")
    return f"{values.get('ID', '')} {version}".strip()


def _glibc_minor(stack: Stack, packages: Mapping[str, str], name: str) -> int:
    version = packages.get("libc6", "")
    if match := re.match(r"(?:\d+:)?2\.(\d+)", version):
        return int(match[1])
    for path, entry in stack.files.items():
        base = posixpath.basename(path)
        is_libc = base == "libc.so.6" or base.startswith("libc-2.")
        found = _GLIBC.search(entry.content) if entry.content and is_libc else None
        if found:
            return int(found[1])
    musl = any(posixpath.basename(path).startswith("ld-musl-") for path in stack.files)
    reason = "its C library is musl" if musl else "it has no C library"
    raise ProjectError(
        f"{name} cannot be a base: {reason}, and wheels need glibc",
        place="[image] base",
        hints=('base = "debian:trixie"', "or choose a base made of Debian, Ubuntu, Fedora or the like"),
    )


def _debian_packages(stack: Stack) -> dict[str, str]:
    texts = [stack.read("var/lib/dpkg/status") or b""]
    folder = "var/lib/dpkg/status.d"
    texts += [stack.read(f"{folder}/{name}") or b"" for name in stack.listed(folder)]
    found = {}
    for text in texts:
        for stanza in text.decode("utf-8", "replace").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line[:60])
            installed = fields.get("Status", "install ok installed").endswith(" installed")
            if "Package" in fields and "Version" in fields and installed:
                found[fields["Package"]] = fields["Version"]
    return found


def _python(stack: Stack, env: Mapping[str, str], packages: Mapping[str, str]) -> FoundPython | None:
    """The `python3` that a shell in the image would start."""
    for folder in (env.get("PATH") or _DEFAULT_PATH).split(":"):
        for name in ("python3", "python"):
            called = f"{folder.strip('/')}/{name}"
            real = stack.resolve(called)
            entry = stack.files.get(real)
            if entry is None or entry.kind is not StackedKind.FILE:
                continue
            match = re.fullmatch(r"(?:.*/)?python(3\.\d+)", real)
            if match is not None:
                version = match[1]
                exact = _exact_version(stack, real, version, env, packages)
                prefix = called.rpartition("/bin/")[0]
                is_environment = stack.get(f"{prefix}/pyvenv.cfg") is not None
                home = real.partition("/bin/")[0]
                return FoundPython(
                    executable=f"/{real}",
                    version=version,
                    exact=exact,
                    environment=f"/{prefix}" if is_environment else "",
                    has_headers=stack.get(f"{home}/include/python{version}/Python.h") is not None,
                )
    return None


def _exact_version(
    stack: Stack, executable: str, version: str, env: Mapping[str, str], packages: Mapping[str, str]
) -> str:
    prefix = executable.partition("/bin/")[0]
    header = stack.read(f"{prefix}/include/python{version}/patchlevel.h") or b""
    if match := _EXACT.search(header):
        return match[1].decode()
    for name in stack.listed(f"{prefix}/conda-meta"):
        if (found := _CONDA.match(name)) and found[1].startswith(f"{version}."):
            return found[1]
    said = env.get("PYTHON_VERSION", "")
    if prefix == "usr/local" and said.startswith(f"{version}."):
        return said
    upstream = _UPSTREAM.match(packages.get(f"python{version}-minimal", ""))
    return upstream[1] if upstream else version


def _metadata(stack: Stack, python: FoundPython) -> dict[str, str]:
    """Of the folders that the interpreter looks into (site.py), the first that holds a name decides."""
    prefix = python.executable.strip("/").partition("/bin/")[0]
    environment = python.environment.strip("/")
    folders = [f"{environment}/lib/python{python.version}/site-packages"] if environment else []
    folders += [f"{prefix}/lib/python{python.version}/site-packages"]
    folders += [
        f"{prefix}/local/lib/python{python.version}/dist-packages",
        f"{prefix}/lib/python3/dist-packages",
    ]
    found: dict[str, str] = {}
    for folder in folders:
        for name in stack.listed(folder):
            content = stack.read(f"{folder}/{name}/METADATA") if name.endswith(".dist-info") else None
            if content is None:
                continue
            text = content.decode("utf-8", "replace")
            said = HeaderParser().parsestr(text, headersonly=True)
            if said["Name"] and said["Version"]:
                found.setdefault(canonicalize_name(str(said["Name"])), text)
    return found
