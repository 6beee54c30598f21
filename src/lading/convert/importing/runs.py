"""RUN: which of its commands ask for packages, which leave nothing, and which are a step. Pure.

Each part between `&&` and line ends is judged by itself. What is not known goes into one step a RUN, in
order, with the `cd` and `export` that it stands under; what a step cannot do is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lading.convert.importing.copying import absolute, to_context
from lading.convert.importing.draft import Draft, DraftStep
from lading.convert.importing.model import Context, Fate
from lading.convert.importing.python_installs import python_command
from lading.convert.importing.script import Part, read_script
from lading.convert.importing.system_commands import system_command
from lading.convert.importing.wanted import Where
from lading.inspect.lint.dockerfile import Instruction
from lading.inspect.lint.shell import read_shell

_INSTALLERS = re.compile(
    r"astral\.sh/(?:uv|ruff)|install\.python-poetry\.org|get-poetry\.py|(?:Miniconda|Miniforge|Mambaforge|Anaconda)\d*-"
    r"|get-pip\.py|micro\.mamba\.pm|pyenv\.run|miniconda\.sh|miniforge\.sh|conda\.sh|bootstrap\.pypa\.io"
)
_MANY_USERS = frozenset(
    {
        "apt-get", "apt", "aptitude", "yum", "dnf", "apk", "useradd", "adduser", "groupadd", "addgroup",
        "chown", "su", "sudo", "dpkg", "rpm", "systemctl", "service",
    }
)  # fmt: skip
_ACCOUNTS = frozenset(("useradd", "adduser", "groupadd", "addgroup", "chown"))
_PACKAGE_TOOLS = frozenset(("pip", "pip3", "conda", "mamba", "micromamba", "poetry", "uv", "pipenv"))
_EXPORT = re.compile(
    r"\b(uv|poetry|pipenv)\s+(?:export|requirements)\b.*?(?:>|\s-o|--output(?:-file)?)[\s=]*(\S+)", re.DOTALL
)
_WRAPPED = re.compile(r"^(?:uv|poetry|pipenv)\s+run\s+((?:--?\S+\s+)*)")
_REPOSITORIES = re.compile(r"sources\.list|apt-key|gpg\s+.*--dearmor|/etc/apt/")


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSaid:
    """What became of a part of a RUN."""

    fate: Fate
    became: str
    part: str
    topic: str = ""


@dataclass(slots=True, kw_only=True)
class _Run:
    draft: Draft
    folder: str
    copies: list[tuple[str, str, bool]]
    context: Context
    values: dict[str, str | None]
    secrets: list[str] = field(default_factory=list)
    lines: list[tuple[str, bool]] = field(default_factory=list)
    """Of the step: text, and whether it does something; `cd` and `export` only set up what follows."""
    cloned: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Folders that Git filled: URL with its branch or tag, and the line."""

    @property
    def where(self) -> Where:
        return Where(
            folder=self.folder,
            to_context=self._to_context,
            groups=self.context.groups,
            is_file=self.context.is_file,
        )

    def _to_context(self, path: str) -> str | None:
        found = to_context(path, self.copies)
        is_there = found is not None and (self.context.is_file(found) or self.context.is_folder(found))
        return found if is_there else None


def read_run(
    entry: Instruction,
    draft: Draft,
    folder: str,
    copies: list[tuple[str, str, bool]],
    context: Context,
) -> Iterator[PartSaid | DraftStep]:
    """What each part of a RUN comes to, and the step that is left, if one is."""
    run = _Run(draft=draft, folder=folder, copies=list(copies), context=context, values=dict(draft.values))
    yield from _mounts(entry, run)
    text, interpreter = _script(entry)
    if interpreter is not None:
        yield _step(run, folder, ((text, True),))
        return
    for part in read_script(text, run.values):
        yield from _judged(part, run)
    while run.lines and not run.lines[-1][1]:
        run.lines.pop()
    if run.secrets and not run.lines:
        note = "a secret: indexes and Git use your own settings when the project is locked"
        yield PartSaid(fate=Fate.NOT_NEEDED, became=note, part=" ".join(flag.text for flag in entry.flags))
    if run.lines:
        yield _step(run, folder, tuple(run.lines))


def _step(run: _Run, folder: str, parts: tuple[tuple[str, bool], ...]) -> DraftStep:
    return DraftStep(
        line=0,
        instruction="",
        parts=parts,
        folder=folder,
        values=dict(run.values),
        secrets=tuple(dict.fromkeys(run.secrets)),
        shell=run.draft.shell,
    )


