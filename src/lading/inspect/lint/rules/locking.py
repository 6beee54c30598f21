"""Rules about whether a project's packages are the same tomorrow, and whether they fit its Python. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from lading.inspect.lint.dependencies import REQUIREMENTS, Dependencies, Unparsable, table
from lading.inspect.lint.dockerfile import NotADockerfile, read_dockerfile
from lading.inspect.lint.locks import LOCK_FILES, LockFile, read_lock
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.python_code import is_worth_reading, read_python
from lading.inspect.lint.requirements_file import Entry, normalized
from lading.inspect.lint.roles import is_for_developers
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.code import loads_a_download
from lading.inspect.lint.rules.scripts import final_stage, image_name, pip_arguments, run_commands
from lading.inspect.lint.surroundings import Folder, Surroundings

_APPLICATION = frozenset(
    {
        "Dockerfile",
        "Containerfile",
        "lading.toml",
        "train.py",
        "serve.py",
        "docker-compose.yml",
        "compose.yaml",
    }
)
_LOCKS = (
    "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "lading.lock", "Pipfile.lock", "pixi.lock",
    "conda-lock.yml",
)  # fmt: skip
_PIP = "pip.pypa.io: secure installs, repeatable installs"


def _is_library(folder: Folder) -> bool:
    """What others install leaves its versions open, rightly."""
    return folder.has("setup.py") or folder.has("setup.cfg")


def _is_locked(folder: Folder | None) -> bool:
    """Whether a lock lies beside, or above as in a workspace; true where nothing is known."""
    if folder is None or folder.path is None:
        return True
    found = False
    while folder is not None and not found:
        found = any(folder.has(name) for name in _LOCKS)
        folder = folder.above
    return found


def _runs(dependencies: Dependencies, around: Surroundings) -> bool:
    """Whether the list, by its own name and its folder's, is for running."""
    path = around.folder.path
    return dependencies.runs and (path is None or not is_for_developers(path.absolute().name))


def _loose(dependencies: Dependencies) -> list[Entry]:
    return [entry for entry in dependencies.entries if entry.name and not entry.is_exact]


@rule("LDP001", "Packages that are not locked", Kind.REQUIREMENTS, Severity.WARNING, _PIP, looks_around=True)
def unlocked(dependencies: Dependencies, around: Surroundings) -> Iterator[Spot]:
    """A range, or no version at all, is another package next month, and the model that was tested is not
    the one that is served. Silent where a lock lies beside or above, about libraries, and about lists for
    developers.

    Bad:

        torch>=2.6
        numpy

    Good:

        torch==2.6.0
        numpy==2.2.4

    `lading lock` or `uv lock` writes all of it down, with hashes.
    """
    loose, folder = _loose(dependencies), around.folder
    if not loose or not _runs(dependencies, around) or dependencies.includes_others or _is_locked(folder):
        return
    if dependencies.is_requirements:
        told = not _is_library(folder) and not folder.has("pyproject.toml")
    elif dependencies.is_pyproject:
        pinned = any(REQUIREMENTS.fullmatch(path) for path in folder.listing.sizes)
        library = "build-system" in dependencies.document and "lading" not in table(
            dependencies.document, "tool"
        )
        told = any(folder.has(name) for name in _APPLICATION) and not pinned and not library
    else:
        told = False
    if told:
        more = f" and {len(loose) - 1} more" if len(loose) > 1 else ""
        yield Spot(
            start=loose[0].start, message=f"{loose[0].name}{more} may be another version tomorrow: no lock"
        )


