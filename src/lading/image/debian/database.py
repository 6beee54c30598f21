"""dpkg's own records, so that dpkg, apt and scanners see what is installed (dpkg's `/var/lib/dpkg`).

Pure. Written as after a clean installation: status, list, checksums and control files of each package, and
the triggers that packages are interested in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from lading.image.debian.package import OpenedPackage
from lading.image.debian.prune import DPKG_RULES
from lading.image.debian.root import Root, read_content

_FOLDER = "var/lib/dpkg"
_SCRIPTS = frozenset({"preinst", "postinst", "prerm", "postrm", "config"})
_INTEREST = {
    "interest": "", "interest-await": "", "interest-noawait": "/noawait",
}  # fmt: skip


def write_database(root: Root, packages: Sequence[OpenedPackage], *, with_scripts: bool) -> None:
    """`with_scripts`: keep maintainer scripts too, for a child that upgrades or removes a package."""
    status = [_status(root, package) for package in packages]
    root.file(f"{_FOLDER}/status", "".join(f"{stanza}\n" for stanza in status).encode())
    root.file(f"{_FOLDER}/info/format", b"1\n")
    _write_info(root, packages, with_scripts=with_scripts)
    for name in ("updates", "parts", "alternatives"):
        root.directory_if_absent(f"{_FOLDER}/{name}")
    root.file_if_absent(f"{_FOLDER}/diversions", b"")
    for name, content in _triggers(packages).items():
        root.file(f"{_FOLDER}/triggers/{name}", content)
    if "usr/bin/dpkg" in root:
        root.file(f"{_FOLDER}/arch", f"{_architecture(packages)}\n".encode())
        root.file("etc/dpkg/dpkg.cfg.d/lading", DPKG_RULES.encode())


def extend_database(root: Root, packages: Sequence[OpenedPackage], *, with_scripts: bool) -> None:
    """Add `packages` to the records that a root has already; of one that is there the new version counts."""
    names = {package.name for package in packages}
    there = (root.read(f"{_FOLDER}/status") or b"").decode("utf-8", errors="replace").split("\n\n")
    kept = [stanza.strip("\n") for stanza in there if stanza.strip() and _package_of(stanza) not in names]
    status = [*kept, *(_status(root, package).rstrip("\n") for package in packages)]
    root.file(f"{_FOLDER}/status", "".join(f"{stanza}\n\n" for stanza in status).encode())
    _write_info(root, packages, with_scripts=with_scripts)


def _package_of(stanza: str) -> str:
    lines = (line for line in stanza.splitlines() if line.startswith("Package: "))
    return next(lines, "").removeprefix("Package: ").strip()


def _write_info(root: Root, packages: Sequence[OpenedPackage], *, with_scripts: bool) -> None:
    for package in packages:
        stem = f"{_FOLDER}/info/{_info_name(package)}"
        listed = ["/." if not path else f"/{path}" for path in package.paths]
        root.file(f"{stem}.list", "".join(f"{path}\n" for path in listed).encode())
        for name, content in sorted(package.control.items()):
            if name != "control" and (with_scripts or name not in _SCRIPTS):
                root.file(f"{stem}.{name}", content, mode=0o755 if name in _SCRIPTS else 0o644)


def add_diversion(root: Root, original: str, diverted: str, package: str) -> None:
    """Record that other packages' `original` goes to `diverted` (dpkg-divert(1))."""
    there = root.read(f"{_FOLDER}/diversions") or b""
    root.file(f"{_FOLDER}/diversions", there + f"{original}\n{diverted}\n{package}\n".encode())


def _architecture(packages: Sequence[OpenedPackage]) -> str:
    return next((p.locked.architecture for p in packages if p.locked.architecture != "all"), "amd64")


def _info_name(package: OpenedPackage) -> str:
    """dpkg names the files of a package that may be there for several architectures after its own."""
    if package.fields.get("Multi-Arch") == "same":
        return f"{package.name}:{package.locked.architecture}"
    return package.name


def _status(root: Root, package: OpenedPackage) -> str:
    lines = [f"Package: {package.name}", "Status: install ok installed"]
    for key, value in package.fields.items():
        if key not in ("Package", "Description"):
            lines.append(f"{key}: {value}")
    conffiles = package.control.get("conffiles", b"").decode("utf-8", errors="replace").split("\n")
    sums = [f" {path} {_md5(root, path)}" for path in conffiles if path.startswith("/")]
    if sums:
        lines += ["Conffiles:", *sums]
    lines.append(f"Description: {package.fields.get('Description', '')}")
    return "\n".join(lines) + "\n"


def _md5(root: Root, path: str) -> str:
    entry = root.get(path.lstrip("/"))
    if entry is None:
        return "newconffile"
    return hashlib.md5(read_content(entry), usedforsecurity=False).hexdigest()


def _triggers(packages: Iterable[OpenedPackage]) -> dict[str, bytes]:
    files: dict[str, list[str]] = {"File": [], "Unincorp": []}
    for package in packages:
        for line in package.control.get("triggers", b"").decode("utf-8", errors="replace").splitlines():
            words = line.partition("#")[0].split()
            if len(words) != 2 or words[0] not in _INTEREST:
                continue
            listener = package.name + _INTEREST[words[0]]
            if words[1].startswith("/"):
                files["File"].append(f"{words[1]} {listener}\n")
            elif words[1].replace("-", "").replace("_", "").replace(".", "").isalnum():
                files.setdefault(words[1], []).append(f"{listener}\n")
    return {name: "".join(lines).encode() for name, lines in files.items()}
