"""What installing a wheel would put where: decided from its metadata alone, before any file is inflated.

Knows the wheel specification and uv's choices where it leaves any; must not know layers, stores or downloads.
Nothing is extracted or executed.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field

from lading.fetch.source import ByteSource
from lading.image.wheel.entry_points import Script, is_reserved, read_scripts
from lading.image.wheel.metadata import (
    WheelName,
    check_metadata,
    check_wheel_file,
    find_dist_info,
    parse_filename,
)
from lading.image.wheel.oddities import (
    importable_names,
    warn_about_modules,
    warn_about_path_file,
    warn_about_purity,
)
from lading.image.wheel.record import RecordRow, check_record, read_record, write_record
from lading.image.wheel.rules import Judge
from lading.image.wheel.tail_window import TailWindow
from lading.image.wheel.zip import (
    ZipDirectory,
    ZipMember,
    data_offset,
    inflate_member,
    read_directory,
    read_member,
)
from lading.image.wheel.zip_directory import TAIL_BYTES

INSTALLER = b"lading\n"
METADATA_LIMIT_BYTES = 64 << 20
SCRIPT_LIMIT_BYTES = 16 << 20
_SHEBANG = b"#!python"
_SCHEMES = ("purelib", "platlib", "scripts", "headers", "data")
_LAUNCHER_SUFFIXES = (".exe", "-script.py", ".pya")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """Where a virtual environment lies in the image. Paths have no leading slash, `interpreter` has."""

    python_version: str
    """`3.11`."""
    root: str = "opt/venv"

    @property
    def site_packages(self) -> str:
        return f"{self.root}/lib/python{self.python_version}/site-packages"

    @property
    def scripts(self) -> str:
        return f"{self.root}/bin"

    @property
    def interpreter(self) -> str:
        return f"/{self.root}/bin/python"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallFile:
    """One file of the image: a member as it is, or bytes that are generated or rewritten."""

    path: str
    """POSIX, relative to the image root."""
    mode: int
    """0o644 or 0o755."""
    member: ZipMember | None = None
    member_index: int | None = None
    content: bytes | None = field(default=None, repr=False)
    """Exactly one of `member` and `content` is given."""
    sha256: str
    """64 hex digits; a member's from RECORD, to be compared when it is inflated."""
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelInstall:
    name: str
    """Normalized (PEP 503)."""
    version: str
    filename: str
    files: tuple[InstallFile, ...]
    """Members in the order of their bytes, then generated files."""
    skipped: tuple[int, ...]
    """Indexes of members that are no file of the image: folders, RECORD and what is rewritten."""
    directory: ZipDirectory
    metadata: str
    """The text of METADATA."""
    top_level: tuple[str, ...]
    """Names that can be imported, sorted."""
    warnings: tuple[str, ...]


def plan_install(source: ByteSource, filename: str, prefix: Prefix, *, lenient: bool = False) -> WheelInstall:
    """Where each file of the wheel goes, after everything that can be checked without inflating it was.

    `lenient` lets the waivable rules pass with a warning. Raises WheelRefused; FetchFailed from the source.
    Specification: packaging.python.org, binary distribution format 1.0.
    """
    window = TailWindow(source, TAIL_BYTES)
    directory = read_directory(window, filename, lenient=lenient)
    return _Planner(window, directory, prefix).plan()


def verify_wheel(source: ByteSource, filename: str, prefix: Prefix, *, lenient: bool = False) -> WheelInstall:
    """`plan_install`, then every member's header, stream, size, CRC-32 and SHA-256. Raises WheelRefused."""
    install = plan_install(source, filename, prefix, lenient=lenient)
    for index, file in walk(install):
        offset = data_offset(source, install.directory, index)
        member = install.directory.members[index]
        digest = hashlib.sha256()
        for _, content in inflate_member(source, install.directory, member, offset):
            digest.update(content)
        if file is not None and digest.hexdigest() != file.sha256:
            install.directory.judge().refuse(
                "record-hash",
                f"its SHA-256 is {digest.hexdigest()}, RECORD says {file.sha256}",
                member=member.name,
            )
    return install


def walk(install: WheelInstall) -> Iterator[tuple[int, InstallFile | None]]:
    """Every member in the order of its bytes with the file it becomes; None for a skipped one.

    Whoever reads the archive once from front to back checks all of it by calling `data_offset` for each.
    """
    wanted = {file.member_index: file for file in install.files if file.member_index is not None}
    for index in range(len(install.directory.members)):
        yield index, wanted.get(index)


