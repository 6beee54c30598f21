"""What lies in the build context, as far as the Dockerfile's folder shows it; and what pip installs from it.

The context is not written in a Dockerfile: it is taken to be the nearest folder, the Dockerfile's own or one
above it, that holds everything the Dockerfile copies by name. Without such a folder nothing is known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import basename, normpath

from packaging.requirements import InvalidRequirement, Requirement

from lading.inspect.lint.dockerfile import Dockerfile, Instruction, Stage
from lading.inspect.lint.rules.scripts import (
    PIP_OPTIONS_WITH_VALUE,
    RunCommand,
    pip_arguments,
    pip_installs,
    run_commands,
)
from lading.inspect.lint.surroundings import Folder, Surroundings
from lading.project.ignore import dockerignore_patterns

_FOLDERS_UP = 2
_OTHER_INSTALLERS = frozenset(
    {
        "poetry", "pipenv", "pdm", "pixi", "conda", "mamba", "micromamba", "easy_install", "rye", "hatch",
        "make", "bash", "sh", "xargs", "eval", "source", "."
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`folder` is the context; `up` leads there from the Dockerfile's folder, as `../`."""

    folder: Folder
    up: str
    ignore_file: str
    """Of the patterns, as a path from the Dockerfile's folder; it may not exist."""
    ignore_text: str | None

    def is_ignored(self, path: str) -> bool:
        """Docker's rule: the last pattern that matches the path or a folder above it decides."""
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
        ignored = False
        for pattern in dockerignore_patterns(self.ignore_text or ""):
            if any(pattern.matches(prefix, prefix.rpartition("/")[2], True) for prefix in above):
                ignored = not pattern.negated
        return ignored


def local_sources(entry: Instruction) -> tuple[str, ...]:
    """What COPY or ADD takes from the context, as written; nothing for another stage, a URL or a heredoc."""
    if any(flag.text.startswith("--from") for flag in entry.flags) or entry.heredocs:
        return ()
    words = entry.json_words or tuple(word.value for word in entry.words)
    return tuple(word for word in words[:-1] if "://" not in word and not word.startswith("git@"))


def is_whole(source: str) -> bool:
    return source in {".", "./", "/", "*", "./*"}


def copies(document: Dockerfile, stage: Stage) -> Iterator[tuple[Instruction, tuple[str, ...]]]:
    """Every COPY and ADD from the context that ends in the stage."""
    for member in document.ancestry(stage):
        for entry in member.all("COPY", "ADD"):
            if sources := local_sources(entry):
                yield entry, sources


def build_context(document: Dockerfile, around: Surroundings) -> Context | None:
    named = {
        normpath(source).lstrip("/")
        for entry in document.instructions
        if entry.keyword in {"COPY", "ADD"}
        for source in local_sources(entry)
        if not is_whole(source)
    }
    if any(set(source) & set("*?[$") for source in named):
        named = {source for source in named if not set(source) & set("*?[$")}
    folder: Folder | None = around.folder
    for steps in range(_FOLDERS_UP + 1):
        if folder is None or folder.path is None:
            return None
        if all(folder.has(source) for source in named):
            own = f"{around.name}.dockerignore"
            if around.folder.has(own):
                return Context(
                    folder=folder, up="../" * steps, ignore_file=own, ignore_text=around.folder.read(own)
                )
            return Context(
                folder=folder,
                up="../" * steps,
                ignore_file="../" * steps + ".dockerignore",
                ignore_text=folder.read(".dockerignore"),
            )
        folder = folder.above
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementFile:
    """A file that `pip install -r` reads; `text` is None when it is not beside the Dockerfile."""

    run: RunCommand
    path: str
    text: str | None


def requirement_files(document: Dockerfile, stage: Stage, around: Surroundings) -> Iterator[RequirementFile]:
    """Those of the stage itself."""
    copied = [source for _, sources in copies(document, stage) for source in sources]
    for run in run_commands(stage):
        begin = pip_arguments(run.values)
        if begin is None:
            continue
        words = run.values[begin:]
        for at, word in enumerate(words):
            path = ""
            if word in {"-r", "--requirement"} and at + 1 < len(words):
                path = words[at + 1]
            elif word.startswith("--requirement="):
                path = word.partition("=")[2]
            elif word.startswith("-r") and len(word) > 2:
                path = word[2:]
            if path:
                yield RequirementFile(run=run, path=path, text=_text(path, copied, around))


