"""Every error lading raises on purpose, and the exit code each one means.

    LadingError                     exit
    ├── ProjectError                1   what the user wrote or brought
    │   ├── ConfigError             1   several configuration problems at once, each with its place
    │   ├── CredentialFound         1   a file that looks like a secret would have entered an image
    │   ├── WheelRefused            1   a wheel breaks a rule; names file, rule and member
    │   ├── PackageRefused          1   a Debian package breaks a rule or has an unhandled effect
    │   ├── ResolutionFailed        1   no set of versions satisfies the requirements
    │   ├── BudgetExceeded          1   an image is larger, or grew more, than is allowed
    │   ├── ImageRefused            1   an image or archive breaks a rule, or is none
    │   ├── BuildFailed             1   a package's own build backend failed in the sandbox
    │   └── TaskFailed              *   the user's own code failed; carries its exit code
    ├── UsageError                  2   the command line is wrong
    ├── OutsideError                3   network, disk, mirror, kernel: not the user's project
    │   ├── FetchFailed             3   a download failed for good
    │   ├── SignatureRefused        3   an index is unsigned, expired, rolled back or badly signed
    │   ├── DigestMismatch          3   bytes are not the bytes that were named
    │   ├── StoreError              3   the store cannot be read or written (full, read-only, gone)
    │   └── EngineError             3   no container could be started at any level
    ├── LockOutOfDate               4   under --locked: the lock does not fit the project
    ├── GateFailed                  5
    ├── GateInconclusive            6
    └── InternalError               70  a bug of ours

A leaf: it imports nothing of lading, so every package may raise from it. Errors of other libraries are
caught where they happen and never cross a package border.
"""

from __future__ import annotations

from dataclasses import dataclass


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP: an interrupt that nobody typed. No error, so not of the tree above."""


class LadingError(Exception):
    """Something lading can explain. `str(error)` says what was tried and what failed, in one sentence.

    `place` is where to look (`lading.toml:12`, a path, a wheel member); `hints` are next steps, each
    ideally one command to copy.
    """

    exit_status = 1
    code = "error"

    def __init__(self, message: str, *, place: str | None = None, hints: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.place = place
        self.hints = hints

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross from worker processes whole: keyword-only constructors need help with that."""
        return _rebuild, (type(self), self.args, self.__dict__)

    def as_json(self) -> dict[str, object]:
        """The error as the document that `--json` prints."""
        return {
            "type": "error",
            "code": self.code,
            "message": self.message,
            "place": self.place,
            "hints": list(self.hints),
            "exit_status": self.exit_status,
        }


def _rebuild(kind: type[LadingError], args: tuple[object, ...], state: dict[str, object]) -> LadingError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ProjectError(LadingError):
    code = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong with what the user wrote. `place` reads `file:line` where a line is known."""

    place: str
    key: str
    message: str
    suggestion: str | None = None

    def __str__(self) -> str:
        hint = f" ({self.suggestion})" if self.suggestion else ""
        whole_file = self.place.partition(":")[0] == self.key
        key = "" if whole_file else f"{self.key}: "
        return f"{self.place}: {key}{self.message}{hint}"


class ConfigError(ProjectError):
    """All configuration problems of one load, never only the first."""

    code = "config"

    def __init__(self, problems: tuple[Problem, ...], *, hints: tuple[str, ...] = ()) -> None:
        noun = "problem" if len(problems) == 1 else "problems"
        lines = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(
            f"{len(problems)} {noun} in the configuration\n{lines}",
            place=problems[0].place if problems else None,
            hints=hints,
        )
        self.problems = problems

    def as_json(self) -> dict[str, object]:
        problems = [
            {"place": p.place, "key": p.key, "message": p.message, "suggestion": p.suggestion}
            for p in self.problems
        ]
        return {**super().as_json(), "problems": problems}


class CredentialFound(ProjectError):
    code = "credential"


class WheelRefused(ProjectError):
    """A wheel broke `rule`; `member` is the archive member at fault, where there is one."""

    code = "wheel"

    def __init__(
        self, filename: str, rule: str, detail: str, *, member: str | None = None, hints: tuple[str, ...] = ()
    ) -> None:
        where = f", member {member!r}" if member is not None else ""
        super().__init__(f"wheel {filename}{where} refused: {detail} [{rule}]", place=filename, hints=hints)
        self.filename = filename
        self.rule = rule
        self.member = member


class PackageRefused(ProjectError):
    """A Debian package broke `rule`, or has an effect that no handler covers."""

    code = "package"

    def __init__(self, package: str, rule: str, detail: str, *, hints: tuple[str, ...] = ()) -> None:
        super().__init__(f"Debian package {package} refused: {detail} [{rule}]", place=package, hints=hints)
        self.package = package
        self.rule = rule


class ResolutionFailed(ProjectError):
    code = "resolution"


class BudgetExceeded(ProjectError):
    """An image weighs too much. `bill` says what, the largest first; the message shows the top of it."""

    code = "budget"

    def __init__(
        self, message: str, *, bill: tuple[dict[str, object], ...], hints: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, hints=hints)
        self.bill = bill

    def as_json(self) -> dict[str, object]:
        return {**super().as_json(), "bill": list(self.bill)}


class ImageRefused(ProjectError):
    """An image, or an archive of one, broke `rule`; `place` says which file or layer."""

    code = "image"

    def __init__(self, place: str, rule: str, detail: str, *, hints: tuple[str, ...] = ()) -> None:
        super().__init__(f"{place} refused: {detail} [{rule}]", place=place, hints=hints)
        self.rule = rule


class BuildFailed(ProjectError):
    """A backend failed; the message ends with what it said last."""

    code = "build"


class TaskFailed(ProjectError):
    """The user's own code ended with a failure; its exit code becomes ours. `run_id` names its record;
    `cause`, where it is known for certain, the page that explains it.
    """

    code = "task"

    def __init__(
        self,
        message: str,
        *,
        child_exit_status: int,
        run_id: str | None = None,
        place: str | None = None,
        hints: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, place=place, hints=hints)
        self.exit_status = child_exit_status
        self.run_id = run_id
        self.cause: str | None = None

    def as_json(self) -> dict[str, object]:
        return {**super().as_json(), "run_id": self.run_id, "cause": self.cause}


class UsageError(LadingError):
    exit_status = 2
    code = "usage"


class OutsideError(LadingError):
    exit_status = 3
    code = "outside"


class FetchFailed(OutsideError):
    code = "fetch"


class SignatureRefused(OutsideError):
    code = "signature"


class DigestMismatch(OutsideError):
    code = "digest"


class StoreError(OutsideError):
    code = "store"


class EngineError(OutsideError):
    code = "engine"


class LockOutOfDate(LadingError):
    exit_status = 4
    code = "lock-out-of-date"


class GateFailed(LadingError):
    exit_status = 5
    code = "gate-failed"


class GateInconclusive(LadingError):
    exit_status = 6
    code = "gate-inconclusive"


class InternalError(LadingError):
    exit_status = 70
    code = "internal"


EXIT_INTERRUPTED = 130