@rule("LDP002", "Versions without hashes", Kind.REQUIREMENTS, Severity.WARNING, _PIP, looks_around=True)
def unhashed(dependencies: Dependencies, around: Surroundings) -> Iterator[Spot]:
    """A version is a name: whoever controls an index or the way to it chooses the file. With a hash on one
    line pip asks for one on every line, and refuses the file otherwise. A file with a Git address or a path
    cannot have any, and is left alone.

    Bad:

        torch==2.6.0

    Good:

        torch==2.6.0 --hash=sha256:0123456789abcdef…

    `uv pip compile --generate-hashes` or `lading lock` writes them.
    """
    if not dependencies.is_requirements or not _runs(dependencies, around) or _is_locked(around.folder):
        return
    named = dependencies.entries
    bare = [entry for entry in named if not entry.hashed]
    if any(entry.url for entry in named):
        return
    if not bare or _loose(dependencies) or dependencies.includes_others or _is_library(around.folder):
        return
    if len(bare) < len(named):
        message = f"{bare[0].name} has no hash while others have: pip refuses the file"
    else:
        message = "versions without hashes: any file of that name is installed"
    yield Spot(start=bare[0].start, message=message)


@rule(
    "LDP003", "A lock that is older than what is asked", Kind.REQUIREMENTS, Severity.WARNING,
    "docs.astral.sh/uv: locking and syncing; peps.python.org/pep-0751", looks_around=True,
)  # fmt: skip
def stale_lock(dependencies: Dependencies, around: Surroundings) -> Iterator[Spot]:
    """The lock lacks a package that `pyproject.toml` asks for, or was made for another range of its versions:
    what is installed from it is not what was asked.

    Bad:

        dependencies = ["torch>=2.6", "pandas"]     # uv.lock knows no pandas

    Good:

        uv lock
    """
    if not dependencies.is_pyproject:
        return
    for name in LOCK_FILES:
        text = around.folder.read(name)
        if text is None:
            continue
        try:
            lock = read_lock(name, text)
        except Unparsable:
            continue
        for entry in dependencies.entries:
            if entry.name and not entry.marker and (why := _missing(entry, lock, dependencies)):
                yield Spot(start=entry.start, message=why)


def _missing(entry: Entry, lock: LockFile, dependencies: Dependencies) -> str | None:
    if not lock.packages:
        return None
    if entry.name not in {package.name for package in lock.packages}:
        return f"{entry.name} is not in {lock.name}: lock again"
    written = _required(lock, dependencies).get(entry.name)
    if written is None or entry.url:
        return None
    try:
        same = SpecifierSet(written) == SpecifierSet(entry.specifier)
    except InvalidSpecifier:
        return None
    if same:
        return None
    return f"{lock.name} was made for {entry.name}{written or ' of any version'}: lock again"


def _required(lock: LockFile, dependencies: Dependencies) -> Mapping[str, str]:
    """What uv.lock says the project asked for: the range of packages with one entry and no marker."""
    own = normalized(str(table(dependencies.document, "project").get("name", "")))
    found: dict[str, list[str]] = {}
    packages = lock.document.get("package") if lock.name == "uv.lock" else None
    for package in packages if isinstance(packages, list) else ():
        if not isinstance(package, dict) or normalized(str(package.get("name", ""))) != own:
            continue
        listed = table(package, "metadata").get("requires-dist")
        for one in listed if isinstance(listed, list) else ():
            if not isinstance(one, dict):
                continue
            plain = one.keys() <= {"name", "specifier", "extras"}
            found.setdefault(normalized(str(one.get("name"))), []).append(
                str(one.get("specifier", "")) if plain else "?"
            )
    return {name: written[0] for name, written in found.items() if len(written) == 1 and written[0] != "?"}


@rule(
    "LDP006", "A package that is built from source", Kind.LOCK, Severity.WARNING,
    "packaging.python.org: platform compatibility tags",
)  # fmt: skip
def no_wheel(lock: LockFile) -> Iterator[Spot]:
    """The lock holds no wheel of it for Linux and the project's Python: each installation runs its build,
    which wants compilers and headers, and can do what it likes. Packages that only another system asks for
    are left alone.

    Bad:

        [[package]]
        name = "old-extension"
        sdist = { url = "…/old_extension-1.0.tar.gz" }

    Good:

        a release that has wheels, or `lading build`, which builds it once, apart, and locks the result
    """
    for package in lock.packages:
        if package.has_source and not package.marked and not package.has_wheel(lock.oldest_python):
            message = (
                f"{package.name} {package.version} has no wheel that fits: it is built where it is installed"
            )
            yield Spot(start=package.start, message=message)


