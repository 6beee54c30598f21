"""One engine's command line: found in PATH, called with a stream or without, its failures explained."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lading.errors import EngineError

_ABSENT = {
    "docker": ("apt-get install docker.io", "lading build --output docker-archive:image.tar"),
    "podman": ("apt-get install podman", "lading build --output oci-archive:image.tar"),
}
_QUESTION_SECONDS = 60.0
_LONGEST_WORDS = 600


class CommandFailed(Exception):
    """The engine refused. The text is what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """`docker` or `podman`, with the environment it is called in."""

    name: str
    program: str
    environment: Mapping[str, str]

    @classmethod
    def find(cls, name: str, environment: Mapping[str, str]) -> Client:
        """Raises EngineError where there is no such command."""
        program = shutil.which(name, path=environment.get("PATH"))
        if program is None:
            raise EngineError(
                f"loading into {name} takes its command, and there is no `{name}` in PATH",
                hints=_ABSENT[name],
            )
        return cls(name=name, program=program, environment=environment)

    def ask(self, *words: str, seconds: float | None = _QUESTION_SECONDS) -> str:
        """Standard output of a command. Raises CommandFailed, EngineError when it does not answer."""
        try:
            done = subprocess.run(
                [self.program, *words],
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                timeout=seconds,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(
                f"`{self.name} {words[0]}` did not answer within {seconds:.0f} s",
                hints=(f"{self.name} info",),
            ) from None
        except OSError as error:
            raise EngineError(
                f"starting {self.program} failed: {error.strerror}", place=self.program
            ) from error
        if done.returncode != 0:
            raise CommandFailed(_words(done.stderr))
        return done.stdout.decode("utf-8", "replace")

    def feed(self, chunks: Iterable[bytes], *words: str) -> str:
        """Standard output of a command that reads `chunks`. Raises CommandFailed, EngineError."""
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as complained:
            try:
                process = subprocess.Popen(
                    [self.program, *words],
                    env=dict(self.environment),
                    stdin=subprocess.PIPE,
                    stdout=said,
                    stderr=complained,
                )
            except OSError as error:
                raise EngineError(
                    f"starting {self.program} failed: {error.strerror}", place=self.program
                ) from error
            assert process.stdin is not None
            try:
                try:
                    for chunk in chunks:
                        process.stdin.write(chunk)
                    process.stdin.close()
                except BrokenPipeError:
                    pass  # it has an opinion: its exit status and its words say which
                status = process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
            for stream in (said, complained):
                stream.seek(0)
            if status != 0:
                raise CommandFailed(_words(complained.read()))
            return said.read().decode("utf-8", "replace")


def is_stopped(words: str) -> bool:
    """Whether an engine's words say that its daemon does not run. Pure."""
    lower = words.lower()
    return (
        "cannot connect" in lower or "connection refused" in lower or "is the docker daemon running" in lower
    )


def refuses_user(words: str) -> bool:
    """Whether an engine's words say that this user may not use it. Pure.

    Docker also warns of a configuration that it may not read, and then says what it has to say.
    """
    return "permission denied" in words.lower() and not is_stopped(words)


def unusable(client: Client, words: str) -> EngineError:
    """Why an engine that is installed cannot be used, with the way out. Pure."""
    if refuses_user(words):
        return EngineError(
            f"this user may not use {client.name}: {words}",
            hints=(f"sudo usermod --append --groups {client.name} $USER", "newgrp docker"),
        )
    if is_stopped(words):
        return EngineError(
            f"{client.name} is installed and does not run: {words}",
            hints=(f"sudo systemctl start {client.name}", "echo $DOCKER_HOST"),
        )
    return EngineError(f"{client.name} cannot be used: {words}", hints=(f"{client.name} info",))


def _words(said: bytes) -> str:
    return " ".join(said.decode("utf-8", "replace").split())[-_LONGEST_WORDS:] or "it said nothing"
