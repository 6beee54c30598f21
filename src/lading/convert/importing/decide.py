"""A Dockerfile and its folder become a lading.toml: the order in which things are settled. Pure.

`import_dockerfile` is the one entry. It says what became of every instruction, also of those whose stage the
image does not come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from lading.convert.importing.bases import supported_python
from lading.convert.importing.checked import problems_in
from lading.convert.importing.copying import to_context
from lading.convert.importing.draft import Copied, Draft, Row
from lading.convert.importing.model import Context, Fate, Imported, ImportRefused, Outcome
from lading.convert.importing.pip_commands import ISOLATION
from lading.convert.importing.places import CODE, find_places, is_code, system_names
from lading.convert.importing.poetry import poetry_python
from lading.convert.importing.requirements import MARK, Chosen, choose_requirements
from lading.convert.importing.settling import Settling
from lading.convert.importing.spoken import declared
from lading.convert.importing.stage import StageReader
from lading.convert.importing.start import settle_start
from lading.convert.importing.steps import settle_steps
from lading.convert.importing.surroundings import settle_surroundings
from lading.convert.importing.text import document_text
from lading.inspect.lint.dockerfile import NotADockerfile, read_dockerfile
from lading.project.tokens import token_in

_BRING_CUDA = frozenset(
    {
        "torch", "torchvision", "torchaudio", "tensorflow", "jax", "vllm", "xformers", "lightning",
        "pytorch-lightning", "accelerate", "sentence-transformers", "deepspeed", "bitsandbytes",
        "flash-attn", "triton", "fastai", "timm", "ultralytics",
    }
)  # fmt: skip
_WITHOUT_ARG = frozenset(("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy"))
_GATHERED = re.compile(r"requirements? |constraints |--")
_NOT_IN_IMAGES = ("/tmp", "/run", "/proc", "/sys", "/dev")


def import_dockerfile(
    text: str, context: Context, *, stage: str | None = None, arguments: Mapping[str, str] | None = None
) -> Imported:
    """What `text` becomes. `stage` is the one to build, else the last; `arguments` are build arguments.

    Raises ImportRefused for a text that is no Dockerfile.
    """
    try:
        dockerfile = read_dockerfile(text)
    except NotADockerfile as error:
        raise ImportRefused(str(error)) from error
    reader = StageReader(dockerfile=dockerfile, context=context, arguments=arguments or {})
    index = len(dockerfile.stages) - 1 if stage is None else reader.find(stage)
    if index is None:
        names = ", ".join(one.name or str(number) for number, one in enumerate(dockerfile.stages))
        raise ImportRefused(f"it has no stage {stage!r}; it has {names}")
    return _settled(reader, index, context)


def _settled(reader: StageReader, index: int, context: Context) -> Imported:
    """The order counts: packages say the base, copies say the places, and all else is said in these."""
    draft = reader.read(index)
    settling = Settling(draft=draft, context=context)
    settling.rows += [*reader.global_rows, *draft.rows]
    chosen = choose_requirements(draft.wanted, context, settling.document)
    _settle_base(settling, _origin(reader, index), chosen)
    _settle_apt(settling)
    _settle_builds(settling, chosen)
    if len(draft.wanted.environments) > 1:
        named = ", ".join(draft.wanted.environments)
        settling.notes.append(f"an image has one environment: the packages of {named} are installed together")
    settling.files |= chosen.files
    settling.notes += chosen.notes
    settling.places = find_places(
        draft.copies,
        draft.workdir.value if draft.workdir else None,
        draft.wanted.prefixes,
        paths=context.paths,
        has_conda=not settling.is_kept,
    )
    _settle_copies(settling)
    settle_surroundings(settling)
    settle_steps(settling)
    settle_start(settling)
    _settle_flavour(settling)
    settling.notes += _unused_arguments(reader)
    settling.rows += _other_stages(reader, index, draft.packages_from)
    settling.rows += _without_effect(reader, settling.rows)
    settling.rows = [_with_its_file(row, chosen) for row in settling.rows]
    return _finished(settling)


def _without_effect(reader: StageReader, rows: Iterable[Row]) -> Iterable[Row]:
    """Instructions of which nothing is left to say: an empty RUN, an `export` that no command follows."""
    told = {row.line for row in rows}
    for entry in reader.dockerfile.instructions:
        if reader.line(entry) not in told:
            yield reader.row(entry, Fate.NOT_NEEDED, "it changes nothing in an image")


def _unused_arguments(reader: StageReader) -> Iterable[str]:
    """`--build-arg` that changes nothing, which Docker says too."""
    instructions = reader.dockerfile.instructions
    names = {name for entry in instructions if entry.keyword == "ARG" for name, _ in declared(entry)}
    for name in reader.arguments:
        if name not in names and name.lower() not in _WITHOUT_ARG:
            known = f"; there is ARG {', '.join(sorted(names))}" if names else ""
            yield f"--build-arg {name} is used nowhere: no ARG declares it{known}"


def _with_its_file(row: Row, chosen: Chosen) -> Row:
    """What came together in a new requirements file names that file."""
    gathered = row.topic == "python" and row.fate is Fate.CARRIED and _GATHERED.match(row.became) is not None
    if not gathered or chosen.written is None:
        return row
    return replace(row, became=f"{row.became}, in {chosen.written}")


def _finished(settling: Settling) -> Imported:
    settings = settling.document.as_toml()
    for problem in problems_in(settings):  # each value was checked as it came; this is what they say together
        settling.notes.append(f"lading.toml: {problem}")
    rows = sorted(enumerate(settling.rows), key=lambda item: (item[1].line, item[0]))
    outcomes = dict.fromkeys(
        Outcome(line=row.line, instruction=row.instruction, fate=row.fate, became=row.became)
        for _, row in rows
    )
    return Imported(
        settings=settings,
        text=document_text(settings, f"{MARK} of a Dockerfile."),
        files=settling.files,
        outcomes=tuple(outcomes),
        notes=tuple(dict.fromkeys(settling.notes)),
    )


def _origin(reader: StageReader, index: int) -> Row:
    """The FROM that says the base of a stage, through the stages it begins from."""
    while True:
        stage = reader.dockerfile.stages[index]
        above = reader.find(reader.image(index) or "")
        if above is None or above >= index:
            return reader.row(stage.origin, Fate.CARRIED, "")
        index = above


def _settle_base(settling: Settling, origin: Row, chosen: Chosen) -> None:
    base, wanted, document = settling.draft.base, settling.draft.wanted, settling.document
    cuda = sorted(chosen.names & _BRING_CUDA)
    settling.is_kept = base.kept is not None and not (base.cuda is not None and cuda)
    problem = document.put("base", base.kept) if settling.is_kept else None
    if problem is not None:
        settling.is_kept = False
    became = [f'base = "{base.kept}"'] if settling.is_kept else []
    if base.cuda is not None and cuda:
        became.append(f"Debian; the wheels of {', '.join(cuda[:3])} bring CUDA's libraries")
    if accelerator := wanted.accelerator or ("cuda" if base.cuda is not None and cuda else None):
        document.put("accelerator", accelerator)
        became.append(f'accelerator = "{accelerator}"')
    elif cuda and "torch" in cuda and not settling.is_kept:
        settling.notes.append(
            'torch: pip would bring its CUDA build, lading\'s default is the CPU: accelerator = "cuda"'
        )
    if not settling.is_kept and base.suite is not None:
        document.put("base", f"debian:{base.suite}")
        became.append(f'base = "debian:{base.suite}"')
    if python := _python(settling):
        became.append(python)
    if problem or base.problem:
        settling.say(origin, Fate.LOST, f"{problem or base.problem}: {', '.join(became) or 'Debian'} instead")
    else:
        settling.say(origin, Fate.CARRIED, ", ".join(became) or "Debian, put together by lading")
    if base.is_full:
        settling.notes.append(
            f"{base.said} has compilers, Git, curl and headers, which this image lacks: [image] apt adds them"
        )
    if (
        settling.is_kept
        and base.starts_something
        and not (settling.draft.command or settling.draft.entrypoint)
    ):
        settling.notes.append(f"what {base.said} starts by itself is not taken over: [image] command")


def _python(settling: Settling) -> str | None:
    """Settles `python`; what to say of it."""
    base, wanted = settling.draft.base, settling.draft.wanted
    asked = wanted.python or settling.draft.system.python
    if asked is None and not wanted.environment and not (settling.is_kept and base.has_python):
        is_theirs = base.has_python or settling.draft.system.has_pip
        asked = base.python if (is_theirs and base.suite is None) or base.has_python else None
    if asked is None and "poetry" in wanted.managers and not settling.is_kept and base.suite is None:
        asked = poetry_python(settling.context.texts.get("pyproject.toml", ""))
    if asked is None:
        return None
    python = supported_python(asked)
    settling.document.put("python", python)
    return f'python = "{python}"' + (f", because lading has no {asked}" if python != asked else "")


def _settle_apt(settling: Settling) -> None:
    """Debian's packages, which can be added to Debian alone."""
    names = list(settling.draft.system.apt)
    if not names:
        return
    if settling.is_kept and settling.draft.base.family == "ubuntu":
        lost = (
            "lading adds packages to Debian bookworm and trixie alone: make an image that has them the base"
        )
        settling.rows = [
            replace(row, fate=Fate.LOST, became=f"{row.became[len('apt = ') :]}: {lost}")
            if row.topic == "apt"
            else row
            for row in settling.rows
        ]
        return
    before = settling.document.image.get("apt", [])
    settling.document.put("apt", list(dict.fromkeys([*names, *before])))