@rule(
    "LDP007", "A Python that the project refuses", Kind.REQUIREMENTS, Severity.ERROR,
    "packaging.python.org: requires-python", looks_around=True,
)  # fmt: skip
def refused_python(dependencies: Dependencies, around: Surroundings) -> Iterator[Spot]:
    """`requires-python` excludes the Python of the image beside it, or of `.python-version`: the installation
    stops.

    Bad:

        requires-python = ">=3.12"     # Dockerfile: FROM python:3.11-slim … RUN pip install .

    Good:

        requires-python = ">=3.11"
    """
    written = table(dependencies.document, "project").get("requires-python")
    if not dependencies.is_pyproject or not isinstance(written, str):
        return
    try:
        wanted = SpecifierSet(written)
    except InvalidSpecifier:
        return
    for version, where in _pythons(around.folder):
        numbers = version.split(".")
        exact = [version] if len(numbers) > 2 else [f"{version}.0", f"{version}.99"]
        if not any(wanted.contains(one, prereleases=True) for one in exact):
            yield Spot(
                start=dependencies.places["requires-python"],
                message=f"requires-python {written} refuses Python {version}, which {where} says",
            )


def _pythons(folder: Folder) -> Iterator[tuple[str, str]]:
    pinned = (folder.read(".python-version") or "").strip()
    if all(part.isdecimal() for part in pinned.split(".")) and pinned.count(".") in {1, 2}:
        yield pinned, ".python-version"
    text = folder.read("Dockerfile")
    if text is None:
        return
    try:
        document = read_dockerfile(text)
    except NotADockerfile:
        return
    stage = final_stage(document)
    base = document.base(stage)
    repository, tag = image_name(base) if base is not None else ("", "")
    numbers = tag.partition("-")[0]
    if repository != "python" or numbers.count(".") not in {1, 2} or not numbers.replace(".", "").isdecimal():
        return
    copied = {word.value for entry in stage.all("COPY", "ADD") for word in entry.words[:-1]}
    if not copied & {".", "./", "pyproject.toml", "./pyproject.toml"}:
        return  # another project is installed there
    for run in run_commands(stage):
        begin = pip_arguments(run.values)
        if begin is not None and any(
            word in {".", "./"} or word.startswith(".[") for word in run.values[begin:]
        ):
            yield numbers, "the Dockerfile's base"
            return


@rule(
    "LDP010", "Foreign weights and a torch before 2.6", Kind.REQUIREMENTS, Severity.WARNING,
    "CVE-2025-32434: torch.load runs code even with weights_only=True", looks_around=True,
)  # fmt: skip
def unsafe_load(dependencies: Dependencies, around: Surroundings) -> Iterator[Spot]:
    """Before 2.6 a file can run code in `torch.load`, with `weights_only=True` too. Said where a script
    beside the list loads what it has just downloaded.

    Bad:

        torch==2.5.1        # and: torch.load(hf_hub_download("org/name", "model.pt"))

    Good:

        torch==2.6.0
    """
    for entry in dependencies.entries:
        if entry.name != "torch" or entry.release is None or entry.release >= (2, 6) or entry.marker:
            continue
        for name in sorted(around.folder.listing.sizes):
            text = around.folder.read(name) if name.endswith(".py") else None
            if text is None or not is_worth_reading(text):
                continue
            try:
                loads = loads_a_download(read_python(text))
            except Unparsable:
                continue
            if loads:
                message = (
                    f"torch {entry.pin} runs code in what it loads, and {name} loads a download: take 2.6"
                )
                yield Spot(start=entry.start, message=message)
                return
