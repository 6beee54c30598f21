"""Rules about what a Dockerfile copies from its folder unseen. They ask for the folder's names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lading.inspect.lint.dockerfile import Dockerfile, Instruction
from lading.inspect.lint.model import Edit, Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.lint.rules.context import Context, build_context, copies, is_whole, local_sources
from lading.inspect.lint.rules.scripts import final_stage
from lading.inspect.lint.surroundings import Surroundings
from lading.project.credentials import suspicions
from lading.project.model import CodeFile

_NEVER_WANTED = (
    ".git",
    ".venv",
    "venv",
    "mlruns",
    "wandb",
    ".ipynb_checkpoints",
    "lightning_logs",
    "__pycache__",
)
_WORTH_A_LOOK = re.compile(
    r"(?:^|/)(?:\.[^/]+|[^/.]+|[^/]+\.(?:json|conf|ini|toml|p12|pfx|jks|kdbx|ppk|pem|key))$"
)
_USES_GIT = re.compile(r"\bgit\b|scm|versioneer|\.git\b")
_VERSION_FROM_GIT = re.compile(
    r"setuptools[_-]scm|hatch-vcs|versioningit|versioneer|dunamai|dynamic-versioning"
)


def _whole_copies(document: Dockerfile) -> list[Instruction]:
    """COPY of the whole context into what the final image holds."""
    return [
        entry
        for entry, sources in copies(document, final_stage(document))
        if any(is_whole(source) for source in sources)
    ]


def _ignore_more(context: Context, paths: list[str]) -> tuple[Edit, ...]:
    """Nothing for a path that no line can name plainly."""
    if any(path != path.strip() or path.startswith(("#", "!")) or "\n" in path for path in paths):
        return ()
    text = context.ignore_text or ""
    gap = "" if not text or text.endswith("\n") else "\n"
    added = "".join(re.sub(r"([*?\[\\])", r"\\\1", path) + "\n" for path in paths)
    return (Edit(start=len(text), end=len(text), text=gap + added, beside=context.ignore_file),)


@rule(
    "LDD017", "A file of credentials goes into the image", Kind.DOCKERFILE, Severity.ERROR,
    "docs.docker.com/build/concepts/context: .dockerignore", mends=True, looks_around=True,
)  # fmt: skip
def copied_credentials(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """`COPY . .` takes all that lies in the folder, and whoever pulls the image reads it. Said of files
    that are there now and whose name says what they are: `.netrc`, `id_rsa`, `kaggle.json`,
    `.aws/credentials`, key stores, and a `.env` that sets something.

    Bad: kaggle.json lies beside the Dockerfile, and it says

        COPY . .

    Good: .dockerignore says

        kaggle.json

    The mend adds the file to .dockerignore. Delete the key all the same if an image was pushed.
    """
    entries = _whole_copies(document)
    context = build_context(document, around) if entries else None
    if context is None:
        return
    files = [
        CodeFile(path=path, size_bytes=size, executable=False)
        for path, size in sorted(context.folder.listing.sizes.items())
        if _WORTH_A_LOOK.search(path) and not context.is_ignored(path)
    ]
    found = suspicions(context.folder.path, files) if context.folder.path is not None else ()
    for suspicion in found:
        yield Spot(
            start=entries[0].start,
            message=f"{suspicion.path} {suspicion.what} and goes into the image: "
            f"name it in {context.ignore_file}",
            edits=_ignore_more(context, [suspicion.path]),
        )


@rule(
    "LDD018", "What no image needs is copied", Kind.DOCKERFILE, Severity.WARNING,
    "docs.docker.com/build/concepts/context: .dockerignore", mends=True, looks_around=True,
)  # fmt: skip
def copied_leftovers(document: Dockerfile, around: Surroundings) -> Iterator[Spot]:
    """`COPY . .` takes the history of the repository, virtual environments of this machine, and the records
    of every run: large, different on each machine, and new in each build, so that nothing after it is ever
    cached. Said of what lies there now and is not in .dockerignore.

    Silent about .git where the build asks git, and about a folder that the Dockerfile names.

    Bad: .git, .venv and mlruns lie beside the Dockerfile, and it says

        COPY . .

    Good: .dockerignore says

        .git
        .venv
        mlruns

    The mend adds the names to .dockerignore.
    """
    entries = _whole_copies(document)
    context = build_context(document, around) if entries else None
    if context is None:
        return
    named = {
        part
        for entry in document.instructions
        if entry.keyword in {"COPY", "ADD"}
        for source in local_sources(entry)
        for part in source.split("/")
    }
    uses_git = any(_USES_GIT.search(entry.text) for entry in document.instructions)
    uses_git = uses_git or bool(_VERSION_FROM_GIT.search(context.folder.read("pyproject.toml") or ""))
    uses_git = uses_git or bool(_VERSION_FROM_GIT.search(context.folder.read("setup.py") or ""))
    there = [
        name
        for name in _NEVER_WANTED
        if name in context.folder.listing.folders
        and name not in named
        and not context.is_ignored(name)
        and not (name == ".git" and uses_git)
    ]
    heavy = [name for name in there if name != "__pycache__"]
    if heavy:
        yield Spot(
            start=entries[0].start,
            message=f"{', '.join(there)} go into the image: name them in {context.ignore_file}"
            if len(there) > 1
            else f"{there[0]} goes into the image: name it in {context.ignore_file}",
            edits=_ignore_more(context, there),
        )