def _settle_builds(settling: Settling, chosen: Chosen) -> None:
    """`--no-build-isolation` is nearly always there because a build imports torch."""
    names = list(settling.draft.wanted.unisolated)
    if not names or "torch" not in chosen.names or settling.is_kept:
        return
    settling.document.image["build"] = {name: {"needs": ["torch"]} for name in names}
    became = f'[image.build] needs = ["torch"], for {", ".join(names)}'
    settling.rows = [
        replace(row, fate=Fate.CARRIED, became=became) if row.became.startswith(ISOLATION) else row
        for row in settling.rows
    ]


def _settle_copies(settling: Settling) -> None:
    places, draft = settling.places, settling.draft
    code: list[str] = []
    for one in draft.copies:
        if is_code(one, places.root):
            code.append(one.source)
            shown = f"{CODE}/{one.source}" if one.source else CODE
            settling.say(one, Fate.CARRIED, f"code, under {shown}")
        elif one.is_requirements:
            settling.say(one, Fate.NOT_NEEDED, f"{one.source} is read when the project is locked")
        else:
            _settle_file(settling, one)
    _settle_modes(settling)
    for row, destination, content in draft.written:
        _settle_written(settling, row, destination, content)
    for row, url, sha256, destination in draft.fetched:
        entry = {"source": url, "destination": places.of(destination), "sha256": sha256}
        settling.outcome(row, "[[image.files]]", settling.document.append("files", entry))
    if places.root not in (None, CODE):
        settling.notes.append(
            f"code lies under {CODE}, not {places.root}: paths written in the code itself stay as they are"
        )
    if places.root == "/" and (names := system_names(settling.context.paths)):
        settling.notes.append(
            f"{', '.join(names)} of the folder: under {CODE} too, not among the system's: [[image.files]]"
        )
    _settle_ignores(settling, code)


