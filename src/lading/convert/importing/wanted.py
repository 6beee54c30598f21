"""The Python packages that a stage wants, and the words of the commands that say so. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from lading.convert.importing.copying import absolute
from lading.convert.importing.model import Fate

Said = tuple[Fate, str]
ToContext = Callable[[str], str | None]
"""A path inside the image → where the build context has it; None where it did not come from there."""

_VALUED = frozenset(
    {
        "-r", "--requirement", "--requirements", "-c", "--constraint", "--constraints", "-i",
        "--index-url", "--extra-index-url", "--index", "--default-index", "-f", "--find-links", "-t",
        "--target", "--prefix", "--root", "--src", "--trusted-host", "--proxy", "--timeout", "--retries",
        "--cert", "--cache-dir", "--no-binary", "--only-binary", "--python-version", "--platform",
        "--abi", "--implementation", "--progress-bar", "--log", "--upgrade-strategy", "--config-settings",
        "--config-setting", "-C", "--global-option", "--report", "--python", "-p", "--link-mode",
        "--index-strategy", "--torch-backend", "--extra", "--group", "--only-group", "--no-group",
        "--exists-action", "--override", "--build-constraint", "--prerelease", "--resolution",
        "--upgrade-package", "-P", "--project", "--directory", "--default-timeout", "--python-platform",
        "--keyring-provider", "-w", "--wheel-dir", "--only", "--with", "--without", "-E", "--extras",
        "-n", "--name", "--file", "--channel", "-b", "--bin-dir", "--no-install-package",
    }
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Wanted:
    """The Python packages that one stage installs."""

    files: dict[str, None] = field(default_factory=dict)
    """Requirements files of the context."""
    constraints: dict[str, None] = field(default_factory=dict)
    lines: dict[str, None] = field(default_factory=dict)
    options: dict[str, None] = field(default_factory=dict)
    """Lines such as `--extra-index-url …`."""
    groups: dict[str, None] = field(default_factory=dict)
    is_project: bool = False
    """The project itself is installed, with its dependencies."""
    managers: dict[str, None] = field(default_factory=dict)
    """uv, poetry, pipenv: whose lock says what is wanted."""
    environment: str | None = None
    """An environment.yml of the context."""
    conda: dict[str, None] = field(default_factory=dict)
    accelerator: str | None = None
    python: str | None = None
    prefixes: dict[str, None] = field(default_factory=dict)
    """Where Python packages lie: virtual environments, `--target`, wheel folders."""
    environments: dict[str, None] = field(default_factory=dict)
    """Virtual environments that are made."""
    unisolated: dict[str, None] = field(default_factory=dict)
    """Built with what the environment holds: `--no-build-isolation`."""
    exported: dict[str, str] = field(default_factory=dict)
    """Requirements files made by a manager: path in the image → manager."""

    def add(self, other: Wanted) -> None:
        """Another stage's packages are copied into this one."""
        names = ("files", "constraints", "lines", "options", "groups", "managers", "conda", "prefixes")
        for name in (*names, "unisolated", "environments"):
            getattr(self, name).update(getattr(other, name))
        self.exported.update(other.exported)
        self.is_project |= other.is_project
        self.environment = self.environment or other.environment
        self.accelerator = self.accelerator or other.accelerator
        self.python = self.python or other.python

    @property
    def is_empty(self) -> bool:
        named = self.files or self.lines or self.managers or self.environment or self.conda
        return not named and not self.is_project


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    """Where a command stands."""

    folder: str
    """Working folder in the image."""
    to_context: ToContext
    groups: frozenset[str] = frozenset()
    """What pyproject.toml defines."""
    is_file: Callable[[str], bool] = lambda path: False
    """Of the build context."""

    def absolute(self, path: str) -> str:
        return absolute(self.folder, path)


def options(words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(option, value) pairs; a bare word comes with an empty option, a switch with an empty value."""
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        name, equals, value = word.partition("=")
        if not word.startswith("-") or word == "-":
            yield "", word
        elif word.startswith("--") and equals:
            yield name, value
        elif word in _VALUED or word in ("-e", "--editable"):
            yield word, words[at] if at < len(words) else ""
            at += 1
        elif (
            word[:2] in ("-r", "-c", "-e", "-f", "-i", "-t", "-E", "-n", "-p")
            and len(word) > 2
            and word[1] != "-"
        ):
            yield word[:2], word[2:].removeprefix("=")
        else:
            yield word, ""
