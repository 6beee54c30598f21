"""Where an image is: registry, repository, tag or digest, as Docker and its kin write it. Pure.

Source: distribution/reference (grammar and the defaults `docker.io` and `library/`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from lading.oci.digest import Digest

DEFAULT_REGISTRY = "docker.io"
_COMPONENT = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(f"{_COMPONENT}(?:/{_COMPONENT})*")
_REGISTRY = re.compile(r"(?:[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_LONGEST_REPOSITORY = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """`REGISTRY/REPOSITORY[:TAG][@DIGEST]`, with the registry always said."""

    registry: str
    """Host and perhaps port: `docker.io`, `127.0.0.1:5000`, `[::1]:5000`."""
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Raises ValueError, whose text is a clause that says what is wrong."""
        rest, at, digest = text.partition("@")
        name, tag = rest, None
        head, colon, last = rest.rpartition(":")
        if colon and "/" not in last:
            name, tag = head, last
            if _TAG.fullmatch(tag) is None:
                raise ValueError(f"`{tag}` is no tag")
        registry, repository = _split_registry(name)
        if _PATH.fullmatch(repository) is None:
            raise ValueError(f"`{repository}` is no repository name; it is written in lower case")
        if len(repository) > _LONGEST_REPOSITORY:
            raise ValueError(f"a repository name has at most {_LONGEST_REPOSITORY} characters")
        if at and not digest.startswith("sha256:"):
            raise ValueError(f"`{digest}` is no sha256 digest")
        return cls(registry=registry, repository=repository, tag=tag, digest=Digest(digest) if at else None)

    @property
    def name(self) -> str:
        """Registry and repository."""
        return f"{self.registry}/{self.repository}"

    @property
    def qualified(self) -> str:
        """All of it, as containerd and Podman keep it: `docker.io/library/digits:1.4.0-cpu`."""
        return self.name + self._version()

    @property
    def familiar(self) -> str:
        """As people type it: `digits:1.4.0-cpu`."""
        if self.registry != DEFAULT_REGISTRY:
            return self.qualified
        return self.repository.removeprefix("library/") + self._version()

    @property
    def version(self) -> str:
        """What names the manifest within the repository: the digest where there is one, else the tag.

        Raises ValueError where there is neither: lading never means `latest`.
        """
        version = self.digest or self.tag
        if version is None:
            raise ValueError(f"`{self.familiar}` names neither tag nor digest")
        return version

    def at(self, digest: Digest) -> Reference:
        """The same place, pinned."""
        return replace(self, digest=digest)

    def _version(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{tag}@{self.digest}" if self.digest is not None else tag

    def __str__(self) -> str:
        return self.familiar


def _split_registry(name: str) -> tuple[str, str]:
    """The part before the first slash is a registry when it looks like a host."""
    first, slash, rest = name.partition("/")
    is_host = any(mark in first for mark in ".:[") or first == "localhost" or first.lower() != first
    if not slash or not is_host:
        return DEFAULT_REGISTRY, name if slash else f"library/{name}"
    if _REGISTRY.fullmatch(first) is None:
        raise ValueError(f"`{first}` is no registry; write it as HOST or HOST:PORT")
    host = DEFAULT_REGISTRY if first == "index.docker.io" else first
    return host, rest if "/" in rest or host != DEFAULT_REGISTRY else f"library/{rest}"
