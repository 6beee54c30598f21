"""Debian packages: which ones a list of names needs, from signed indexes, exactly, and their bytes.

Knows mirrors, signatures, indexes and relations between packages. Must not know what is inside a package:
that is lading.image.debian's. Packages are data here; nothing of them is ever executed.
"""

from lading.lock.debian.base import (
    base_packages,
    interpreter_packages,
    python_suite,
    suite_python,
)
from lading.lock.debian.download import fetch_packages
from lading.lock.debian.resolve import DebianResolution, Suites, read_suites, resolve_packages

__all__ = [
    "DebianResolution",
    "Suites",
    "base_packages",
    "fetch_packages",
    "interpreter_packages",
    "python_suite",
    "read_suites",
    "resolve_packages",
    "suite_python",
]
