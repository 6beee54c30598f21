"""Where hadolint is wrong about ML files, and how a file is written that it can read. Pure.

Each doubt is about one of its ids and says what makes the remark wrong; everything else it says stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lading.inspect.lint.dockerfile import Dockerfile, Instruction, Stage
from lading.inspect.lint.rules.scripts import image_name, pip_arguments, pip_installs, run_commands

_WITH_FOLDER = re.compile(
    r"pytorch/pytorch$|nvcr\.io/nvidia/|vllm/vllm-openai$|(?:quay\.io/)?jupyter/|jupyter/|rayproject/|"
    r"lmsysorg/sglang$|huggingface/|ghcr\.io/huggingface/|mambaorg/micromamba$"
)
"""Images that set WORKDIR themselves."""
_INSTALLERS = frozenset(
    {"pip", "pip3", "uv", "conda", "mamba", "micromamba", "poetry", "python", "python3", "apt-get"}
)
_EXTRA = re.compile(r"[\w./-]+\[[\w,.-]+\](?:[=<>~!]=?.*)?")
Doubt = Callable[[Dockerfile, Stage, Instruction], bool]


def has_doubts(code: str) -> bool:
    """Whether a remark of this id can be a known false alarm at all."""
    return code in _DOUBTS


def is_doubtful(code: str, line: int, document: Dockerfile | None) -> bool:
    """Whether a remark at this line is a known false alarm."""
    doubt = _DOUBTS.get(code)
    if doubt is None or document is None:
        return False
    found = _at(document, line)
    return found is not None and doubt(document, *found)


def _at(document: Dockerfile, line: int) -> tuple[Stage, Instruction] | None:
    for stage in document.stages:
        for entry in stage.instructions:
            first = document.text.count("\n", 0, entry.start) + 1
            if first == line:
                return stage, entry
    return None


def _names_an_image(document: Dockerfile, stage: Stage, entry: Instruction) -> bool:
    """DL3022 asks for a stage's name; `COPY --from=ghcr.io/astral-sh/uv` names an image."""
    sources = [flag.text.partition("=")[2] for flag in entry.flags if flag.text.startswith("--from=")]
    return any("/" in source or ":" in source or "@" in source for source in sources)


def _has_folder(document: Dockerfile, stage: Stage, entry: Instruction) -> bool:
    """DL3045 wants WORKDIR before a relative target; these bases have set it."""
    base = document.base(stage)
    return base is not None and _WITH_FOLDER.match(image_name(base)[0]) is not None


def _is_pinned(document: Dockerfile, stage: Stage, entry: Instruction) -> bool:
    """DL3013 takes the values of options (`--torch-backend cu124`) and what the shell decides for packages.
    What pip is given by name is pinned, all of it, when every name has a version or an address.
    """
    runs = [run for run in run_commands(stage) if run.instruction is entry]
    installs = [install for run in runs for install in pip_installs(run)]
    given = any(pip_arguments(run.values) is not None for run in runs)
    return given and all(re.match(r"===?|~=|@", install.version) for install in installs)


def _is_for_buildkit(document: Dockerfile, stage: Stage, entry: Instruction) -> bool:
    """SC2215 takes a flag of RUN that hadolint does not know for a command: `--device=nvidia.com/gpu=all`."""
    return entry.keyword == "RUN" and any(
        flag.text.startswith(("--device", "--security", "--network")) for flag in entry.flags
    )


def _installs_apart(document: Dockerfile, stage: Stage, entry: Instruction) -> bool:
    """DL3059 would make one RUN of two: with gigabytes in each, a change to the second makes the first
    again.
    """
    at = stage.instructions.index(entry)
    pair = {id(entry), id(stage.instructions[at - 1])} if at else {id(entry)}
    return any(
        run.values[0].rpartition("/")[2] in _INSTALLERS
        for run in run_commands(stage)
        if id(run.instruction) in pair
    )


def _is_extra(document: Dockerfile, stage: Stage, entry: Instruction) -> bool:
    """SC2102 reads `jax[cuda12]` and `.[test]` as ranges of characters."""
    runs = [run for run in run_commands(stage) if run.instruction is entry]
    words = [(run, word) for run in runs for word in run.values if "[" in word]
    return bool(words) and all(
        pip_arguments(run.values) is not None and _EXTRA.fullmatch(word) for run, word in words
    )


_DOUBTS: dict[str, Doubt] = {
    "DL3013": _is_pinned,
    "DL3022": _names_an_image,
    "DL3045": _has_folder,
    "DL3059": _installs_apart,
    "SC2102": _is_extra,
    "SC2215": _is_for_buildkit,
}


def readable_for_hadolint(document: Dockerfile) -> tuple[str, tuple[int, ...]]:
    """The text with its heredocs in the one form that hadolint's grammar knows, and the line in the file that
    each of its lines stands for.

    It reads no heredoc of COPY and ADD, and one of RUN only when an empty line follows.
    """
    text = document.text
    blank: set[int] = set()
    gaps: set[int] = set()
    words: list[tuple[int, int]] = []
    for entry in document.instructions:
        if not entry.heredocs:
            continue
        first = text.count("\n", 0, entry.heredocs[0].start)
        last = first + sum(heredoc.content.count("\n") + 1 for heredoc in entry.heredocs)
        gaps.add(last - 1)
        if entry.keyword != "RUN" or entry.body.strip() != entry.words[0].text or len(entry.heredocs) > 1:
            blank.update(range(first, last))
            words += [
                (entry.offset(word.start), len(word.text))
                for word in entry.words
                if word.text.startswith("<<")
            ]
    for at, length in words:
        text = text[:at] + "x" * length + text[at + length :]
    made: list[str] = []
    lines: list[int] = []
    for number, line in enumerate(text.split("\n")):
        made.append("" if number in blank else line)
        lines.append(number + 1)
        if number in gaps:
            made.append("")
            lines.append(number + 1)
    return "\n".join(made), tuple(lines)