def _script(entry: Instruction) -> tuple[str, str | None]:
    """The text that a shell is given; where a heredoc is another program's, a step that hands it over."""
    words = entry.json_words
    if words is not None:
        import shlex

        return (words[2], None) if len(words) == 3 and words[1] == "-c" else (shlex.join(words), None)
    body = entry.body.strip()
    if not entry.heredocs:
        return body, None
    first = entry.heredocs[0]
    if re.fullmatch(r"(?:(?:/bin/)?(?:ba)?sh\s+(?:-\w+\s+)*)?<<-?[\"']?\w[\w.]*[\"']?", body):
        if first.content.startswith("#!") and not re.match(r"#!.*\b(?:ba|da)?sh\b", first.content):
            program = first.content.partition("\n")[0][2:].strip()
            return f"{program} - <<'{first.name}'\n{first.content}{first.name}", program
        return first.content, None
    return body + "\n" + "".join(f"{one.content}{one.name}\n" for one in entry.heredocs), None


def _mounts(entry: Instruction, run: _Run) -> Iterator[PartSaid]:
    for flag in entry.flags:
        if not flag.text.startswith("--mount="):
            continue
        fields = dict(pair.partition("=")[::2] for pair in flag.value.partition("=")[2].split(","))
        kind = fields.get("type", "bind")
        target = fields.get("target") or fields.get("dst") or fields.get("destination") or ""
        if kind == "secret":
            name = _secret_name(fields)
            run.secrets.append(name)
            run.draft.values.setdefault(name, None)
            if "env" not in fields:
                path = target or f"/run/secrets/{fields.get('id', '')}"
                folder = path.rpartition("/")[0]
                run.lines.append((f'mkdir -p {folder}; printf %s "${name}" > {path}', False))
        elif kind == "bind" and "from" not in fields and target:
            source = absolute("/", fields.get("source") or fields.get("src") or "")[1:]
            run.copies.append((source, absolute(run.folder, target), True))
        elif kind == "ssh":
            note = "an SSH agent: Git's own credentials are used when locking"
            yield PartSaid(fate=Fate.LOST, became=note, part=flag.text)


def _secret_name(fields: Mapping[str, str]) -> str:
    name = fields.get("env") or fields.get("id") or "SECRET"
    return re.sub(r"[^A-Za-z0-9_]", "_", name).upper() if "env" not in fields else name


def _judged(part: Part, run: _Run) -> Iterator[PartSaid]:
    words = part.words
    if words is None:
        yield from _complex(part, run)
        return
    if not words or words[0] == "export":
        run.values.update(part.assignments)
        run.lines.append((part.text, False))
        return
    if words[0] == "cd" and len(words) == 2:
        run.folder = absolute(run.folder, words[1])
        run.lines.append((part.text, False))
        return
    if words := _unwrapped(words):
        yield from _command(words, part, run)


def _command(words: tuple[str, ...], part: Part, run: _Run) -> Iterator[PartSaid]:
    """A simple command whose words are all known."""
    if (found := _from_clone(words, part, run)) is not None:
        yield found
        return
    said = python_command(words, run.where, run.draft.wanted)
    if said is not None:
        for fate, became in said:
            yield PartSaid(fate=fate, became=became, part=part.text, topic="python")
        return
    if _INSTALLERS.search(part.text):
        yield PartSaid(fate=Fate.NOT_NEEDED, became="an image needs no installer", part=part.text)
        return
    if words[0] == "chmod" and _is_made_here(words, run):
        run.lines.append((part.text, True))
        return
    known = system_command(words, run.where, run.draft.system)
    if known is not None:
        for fate, became in known:
            topic = "apt" if became.startswith("apt = ") else "folder" if fate is Fate.STEP else ""
            yield PartSaid(fate=fate, became=became, part=part.text, topic=topic)
        return
    if words[0] == "git":
        if words[1:2] in (("config",), ("lfs",)):
            yield PartSaid(fate=Fate.NOT_NEEDED, became="it concerns the build alone", part=part.text)
            return
        _note_clone(words, part.text, run)
    if "spacy" in words and "download" in words:
        note = "it installs a package: add the model's wheel (its URL) to the requirements"
        yield PartSaid(fate=Fate.LOST, became=note, part=part.text, topic="python")
        return
    run.lines.append((_WRAPPED.sub("", part.text), True))


