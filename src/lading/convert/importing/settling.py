"""What is known while a draft becomes settings: the document, where things lie, what is said. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from lading.convert.importing.checked import Document
from lading.convert.importing.draft import Copied, Draft, Row, Said, Start
from lading.convert.importing.model import Context, Fate
from lading.convert.importing.places import Places


@dataclass(slots=True, kw_only=True)
class Settling:
    """What is known while a draft is settled."""

    draft: Draft
    context: Context
    document: Document = field(default_factory=Document)
    places: Places = field(default_factory=lambda: Places(root=None))
    rows: list[Row] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    is_kept: bool = False
    """The Dockerfile's own base is the base."""

    def say(self, said: Said | Copied | Row | Start, fate: Fate, became: str) -> None:
        self.rows.append(Row(line=said.line, instruction=said.instruction, fate=fate, became=became))

    def outcome(
        self, said: Said | Copied | Row | Start, became: str, problem: str | None, fate: Fate = Fate.CARRIED
    ) -> None:
        """Carried, unless there is a problem."""
        self.say(said, fate if problem is None else Fate.LOST, became if problem is None else problem)
