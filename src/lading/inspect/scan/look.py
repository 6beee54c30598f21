"""Looks at a layer's files while they pass, and gathers what `LayerFacts` holds.

Bounded memory: text is searched in blocks, archives wait in a temporary file, ELF files up to a limit.
"""

from __future__ import annotations

import io
import re
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import IO

from lading.image.elf import elf_needs
from lading.inspect.image.layer import Look
from lading.inspect.image.model import MemberKind
from lading.inspect.image.tar import Head
from lading.inspect.scan.content import ARCHIVES, HEAD_BYTES, SEARCHED, Content, content_of, is_torch_archive
from lading.inspect.scan.model import LayerFacts, Linkage, SecretSpot
from lading.inspect.scan.nested import search_archive
from lading.inspect.scan.search import TextSearch, search_bytecode, search_wide_text
from lading.inspect.scan.unpacking import NotSearched
from lading.project.credentials import form_suspicion, name_suspicion

_LARGEST_HELD_BYTES = 64 << 20
"""Of one ELF file, bytecode or text in UTF-16."""
_LARGEST_ARCHIVE_BYTES = 1 << 30
_LARGEST_FORM_BYTES = 1 << 20
_LARGEST_OTHER_BYTES = 4 << 20
"""Of unknown formats: small ones are dumps and databases, large ones weights and pictures."""
_STARTUP = re.compile(
    r"(?:^|/)(?:(?:site|dist)-packages|lib/python3[^/]*)/(?:"
    r"(?P<module>sitecustomize|usercustomize|_manylinux)(?:\.pyc?|\.[\w.-]*so|/__init__\.pyc?)|[^/]+\.pth)$"
)
_MODULES = {
    "sitecustomize": "Python imports it at every start",
    "usercustomize": "Python imports it at every start",
    "_manylinux": "installers ask it which wheels fit",
}
_DISTUTILS = (
    rb"import os; var = 'SETUPTOOLS_USE_DISTUTILS'; enabled = os\.environ\.get\(var, '(?:local|stdlib)'\)"
    rb" == 'local'; enabled and __import__\('_distutils_hack'\)(?:\.add_shim\(\))?"
)
_NAMESPACE = (
    rb"import sys, types, os;(?:has_mfs = sys\.version_info > \(3, 5\);)?"
    rb"p = os\.path\.join\(sys\._getframe\(1\)\.f_locals\['sitedir'\], \*\([\w', ]+\)\);"
    rb"importlib = (?:has_mfs and )?__import__\('importlib\.util'\);"
    rb"(?:has_mfs and )?__import__\('importlib\.machinery'\);"
    rb"m = (?:has_mfs and )?sys\.modules\.setdefault\('[\w.]+', importlib\.util\.module_from_spec\("
    rb"importlib\.machinery\.PathFinder\.find_spec\('[\w.]+', \[os\.path\.dirname\(p\)\]\)\)\);"
    rb"m = m or sys\.modules\.setdefault\('[\w.]+', types\.ModuleType\('[\w.]+'\)\);"
    rb"mp = \(m or \[\]\) and m\.__dict__\.setdefault\('__path__', ?\[\]\);"
    rb"\(p not in mp\) and mp\.append\(p\)"
    rb"(?:;m and setattr\(sys\.modules\['[\w.]+'\], '\w+', m\))?"
)
_KNOWN_LINE = re.compile(rb"(?:" + _DISTUTILS + rb"|" + _NAMESPACE + rb");?\s*")
"""Lines that setuptools writes, for itself and for namespace packages, to the letter."""


class LayerLook:
    """The observer of one layer; `facts` is whole when the layer was read."""

    def __init__(self, staging: Path) -> None:
        self._staging = staging
        self._secrets: list[SecretSpot] = []
        self._startup: dict[str, str] = {}
        self._pickles: list[str] = []
        self._linkages: dict[str, Linkage] = {}
        self._scripts: dict[str, str] = {}
        self._capabilities: list[str] = []
        self._unsearched: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    @property
    def facts(self) -> LayerFacts:
        return LayerFacts(
            secrets=tuple(self._secrets),
            startup=self._startup,
            pickles=tuple(self._pickles),
            linkages=self._linkages,
            scripts=self._scripts,
            capabilities=tuple(self._capabilities),
            unsearched={kind: (files, size) for kind, (files, size) in sorted(self._unsearched.items())},
        )

    def look_at(self, head: Head) -> Look | None:
        if head.has_capabilities:
            self._capabilities.append(head.path)
        if head.kind is not MemberKind.FILE or not head.size_bytes:
            return None
        return _FileLook(self, head)

    def suspect(self, path: str, inside: str, what: str, line: int | None) -> None:
        self._secrets.append(SecretSpot(path, inside, what, line))

    def leave_out(self, kind: str, size_bytes: int) -> None:
        row = self._unsearched[kind]
        row[0] += 1
        row[1] += size_bytes

    def see_startup(self, path: str, module: str | None, content: bytes, size_bytes: int) -> None:
        """A file that Python looks for when it starts, whatever its first bytes make of it."""
        if module is not None:
            words = _MODULES[module]
        elif size_bytes > len(content):
            words = (
                f"its import lines run at every start of Python, and its {size_bytes} bytes were not all read"
            )
        else:
            words = _import_lines(content)
        if words:
            self._startup[path] = words

    def see_text(self, path: str, mode: int, content: bytes) -> None:
        """`content` is the first of it."""
        if mode & 0o111 and content.startswith(b"#!"):
            self._scripts[path] = content[:200].partition(b"\n")[0].decode("utf-8", "replace")

    def see_pickle(self, path: str) -> None:
        self._pickles.append(path)

    def see_elf(self, path: str, content: memoryview) -> None:
        needs = elf_needs(content)
        if needs is not None:
            self._linkages[path] = Linkage(needs.machine, needs.soname or "", needs.needed)

    def open_temporary(self) -> IO[bytes]:
        return tempfile.TemporaryFile(dir=self._staging)


