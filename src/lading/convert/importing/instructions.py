"""One stage, instruction by instruction, into its draft. Pure: nothing is run, nothing is fetched.

Source: the Dockerfile reference. Where code will lie is not known yet, so paths stay as the Dockerfile says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from lading.convert.importing.copying import absolute
from lading.convert.importing.draft import Draft, DraftStep, Health, Row, Said, Start
from lading.convert.importing.model import Context, Fate
from lading.convert.importing.runs import read_run
from lading.convert.importing.spoken import declared, shown_line
from lading.convert.importing.words import PATH_BEFORE, Values, substitute
from lading.inspect.lint.dockerfile import Instruction, Word


class Stages(Protocol):
    """What a stage asks of the whole Dockerfile."""

    @property
    def context(self) -> Context: ...
    def row(
        self, entry: Instruction, fate: Fate, became: str, *, part: str | None = None, topic: str = ""
    ) -> Row: ...
    def line(self, entry: Instruction) -> int: ...
    def declare(self, name: str, value: Word | None, values: Values) -> str | None: ...
    def find(self, name: str) -> int | None: ...
    def read(self, index: int) -> Draft: ...


@dataclass(slots=True, kw_only=True)
class StageReading:
    """One stage while it is read."""

    reader: Stages
    draft: Draft
    index: int

    def instruction(self, entry: Instruction) -> None:
        how: Mapping[str, Callable[[Instruction], None]] = {
            "ARG": self._arg, "ENV": self._env, "RUN": self._run,
            "WORKDIR": self._workdir, "USER": self._user, "LABEL": self._label, "EXPOSE": self._expose,
            "ENTRYPOINT": self._entrypoint, "CMD": self._cmd, "HEALTHCHECK": self._healthcheck,
            "SHELL": self._shell, "STOPSIGNAL": self._stop_signal, "VOLUME": self._volume,
            "ONBUILD": self._onbuild, "MAINTAINER": self._maintainer,
        }  # fmt: skip
        how[entry.keyword](entry)

    def say(
        self, entry: Instruction, fate: Fate, became: str, *, part: str | None = None, topic: str = ""
    ) -> Row:
        row = self.reader.row(entry, fate, became, part=part, topic=topic)
        self.draft.rows.append(row)
        return row

    def said(self, entry: Instruction, value: str) -> Said:
        return Said(
            value=value, line=self.reader.line(entry), instruction=shown_line(entry.keyword, entry.text)
        )

    def _replaced(self, before: Said | Start | None) -> None:
        """What an instruction said of the image, before a later one said otherwise."""
        if before is not None:
            note = "a later one counts; this one holds for what stands between"
            row = Row(line=before.line, instruction=before.instruction, fate=Fate.NOT_NEEDED, became=note)
            self.draft.rows.append(row)

    @property
    def folder(self) -> str:
        return self.draft.workdir.value if self.draft.workdir is not None else "/"

    def unknown(self, entry: Instruction, what: str) -> None:
        self.say(entry, Fate.LOST, f"{what} has a variable without a value: give --build-arg NAME=VALUE")

    def _arg(self, entry: Instruction) -> None:
        for name, value in declared(entry):
            self.draft.values[name] = found = self.reader.declare(name, value, self.draft.values)
            if found is None:
                note = f"has no value here; --build-arg {name}=… gives one"
                self.say(entry, Fate.NOT_NEEDED, note, part=f"ARG {name}")
            else:
                self.say(entry, Fate.NOT_NEEDED, "filled in where it is used", part=f"ARG {name}={found}")

    def _env(self, entry: Instruction) -> None:
        before = dict(self.draft.values)
        for name, word in entry.pairs:
            text = word.text if "=" in entry.words[0].text else word.text.replace('"', '\\"')
            value = substitute(text, before)
            self.draft.values[name] = value
            if value is None:
                self.unknown(entry, name)
            elif name == "PATH":
                self._path(entry, value)
            else:
                self._replaced(self.draft.env.get(name))
                self.draft.env[name] = self.said(entry, value)

    def _path(self, entry: Instruction, value: str) -> None:
        for folder in value.split(":"):
            if folder and folder != PATH_BEFORE:
                self.draft.path.setdefault(folder, self.said(entry, folder))

    def _workdir(self, entry: Instruction) -> None:
        path = substitute(entry.body.strip(), self.draft.values)
        if path is None:
            self.unknown(entry, "the folder")
            return
        folder = absolute(self.folder, path)
        self._replaced(self.draft.workdir)
        self.draft.workdir = self.said(entry, folder)

    def _user(self, entry: Instruction) -> None:
        name = substitute(entry.body.strip(), self.draft.values)
        if name is None:
            self.unknown(entry, "the user")
            return
        self._replaced(self.draft.user)
        self.draft.user = self.said(entry, name)

    def _label(self, entry: Instruction) -> None:
        for name, word in entry.pairs:
            key, value = substitute(name, self.draft.values), substitute(word.text, self.draft.values)
            if key is None or value is None:
                self.unknown(entry, name)
            else:
                self._replaced(self.draft.labels.get(key))
                self.draft.labels[key] = self.said(entry, value)

    def _maintainer(self, entry: Instruction) -> None:
        self._replaced(self.draft.labels.get("maintainer"))
        self.draft.labels["maintainer"] = self.said(entry, entry.body.strip())

    def _expose(self, entry: Instruction) -> None:
        for word in entry.words:
            port = substitute(word.text, self.draft.values)
            if port is None:
                self.unknown(entry, word.text)
            else:
                self._replaced(self.draft.ports.get(port))
                self.draft.ports[port] = self.said(entry, port)

    def _start(self, entry: Instruction, body: str | None = None) -> Start:
        line, shown = self.reader.line(entry), shown_line(entry.keyword, entry.text)
        words = entry.json_words
        if body is None and words is not None:
            return Start(line=line, instruction=shown, words=words)
        text = (entry.body if body is None else body).strip()
        return Start(
            line=line, instruction=shown, shell=text, with_shell=self.draft.shell or ("/bin/sh", "-c")
        )

    def _entrypoint(self, entry: Instruction) -> None:
        self._replaced(self.draft.entrypoint)
        self._replaced(self.draft.command)
        self.draft.entrypoint, self.draft.command = self._start(entry), None

    def _cmd(self, entry: Instruction) -> None:
        self._replaced(self.draft.command)
        self.draft.command = self._start(entry)

    def _healthcheck(self, entry: Instruction) -> None:
        self._replaced(self.draft.health.start if self.draft.health is not None else None)
        words = entry.words
        if not words or words[0].text.upper() != "CMD":
            self.draft.health = Health(start=None)
            self.say(entry, Fate.NOT_NEEDED, "no check is the default")
            return
        rest = entry.text[words[0].start + len(words[0].text) :].strip()
        inner = replace(entry, text=f"CMD {rest}", keyword="CMD", body_start=4, flags=(), pieces=entry.pieces)
        options = dict(flag.text[2:].partition("=")[::2] for flag in entry.flags)
        start = self._start(inner, None if inner.json_words is not None else rest)
        shown = shown_line("HEALTHCHECK", entry.text)
        self.draft.health = Health(start=replace(start, instruction=shown), options=options)

    def _shell(self, entry: Instruction) -> None:
        words = entry.json_words or ()
        # `conda run -n NAME /bin/bash -c`: the environment is the image's own.
        shells = [at for at, word in enumerate(words) if word.rpartition("/")[2] in ("sh", "bash", "dash")]
        self.draft.shell = words[shells[0] :] if shells else ()
        self.say(entry, Fate.NOT_NEEDED, "steps and commands below run in it")

    def _stop_signal(self, entry: Instruction) -> None:
        self._replaced(self.draft.stop_signal)
        self.draft.stop_signal = self.said(entry, substitute(entry.body.strip(), self.draft.values) or "")

    def _volume(self, entry: Instruction) -> None:
        note = "what is written is thrown away unless a folder is mounted: lading run --mount, docker run -v"
        self.say(entry, Fate.LOST, note)

    def _onbuild(self, entry: Instruction) -> None:
        self.say(entry, Fate.LOST, "an image of lading has no triggers for images built upon it")

    def _run(self, entry: Instruction) -> None:
        known = [(c.source, c.destination, c.is_folder) for c in self.draft.copies]
        for said in read_run(entry, self.draft, self.folder, known, self.reader.context):
            if isinstance(said, DraftStep):
                self.draft.steps.append(
                    replace(said, line=self.reader.line(entry), instruction=shown_line("RUN", said.text))
                )
            else:
                self.say(entry, said.fate, said.became, part=said.part, topic=said.topic)
