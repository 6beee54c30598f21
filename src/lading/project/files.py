"""The files of a project that enter its image: one walk, ignore rules applied, sorted by bytes of the path.

Knows the folder and the rules; reads ignore files and file metadata, of other files only what says that a
`.tar` at the top is an image that was written here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lading.project.ignore import Pattern, decide, dockerignore_patterns, gitignore_patterns
from lading.project.model import CodeFile
from lading.project.report import Report

NEVER = gitignore_patterns(
    """
.git
.hg
.svn
.venv
__pycache__
*.pyc
*.pyo
.pytest_cache
.mypy_cache
.ruff_cache
.hypothesis
.tox
.nox
node_modules
.ipynb_checkpoints
mlruns
wandb/
/lading.lock
"""
)
"""Left out whatever the project's own rules say."""

USUALLY_NOT = gitignore_patterns(
    """
/README*
/CHANGELOG*
/CONTRIBUTING*
/CODE_OF_CONDUCT*
/SECURITY.md
/LICENSE*
/LICENCE*
/COPYING*
/NOTICE*
/AUTHORS*
/CITATION.cff
/docs/
/tests/
/test/
/mkdocs.yml
/noxfile.py
/tox.ini
/Makefile
/Dockerfile*
/lading.toml
*.sbom.json
*.provenance.json
lading-bundle*.tar.gz
.gitignore
.gitattributes
.gitmodules
.dockerignore
.ladingignore
/.github
/.gitlab-ci.yml
/.pre-commit-config.yaml
.editorconfig
.DS_Store
.idea
.vscode
*.egg-info/
"""
)
"""Left out unless a rule takes them back (`!README.md`): editing them must not make another image."""

LARGEST_FILE_BYTES = 100_000_000
LARGEST_DATA_BYTES = 20_000_000
DATA_SUFFIXES = (
    ".pt", ".pth", ".ckpt", ".safetensors", ".onnx", ".parquet", ".bin", ".h5", ".hdf5", ".npy", ".npz",
    ".pkl", ".joblib", ".csv", ".feather", ".arrow", ".gguf", ".zip", ".tar", ".gz", ".zst", ".whl",
)  # fmt: skip

EXPORT_MARK = "lading-export.json"
_NOT_CODE_BESIDE = ("pyvenv.cfg", "oci-layout", EXPORT_MARK)
"""A folder with one of these is a virtual environment, or an image or an export that was written here."""

_IMAGE_MEMBERS = (b"blobs", b"oci-layout", b"index.json", b"manifest.json", b"repositories")