def _is_made_here(words: tuple[str, ...], run: _Run) -> bool:
    """Whether `chmod` is of files that neither the context nor `mkdir` brought: a step's own."""
    paths = [absolute(run.folder, word) for word in words[2:] if not word.startswith("-")]
    known = [*run.draft.system.folders, *(path for _, path, _ in run.copies if path != "/")]
    written = [path for _, path, _ in run.draft.written]
    return bool(paths) and not any(
        path in written
        or any(path == one or path.startswith(f"{one}/") for one in known)
        or run.where.to_context(path.rpartition("/")[0] if "*" in path else path) is not None
        for path in paths
    )


def _note_clone(words: tuple[str, ...], text: str, run: _Run) -> None:
    """`git clone URL [FOLDER]`: what pip installs from there is a requirement."""
    if words[1:2] != ("clone",):
        return
    bare, branch, at = [], "", 2
    while at < len(words):
        if words[at] in ("-b", "--branch", "--depth", "--revision"):
            branch = words[at + 1] if words[at] != "--depth" and at + 1 < len(words) else branch
            at += 1
        elif not words[at].startswith("-"):
            bare.append(words[at])
        at += 1
    if bare and "://" in bare[0]:
        url = bare[0].removesuffix("/")
        folder = bare[1] if len(bare) > 1 else url.rpartition("/")[2].removesuffix(".git")
        run.cloned[absolute(run.folder, folder)] = (f"git+{url}{branch and f'@{branch}'}", text)


def _from_clone(words: tuple[str, ...], part: Part, run: _Run) -> PartSaid | None:
    """`pip install` of a folder that Git filled in this RUN: the clone is no step then."""
    if (
        not run.cloned
        or "install" not in words
        or words[0].rpartition("/")[2][:3] not in ("pip", "uv", "pyt")
    ):
        return None
    for word in words[words.index("install") + 1 :]:
        folder = absolute(run.folder, word.partition("[")[0])
        if not word.startswith("-") and folder in run.cloned:
            url, line = run.cloned[folder]
            run.lines = [one for one in run.lines if one[0] != line]
            run.draft.wanted.lines.setdefault(url)
            became = f"requirement {url}"
            return PartSaid(fate=Fate.CARRIED, became=became, part=part.text, topic="python")
    return None


def _unwrapped(words: tuple[str, ...]) -> tuple[str, ...]:
    """Without `sudo`, `time` and variables that are set for one command."""
    at = 0
    while at < len(words) and (
        words[at] in ("sudo", "time", "command", "nice", "env") or "=" in words[at].partition("/")[0]
    ):
        at += 1
    return words[at:]


def _complex(part: Part, run: _Run) -> Iterator[PartSaid]:
    """A pipeline, a loop, a redirection, or a word that only running it would tell."""
    text = part.text
    if match := _EXPORT.search(text):
        run.draft.wanted.exported[absolute(run.folder, match[2])] = match[1]
        yield PartSaid(
            fate=Fate.NOT_NEEDED, became=f"what {match[1]} has locked is read", part=text, topic="python"
        )
        return
    if _INSTALLERS.search(text):
        yield PartSaid(fate=Fate.NOT_NEEDED, became="an image needs no installer", part=text)
        return
    if _REPOSITORIES.search(text):
        note = "packages come from Debian alone, not from further archives"
        yield PartSaid(fate=Fate.LOST, became=note, part=text)
        return
    programs = {
        command.values[0].rpartition("/")[2] for command in read_shell(text).commands if command.words
    }
    if programs & _ACCOUNTS and not programs & (_MANY_USERS - _ACCOUNTS):
        note = "images run as a number, without an account"
        yield PartSaid(fate=Fate.NOT_NEEDED, became=note, part=text)
        return
    if found := sorted(programs & _MANY_USERS):
        note = f"{', '.join(found)}: a step has one user; name packages in [image] apt"
        yield PartSaid(fate=Fate.LOST, became=note, part=text)
        return
    if found := sorted(programs & _PACKAGE_TOOLS):
        note = f"what {', '.join(found)} installs here only a run would tell: add it to the requirements"
        yield PartSaid(fate=Fate.LOST, became=note, part=text, topic="python")
        return
    run.lines.append((text, True))