class _Planner:
    """One wheel on its way to a WheelInstall."""

    def __init__(self, window: TailWindow, directory: ZipDirectory, prefix: Prefix) -> None:
        self.window = window
        self.directory = directory
        self.prefix = prefix
        self.judge: Judge = directory.judge()
        self.judge.warnings.extend(directory.warnings)
        self.wheel: WheelName = parse_filename(self.judge)
        members = directory.members
        self.index_of = {
            member.name: index for index, member in enumerate(members) if not member.is_directory
        }
        stem = find_dist_info([member.name for member in members], self.wheel, self.judge)
        self.info = f"{stem}.dist-info/"
        self.data = f"{stem}.data/"
        self.record_name = self.info + "RECORD"
        self.signatures = frozenset({self.info + "RECORD.jws", self.info + "RECORD.p7s"})
        self.rows: dict[str, RecordRow] = {}
        self.dropped = frozenset({self.record_name, self.info + "INSTALLER", self.info + "REQUESTED"})

    def plan(self) -> WheelInstall:
        self._fetch_metadata()
        self._read_record()
        wheel_file = self.info + "WHEEL"
        pure = check_wheel_file(self._required(wheel_file), wheel_file, self.wheel, self.judge)
        metadata_file = self.info + "METADATA"
        metadata = self._required(metadata_file)
        check_metadata(metadata, metadata_file, self.wheel, self.judge)
        scripts = self._scripts()
        from_members, rewritten = self._members(frozenset(script.name for script in scripts))
        launchers = [self._launcher(script) for script in scripts]
        files = [*from_members, *self._generated([*rewritten, *launchers], from_members)]
        check_install_paths(files, self.prefix, self.judge)
        top_level = self._warn(files, pure)
        used = {file.member_index for file in from_members}
        return WheelInstall(
            name=self.wheel.name,
            version=str(self.wheel.version),
            filename=self.directory.filename,
            files=tuple(files),
            skipped=tuple(index for index in range(len(self.directory.members)) if index not in used),
            directory=self.directory,
            metadata=metadata.decode(),
            top_level=top_level,
            warnings=tuple(self.judge.warnings),
        )

    def _fetch_metadata(self) -> None:
        """Have the .dist-info folder in memory with one request, when it stands at the end as most do."""
        offsets = [m.header_offset for m in self.directory.members if m.name.startswith(self.info)]
        self.window.extend_to(min(offsets))

    def _read_record(self) -> None:
        index = self.index_of.get(self.record_name)
        if index is None:
            self.judge.refuse("record-missing", f"it has no {self.record_name}")
        raw = read_member(self.window, self.directory, index, limit_bytes=METADATA_LIMIT_BYTES)
        self.rows = read_record(raw, self.record_name, self.signatures, self.judge)
        members = self.directory.members
        sizes = {name: members[index].size_bytes for name, index in self.index_of.items()}
        check_record(self.rows, sizes, self.signatures | {self.record_name}, self.judge)

    def _read(self, name: str, limit_bytes: int) -> bytes:
        """One member, checked against RECORD too."""
        raw = read_member(self.window, self.directory, self.index_of[name], limit_bytes=limit_bytes)
        found = hashlib.sha256(raw).hexdigest()
        if found != self.rows[name].sha256:
            self.judge.refuse(
                "record-hash", f"its SHA-256 is {found}, RECORD says {self.rows[name].sha256}", member=name
            )
        return raw

    def _required(self, name: str) -> bytes:
        if name not in self.index_of:
            self.judge.refuse("metadata-missing", f"it has no {name}")
        return self._read(name, METADATA_LIMIT_BYTES)

    def _scripts(self) -> tuple[Script, ...]:
        name = self.info + "entry_points.txt"
        if name not in self.index_of:
            return ()
        raw = self._read(name, METADATA_LIMIT_BYTES)
        return read_scripts(raw, name, self.prefix.python_version, self.judge)

    def _members(self, launchers: frozenset[str]) -> tuple[list[InstallFile], list[InstallFile]]:
        """Files that are members as they are, and scripts whose first line was rewritten."""
        files, rewritten = [], []
        self._warn_about_special_bits()
        site = self.prefix.site_packages + "/"
        data_prefix, rows = self.data, self.rows
        for index, member in enumerate(self.directory.members):
            name = member.name
            if name.endswith("/") or name in self.dropped:
                continue
            if name in self.signatures:
                self.judge.warn("signature-dropped", "it signs a RECORD that is rewritten", member=name)
                continue
            mode = 0o755 if member.mode & 0o111 else 0o644
            path = site + name
            if name.startswith(data_prefix):
                scheme, _, rest = name[len(data_prefix) :].partition("/")
                path = self._scheme_path(scheme, rest, name)
                if scheme == "scripts":
                    if _launcher_name(rest) in launchers:
                        continue
                    mode = 0o755
                    if self._starts_with_placeholder(index):
                        rewritten.append(self._rewritten(name, path))
                        continue
            files.append(
                InstallFile(
                    path=path,
                    mode=mode,
                    member=member,
                    member_index=index,
                    sha256=rows[name].sha256,
                    size_bytes=member.size_bytes,
                )
            )
        return files, rewritten

    def _warn_about_special_bits(self) -> None:
        found = [m for m in self.directory.members if m.mode & 0o7000 and not m.is_directory]
        if found:
            more = f", and {len(found) - 1} more members" if len(found) > 1 else ""
            self.judge.warn(
                "mode-special-bits", f"mode {found[0].mode:#o} was masked{more}", member=found[0].name
            )

    def _scheme_path(self, scheme: str, rest: str, name: str) -> str:
        if scheme not in _SCHEMES or not rest:
            self.judge.refuse("data-scheme", f"{scheme!r} is none of {', '.join(_SCHEMES)}", member=name)
        prefix = self.prefix
        if scheme in ("purelib", "platlib"):
            self._check_library_path(rest, name)
            return f"{prefix.site_packages}/{rest}"
        if scheme == "headers":
            return f"{prefix.root}/include/site/python{prefix.python_version}/{self.wheel.name}/{rest}"
        if scheme == "scripts":
            if "/" in rest:
                self.judge.refuse("script-nested", "scripts cannot lie in subfolders", member=name)
            return f"{prefix.scripts}/{rest}"
        if rest.startswith("lib64/"):  # a link to lib in every virtual environment
            rest = "lib/" + rest[len("lib64/") :]
        path = f"{prefix.root}/{rest}"
        if path.startswith(prefix.site_packages + "/"):
            self._check_library_path(path[len(prefix.site_packages) + 1 :], name)
        return path

    def _check_library_path(self, path: str, name: str) -> None:
        if path.partition("/")[0].lower().endswith(".dist-info"):
            self.judge.refuse("install-protected", "it would add to the metadata of a project", member=name)

    def _starts_with_placeholder(self, index: int) -> bool:
        member = self.directory.members[index]
        offset = data_offset(self.window, self.directory, index)
        head = b""
        for _, content in inflate_member(self.window, self.directory, member, offset):
            head += bytes(content[: len(_SHEBANG)])
            if len(head) >= len(_SHEBANG):
                break
        return head.startswith(_SHEBANG)

    def _rewritten(self, name: str, path: str) -> InstallFile:
        """The interpreter takes the place of the whole first line, arguments too, as with pip and uv."""
        rest = self._read(name, SCRIPT_LIMIT_BYTES).partition(b"\n")[2]
        return _generated_file(path, 0o755, b"#!%s\n%s" % (self.prefix.interpreter.encode(), rest))

    def _launcher(self, script: Script) -> InstallFile:
        return _generated_file(
            f"{self.prefix.scripts}/{script.name}", 0o755, script.content(self.prefix.interpreter)
        )

    def _generated(self, made: list[InstallFile], members: list[InstallFile]) -> list[InstallFile]:
        """`made`, INSTALLER and RECORD."""
        site = self.prefix.site_packages
        made = [*made, _generated_file(f"{site}/{self.info}INSTALLER", 0o644, INSTALLER)]
        made.sort(key=lambda file: file.path)
        entries = [(_relative(file.path, site), file.sha256, file.size_bytes) for file in (*members, *made)]
        record = write_record(entries, self.record_name)
        return [*made, _generated_file(f"{site}/{self.record_name}", 0o644, record)]

    def _warn(self, files: list[InstallFile], pure: bool) -> tuple[str, ...]:
        site = self.prefix.site_packages + "/"
        inside = [file.path[len(site) :] for file in files if file.path.startswith(site)]
        names = importable_names(inside)
        warn_about_modules(names, self.judge)
        for file in files:
            if (
                file.member is not None
                and file.path.endswith(".pth")
                and posixpath.dirname(file.path) + "/" == site
            ):
                warn_about_path_file(
                    self._read(file.member.name, SCRIPT_LIMIT_BYTES), file.member.name, self.judge
                )
        warn_about_purity(pure, self.index_of, self.judge)
        return names


