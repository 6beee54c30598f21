"""Brings a source to this machine: sdists and URLs into the store, Git commits as archives.

Nothing of a source is run: Git only fetches objects into a bare repository, without hooks or filters.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from lading.errors import DigestMismatch, FetchFailed, OutsideError, ProjectError
from lading.fetch.address import display_url, redact, split_credentials
from lading.lock.model import LockedSource
from lading.oci.digest import Digest
from lading.project.local_source import files_digest, folder_files
from lading.project.model import DirectReference

if TYPE_CHECKING:
    from lading.fetch.http import Fetcher
    from lading.store import Store

_LARGEST_SOURCE_BYTES = 2 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedSource:
    locked: LockedSource
    path: Path
    """Archive or folder."""
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFetcher:
    """`root` is the project's folder; `scratch` takes Git's objects and what they pack to."""

    root: Path
    scratch: Path
    store: Store
    fetcher: Fetcher
    environment: Mapping[str, str]

    def archive(
        self, kind: str, location: str, url: str, sha256: str | None, subdirectory: str | None
    ) -> FetchedSource:
        """An sdist or URL, in the store. Raises FetchFailed, DigestMismatch."""
        blob = self.store.blobs.path(Digest.from_hex(sha256)) if sha256 else None
        if blob is None or not blob.exists():
            if url.startswith("file:") or "://" not in url:
                from lading.lock.sizes import local_path

                path = local_path(url, self.root)
                assert path is not None
                try:
                    content = path.read_bytes()
                except OSError as error:
                    raise FetchFailed(f"reading {path} failed: {error.strerror}", place=str(path)) from error
            else:
                content = self.fetcher.get_bytes(url, limit_bytes=_LARGEST_SOURCE_BYTES)
            digest = Digest.of(content)
            if sha256 is not None and digest.hex != sha256:
                raise DigestMismatch(
                    f"{display_url(url)} has sha256 {digest.hex}, not {sha256}", place=display_url(url)
                )
            self.store.blobs.put(content)
            blob, sha256 = self.store.blobs.path(digest), digest.hex
        assert sha256 is not None
        remote = url.startswith(("http://", "https://"))
        return FetchedSource(
            locked=LockedSource(
                kind=kind,
                location=location,
                digest=sha256,
                url=display_url(url).partition("#")[0] if remote and kind == "sdist" else None,
                subdirectory=subdirectory,
            ),
            path=blob,
        )

    def direct(self, reference: DirectReference, commit: str | None = None) -> FetchedSource:
        """Raises FetchFailed, DigestMismatch, ProjectError, OutsideError. `commit` is what a lock says."""
        if reference.kind == "git":
            return self._git(reference, commit)
        if reference.kind == "url":
            shown = display_url(split_credentials(reference.location)[0])
            return self.archive("url", shown, reference.location, reference.sha256, reference.subdirectory)
        path = Path(reference.location)
        location = os.path.relpath(path, self.root).replace(os.sep, "/")
        if not path.exists():
            raise ProjectError(f"{location} is not there", place=reference.place or location)
        if path.is_file():
            return self.archive("path", location, str(path), reference.sha256, reference.subdirectory)
        files = folder_files(path)
        return FetchedSource(
            locked=LockedSource(
                kind="path",
                location=location,
                digest=files_digest(path, files),
                subdirectory=reference.subdirectory,
            ),
            path=path,
            files=files,
        )

    def _git(self, reference: DirectReference, commit: str | None) -> FetchedSource:
        repository = self.scratch / f"git-{len(list(self.scratch.glob('git-*')))}"
        wanted = commit or reference.reference or "HEAD"
        shown = self._shown(reference.location)
        self._run_git("init", "--quiet", "--bare", str(repository), shown=shown)
        if self.fetcher.offline and "://" in shown:
            raise FetchFailed(
                f"{shown} is fetched with Git, and --offline forbids it",
                place=shown,
                hints=("run the same command once without --offline",),
            )
        inside = ("-C", str(repository))
        fetch = (*inside, "fetch", "--quiet", "--no-tags")
        try:
            self._run_git(*fetch, "--depth=1", "--", reference.location, wanted, shown=shown)
            sha = self._run_git(*inside, "rev-parse", "FETCH_HEAD^{commit}", shown=shown).strip()
        except FetchFailed:
            # Short commits, and servers that give only tips: everything, and look in it.
            everything = "+refs/*:refs/fetched/*"
            self._run_git(*inside, "fetch", "--quiet", "--", reference.location, everything, shown=shown)
            sha = self._resolved(inside, wanted, shown)
        if self._run_git(*inside, "ls-tree", "--name-only", sha, "--", ".gitmodules", shown=shown).strip():
            raise ProjectError(
                f"{shown} has Git submodules, which lading does not fetch",
                place=reference.place or shown,
                hints=("name a source archive (sdist) of it by its URL instead",),
            )
        archive = self.scratch / f"{repository.name}.tar"
        self._run_git(
            *(*inside, "archive", "--format=tar", "--prefix=source/", f"--output={archive}", sha), shown=shown
        )
        return FetchedSource(
            locked=LockedSource(
                kind="git",
                location=shown,
                digest=sha,
                reference=reference.reference,
                subdirectory=reference.subdirectory,
            ),
            path=archive,
        )

    def _shown(self, location: str) -> str:
        """As a lock may hold it: no credentials, no path of this machine."""
        if location.startswith("ssh://"):
            return location
        path = unquote(urlsplit(location).path) if location.startswith("file:") else location
        if "://" not in path:
            return os.path.relpath(path, self.root).replace(os.sep, "/")
        return display_url(split_credentials(location)[0])

    def _resolved(self, inside: tuple[str, ...], wanted: str, shown: str) -> str:
        for name in (f"refs/fetched/heads/{wanted}", f"refs/fetched/tags/{wanted}", wanted):
            try:
                return self._run_git(
                    *inside,
                    "rev-parse",
                    "--verify",
                    "--quiet",
                    "--end-of-options",
                    f"{name}^{{commit}}",
                    shown=shown,
                ).strip()
            except FetchFailed:
                continue
        raise FetchFailed(f"{shown} has no branch, tag or commit {wanted!r}", place=shown)

    def _run_git(self, *arguments: str, shown: str) -> str:
        safe = (
            "-c",
            "protocol.ext.allow=never",
            "-c",
            "core.hooksPath=/dev/null",
            "-c",
            "core.fsmonitor=false",
        )
        environment = {
            **self.environment,
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "LC_ALL": "C",
        }
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            environment.pop(name, None)
        try:
            done = subprocess.run(
                ["git", *safe, *arguments],
                env=environment,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except FileNotFoundError as error:
            raise OutsideError(
                f"{shown} is fetched with git, which is not installed", hints=("apt-get install git",)
            ) from error
        if done.returncode != 0:
            said = redact(done.stderr.decode(errors="replace")).strip().splitlines()
            raise FetchFailed(
                f"fetching {shown} failed: {said[-1] if said else f'git ended with {done.returncode}'}",
                place=shown,
                hints=("git ls-remote " + shown,),
            )
        return done.stdout.decode(errors="replace")
