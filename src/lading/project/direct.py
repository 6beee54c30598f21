"""Requirements that say where they come from: Git, a URL, a folder or archive here. Fetches nothing.

Sources: PEP 508 and 610 (direct references), pip's VCS support and `[tool.uv.sources]`.
"""

from __future__ import annotations

import os.path
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from lading.project.model import DirectReference
from lading.project.tokens import without_userinfo

ARCHIVES = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz", ".tar", ".whl")
_GIT_SCHEMES = ("https", "http", "ssh", "file", "git")
_OTHER_VCS = ("hg+", "svn+", "bzr+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BadReference(ValueError):
    """What is wrong with a reference, and what to write instead."""

    def __init__(self, message: str, suggestion: str) -> None:
        super().__init__(message)
        self.suggestion = suggestion


def is_direct(text: str) -> bool:
    """Whether a requirement line is a place and no name."""
    bare = text.split("[")[0]
    archive = bare.endswith(ARCHIVES) and " " not in bare
    return bool(re.match(r"\.{0,2}/|\.{1,2}(?:\[|$)|(?:git|hg|svn|bzr)\+|\w+://|~/", text)) or archive


def direct_reference(
    text: str, base: Path, *, name: str | None = None, line: str = "", place: str = ""
) -> DirectReference:
    """`text` is a URL or a path relative to `base`. Raises BadReference."""
    shown = without_userinfo(text)
    if text.startswith(_OTHER_VCS):
        raise BadReference(f"{shown}: of version control systems only Git is fetched", "git+https://…")
    if text.startswith("git+"):
        return _git(text, name=name, line=line, place=place)
    if "://" in text and not text.startswith("file:"):
        return _url(text, name=name, line=line, place=place)
    if text.startswith("file:"):
        text = unquote(urlsplit(text).path)
    return local_reference(re.sub(r"\[[^\]]*\]$", "", text), base, name=name, line=line, place=place)


def local_reference(
    text: str,
    base: Path,
    *,
    name: str | None = None,
    subdirectory: str | None = None,
    line: str = "",
    place: str = "",
) -> DirectReference:
    """A folder with a project or a source archive, or a wheel. Raises BadReference."""
    path = Path(os.path.normpath(base / Path(text).expanduser()))
    if not path.exists():
        raise BadReference(f"{text} does not exist", "paths are relative to the file they stand in")
    if path.is_file() and not path.name.endswith(ARCHIVES):
        raise BadReference(
            f"{text} is neither a folder nor a source archive", f"one of {', '.join(ARCHIVES)}"
        )
    top = path / (subdirectory or ".")
    if path.is_dir() and not any(
        (top / one).is_file() for one in ("pyproject.toml", "setup.py", "setup.cfg")
    ):
        raise BadReference(
            f"{text} has neither pyproject.toml nor setup.py", "name the folder that has one of them"
        )
    return DirectReference(
        kind="path",
        location=str(path),
        name=name,
        subdirectory=_subdirectory(subdirectory),
        line=line,
        place=place,
    )


def _git(text: str, *, name: str | None, line: str, place: str) -> DirectReference:
    url, _, fragment = text.removeprefix("git+").partition("#")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _GIT_SCHEMES:
        raise BadReference(
            f"{without_userinfo(text)} is no URL that Git is asked with",
            "git+https://HOST/PATH or git+ssh://…",
        )
    _refuse_password(url)
    authority, slash, path = rest.partition("/")
    path, _, reference = path.partition("@")
    options = parse_qs(fragment)
    return git_reference(
        f"{scheme}://{authority}{slash}{path}",
        name=name or _egg(options),
        reference=reference or None,
        subdirectory=next(iter(options.get("subdirectory", ())), None),
        line=line,
        place=place,
    )


def git_reference(
    url: str,
    *,
    name: str | None,
    reference: str | None,
    subdirectory: str | None = None,
    line: str = "",
    place: str = "",
) -> DirectReference:
    """Raises BadReference for words that Git would take for options, and for passwords."""
    _refuse_password(url)
    if (
        url.startswith("-")
        or (reference or "").startswith("-")
        or re.search(r"[\s\0]", url + (reference or ""))
    ):
        raise BadReference(
            f"{reference or url!r} is no branch, tag, commit or URL", "git+https://HOST/PATH@TAG"
        )
    return DirectReference(
        kind="git",
        location=url,
        name=name,
        reference=reference,
        subdirectory=_subdirectory(subdirectory),
        line=line,
        place=place,
    )


def _url(text: str, *, name: str | None, line: str, place: str) -> DirectReference:
    url, _, fragment = text.partition("#")
    if not url.startswith(("https://", "http://")):
        raise BadReference(
            f"{without_userinfo(text)} cannot be fetched", "https://…, git+https://… or a path"
        )
    _refuse_password(url)
    if not urlsplit(url).path.endswith(ARCHIVES):
        raise BadReference(
            f"{url} names no source archive and no wheel", f"one of {', '.join(ARCHIVES)}; for Git: git+{url}"
        )
    options = parse_qs(fragment)
    sha256 = next(iter(options.get("sha256", ())), None)
    if sha256 is not None and _SHA256.fullmatch(sha256) is None:
        raise BadReference(f"#sha256={sha256} is no sha256", "#sha256=<64 lower-case hex digits>")
    return DirectReference(
        kind="url",
        location=url,
        name=name or _egg(options),
        subdirectory=_subdirectory(next(iter(options.get("subdirectory", ())), None)),
        sha256=sha256,
        line=line,
        place=place,
    )


def source_reference(name: str, source: Mapping[str, Any], root: Path, place: str) -> DirectReference | None:
    """An entry of `[tool.uv.sources]`; None for one that only names an index. Raises BadReference."""
    if isinstance(url := source.get("git"), str):
        written = [str(source[key]) for key in ("rev", "tag", "branch") if key in source]
        bare = url.removeprefix("git+")
        return git_reference(
            bare,
            name=name,
            reference=written[0] if written else None,
            subdirectory=source.get("subdirectory"),
            place=place,
        )
    if isinstance(url := source.get("url"), str):
        return _url(url, name=name, line="", place=place)
    if isinstance(path := source.get("path"), str):
        return local_reference(path, root, name=name, subdirectory=source.get("subdirectory"), place=place)
    if source.get("workspace"):
        raise BadReference("members of a uv workspace are not found", f'{name} = {{ path = "../{name}" }}')
    return None


def _refuse_password(url: str) -> None:
    if urlsplit(url).password:
        raise BadReference(
            f"credentials in the URL {without_userinfo(url)}",
            "let Git's credential helper or ~/.netrc hold them",
        )


def _subdirectory(text: object) -> str | None:
    if text is None:
        return None
    if not isinstance(text, str) or text.startswith("/") or ".." in PurePosixPath(text).parts:
        raise BadReference(f"subdirectory {text!r} leads out of the source", "a folder inside it")
    return text.strip("/") or None


def _egg(options: Mapping[str, list[str]]) -> str | None:
    from lading.project.requirement_lines import normalized

    egg = next(iter(options.get("egg", ())), None)
    return normalized(egg.split("[")[0]) if egg else None
