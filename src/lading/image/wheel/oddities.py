"""What a wheel may do and its user should know: shadowing, start-up code, disguised platforms. Pure.

None of this is refused: real wheels do each of it on purpose. Every finding names the wheel and the member.
"""

from __future__ import annotations

from collections.abc import Iterable

from lading.image.wheel.rules import Judge

_KNOWN_PATH_FILES = frozenset({"distutils-precedence.pth"})
"""Every release of setuptools since 2020 has it: nothing that a user could act on."""
_STARTUP_MODULES = frozenset({"sitecustomize", "usercustomize"})
_PLATFORM_MODULES = frozenset({"_manylinux"})
_EXTENSION_SUFFIXES = (".so", ".pyd", ".dylib")

# Top-level modules of CPython 3.11 to 3.13, written out: the host's own list would differ from host to host.
STANDARD_LIBRARY = frozenset(
    """
    __future__ abc aifc antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb
    binascii bisect builtins bz2 cProfile calendar cgi cgitb chunk cmath cmd code codecs codeop collections
    colorsys compileall concurrent configparser contextlib contextvars copy copyreg crypt csv ctypes curses
    dataclasses datetime dbm decimal difflib dis distutils doctest email encodings ensurepip enum errno
    faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt getpass
    gettext glob graphlib grp gzip hashlib heapq hmac html http idlelib imaplib imghdr imp importlib inspect
    io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox mailcap marshal math
    mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc nis nntplib nt ntpath nturl2path numbers
    opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pipes pkgutil platform plistlib
    poplib posix posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat queue
    quopri random re readline reprlib resource rlcompleter runpy sched secrets select selectors shelve shlex
    shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 sre_compile sre_constants
    sre_parse ssl stat statistics string stringprep struct subprocess sunau symtable sys sysconfig syslog
    tabnanny tarfile telnetlib tempfile termios textwrap this threading time timeit tkinter token tokenize
    tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib uu
    uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc zipapp zipfile
    zipimport zlib zoneinfo
    """.split()  # noqa: SIM905
)


def importable_names(site_paths: Iterable[str]) -> tuple[str, ...]:
    """Top-level modules and packages among paths relative to site-packages, sorted."""
    found = set()
    for path in site_paths:
        top, slash, rest = path.partition("/")
        if not slash:
            stem, dot, suffix = top.partition(".")
            if dot and (suffix in ("py", "pyc", "so") or suffix.endswith(".so")):
                found.add(stem)
        elif top not in found and rest.endswith((".py", ".so", ".pyc")):
            found.add(top)
    return tuple(sorted(name for name in found if name.isidentifier() and name != "__pycache__"))


def warn_about_modules(names: Iterable[str], judge: Judge) -> None:
    """Names that replace part of Python or run by themselves."""
    for name in names:
        if name in _STARTUP_MODULES:
            judge.warn("startup-code", "it is imported at every start of the interpreter", member=name)
        elif name in _PLATFORM_MODULES:
            judge.warn("platform-override", "installers ask it which wheels fit", member=name)
        elif name in STANDARD_LIBRARY:
            judge.warn("shadows-standard-library", "a standard library module has this name", member=name)


def warn_about_path_file(raw: bytes, member: str, judge: Judge) -> None:
    """A .pth file whose lines `site` executes."""
    if member.rpartition("/")[2] in _KNOWN_PATH_FILES:
        return
    lines = raw.replace(b"\r", b"\n").split(b"\n")
    if any(line.startswith((b"import ", b"import\t")) for line in lines):
        judge.warn(
            "startup-code", "it has import lines, which run at every start of the interpreter", member=member
        )


def warn_about_purity(pure: bool, members: Iterable[str], judge: Judge) -> None:
    if not pure:
        return
    for member in members:
        if member.endswith(_EXTENSION_SUFFIXES) or ".so." in member.rpartition("/")[2]:
            judge.warn(
                "purelib-with-extension",
                "it is a shared object in a wheel that calls itself pure",
                member=member,
            )
            return