def _import_lines(content: bytes) -> str:
    """What of a `.pth` file runs; empty where it only names folders, or does what everybody's does."""
    # As `site` does it: a mark at the beginning is dropped, and every character that ends a line ends one.
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").splitlines()
    running = [line for line in lines if line.startswith(("import ", "import\t"))]
    strange = [line for line in running if not _KNOWN_LINE.fullmatch(line.encode("utf-8", "surrogateescape"))]
    return "its import lines run at every start of Python" if strange else ""


class _FileLook:
    def __init__(self, layer: LayerLook, head: Head) -> None:
        self._layer = layer
        self._head = head
        self._first = b""
        self._content: Content | None = None
        self._search: TextSearch | None = None
        self._held: IO[bytes] | None = None
        self._form: list[bytes] = []
        self._startup = _STARTUP.search(head.path)

    def feed(self, data: bytes | memoryview) -> None:
        if self._content is None:
            self._first += bytes(data)
            if len(self._first) < min(HEAD_BYTES, self._head.size_bytes):
                return
            data, self._first = self._first, self._first[:HEAD_BYTES]
            self._begin()
        is_small = self._head.size_bytes <= _LARGEST_FORM_BYTES
        if is_small and (self._search is not None or self._startup is not None):
            self._form.append(bytes(data))
        if self._search is not None:
            self._search.feed(data)
        elif self._held is not None:
            self._held.write(data)

    def _begin(self) -> None:
        """Its kind is known now, and so what is to be done with its bytes."""
        path, size_bytes = self._head.path, self._head.size_bytes
        self._content = content = content_of(path, self._first[:HEAD_BYTES])
        if (named := name_suspicion(path)) is not None:
            self._layer.suspect(path, "", named.what, None)
        elif content in SEARCHED or (content is Content.OTHER and size_bytes <= _LARGEST_OTHER_BYTES):
            self._search = TextSearch()
        elif content is Content.MACHINE_CODE:
            self._layer.leave_out(content, size_bytes)
            self._hold(_LARGEST_HELD_BYTES)
        elif content in (Content.BYTECODE, Content.WIDE_TEXT):
            self._hold(_LARGEST_HELD_BYTES)
        elif content in ARCHIVES or content in (Content.GIT_OBJECT, Content.GIT_PACK):
            self._hold(_LARGEST_ARCHIVE_BYTES)
            if self._held is None:
                self._layer.leave_out("archives, in part or whole", size_bytes)
        else:
            self._layer.leave_out(content, size_bytes)
        if content is Content.PICKLE or _is_pickled_archive(content, self._first):
            self._layer.see_pickle(path)

    def _hold(self, most_bytes: int) -> None:
        if self._head.size_bytes <= _LARGEST_HELD_BYTES:
            self._held = io.BytesIO()
        elif self._head.size_bytes <= most_bytes:
            self._held = self._layer.open_temporary()

    def finish(self) -> None:
        path, content = self._head.path, self._content
        whole = b"".join(self._form)
        if self._startup is not None:
            self._layer.see_startup(path, self._startup["module"], whole, self._head.size_bytes)
        if self._search is not None:
            hits = self._search.finish()
            for what, line in hits:
                self._layer.suspect(path, "", what, line)
            if whole and not hits and (formed := form_suspicion(path, whole)) is not None:
                self._layer.suspect(path, "", formed.what, formed.line)
        if content is Content.TEXT:
            self._layer.see_text(path, self._head.mode, self._first)
        if self._held is not None and content is not None:
            with self._held as held:
                held.seek(0)
                self._look_into(path, content, held)

    def _look_into(self, path: str, content: Content, held: IO[bytes]) -> None:
        layer = self._layer
        if content is Content.MACHINE_CODE and isinstance(held, io.BytesIO):
            with held.getbuffer() as view:  # no second copy of a large library
                layer.see_elf(path, view)
        elif content is Content.BYTECODE:
            for what in search_bytecode(held.read()):
                layer.suspect(path, "", what, None)
        elif content is Content.WIDE_TEXT:
            for wide, number in search_wide_text(held.read()):
                layer.suspect(path, "", wide, number)
        else:
            try:
                for inside, what, line in search_archive(path, content, held):
                    layer.suspect(path, inside, what, line)
            except NotSearched:
                layer.leave_out("archives, in part or whole", self._head.size_bytes)


def _is_pickled_archive(content: Content, first: bytes) -> bool:
    return content is Content.WEIGHTS and first.startswith(b"PK") and is_torch_archive(first)
