"""Which files of Debian packages an image does without. Pure.

Left out: manual pages, info pages, translations, lintian's notes and documentation, as Debian's own slim
images do; kept: every `copyright` file, because licences ask for it, and the empty folders of manual pages,
because scripts of packages installed later link into them. The same rules are written for dpkg
(`/etc/dpkg/dpkg.cfg.d/`), so that children of an image follow them.
"""

from __future__ import annotations

import re

from lading.image.layer.tree import EntryKind

_FOLDERS = ("doc", "doc-base", "groff", "info", "linda", "lintian", "locale", "man", "bug")
_DROPPED = re.compile(rf"usr/share/(?:{'|'.join(_FOLDERS)})/")
_COPYRIGHT = re.compile(r"usr/share/doc/[^/]+/copyright(?:\.gz)?")
_DOC_FOLDER = re.compile(r"usr/share/doc/[^/]+")
_EXAMPLE_SOURCES = re.compile(r"usr/share/doc/apt/examples(?:/(?:sources\.list|debian\.sources))?")
"""Debian's own word on where its packages are: apt's sources are made from it."""
_MAN_FOLDER = re.compile(r"usr/share/man/man[1-9]")

DPKG_RULES = "".join(
    [
        "# Manual pages, documentation and translations are not installed; copyright files are.\n",
        *(f"path-exclude /usr/share/{folder}/*\n" for folder in _FOLDERS),
        "path-include /usr/share/doc/*/copyright\n",
    ]
)


def is_kept(path: str, kind: EntryKind) -> bool:
    """Whether the member at `path` (relative, as packages name it) becomes part of an image.

    A link in place of a package's documentation folder is kept: it leads to a copyright file.
    """
    if _DROPPED.match(path) is None:
        return True
    if _EXAMPLE_SOURCES.fullmatch(path) is not None:
        return True
    if kind is EntryKind.DIRECTORY:
        return _DOC_FOLDER.fullmatch(path) is not None or _MAN_FOLDER.fullmatch(path) is not None
    if kind is EntryKind.SYMLINK and _DOC_FOLDER.fullmatch(path) is not None:
        return True
    return _COPYRIGHT.fullmatch(path) is not None
