"""Which mirror: an environment variable, else what this host's apt already uses. lading names none itself.

`parse_sources` is pure (one-line and deb822 forms, sources.list(5)); `discover_mirrors` reads the files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lading.errors import OutsideError
from lading.fetch.address import origin, split_credentials

CODENAMES = ("bullseye", "bookworm", "trixie", "forky", "sid")
"""Of the archive, not of a third party's repository: these use `stable` and the like for themselves too."""

_SCHEMES = ("http://", "https://", "file:")
_OPTIONS = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One entry of apt's sources: a place and one suite there."""

    url: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirrors:
    """Where to fetch from. URLs without trailing slash; `http`, `https` or `file`."""

    archive: str
    security: str | None
    credentials: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    """Origin → user name and password that stood in a URL; they are in neither URL."""

    def url_of(self, suite: str) -> str | None:
        return self.security if suite.endswith("-security") else self.archive


def parse_sources(text: str, *, deb822: bool) -> tuple[Source, ...]:
    """The enabled binary sources of one file; what cannot be read is passed over."""
    return tuple(_parse_deb822(text) if deb822 else _parse_lines(text))


def _parse_lines(text: str) -> Iterable[Source]:
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        signed_by = re.search(r"signed-by=([^\s\]]+)", line)
        words = _OPTIONS.sub(" ", line).split()
        if len(words) >= 4 and words[0] == "deb":
            yield Source(
                url=words[1].rstrip("/"),
                suite=words[2].rstrip("/"),
                components=tuple(words[3:]),
                signed_by=signed_by[1] if signed_by else "",
            )


def _parse_deb822(text: str) -> Iterable[Source]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n[ \t]*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line[:1] in (" ", "\t"):
                fields[key] = fields.get(key, "") + " " + line.strip()
            else:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in (
            "no",
            "false",
        ):
            continue
        for url in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield Source(
                    url=url.rstrip("/"),
                    suite=suite.rstrip("/"),
                    components=tuple(fields.get("components", "").split()),
                    signed_by=fields.get("signed-by", ""),
                )


def choose_mirrors(sources: Iterable[Source], suite: str) -> tuple[str | None, str | None]:
    """The archive and the security archive among `sources`, for `suite`.

    One mirror serves all suites, so a host that is one release behind still says where. A source that apt
    checks with the archive's own keyring, or whose path ends in `/debian`, comes before one that merely has
    a suite of the same name.
    """

    def best(suffix: str, last_segment: str) -> str | None:
        ranked = [
            (
                source.suite != suite + suffix,
                "debian-archive" not in source.signed_by,
                not source.url.endswith(last_segment),
                number,
                source.url,
            )
            for number, source in enumerate(sources)
            if source.url.startswith(_SCHEMES)
            and "main" in source.components
            and source.suite in {name + suffix for name in CODENAMES}
        ]
        usable = [entry for entry in ranked if not (entry[1] and entry[2])]
        return min(usable)[-1] if usable else None

    sources = tuple(sources)
    return best("", "/debian"), best("-security", "/debian-security")


def discover_mirrors(environment: Mapping[str, str], suite: str, *, apt: Path = Path("/etc/apt")) -> Mirrors:
    """`LADING_DEBIAN_MIRROR` and `LADING_DEBIAN_SECURITY_MIRROR`, else the host's apt sources under `apt`.

    Raises OutsideError where neither names an archive.
    """
    archive = as_url(environment.get("LADING_DEBIAN_MIRROR"))
    security = as_url(environment.get("LADING_DEBIAN_SECURITY_MIRROR"))
    if archive is None:
        found, found_security = choose_mirrors(_host_sources(apt), suite)
        archive = found
        security = security or found_security
    if archive is None:
        raise OutsideError(
            f"no Debian mirror is known: LADING_DEBIAN_MIRROR is not set and apt here names none for {suite}",
            place=str(apt),
            hints=("export LADING_DEBIAN_MIRROR=URL   # the folder that holds dists/ and pool/",),
        )
    credentials = {}
    plain = []
    for url in (archive, security):
        bare, found_credentials = split_credentials(url) if url is not None else (None, None)
        plain.append(bare)
        if bare is not None and found_credentials is not None:
            credentials[origin(bare)] = found_credentials
    return Mirrors(archive=plain[0] or "", security=plain[1], credentials=credentials)


def as_url(value: str | None) -> str | None:
    """A place as it is configured: a URL without a slash at its end, or a folder as a `file:` URL."""
    if not value:
        return None
    if value.startswith(_SCHEMES):
        return value.rstrip("/")
    return Path(value).absolute().as_uri()


def _host_sources(apt: Path) -> tuple[Source, ...]:
    sources: list[Source] = []
    folder = apt / "sources.list.d"
    files = [apt / "sources.list", *(sorted(folder.iterdir()) if folder.is_dir() else ())]
    for path in files:
        if path.suffix not in (".list", ".sources"):
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # an unreadable source list is as absent as a missing one; the error names the remedy
        sources.extend(parse_sources(text, deb822=path.suffix == ".sources"))
    return tuple(sources)