def _settle_modes(settling: Settling) -> None:
    """Code that the Dockerfile makes executable and that is not so in the project: files of their own."""
    draft, context = settling.draft, settling.context
    modes = dict(draft.system.modes)
    modes |= {one.destination: one.mode for one in draft.copies if one.mode is not None and not one.is_folder}
    known = [(c.source, c.destination, c.is_folder) for c in draft.copies if is_code(c, settling.places.root)]
    for pattern, mode in modes.items():
        folder = pattern.rpartition("/")[0]
        inside = to_context(folder, known) if "*" in pattern else None
        named = [path for path in sorted(context.paths) if path.rpartition("/")[0] == (inside or "")]
        glob = pattern.rpartition("/")[2]
        sources = (
            [path for path in named if fnmatchcase(path.rpartition("/")[2], glob)]
            if inside is not None
            else []
        )
        if "*" not in pattern and (found := to_context(pattern, known)):
            sources = [found]
        others = [(c.source, c.destination, True) for c in draft.copies if c.is_folder and c.source]
        moved = to_context(pattern, others) if "*" not in pattern and not sources else None
        if moved and mode & 0o111 and context.is_file(moved) and moved not in context.executables:
            settling.notes.append(f"{moved} must be executable in the project: chmod +x {moved}")
        for source in sources:
            if mode & 0o111 and context.is_file(source) and source not in context.executables:
                entry = {"source": source, "destination": f"{CODE}/{source}", "mode": f"{mode & 0o777:04o}"}
                settling.document.append("files", entry)


