"""COPY and ADD of one stage: from the context, heredocs, a URL, other stages and images. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from lading.convert.importing.copying import ARCHIVES, absolute, is_requirements, place_sources
from lading.convert.importing.draft import Copied, Draft, DraftStep
from lading.convert.importing.instructions import StageReading
from lading.convert.importing.model import Fate
from lading.convert.importing.spoken import shown_line
from lading.convert.importing.transfers import copied_on, holds_packages
from lading.convert.importing.words import substitute
from lading.inspect.lint.dockerfile import Instruction
from lading.project.tokens import without_userinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyReading:
    stage: StageReading

    def read(self, entry: Instruction) -> None:
        flags = {flag.text[2:].partition("=")[0]: flag.text.partition("=")[2] for flag in entry.flags}
        words = list(entry.json_words or (word.text for word in entry.words))
        known = [substitute(word, self.stage.draft.values) for word in words]
        if None in known:
            self.stage.unknown(entry, "a path")
            return
        paths = [word for word in known if word is not None]
        if len(paths) < 2:
            self.stage.say(entry, Fate.LOST, "it names no destination")
        elif entry.heredocs:
            self._heredocs(entry, paths[-1])
        elif "from" in flags:
            self._from_stage(entry, flags["from"], paths)
        else:
            self._from_context(entry, flags, paths)

    def _heredocs(self, entry: Instruction, destination: str) -> None:
        target = absolute(self.stage.folder, destination)
        for heredoc in entry.heredocs:
            into = destination.endswith("/") or len(entry.heredocs) > 1
            path = f"{target}/{heredoc.name}" if into else target
            row = self.stage.reader.row(entry, Fate.CARRIED, "")
            self.stage.draft.written.append((row, path, heredoc.content))

    def _from_context(self, entry: Instruction, flags: Mapping[str, str], paths: list[str]) -> None:
        sources, destination = paths[:-1], paths[-1]
        for source in [source for source in sources if "://" in source or source.startswith("git@")]:
            self._fetched(entry, flags, source, destination)
            sources.remove(source)
        if not sources:
            return
        folders = frozenset({"/", self.stage.folder, *self.stage.draft.system.folders})
        folders |= {c.destination for c in self.stage.draft.copies if c.is_folder}
        placed, missing = place_sources(
            sources, destination, self.stage.folder, folders, self.stage.reader.context
        )
        for source in missing:
            self.stage.say(entry, Fate.LOST, f"{source} is not in the build context")
        mode = int(flags["chmod"], 8) if re.fullmatch(r"[0-7]{3,4}", flags.get("chmod", "")) else None
        for one in placed:
            if entry.keyword == "ADD" and one.source.endswith(ARCHIVES) and not one.is_folder:
                self._unpacked(entry, one.source, absolute(self.stage.folder, destination))
                continue
            self.stage.draft.copies.append(
                Copied(
                    line=self.stage.reader.line(entry),
                    instruction=shown_line(entry.keyword, entry.text),
                    source=one.source,
                    destination=one.destination,
                    is_folder=one.is_folder,
                    mode=mode,
                    is_requirements=is_requirements(one.source),
                )
            )

    def _unpacked(self, entry: Instruction, source: str, target: str) -> None:
        self.stage.draft.steps.append(
            DraftStep(
                line=self.stage.reader.line(entry),
                instruction=shown_line(entry.keyword, entry.text),
                parts=((f"mkdir -p {target}\ntar -xf /app/{source} -C {target}", True),),
                folder="/",
                values={},
                network=False,
            )
        )

    def _fetched(self, entry: Instruction, flags: Mapping[str, str], url: str, destination: str) -> None:
        shown = without_userinfo(url)
        checksum = flags.get("checksum", "")
        if not url.startswith(("https://", "http://")) or url.endswith(".git"):
            self.stage.say(entry, Fate.LOST, f"{shown} is fetched by Git: copy it into the project")
        elif not re.fullmatch(r"sha256:[0-9a-f]{64}", checksum):
            note = f"[[image.files]] takes a URL with its sha256: curl -fsSL {shown} | sha256sum"
            self.stage.say(entry, Fate.LOST, note)
        else:
            target = absolute(self.stage.folder, destination)
            if destination.endswith("/"):
                target = f"{target}/{url.partition('?')[0].rpartition('/')[2]}"
            row = self.stage.reader.row(entry, Fate.CARRIED, "")
            self.stage.draft.fetched.append((row, url, checksum.removeprefix("sha256:"), target))

    def _from_stage(self, entry: Instruction, named: str, paths: list[str]) -> None:
        name = substitute(named, self.stage.draft.values) or named
        found = self.stage.reader.find(name)
        if found is None or found >= self.stage.index:
            self._from_image(entry, name, paths)
            return
        other = self.stage.reader.read(found)
        for path in paths[:-1]:
            self._transfer(entry, other, absolute("/", path), paths[-1])

    def _from_image(self, entry: Instruction, image: str, paths: list[str]) -> None:
        last = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
        if last in ("uv", "poetry") or all(path.rpartition("/")[2] in ("uv", "uvx") for path in paths[:-1]):
            self.stage.say(entry, Fate.NOT_NEEDED, "an image needs no installer")
        else:
            note = f"files of {image}: take them into the project, or make it the base"
            self.stage.say(entry, Fate.LOST, note)

    def _transfer(self, entry: Instruction, other: Draft, source: str, destination: str) -> None:
        """`COPY --from=STAGE`: Python packages are wanted here too, copies of the context are copied on."""
        took = []
        if holds_packages(source, other):
            self.stage.draft.wanted.add(other.wanted)
            self.stage.draft.wanted.prefixes.setdefault(absolute(self.stage.folder, destination))
            self.stage.draft.system.modes.update(other.system.modes)
            self.stage.draft.packages_from.update(
                dict.fromkeys((other.name, *other.above, *other.packages_from))
            )
            if self.stage.draft.base.python is None and self.stage.draft.base.kept is None:
                wanted = self.stage.draft.wanted
                wanted.python = wanted.python or other.base.python
            took.append(f"the Python packages of stage {other.name}")
        copies = copied_on(
            other,
            source,
            absolute(self.stage.folder, destination),
            destination.endswith("/"),
            self.stage.reader.context,
        )
        for one in copies:
            self.stage.draft.copies.append(
                replace(
                    one, line=self.stage.reader.line(entry), instruction=shown_line(entry.keyword, entry.text)
                )
            )
        if took:
            self.stage.say(entry, Fate.CARRIED, ", ".join(took), topic="python")
        elif not copies:
            note = (
                f"made by a command of stage {other.name}: make it in the project, in a package, or"
                " in an [[image.step]]"
            )
            self.stage.say(entry, Fate.LOST, note)
