"""Reading a stage, instruction by instruction, into a Draft. Pure: nothing is run, nothing is fetched.

Source: the Dockerfile reference. Where code will lie is not known yet, so paths stay as the Dockerfile says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from lading.convert.importing.bases import Base, read_base
from lading.convert.importing.copy_instruction import CopyReading
from lading.convert.importing.draft import Draft, Row
from lading.convert.importing.instructions import StageReading
from lading.convert.importing.model import Context, Fate, ImportRefused
from lading.convert.importing.spoken import declared, shown_line
from lading.convert.importing.words import PATH_BEFORE, Values, substitute
from lading.inspect.lint.dockerfile import Dockerfile, Instruction, Stage, Word

_PREDEFINED = {
    "TARGETPLATFORM": "linux/amd64",
    "TARGETOS": "linux",
    "TARGETARCH": "amd64",
    "TARGETVARIANT": "",
}
_JUPYTER = {"NB_UID": "1000", "NB_GID": "100", "NB_USER": "jovyan"}
_MAMBA = {"MAMBA_USER": "mambauser", "MAMBA_USER_ID": "57439", "MAMBA_ROOT_PREFIX": "/opt/conda"}
_MENTIONED = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(slots=True, kw_only=True)
class StageReader:
    """Reads the stages of one Dockerfile; each once."""

    dockerfile: Dockerfile
    context: Context
    arguments: Mapping[str, str]
    """`--build-arg`."""
    drafts: dict[int, Draft] = field(default_factory=dict)
    _globals: dict[str, str | None] = field(default_factory=dict)
    global_rows: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._globals = dict(_PREDEFINED)
        for entry in self.dockerfile.instructions:
            if entry.keyword == "FROM":
                break
            for name, value in declared(entry):
                self._globals[name] = self._argument(name, value, self._globals)
            row = self.row(entry, Fate.NOT_NEEDED, "filled in where it is used")
            self.global_rows.append(row)

    def find(self, name: str) -> int | None:
        """The stage of that name or number."""
        named = [
            index
            for index, one in enumerate(self.dockerfile.stages)
            if (one.name or "").lower() == name.lower()
        ]
        if named:
            return named[-1]
        number = int(name) if re.fullmatch(r"\d{1,4}", name) else -1
        return number if 0 <= number < len(self.dockerfile.stages) else None

    def read(self, index: int) -> Draft:
        """The stage number `index`, with all that it begins from."""
        if index not in self.drafts:
            self.drafts[index] = self._read(index, self.dockerfile.stages[index])
        return self.drafts[index]

    def image(self, index: int) -> str | None:
        """What FROM names, variables filled in."""
        words = self.dockerfile.stages[index].origin.words
        return substitute(words[0].text, self._globals) if words else None

    def row(
        self, entry: Instruction, fate: Fate, became: str, *, part: str | None = None, topic: str = ""
    ) -> Row:
        return Row(
            line=self.line(entry),
            instruction=shown_line(entry.keyword, part if part is not None else entry.text),
            fate=fate,
            became=became,
            topic=topic,
        )

    def line(self, entry: Instruction) -> int:
        return self.dockerfile.text.count("\n", 0, entry.start) + 1

    def declare(self, name: str, value: Word | None, values: Values) -> str | None:
        """What ARG gives a variable in a stage."""
        if value is None and name in self._globals and name not in self.arguments:
            return self._globals[name]
        return self._argument(name, value, values)

    def _argument(self, name: str, value: Word | None, values: Values) -> str | None:
        if name in self.arguments:
            return self.arguments[name]
        return None if value is None else substitute(value.text, values)

    def _read(self, index: int, stage: Stage) -> Draft:
        draft = self._begin(index, stage)
        reading = StageReading(reader=self, draft=draft, index=index)
        copying = CopyReading(stage=reading)
        for entry in stage.instructions:
            if entry.keyword in ("COPY", "ADD"):
                copying.read(entry)
            else:
                reading.instruction(entry)
        return draft

    def _begin(self, index: int, stage: Stage) -> Draft:
        image = self.image(index)
        name = stage.name or str(index)
        if image is None:
            raise ImportRefused(
                f"line {self.line(stage.origin)}: `{stage.origin.text[:80]}` has a variable without a"
                " value; give --build-arg NAME=VALUE"
            )
        above = self.find(image) if not re.fullmatch(r"\d+", image) else None
        if above is not None and above < index:
            draft = self.read(above).continued(name)
            draft.rows.append(self.row(stage.origin, Fate.NOT_NEEDED, f"goes on from the stage {image}"))
            return draft
        base = read_base(image)
        return Draft(name=name, base=base, values=self._before(base))

    def _before(self, base: Base) -> dict[str, str | None]:
        """Variables that a stage finds; those of an image that nobody has looked into are unknown."""
        values: dict[str, str | None] = {"PATH": PATH_BEFORE, "HOME": None, "USER": None}
        if "micromamba" in base.said:
            values.update(_MAMBA)
        if base.kept is not None:
            own = {
                name
                for entry in self.dockerfile.instructions
                if entry.keyword in ("ARG", "ENV")
                for name, _ in declared(entry)
            }
            mentioned = set(_MENTIONED.findall(self.dockerfile.text))
            values.update((name, None) for name in mentioned - own)
            values["PATH"] = PATH_BEFORE
            if "jupyter" in base.kept or "notebook" in base.kept:
                values.update(_JUPYTER)
        return values
