"""What the doctor says: values only. Pure; knows no cause and no evidence."""

from __future__ import annotations

from dataclasses import dataclass

from lading.inspect.lint.model import Severity

__all__ = ["Finding", "Severity", "Sign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What a cause yields: the evidence that shows it, and the command that mends it.

    Without a `remedy` the finding ends with the command that prints the cause's page.
    """

    proof: tuple[str, ...]
    remedy: str = ""
    certain: bool = True
    """False where the proof allows for another cause, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause that was found."""

    cause: str
    """Its id, as in the name of its page."""
    severity: Severity
    title: str
    proof: tuple[str, ...]
    """Lines: what was seen, and where."""
    remedy: str
    """One command to copy."""
    exit_status: int
    """What a command ends with that fails on this finding."""
    certain: bool = True

    @property
    def page(self) -> str:
        """Below the root of the repository; `explain` prints the same."""
        return f"docs/reference/doctor/{self.cause}.md"

    @property
    def explain(self) -> str:
        return explain_command(self.cause)

    def as_json(self) -> dict[str, object]:
        return {
            "cause": self.cause,
            "severity": self.severity.label,
            "title": self.title,
            "proof": list(self.proof),
            "remedy": self.remedy,
            "page": self.page,
            "exit_status": self.exit_status,
            "certain": self.certain,
        }


def explain_command(cause: str) -> str:
    """Prints the page of a cause, also where there is no documentation beside lading."""
    return f"lading doctor --explain {cause}"
