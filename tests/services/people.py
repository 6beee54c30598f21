"""Running as an ordinary user, with a Python and a lading that such a user can read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.process import Tool, require, service_folder

USER_ID = 1000
REPOSITORY = Path(__file__).parent.parent.parent
_PASSED_ON = (
    *("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "LANG", "LC_", "TZ", "TERM"),
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
)
"""Beginnings of the variables that reach an ordinary user: where packages come from, language and time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Someone who calls commands: an id, a home, and a `lading` to call."""

    user_id: int
    home: Path
    binaries: Path
    """`bin` of the virtual environment with lading; first in PATH."""

    @property
    def tool(self) -> Tool:
        """Runs any command as this person, in a clean environment."""
        environment = [f"{name}={value}" for name, value in self._environment().items()]
        switch: tuple[str, ...] = ()
        if os.geteuid() != self.user_id:
            ids = (f"--reuid={self.user_id}", f"--regid={self.user_id}", "--clear-groups")
            switch = (require("setpriv", "util-linux"), *ids, "--inh-caps=-all", "--bounding-set=-all")
        return Tool(prefix=(*switch, "/usr/bin/env", "--ignore-environment", *environment))

    def lading(self, *arguments: str | Path, cwd: Path | None = None, check: bool = True) -> str:
        """Standard output of a `lading` command."""
        return self.tool("lading", *arguments, cwd=cwd or self.home, check=check).stdout

    def owns(self, path: Path) -> Path:
        """Hand the tree at `path` to this person."""
        for found in (path, *path.rglob("*")):
            os.chown(found, self.user_id, self.user_id, follow_symlinks=False)
        return path

    def _environment(self) -> Mapping[str, str]:
        path = f"{self.binaries}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        return {**passed_environment(), "HOME": str(self.home), "PATH": path}


def passed_environment(*, wheel_folders: bool = True) -> dict[str, str]:
    """The part of this environment that someone else's command gets too.

    Without `wheel_folders` for those who cannot see this machine's folders of wheels.
    """
    passed = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    hidden = () if wheel_folders else ("PIP_FIND_LINKS", "UV_FIND_LINKS")
    return {name: value for name, value in passed.items() if name not in hidden}


@contextmanager
def user_venv(python: str = "/usr/bin/python3") -> Iterator[Path]:
    """`bin` of a virtual environment that every user can read: Debian's Python, a copy of lading."""
    with service_folder("venv") as folder:
        folder.chmod(0o755)
        make = Tool(prefix=(python,))
        make("-m", "venv", folder / "venv")
        pip = Tool(
            prefix=(str(folder / "venv/bin/python"), "-m", "pip", "install", "--quiet"), timeout_seconds=600
        )
        pip("--require-hashes", "-r", REPOSITORY / "requirements/runtime.txt")
        source = folder / "source"
        shutil.copytree(REPOSITORY / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(REPOSITORY / name, source / name)
        pip("--no-deps", "--no-build-isolation", "--no-index", source)
        yield folder / "venv/bin"


@contextmanager
def person(binaries: Path, *, user_id: int = USER_ID) -> Iterator[Person]:
    """Someone with an empty home of their own."""
    with service_folder("home") as home:
        if os.geteuid() == 0:
            os.chown(home, user_id, user_id)
        yield Person(user_id=user_id, home=home, binaries=binaries)
