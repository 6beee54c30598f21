"""A small signed Debian mirror in a folder, made for one test: real keys, real indexes, tiny packages."""

from __future__ import annotations

import datetime
import email.utils
import gzip
import hashlib
import lzma
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class SigningKey:
    """An ed25519 key in its own GnuPG home; `year` puts its birth and its one-year life into the past."""

    def __init__(self, home: Path, *, year: int | None = None) -> None:
        self.home = home
        self.keyring = home / "keyring.gpg"
        self._when = [] if year is None else ["--faked-system-time", f"{year}0101T000000"]
        home.mkdir(mode=0o700, parents=True)
        life = "1y" if year is not None else "never"
        self._gpg("--passphrase", "", "--quick-generate-key", "archive@example.org", "ed25519", "sign", life)
        self._gpg("--output", str(self.keyring), "--export")

    def clearsign(self, text: str) -> bytes:
        return self._gpg("--digest-algo", "SHA256", "--clearsign", stdin=text.encode())

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=True)

    def _gpg(self, *arguments: str, stdin: bytes = b"") -> bytes:
        command = ["gpg", "--homedir", str(self.home), "--batch", "--yes", "--quiet", *self._when, *arguments]
        return subprocess.run(command, input=stdin, check=True, capture_output=True).stdout


@dataclass(slots=True)
class Mirror:
    """`write` makes or updates one suite from `packages`; keyword arguments bend what it says."""

    root: Path
    key: SigningKey
    packages: list[dict[str, str]] = field(default_factory=list)

    def add(self, name: str, version: str = "1", *, content: bytes = b"", **fields: str) -> bytes:
        """Add a package; field names with `_` for `-`. Returns its bytes (no real .deb)."""
        content = content or f"{name} {version}".encode()
        architecture = fields.pop("Architecture", "amd64")
        filename = f"pool/main/{name}_{version}_{architecture}.deb"
        path = self.root / filename
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        stanza = {
            "Package": name, "Version": version, "Architecture": architecture, "Filename": filename,
            "Size": str(len(content)), "SHA256": hashlib.sha256(content).hexdigest(),
        }  # fmt: skip
        self.packages.append(stanza | {key.replace("_", "-"): value for key, value in fields.items()})
        return content

    def index_text(self) -> bytes:
        return "\n".join(
            "".join(f"{key}: {value}\n" for key, value in package.items()) for package in self.packages
        ).encode()

    def write(
        self,
        suite: str = "bookworm",
        *,
        date: datetime.datetime = NOW - DAY,
        by_hash: bool = True,
        valid_until: datetime.datetime | None = None,
        codename: str | None = None,
        archive_suite: str = "oldstable",
        architecture: str = "amd64",
        text: bytes | None = None,
        contents: bytes | None = None,
    ) -> Path:
        """Returns the suite's folder."""
        text = self.index_text() if text is None else text
        folder = self.root / "dists" / suite
        name = f"main/binary-{architecture}/Packages"
        packed = lzma.compress(text)
        files = {name: text, f"{name}.xz": packed}
        if contents is not None:
            files[f"main/Contents-{architecture}.gz"] = gzip.compress(contents)
        path = folder / f"{name}.xz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed)
        if contents is not None:
            listed = f"main/Contents-{architecture}.gz"
            (folder / listed).write_bytes(files[listed])
        digest = hashlib.sha256(packed).hexdigest()
        if by_hash:
            hashed = path.parent / "by-hash/SHA256" / digest
            hashed.parent.mkdir(parents=True, exist_ok=True)
            hashed.write_bytes(packed)
        release = [
            "Origin: Debian", f"Suite: {archive_suite}", f"Codename: {codename or suite}",
            f"Date: {email.utils.format_datetime(date)}",
            *([f"Valid-Until: {email.utils.format_datetime(valid_until)}"] if valid_until else []),
            *(["Acquire-By-Hash: yes"] if by_hash else []),
            f"Architectures: {architecture}", "SHA256:",
            *(f" {hashlib.sha256(data).hexdigest()} {len(data)} {file}" for file, data in files.items()),
        ]  # fmt: skip
        (folder / "InRelease").write_bytes(self.key.clearsign("\n".join(release) + "\n"))
        return folder