def _text(path: str, copied: list[str], around: Surroundings) -> str | None:
    """The one file of the context that can be meant."""
    name = basename(path)
    if "$" in path or "://" in path:
        return None
    sources = [source for source in copied if basename(source) == name]
    if not sources and any(is_whole(source) for source in copied):
        sources = [name] if "/" not in path.lstrip("/").removeprefix("app/").removeprefix("./") else []
    if len(set(sources)) != 1:
        return None
    source = normpath(sources[0]).lstrip("/")
    folder: Folder | None = around.folder
    found = []
    for _ in range(_FOLDERS_UP + 1):
        if folder is None:
            break
        text = folder.read(source)
        if text is not None:
            found.append(text)
        folder = folder.above
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What pip puts into a stage, by normalized name; `complete` when nothing else can be in it."""

    names: frozenset[str]
    complete: bool


def packages(document: Dockerfile, stage: Stage, around: Surroundings) -> Packages:
    names: set[str] = set()
    complete = True
    for member in document.ancestry(stage):
        complete = complete and not any(True for _ in member.all("SHELL", "ONBUILD"))
        complete = complete and not any(
            flag.text.startswith("--from") for entry in member.all("COPY") for flag in entry.flags
        )
        seen = set()
        for run in run_commands(member):
            seen.add(id(run.instruction))
            names.update(install.name for install in pip_installs(run))
            complete = complete and _is_plain(run)
        complete = complete and all(id(entry) in seen for entry in member.all("RUN"))
        for file in requirement_files(document, member, around):
            listed = None if file.text is None else requirement_names(file.text)
            names.update(listed or ())
            complete = complete and listed is not None
    return Packages(names=frozenset(names), complete=complete)


def _is_plain(run: RunCommand) -> bool:
    """Whether everything that the command installs for Python is named in its words."""
    name = run.values[0].rpartition("/")[2]
    if name in _OTHER_INSTALLERS or name.endswith(".sh") or (name == "uv" and run.values[1:2] != ("pip",)):
        return False
    begin = pip_arguments(run.values)
    if begin is None:
        return True
    named = {install.offset for install in pip_installs(run)}
    skip = False
    for word in run.command.words[begin:]:
        place = run.offset + word.start - run.command.start
        if skip:
            skip = False
        elif word.value in {"-e", "--editable", "-c", "--constraint"} or (
            not word.value.startswith("-") and place not in named
        ):
            return False
        elif word.value.startswith("-"):
            skip = word.value in PIP_OPTIONS_WITH_VALUE
    return True


def requirement_names(text: str) -> frozenset[str] | None:
    """The packages that a requirements file names; None when it names files or addresses."""
    entries = list(requirement_lines(text))
    if any(entry is None for entry in entries):
        return None
    return frozenset(re.sub(r"[-_.]+", "-", entry.name).lower() for entry in entries if entry is not None)


def requirement_lines(text: str) -> Iterator[Requirement | None]:
    """Each requirement of a file; None for a line that is a path, an address or another file."""
    for line in re.sub(r"\\\r?\n", " ", text.removeprefix("\ufeff")).splitlines():
        written = re.split(r"(?:^|\s)#", line)[0].strip()
        written = re.split(r"\s--(?:hash|config-settings?|global-option)\b", written)[0].strip()
        if not written or written.startswith(
            (
                "--hash",
                "-i",
                "--index-url",
                "--extra-index-url",
                "-f",
                "--find-links",
                "--no-binary",
                "--only-binary",
                "--pre",
                "--prefer-binary",
                "--trusted-host",
                "--require-hashes",
            )
        ):
            continue
        try:
            yield Requirement(written)
        except InvalidRequirement:
            yield None