@dataclass(slots=True)
class Walk:
    """One walk over the project folder."""

    root: Path
    report: Report
    excluded: frozenset[str]
    """Project-relative paths (files or folders) that are not code: outputs, data, wheel folders."""
    usually_not: tuple[Pattern, ...] = USUALLY_NOT
    rules_file: str | None = None
    files: list[CodeFile] = field(default_factory=list)
    _root_rules: tuple[Pattern, ...] = ()
    _may_return: bool = False

    def run(self) -> tuple[CodeFile, ...]:
        """Every file that enters the image; problems go to the report."""
        for name, read in ((".ladingignore", gitignore_patterns), (".dockerignore", dockerignore_patterns)):
            text = self._text(self.root / name)
            if text is not None:
                self._root_rules, self.rules_file = read(text), name
                self._may_return = name == ".dockerignore" and any(rule.negated for rule in self._root_rules)
                break
        else:
            self.rules_file = ".gitignore" if (self.root / ".gitignore").is_file() else None
        nested = self.rules_file in {None, ".gitignore"}
        self._folder("", (), nested, inherited=False)
        self.files.sort(key=lambda file: file.path.encode())
        return tuple(self.files)

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_bytes().decode("utf-8", "surrogateescape")
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None
        except OSError as error:
            self.report.add(path.name, path.name, f"cannot be read: {error.strerror}")
            return None

    def _folder(
        self,
        folder: str,
        levels: tuple[tuple[str, tuple[Pattern, ...]], ...],
        nested: bool,
        *,
        inherited: bool,
    ) -> None:
        """One folder; `levels` are the ignore files above it, innermost first, each with its folder."""
        try:
            with os.scandir(self.root / folder) as scan:
                entries = list(scan)
        except OSError as error:
            self.report.add(folder or ".", "code", f"folder cannot be read: {error.strerror}")
            return
        if folder and any(entry.name in _NOT_CODE_BESIDE for entry in entries):
            return
        if {"FORMAT", "blobs", "staging"} <= {entry.name for entry in entries}:
            return  # a store
        if nested and any(entry.name == ".gitignore" for entry in entries):
            text = self._text(self.root / folder / ".gitignore")
            if text is not None:
                levels = ((folder, gitignore_patterns(text)), *levels)
        for entry in entries:
            self._entry(entry, f"{folder}/{entry.name}" if folder else entry.name, levels, nested, inherited)

    def _entry(
        self,
        entry: os.DirEntry[str],
        path: str,
        levels: tuple[tuple[str, tuple[Pattern, ...]], ...],
        nested: bool,
        inherited: bool,
    ) -> None:
        is_folder = entry.is_dir(follow_symlinks=False)
        if path in self.excluded or decide(NEVER, path, is_folder):
            return
        ignored = self._ignored(path, is_folder, levels)
        ignored = inherited if ignored is None else ignored
        if is_folder:
            if not ignored or self._may_return:
                self._folder(path, levels, nested, inherited=ignored)
        elif not ignored:
            self._file(entry, path)

    def _ignored(
        self, path: str, is_folder: bool, levels: tuple[tuple[str, tuple[Pattern, ...]], ...]
    ) -> bool | None:
        verdict = decide(self._root_rules, path, is_folder)
        for folder, patterns in levels:
            if verdict is not None:
                break
            verdict = decide(patterns, path[len(folder) + 1 :] if folder else path, is_folder)
        return decide(self.usually_not, path, is_folder) if verdict is None else verdict

    def _file(self, entry: os.DirEntry[str], path: str) -> None:
        try:
            path.encode()
        except UnicodeEncodeError:
            self.report.add(
                ascii(path), "code", "file name is not UTF-8", "rename it, or add it to .ladingignore"
            )
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self.report.add(path, "code", f"cannot be read: {error.strerror}")
            return
        if stat.S_ISLNK(status.st_mode):
            self._link(path)
        elif not stat.S_ISREG(status.st_mode):
            kind = "a socket" if stat.S_ISSOCK(status.st_mode) else "a pipe or device"
            self.report.add(path, "code", f"is {kind}, not a file", self._remedy(path))
        elif "/" not in path and path.endswith(".tar") and is_image_archive(self.root / path):
            return
        elif status.st_size > _limit(path):
            self._too_large(path, status.st_size)
        else:
            executable = bool(status.st_mode & stat.S_IXUSR)
            self.files.append(CodeFile(path=path, size_bytes=status.st_size, executable=executable))

    def _link(self, path: str) -> None:
        target = str((self.root / path).readlink())
        real_root = os.path.realpath(self.root)
        real = os.path.realpath(self.root / path)
        if target.startswith("/") or not (real + os.sep).startswith(real_root.rstrip(os.sep) + os.sep):
            self.report.add(
                path, "code", f"symlink leads out of the project, to {target!r}", self._remedy(path)
            )
            return
        try:
            target.encode()
        except UnicodeEncodeError:
            self.report.add(path, "code", "symlink target is not UTF-8", self._remedy(path))
            return
        self.files.append(CodeFile(path=path, size_bytes=0, executable=False, link_target=target))

    def _too_large(self, path: str, size_bytes: int) -> None:
        self.report.add(
            path,
            "code",
            f"{size_bytes / 1e6:.0f} MB: data and weights do not belong in the image",
            f"{self._remedy(path)}; or name it as [data.NAME] source",
        )

    def _remedy(self, path: str) -> str:
        # A new .ladingignore would replace the rules that are there, so the line goes to the file in use.
        return f"echo '/{path}' >> {self.rules_file or '.ladingignore'}"


def is_image_archive(path: Path) -> bool:
    """Whether a tar begins as the archive of an image does: with a blob or one of its documents."""
    try:
        with path.open("rb") as file:
            header = file.read(512)
    except OSError:
        return False
    name = header[:100].split(b"\0")[0].removeprefix(b"./")
    return header[257:262] == b"ustar" and (name.startswith(b"blobs/") or name in _IMAGE_MEMBERS)


def _limit(path: str) -> int:
    return LARGEST_DATA_BYTES if path.lower().endswith(DATA_SUFFIXES) else LARGEST_FILE_BYTES


def excluded_paths(root: Path, paths: Iterable[str]) -> frozenset[str]:
    """Normalized project-relative forms of `paths` that lie inside the project and are not all of it."""
    inside = set()
    for path in paths:
        relative = os.path.relpath(os.path.join(root, path), root).replace(os.sep, "/")
        if relative != "." and not relative.startswith("../"):
            inside.add(relative)
    return frozenset(inside)
