"""The project's own files as a layer, and the runtime that travels in serving images.

Code lies under /app. An installable project is importable as if installed: a `.pth` names its import roots,
and a generated .dist-info carries its metadata and scripts, so a working tree mounted over /app is the code
that runs.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import lading_runtime
from lading.errors import ProjectError
from lading.image.spec import CODE, RUNTIME, VENV, FilesLayer, PlannedFile
from lading.oci.digest import Digest
from lading.project.config import without_settings
from lading.project.model import Code, CodeFile, CodeKind, Project

_PYPROJECT = "pyproject.toml"


def code_layer(project: Project, python_version: str) -> FilesLayer:
    """Reads and hashes every file. Raises ProjectError for one that cannot be read."""
    generated: tuple[tuple[str, int, bytes], ...] = ()
    if project.code.kind is CodeKind.PURE:
        generated = _installed(project, python_version)
    files = project.code.files
    if project.code.kind is not CodeKind.BUILD and (pyproject := _pyproject(project)) is not None:
        generated = tuple(sorted((*generated, pyproject)))
        files = tuple(file for file in files if file.path != _PYPROJECT)
    planned = tuple(_planned(project.root, file) for file in files)
    return FilesLayer(kind="code", title=f"code of {project.name}", files=planned, generated=generated)


def _pyproject(project: Project) -> tuple[str, int, bytes] | None:
    """pyproject.toml as the image has it, where lading's settings stand in it: a change to them, as to
    lading.toml, is no change to the code."""
    found = next((file for file in project.code.files if file.path == _PYPROJECT), None)
    if found is None or found.link_target is not None:
        return None
    try:
        text = (project.root / _PYPROJECT).read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None  # told where it is read as a file
    kept = without_settings(text)
    return (
        None
        if kept is None
        else (f"{CODE}/{_PYPROJECT}", 0o755 if found.executable else 0o644, kept.encode())
    )


def _planned(root: Path, file: CodeFile) -> PlannedFile:
    source = root / file.path
    target = f"{CODE}/{file.path}"
    if file.link_target is not None:
        return PlannedFile(path=target, mode=0o777, size_bytes=0, sha256=None, link_target=file.link_target)
    try:
        content = source.read_bytes()
    except OSError as error:
        raise ProjectError(f"reading {file.path} failed: {error.strerror}", place=str(source)) from error
    return PlannedFile(
        path=target,
        mode=0o755 if file.executable else 0o644,
        size_bytes=len(content),
        sha256=Digest.of(content).hex,
        source=str(source),
    )


def _installed(project: Project, python_version: str) -> tuple[tuple[str, int, bytes], ...]:
    """What an editable install would leave in the environment, with the paths of the image."""
    assert project.code.distribution is not None
    name, version = project.code.distribution
    site_packages = f"{VENV}/lib/python{python_version}/site-packages"
    stem = re.sub(r"[-_.]+", "_", name)
    info = f"{site_packages}/{stem}-{version}.dist-info"
    roots = sorted({_import_root(source, target) for source, target in project.code.packages.items()})
    entry_points = _entry_points(project.code)
    generated = {
        f"{site_packages}/__{stem}.pth": (0o644, "".join(f"{root}\n" for root in roots)),
        f"{info}/METADATA": (0o644, f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        f"{info}/INSTALLER": (0o644, "lading\n"),
    }
    if entry_points:
        generated[f"{info}/entry_points.txt"] = (0o644, entry_points)
    for script, target in project.code.scripts.items():
        generated[f"{VENV}/bin/{script}"] = (0o755, _script(target))
    rows = "".join(
        f"{_record_path(path, site_packages)},,\n" for path in [*sorted(generated), f"{info}/RECORD"]
    )
    generated[f"{info}/RECORD"] = (0o644, rows)
    return tuple((path, mode, text.encode()) for path, (mode, text) in sorted(generated.items()))


def _entry_points(code: Code) -> str:
    """entry_points.txt as the packaging guide's "Entry points specification" has it; empty for none."""
    groups = {**code.entry_points, **({"console_scripts": code.scripts} if code.scripts else {})}
    sections = []
    for group, points in sorted(groups.items()):
        lines = "".join(f"{name} = {value}\n" for name, value in sorted(points.items()))
        sections.append(f"[{group}]\n{lines}")
    return "\n".join(sections)


def _import_root(source: str, target: str) -> str:
    """The folder in the image that must be on sys.path so that `source` is importable as `target`."""
    depth = len(PurePosixPath(target).parts)
    parent = PurePosixPath(CODE, source).parts[:-depth]
    return "/" + "/".join(parent)


def _record_path(path: str, site_packages: str) -> str:
    if path.startswith(f"{site_packages}/"):
        return path[len(site_packages) + 1 :]
    return "../../../" + path.removeprefix(f"{VENV}/")


def _script(target: str) -> str:
    module, _, function = target.partition(":")
    top = function.partition(".")[0]
    return (
        f"#!/{VENV}/bin/python\nimport sys\nfrom {module} import {top}\n"
        f'if __name__ == "__main__":\n    sys.exit({function}())\n'
    )


def runtime_layer() -> FilesLayer:
    """lading's model server, standard library only, found through PYTHONPATH."""
    folder = Path(lading_runtime.__file__).parent
    files = []
    for source in sorted(folder.rglob("*.py")):
        content = source.read_bytes()
        files.append(
            PlannedFile(
                path=f"{RUNTIME}/lading_runtime/{source.relative_to(folder).as_posix()}",
                mode=0o644,
                size_bytes=len(content),
                sha256=Digest.of(content).hex,
                source=str(source),
            )
        )
    return FilesLayer(kind="runtime", title="model server", files=tuple(files))
