"""Files that look like secrets, found before they enter an image.

By name (`.netrc`, `id_rsa`, `kaggle.json` …) and by content (private keys, tokens of known form). Never shows
what it found, only where. Model hashes, lock files and UUIDs are no credentials. `name_suspicion` and
`form_suspicion` are pure, and say the same of files of any image.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from lading.errors import CredentialFound
from lading.project.model import AllowedSecret, CodeFile
from lading.project.tokens import token_in, with_article

LARGEST_TEXT_BYTES = 1_000_000
LARGEST_NOTEBOOK_BYTES = 30_000_000

_BY_NAME = frozenset(
    {".netrc", "_netrc", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "id_ecdsa_sk", "id_ed25519_sk",
     "kaggle.json", ".git-credentials", ".pypirc", ".vault-token", ".htpasswd", ".modal.toml", ".pgpass",
     ".dockercfg", ".s3cfg"}
)  # fmt: skip
_BY_PATH_END = (
    ".aws/credentials", "huggingface/token", "huggingface/stored_tokens", ".huggingface/token",
    ".kube/config", "gcloud/application_default_credentials.json", ".streamlit/secrets.toml",
    ".azure/accessTokens.json", ".cargo/credentials", ".cargo/credentials.toml", ".gem/credentials",
    "rclone/rclone.conf", "secrets/kubernetes.io/serviceaccount/token",
)  # fmt: skip
_KEY_STORES = (".p12", ".pfx", ".jks", ".kdbx", ".ppk")
_EXAMPLES = (".example", ".sample", ".template", ".dist", ".defaults")
_ASSIGNMENT = re.compile(rb"^[ \t]*(?:export[ \t]+)?[A-Za-z_]\w*[ \t]*=[ \t]*(?!#)[^\s#]", re.MULTILINE)
_EMPTY_QUOTES = re.compile(rb"=[ \t]*(?:\"\"|'')[ \t]*(?=\r?$)", re.MULTILINE)
_NPM_TOKEN = re.compile(rb"_(?:authToken|password|auth)[ \t]*=[ \t]*(?!\$\{)\S")
_DOCKER_AUTH = re.compile(rb'"(?:auth|identitytoken)"\s*:\s*"[^"]+"')
_URL_PASSWORD = re.compile(rb"\w://[^/\s:@\"']*:(?![$<{%*])(?!(?:password|xxx)@)[^/\s@\"']+@", re.IGNORECASE)
_URL_FILES = frozenset(
    {"pip.conf", "pip.ini", ".condarc", "uv.toml", "sources.list", "direct_url.json", "Pipfile", ".yarnrc"}
)
_URL_FILE_PATHS = re.compile(r"(?:^|/)(?:\.git/config|sources\.list\.d/[^/]+|requirements[^/]*\.txt)$")
_MACHINE_PASSWORD = re.compile(rb"\bpassword\s+(?![$<{])\S{4,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """One file that looks like a credential. `line` is known when its content gave it away."""

    path: str
    what: str
    line: int | None = None

    @property
    def place(self) -> str:
        return self.path if self.line is None else f"{self.path}:{self.line}"


def suspicions(root: Path, files: Iterable[CodeFile]) -> tuple[Suspicion, ...]:
    """What looks like a credential among the files that would enter an image, in their order."""
    found = []
    for file in files:
        if file.link_target is not None or file.size_bytes == 0:
            continue
        suspicion = name_suspicion(file.path) or _by_content(root, file)
        if suspicion is not None:
            found.append(suspicion)
    return tuple(found)


def refuse_credentials(
    root: Path,
    files: Iterable[CodeFile],
    allowed: Iterable[AllowedSecret] = (),
    rules_file: str = ".ladingignore",
) -> None:
    """Raises CredentialFound naming every file that looks like a credential and is not allowed."""
    patterns = [entry.path for entry in allowed]
    found = [
        suspicion
        for suspicion in suspicions(root, files)
        if not any(fnmatchcase(suspicion.path, pattern) for pattern in patterns)
    ]
    if not found:
        return
    noun = "file looks like a credential" if len(found) == 1 else "files look like credentials"
    lines = "\n".join(f"  {suspicion.place}: {suspicion.what}" for suspicion in found)
    ignore = " ".join(f"'/{suspicion.path}'" for suspicion in found)
    raise CredentialFound(
        f"{len(found)} {noun} and would enter the image\n{lines}",
        place=found[0].place,
        hints=(
            f"printf '%s\\n' {ignore} >> {rules_file}",
            'pass secrets at run time: secrets = ["NAME"] in the task',
            f'not a secret? [[image.allow_secret]] path = "{found[0].path}", reason = "…", expires = …',
        ),
    )


def name_suspicion(path: str) -> Suspicion | None:
    """Of a file that is not empty, whatever it holds."""
    name = path.rpartition("/")[2]
    if name in _BY_NAME or f"/{path}".endswith(tuple(f"/{end}" for end in _BY_PATH_END)):
        return Suspicion(path=path, what="is where credentials are kept")
    if name.lower().endswith(_KEY_STORES):
        return Suspicion(path=path, what="is a store of private keys")
    return None


def _by_content(root: Path, file: CodeFile) -> Suspicion | None:
    limit = LARGEST_NOTEBOOK_BYTES if file.path.endswith(".ipynb") else LARGEST_TEXT_BYTES
    if file.size_bytes > limit:
        return None
    try:
        with open(os.path.join(root, file.path), "rb") as opened:
            content = opened.read()
    except OSError:
        return None  # gone or unreadable: whoever packs the file will say so
    if b"\0" in content[:8192]:
        return None
    if token := token_in(content):
        return Suspicion(
            path=file.path, what=f"holds what looks like {with_article(token[0])}", line=token[1]
        )
    return form_suspicion(file.path, content)


def form_suspicion(path: str, content: bytes) -> Suspicion | None:
    """Files that may be harmless: what they hold decides."""
    name = path.rpartition("/")[2]
    what = None
    if name == ".env" or (name.startswith(".env.") and not name.endswith(_EXAMPLES)):
        if _ASSIGNMENT.search(_EMPTY_QUOTES.sub(b"=", content)):
            what = "sets environment variables, as people do with secrets"
    elif name == ".npmrc" and _NPM_TOKEN.search(content):
        what = "holds an npm token"
    elif f"/{path}".endswith("/.docker/config.json") and _DOCKER_AUTH.search(content):
        what = "holds registry passwords"
    elif name in _URL_FILES or _URL_FILE_PATHS.search(path):
        what = "holds a URL with a password" if _URL_PASSWORD.search(content) else None
    elif f"/{path}".endswith("/apt/auth.conf") or "/apt/auth.conf.d/" in f"/{path}":
        what = "holds passwords of apt's servers" if _MACHINE_PASSWORD.search(content) else None
    return None if what is None else Suspicion(path=path, what=what)