def _settle_file(settling: Settling, one: Copied) -> None:
    destination = settling.places.of(one.destination)
    if any(one.destination == path or one.destination.startswith(f"{path}/") for path in _NOT_IN_IMAGES):
        settling.say(
            one, Fate.NOT_NEEDED, f"{one.destination} is gone after a build; steps see it under {CODE}"
        )
        return
    if not one.source:
        settling.say(one, Fate.LOST, f"the whole folder is under {CODE}, and cannot be at {destination} too")
        return
    entry: dict[str, object] = {"source": one.source, "destination": destination}
    mode = one.mode if one.mode is not None else settling.draft.system.modes.get(one.destination)
    if mode is not None and not one.is_folder:
        entry["mode"] = f"{mode & 0o777:04o}"
    settling.outcome(one, f"[[image.files]] {destination}", settling.document.append("files", entry))


def _settle_written(settling: Settling, row: Row, destination: str, content: str) -> None:
    """A heredoc of COPY: a file of the project, put where it goes."""
    if token_in(content.encode("utf-8", "surrogatepass")):
        settling.say(row, Fate.LOST, "it holds what looks like a credential: mount it when the image is run")
        return
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", destination.rpartition("/")[2]) or "file"
    source = f"from-dockerfile/{name}"
    if source in settling.files and settling.files[source] != content:
        source = f"from-dockerfile/{len(settling.files)}-{name}"
    entry = {"source": source, "destination": settling.places.of(destination)}
    mode = settling.draft.system.modes.get(destination)
    problem = settling.document.append(
        "files", {**entry, **({"mode": f"{mode & 0o777:04o}"} if mode else {})}
    )
    if problem is None:
        settling.files[source] = content
    settling.outcome(row, f"{source}, and [[image.files]]", problem)


def _settle_ignores(settling: Settling, code: list[str]) -> None:
    """A .ladingignore, where the Dockerfile copies parts of its folder only."""
    context = settling.context
    if "" in code or context.has_lading_rules or not settling.draft.copies:
        return
    lines = [f"{MARK}: only what the Dockerfile copies is code.", "/*"]
    for source in dict.fromkeys(code):
        parts = source.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            lines += [f"!/{folder}/", f"/{folder}/*"]
        lines.append(f"!/{source}{'/' if context.is_folder(source) else ''}")
    opened = dict.fromkeys(lines)
    lines = [*opened, *context.ignore_rules]
    settling.files[".ladingignore"] = "\n".join(lines) + "\n"
    settling.notes.append(".ladingignore keeps out of the image what the Dockerfile does not copy")


def _settle_flavour(settling: Settling) -> None:
    if settling.draft.base.is_minimal and not settling.document.image.get("step"):
        settling.document.put("flavour", "minimal")


def _other_stages(reader: StageReader, index: int, packages_from: Mapping[str, None]) -> Iterable[Row]:
    """Rows of the stages that the image does not begin from."""
    line = {index}
    at = index
    while (above := reader.find(reader.image(at) or "")) is not None and above < at:
        line.add(above)
        at = above
    for number, stage in enumerate(reader.dockerfile.stages):
        if number in line:
            continue
        name = stage.name or str(number)
        draft = reader.drafts.get(number)
        if draft is None:
            reason = f"the image takes nothing from the stage {name}"
            yield from (
                reader.row(entry, Fate.NOT_NEEDED, reason) for entry in (stage.origin, *stage.instructions)
            )
            continue
        yield reader.row(
            stage.origin, Fate.NOT_NEEDED, f"the stage {name} only prepares; wheels are installed as they are"
        )
        yield from _of_builder(reader, number, draft, name, has_packages=name in packages_from)


def _of_builder(
    reader: StageReader, number: int, draft: Draft, name: str, *, has_packages: bool
) -> Iterable[Row]:
    first = reader.line(reader.dockerfile.stages[number].origin)
    told = set()
    for row in draft.rows:
        if row.line <= first:
            continue
        told.add(row.line)
        if (row.topic == "python" and has_packages) or row.fate is Fate.NOT_NEEDED:
            yield row
        else:
            yield replace(row, fate=Fate.NOT_NEEDED, became=f"only the stage {name} has it")
    for entry in reader.dockerfile.stages[number].instructions:
        if reader.line(entry) not in told:
            yield reader.row(entry, Fate.NOT_NEEDED, f"only the stage {name} has it")
