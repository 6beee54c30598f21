"""The stages of what is no package: code, files, the model server, models; and the user's steps. Pure."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from lading.convert.exporting.model import Beside, ExportInputs
from lading.convert.exporting.tools import CA, TOOLS, fetched_file
from lading.convert.exporting.words import copy, exports, run
from lading.image.kinds.added import is_url
from lading.image.layer.recipe import MTIME_SECONDS
from lading.image.spec import CODE, FilesLayer, PlannedFile, ProjectLayer, StepLayer

_OUT = "/out"
_CANONICAL = f"chmod -R u=rwX,go=rX {_OUT}"
ADDED = "added"
STEPS = "steps"


@dataclass(slots=True, kw_only=True)
class Sources:
    """Where files come from: the build context, or the export's own folder."""

    inputs: ExportInputs
    beside: list[Beside] = field(default_factory=list)
    in_context: set[str] = field(default_factory=set)
    """Files of the project that are no code, and that the context must hold."""

    def context_path(self, file: PlannedFile) -> str:
        """The name of a file of the project in the context."""
        path = file.source.removeprefix(self.inputs.root.rstrip("/") + "/")
        self.in_context.add(path)
        return path


def code_stage(sources: Sources, spec: FilesLayer | ProjectLayer) -> list[str]:
    """The stage `code`: the project's files as they are in the context, with the modes of the image."""
    inputs = sources.inputs
    generated = spec.generated if isinstance(spec, FilesLayer) else ()
    for path, mode, content in generated:
        sources.beside.append(Beside(path=f"{ADDED}/{path}", content=content, executable=bool(mode & 0o100)))
    lines = ["", "# The project's own files.", f"FROM {TOOLS} AS code", f"COPY . {_OUT}/{CODE}/"]
    return [*lines, *([copy(inputs.place.path(ADDED), f"{_OUT}/")] if generated else [])]


def code_cleanup(sources: Sources, extra: set[str]) -> str:
    """What the context holds for other stages is no code; modes are those of the image."""
    gone = sorted(extra | set(sources.inputs.installed_tops))
    removed = [f"rm -rf {' '.join(shlex.quote(f'{_OUT}/{CODE}/{path}') for path in gone)}"] if gone else []
    return run([*removed, f"find {_OUT} -type d -empty -delete", f"mkdir -p {_OUT}/{CODE}", _CANONICAL])


def files_stage(sources: Sources, layers: tuple[FilesLayer, ...]) -> list[str]:
    """The stage `files`: what `[[image.files]]` names under /out, with the modes of the image."""
    lines = ["", f"FROM {TOOLS} AS files"]
    modes: list[str] = []
    for file in (file for layer in layers for file in layer.files):
        target = f"{_OUT}/{file.path}"
        if file.link_target is not None:
            modes += _linked(target, file.link_target)
        elif is_url(file.source):
            assert file.sha256 is not None, "planned files have a digest"
            lines.append(run(fetched_file(shlex.quote(file.source), file.sha256, shlex.quote(target)), [CA]))
        else:
            lines.append(copy(sources.context_path(file), target))
        if file.link_target is None:
            modes.append(f"chmod {file.mode:o} {shlex.quote(target)}")
    return [*lines, run([f"find {_OUT} -type d -exec chmod 755 {{}} +", *modes])]


def _linked(target: str, to: str) -> list[str]:
    folder = str(PurePosixPath(target).parent)
    return [f"mkdir -p {shlex.quote(folder)}", f"ln -s {shlex.quote(to)} {shlex.quote(target)}"]


def beside_stage(sources: Sources, layers: tuple[FilesLayer, ...], name: str) -> list[str]:
    """A stage of files that lie beside the Dockerfile, since they are no part of the project."""
    for file in (file for layer in layers for file in layer.files):
        content = Path(file.source)
        sources.beside.append(
            Beside(path=f"{name}/{file.path}", content=content, executable=bool(file.mode & 0o100))
        )
    copied = copy(sources.inputs.place.path(name), f"{_OUT}/")
    return ["", f"FROM {TOOLS} AS {name}", copied, run([_CANONICAL])]


def tops(layers: tuple[FilesLayer, ...]) -> list[str]:
    """The files of `layers`, as they are copied into the image."""
    return sorted({file.path for layer in layers for file in layer.files})


def step_stages(sources: Sources, step: StepLayer) -> list[str]:
    """The stage with what a step sees of the project; nothing where it sees nothing."""
    if not step.inputs:
        return []
    lines = ["", f"FROM {TOOLS} AS step-{step.number}"]
    links = []
    for file in step.inputs:
        target = f"{_OUT}/{file.path.removeprefix(f'{CODE}/')}"
        if file.link_target is not None:
            links += _linked(target, file.link_target)
        else:
            lines.append(copy(sources.context_path(file), target))
    return [*lines, run([*links, _CANONICAL])]


def step_run(sources: Sources, step: StepLayer, given: dict[str, str]) -> str:
    """The step itself, in the image: as root in /app, with what it may see; `given` is the stage's ENV."""
    inputs = sources.inputs
    code = (
        f"type=bind,from=step-{step.number},source={_OUT},target=/{CODE}"
        if step.inputs
        else f"type=tmpfs,target=/{CODE}"
    )
    mounts = [code, "type=tmpfs,target=/tmp", "type=tmpfs,target=/var/tmp"]
    mounts += [f"type=secret,id={name}" for name in sorted(step.secrets)]
    own = {name: value for name, value in step.env if given.get(name) != value}
    fixed = [(name, value) for name, value in _STEP_ENVIRONMENT if name not in dict(step.env)]
    commands = [exports((*fixed, *own.items()))]
    commands += [f'export {name}="$(cat /run/secrets/{name})"' for name in sorted(step.secrets)]
    if "\n" in step.run.strip() or "<<" in step.run or step.run.rstrip().endswith("\\"):
        script = f"{STEPS}/{step.number}.sh"
        sources.beside.append(Beside(path=script, content=step.run.encode(), executable=False))
        mounts.append(f"type=bind,source={inputs.place.path(script)},target=/tmp/step.sh")
        command = "/bin/sh -e /tmp/step.sh"
    else:
        command = f"set -e; {step.run.strip()}"
    offline = "--network=none \\\n    " if inputs.frontend.offline and not step.network else ""
    return run([*commands, command], mounts).replace("RUN ", f"RUN {offline}", 1)


_STEP_ENVIRONMENT = (
    ("HOME", "/tmp"),
    ("PYTHONDONTWRITEBYTECODE", "1"),
    ("SOURCE_DATE_EPOCH", str(MTIME_SECONDS)),
    ("DEBIAN_FRONTEND", "noninteractive"),
)
