"""Runs that never got going: no such program, another machine's program, libraries and modules that lack.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.doctor.model import Sign
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.register import death, said, told

_NOT_FOUND = re.compile(
    r"lading: cannot run '([^']+)': it is not in the image"
    r"|(?:^|: )([\w./+-]+): (?:command )?not found$"
)
_NOT_EXECUTABLE = re.compile(
    r"lading: cannot run '([^']+)': (?!it is not in the image)(.+)|: Permission denied$"
)
_ARCHITECTURE = re.compile(
    r"Exec format error|wrong ELF class|cannot execute binary file|qemu-\w+: Could not open"
    r"|invalid ELF header"
)
_NO_LIBRARY = re.compile(
    r"(\S*?lib[\w.+-]+?\.so[\w.]*|[\w.+-]+\.so[\w.]*): cannot open shared object file"
    r"|Could not load dynamic library '([^']+)'|Library not found: (\S+)"
)
_LIBRARY_VERSION = re.compile(
    r"version [`'](GLIBC\w*_[\d.]+|CXXABI_[\d.]+|[A-Z]\w+_[\d.]+)' not found|(undefined symbol: \S+)"
)
_NO_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_MOVED = re.compile(
    r"ImportError: cannot import name '(\w+)' from (?:partially initialized module )?'([\w.]+)'"
    r"|AttributeError: module '([\w.]+)' has no attribute '(\w+)'"
    r"|(A module that was compiled using NumPy 1\.x cannot be run in\b.*)"
    r"|(numpy\.dtype size changed, may indicate binary incompatibility)"
)
_CIRCULAR = re.compile(r"partially initialized module '([\w.]+)'")
_NO_COMPILER = re.compile(
    r"Failed to find C compiler|No working C\+\+ compiler found"
    r"|(?:gcc|cc|g\+\+|clang|nvcc): (?:command )?not found"
    r"|No such file or directory: '(?:gcc|cc|g\+\+|c\+\+|nvcc)'|CUDA_HOME environment variable is not set"
    r"|fatal error: Python\.h: No such file"
)
_UNSET = re.compile(r"KeyError: '([A-Z][A-Z0-9_]{2,})'")
_STALE_MODULES = ("numpy._core", "numpy.core", "sklearn.", "pandas.core", "torch.", "keras.", "tensorflow.")
_NOT_FOUND_STATUS, _NOT_EXECUTABLE_STATUS = 127, 126
_NAMES = {
    "cv2": "opencv-python-headless", "sklearn": "scikit-learn", "PIL": "pillow", "yaml": "pyyaml",
    "bs4": "beautifulsoup4", "skimage": "scikit-image", "dotenv": "python-dotenv", "Crypto": "pycryptodome",
    "dateutil": "python-dateutil", "google.protobuf": "protobuf", "attr": "attrs", "fitz": "pymupdf",
    "faiss": "faiss-cpu", "umap": "umap-learn", "MySQLdb": "mysqlclient", "psycopg2": "psycopg2-binary",
    "serial": "pyserial", "git": "gitpython", "jwt": "pyjwt", "docx": "python-docx", "grpc": "grpcio",
}  # fmt: skip
"""Import name → distribution, where the two differ and people meet them."""


@death(
    "run-command-not-found",
    "The command is not in the image",
    "execve(2); exit code 127 of shells and engines",
)
def command_not_found(run: RunEvidence) -> Iterator[Sign]:
    """Exit code 127: no program of that name is on the image's `PATH`. Tools of tests and checks are in the
    target `dev`, tools of Debian come with `apt`.

    Mend: spell it as the image does (`python`, not a path of your machine), add the package, or name the
    target that has it: `target = "dev"`.
    """
    match = said(run, _NOT_FOUND)
    if run.exit_status != _NOT_FOUND_STATUS or said(run, _NO_LIBRARY):
        return
    name = next((group for group in match.match.groups() if group), "") if match is not None else ""
    name = name or (run.command[0] if run.command else "the command")
    shown = (match.proof,) if match is not None else ()
    yield Sign(proof=(*shown, f"no program {name!r} on the image's PATH", run.ending()), remedy="lading plan")


@death("run-not-executable", "The command may not be executed", "execve(2): EACCES; exit code 126")
def not_executable(run: RunEvidence) -> Iterator[Sign]:
    """Exit code 126: the file is there and has no execute bit, is a folder, or names an interpreter (`#!`)
    that is not in the image.

    Mend: start it through its interpreter (`python train.py`, `sh run.sh`), or `chmod +x` it in the project.
    """
    if run.exit_status == _NOT_EXECUTABLE_STATUS and not run.words.has(_ARCHITECTURE):
        match = said(run, _NOT_EXECUTABLE)
        shown = (match.proof,) if match is not None else ()
        yield Sign(
            proof=(*shown, run.ending()), remedy=f"git ls-files -s {run.command[0] if run.command else '.'}"
        )


@death("run-wrong-architecture", "A program is for another processor", "execve(2): ENOEXEC")
def wrong_architecture(run: RunEvidence) -> Iterator[Sign]:
    """A program or library is of another architecture than the host (arm64 on x86-64 or the other way), or a
    script has no `#!` line and was started directly.

    Mend: build for this host's platform, or register an emulator (`qemu-user-static`).
    """
    yield from told(run, said(run, _ARCHITECTURE), "lading plan --platform linux/amd64")


@death("run-library-missing", "A shared library is not in the image", "ld.so(8)")
def library_missing(run: RunEvidence) -> Iterator[Sign]:
    """The loader looked for a library that no wheel brings and no locked Debian package has. lading finds
    these when it locks, for all that importing loads; this one is opened later, by name, or by a program of
    yours.

    Mend: name the Debian package that has it, under `[image]`: `apt = ["libgl1"]` for `libGL.so.1`.
    """
    match = said(run, _NO_LIBRARY)
    if match is None or run.words.has(re.compile(r"libcuda\.so|libnvidia-ml\.so")):
        return
    name = next(group for group in match.match.groups() if group).rpartition("/")[2]
    yield from told(run, match, f"apt-file search {name}", f"name its package: [image] apt = […] for {name}")


@death(
    "run-library-version", "A library is older than what was built against it", "ld.so(8): symbol versions"
)
def library_version(run: RunEvidence) -> Iterator[Sign]:
    """A wheel or program wants a symbol that the image's library does not have: built on a newer Debian
    (`GLIBC_2.38`), or two packages that do not fit (`undefined symbol`, mostly torch and an extension built
    against another torch).

    Mend: a newer `base`, or versions that were released for each other.
    """
    match = said(run, _LIBRARY_VERSION)
    more = ""
    if match is not None and match.match[1] and match.match[1].startswith("GLIBC_"):
        more = "bookworm has glibc 2.36, trixie 2.41"
    yield from told(run, match, "lading lock --upgrade" if not more else "lading plan", more)


@death("run-module-missing", "A Python module is not in the image", "importlib: ModuleNotFoundError")
def module_missing(run: RunEvidence) -> Iterator[Sign]:
    """The import found no such module: its package is not among the requirements, or is in another target's
    group.

    The name of a package and of its module differ at times: `cv2` is `opencv-python-headless`, `sklearn` is
    `scikit-learn`. Modules of your own are found below `/app` and in the packages of the project.

    Mend: add the package to the requirements (with a `pyproject.toml`: `uv add`), or its group to the target.
    """
    match = said(run, _NO_MODULE)
    if match is None or match.match[1].startswith(_STALE_MODULES):
        return
    name = match.match[1]
    package = (
        _NAMES.get(name) or _NAMES.get(name.partition(".")[0]) or name.partition(".")[0].replace("_", "-")
    )
    add = f"echo {package} >> requirements.txt"
    yield from told(run, match, add, f"{name!r} is in no package of this target")


@death(
    "run-module-version", "Two packages do not fit each other", "ImportError, AttributeError after an upgrade"
)
def module_version(run: RunEvidence) -> Iterator[Sign]:
    """A name that the code asks for is not in the version that is installed: a package was upgraded and
    another, or your code, was written for the one before. Extensions compiled for numpy 1 say so when numpy 2
    loads them.

    A file of your own that is called like a package (`random.py`, `datasets.py`) looks the same.

    Mend: pin the older version, or upgrade what asks for it.
    """
    match = said(run, _MOVED)
    if match is None or _CIRCULAR.search(match.line):
        return
    package = next((group for group in (match.match[2], match.match[3]) if group), "numpy").partition(".")[0]
    yield from told(run, match, f"uv pip show {package}")


@death(
    "run-compiler-missing",
    "Something is compiled while it runs, and no compiler is there",
    "triton, torch.compile",
)
def compiler_missing(run: RunEvidence) -> Iterator[Sign]:
    """`torch.compile`, triton, deepspeed and JIT extensions compile as they run and need gcc and headers,
    some nvcc. lading adds gcc where triton is in the lock of a train target; it adds no CUDA toolkit.

    Mend: `apt = ["gcc", "g++", "libc6-dev", "python3-dev"]` under `[image]`, or switch compiling off
    (`TORCHDYNAMO_DISABLE=1`).
    """
    yield from told(run, said(run, _NO_COMPILER), run.again("--env TORCHDYNAMO_DISABLE=1"))


@death(
    "run-variable-missing", "An environment variable is not set in the run", "docs/guides/tasks.md: secrets"
)
def variable_missing(run: RunEvidence) -> Iterator[Sign]:
    """The code read a variable that a container does not inherit: it gets exactly what the task says.

    Mend: a secret by name (`secrets = ["HF_TOKEN"]`: passed on, never written down), anything else under
    `env`.
    """
    match = said(run, _UNSET)
    if match is None or run.words.last is None or run.words.last.kind != "KeyError":
        return
    if not any(
        frame.path == "<frozen os>" or frame.path.endswith("/os.py") for frame in run.words.last.frames
    ):
        return
    yield from told(run, match, run.again(f"--secret {match.match[1]}"))
