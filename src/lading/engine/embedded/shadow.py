"""A mirror of an image's root in which every program starts through the image's own loader.

Without any privilege the image's files cannot become `/`, so a program would be run by the host's loader
and find the host's libraries. Each file of a `bin` folder therefore has a small wrapper at the same path
below the shadow; all else is a link into the root. A Python started so sees itself in the shadow:
`sys.executable` works, and so do child processes. A virtual environment has its `pyvenv.cfg` written anew.
"""

from __future__ import annotations

import os
import shlex
import struct
from dataclasses import dataclass
from pathlib import Path

_HEADER_BYTES = 4096
_PT_INTERP = 3
_BIN_NAMES = ("bin", "sbin")
_LIBRARY_FOLDERS = ("usr/local/lib", "usr/lib/{arch}", "lib/{arch}", "usr/lib", "lib", "usr/lib64", "lib64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What the first bytes of a file say about how it starts."""

    loader: str | None = None
    """Of a dynamic ELF file: the path of its loader, as the image names it."""
    interpreter: tuple[str, ...] = ()
    """Of a script: the words after `#!`."""


def program_of(head: bytes) -> Program | None:
    """From a file's first 4096 bytes; None for what needs no help: static programs and data. Pure."""
    if head[:2] == b"#!":
        line = head[2:].split(b"\n", 1)[0].decode("utf-8", "replace").strip()
        words = line.split(None, 1)
        return Program(interpreter=tuple(word.strip() for word in words)) if words else None
    if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:
        return None
    offset, size, count = struct.unpack_from("<Q", head, 32)[0], *struct.unpack_from("<HH", head, 54)
    for number in range(count):
        start = offset + number * size
        if start + 56 > len(head):
            return None
        kind, _, where, _, _, length = struct.unpack_from("<IIQQQQ", head, start)
        if kind == _PT_INTERP and where + length <= len(head):
            return Program(loader=head[where : where + length].rstrip(b"\0").decode("utf-8", "replace"))
    return None


def library_folders(root: Path, final_root: str) -> list[str]:
    """Where the loader looks, in the image's own order: ld.so.conf first, then the standard folders."""
    configured = []
    for path in sorted(root.glob("etc/ld.so.conf.d/*.conf")):
        for line in path.read_text(errors="replace").splitlines():
            if line.startswith("/"):
                configured.append(line.strip().lstrip("/"))
    standard = [name.format(arch=f"{os.uname().machine}-linux-gnu") for name in _LIBRARY_FOLDERS]
    return [f"{final_root}/{name}" for name in dict.fromkeys(configured + standard) if (root / name).is_dir()]


def make_shadow(root: Path, shadow: Path, final: Path) -> None:
    """Fill `shadow` for `root`; both will stand in `final`, and the texts written name them there."""
    writer = _ShadowWriter(root, shadow, f"{final}/root", f"{final}/shadow")
    shadow.mkdir()
    writer.mirror(Path())


class _ShadowWriter:
    def __init__(self, root: Path, shadow: Path, final_root: str, final_shadow: str) -> None:
        self._root = root
        self._shadow = shadow
        self._final_root = final_root
        self._final_shadow = final_shadow
        self._libraries = ":".join(library_folders(root, final_root))

    def mirror(self, place: Path) -> None:
        """Folders on the way to a `bin` are real, everything else links into the root."""
        for name in sorted(os.listdir(self._root / place)):
            inner = place / name
            source = self._root / inner
            if source.is_symlink() and _stays(source):
                (self._shadow / inner).symlink_to(source.readlink())
            elif name in _BIN_NAMES and source.is_dir():
                (self._shadow / inner).mkdir()
                for program in sorted(os.listdir(source)):
                    self._wrap(inner / program)
            elif source.is_dir() and _holds_bin(source, len(inner.parts)):
                (self._shadow / inner).mkdir()
                self.mirror(inner)
            elif name == "pyvenv.cfg":
                self._write_venv_config(inner)
            else:
                (self._shadow / inner).symlink_to(f"{self._final_root}/{inner}")

    def _wrap(self, inner: Path) -> None:
        source, target = self._root / inner, self._shadow / inner
        try:
            with source.open("rb") as file:
                program = program_of(file.read(_HEADER_BYTES))
        except OSError:
            return
        words = self.start_words(program, f"{self._final_root}/{inner}")
        if words is None:
            target.symlink_to(f"{self._final_root}/{inner}")
            return
        target.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        target.chmod(0o755)

    def start_words(self, program: Program | None, final_path: str) -> str | None:
        if program is None:
            return None
        if program.loader is not None:
            loader = shlex.quote(self._final_root + program.loader)
            libraries = shlex.quote(self._libraries)
            path = shlex.quote(final_path)
            return f'{loader} --inhibit-cache --library-path {libraries} --argv0 "$0" {path}'
        interpreter, *argument = program.interpreter
        if Path(interpreter).name == "env" and argument:
            words = argument[0].removeprefix("-S ").split()
            return " ".join(map(shlex.quote, [*words, final_path]))
        return " ".join(map(shlex.quote, [self._final_shadow + interpreter, *argument, final_path]))

    def _write_venv_config(self, inner: Path) -> None:
        lines = []
        for line in (self._root / inner).read_text(errors="replace").splitlines():
            key, equals, value = (part.strip() for part in line.partition("="))
            if equals and key in ("home", "executable") and value.startswith("/"):
                line = f"{key} = {self._final_shadow}{value}"
            lines.append(line)
        (self._shadow / inner).write_text("\n".join(lines) + "\n")


def _stays(link: Path) -> bool:
    """A relative link among the image's own folders means the same in the shadow."""
    return not link.readlink().is_absolute()


def _holds_bin(folder: Path, depth: int) -> bool:
    if depth > 3:
        return False
    with os.scandir(folder) as entries:
        folders = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    if any(entry.name in _BIN_NAMES for entry in folders):
        return True
    return depth < 2 and folder.name == "opt" and any(_holds_bin(Path(e.path), depth + 1) for e in folders)