def check_install_paths(files: list[InstallFile], prefix: Prefix, judge: Judge) -> None:
    """No path twice, none inside a file, none that is part of the environment itself. Raises WheelRefused."""
    paths = {file.path for file in files}
    if len(paths) != len(files):
        seen: set[str] = set()
        for file in files:
            if file.path in seen:
                judge.refuse("install-collision", f"two files would be installed at {file.path}")
            seen.add(file.path)
    folders: set[str] = set()
    for folder in {path.rpartition("/")[0] for path in paths}:
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    for path in sorted(paths & folders):
        judge.refuse("install-collision", f"{path} would be a file and a folder")
    for path in sorted(paths):
        folder, _, name = path.rpartition("/")
        if folder == prefix.scripts and is_reserved(name):
            judge.refuse(
                "install-protected", f"a script named {name} would replace the interpreter or a shell"
            )
    for part in ("pyvenv.cfg", "bin", "lib", "lib64", "include"):
        if f"{prefix.root}/{part}" in paths:
            judge.refuse("install-protected", f"{part} belongs to the virtual environment")


def _launcher_name(name: str) -> str:
    for suffix in _LAUNCHER_SUFFIXES:
        if name.endswith(suffix):
            return name[: -len(suffix)]
    return name


def _relative(path: str, site: str) -> str:
    if path.startswith(site + "/"):
        return path[len(site) + 1 :]
    return posixpath.relpath(path, site)


def _generated_file(path: str, mode: int, content: bytes) -> InstallFile:
    return InstallFile(
        path=path,
        mode=mode,
        content=content,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
    )
