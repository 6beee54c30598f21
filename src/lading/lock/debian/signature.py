"""Checks a detached signature with `gpgv`, else `sqv`, against a keyring. Never skips.

Thin: runs one verifier in an empty home folder, and reads its status. What a Release says, others know.
"""

from __future__ import annotations

import importlib.resources
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lading.errors import SignatureRefused
from lading.lock.debian.clearsign import SignedText

_VERIFY_TIMEOUT_SECONDS = 60
_WEAK_HASHES = {"1": "MD5", "2": "SHA1", "3": "RIPEMD160"}
"""OpenPGP numbers of hash algorithms that no longer prove anything (RFC 9580, section 9.5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    fingerprints: tuple[str, ...]
    """Of the keys whose signature is good, sorted."""
    verifier: str
    expired_key: bool = False
    """Only ever True when it was allowed: no key but an expired one signed."""


def keyring_path(environment: Mapping[str, str]) -> Path:
    """`LADING_DEBIAN_KEYRING` (a binary OpenPGP keyring), else the Debian archive's, shipped with lading.

    Raises SignatureRefused when the named one is not there.
    """
    named = environment.get("LADING_DEBIAN_KEYRING")
    resource = importlib.resources.files("lading.lock") / "data" / "debian-archive-keyring.gpg"
    path = Path(named) if named else Path(str(resource))
    if not path.is_file():
        raise SignatureRefused(
            "the keyring to check the Debian archive with is not there",
            place=str(path),
            hints=("unset LADING_DEBIAN_KEYRING",),
        )
    return path.absolute()


def verify_signature(
    signed: SignedText,
    *,
    name: str,
    keyring: Path,
    environment: Mapping[str, str],
    allow_expired: bool = False,
) -> Verified:
    """Raises SignatureRefused unless a key of `keyring` signed exactly `signed.text`, and none is bad.

    `allow_expired` also takes a good signature by a key that has expired since.
    """
    search_path = environment.get("PATH", "/usr/bin:/bin")
    for verifier in ("gpgv", "sqv"):
        program = shutil.which(verifier, path=search_path)
        if program is not None:
            break
    else:
        raise SignatureRefused(
            f"{name} cannot be checked: neither gpgv nor sqv is installed, and lading never skips the check",
            place=name,
            hints=("apt-get install gpgv",),
        )
    status_options = ("--status-fd", "1") if verifier == "gpgv" else ()
    try:
        done = _run(program, status_options, signed, keyring, search_path)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SignatureRefused(f"{name} cannot be checked: {verifier} failed: {error}", place=name) from error
    if verifier == "sqv":
        return _read_sqv(done, name)
    return _read_gpgv(done.stdout, name, allow_expired=allow_expired)


def _run(
    program: str, status_options: tuple[str, ...], signed: SignedText, keyring: Path, search_path: str
) -> subprocess.CompletedProcess[str]:
    """Both verifiers take the detached signature, then the text. Raises OSError, TimeoutExpired."""
    with tempfile.TemporaryDirectory(prefix="lading-verify-") as folder:
        text, signature = Path(folder, "text"), Path(folder, "signature")
        text.write_bytes(signed.text)
        signature.write_bytes(signed.signature)
        return subprocess.run(
            [program, *status_options, "--keyring", str(keyring), str(signature), str(text)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERIFY_TIMEOUT_SECONDS,
            # A home of its own: the user's keys and settings must not decide.
            env={"PATH": search_path, "LC_ALL": "C", "GNUPGHOME": folder},
            stdin=subprocess.DEVNULL,
            check=False,
        )


def _read_sqv(done: subprocess.CompletedProcess[str], name: str) -> Verified:
    fingerprints = tuple(sorted(set(done.stdout.split())))
    if done.returncode != 0 or not fingerprints:
        detail = (done.stderr.strip().splitlines() or ["no good signature"])[0]
        raise SignatureRefused(f"{name} has no good signature: {detail}", place=name, hints=_HINTS)
    return Verified(fingerprints=fingerprints, verifier="sqv")


def _read_gpgv(status: str, name: str, *, allow_expired: bool) -> Verified:
    """gpgv's status lines, as GnuPG's doc/DETAILS lists them; the exit status says less than they do.

    Per signature one of GOODSIG, EXPSIG, EXPKEYSIG, REVKEYSIG, BADSIG, ERRSIG, and VALIDSIG after the ones
    that compute. An archive in the middle of a key change is signed by keys we do not have (ERRSIG): these
    are not counted, neither for nor against.
    """
    good: set[str] = set()
    expired: set[str] = set()
    faults: list[str] = []
    verdict = ""
    for line in status.splitlines():
        words = line.removeprefix("[GNUPG:] ").split()
        match words:
            case ["GOODSIG" | "EXPSIG" | "EXPKEYSIG" | "REVKEYSIG" as verdict, key, *_]:
                if verdict != "GOODSIG":
                    faults.append(f"{_VERDICTS[verdict]} {key}")
            case ["BADSIG", key, *_]:
                raise SignatureRefused(
                    f"{name} was changed after it was signed (bad signature by {key})",
                    place=name,
                    hints=_HINTS,
                )
            case ["ERRSIG", key, *_]:
                faults.append(f"signed by {key}, which the keyring does not hold")
            case ["VALIDSIG", fingerprint, _, _, _, _, _, _, hash_number, *_]:
                if hash_number in _WEAK_HASHES:
                    faults.append(f"{fingerprint} signed with {_WEAK_HASHES[hash_number]}")
                elif verdict == "GOODSIG":
                    good.add(fingerprint)
                elif verdict == "EXPKEYSIG":
                    expired.add(fingerprint)
    if good:
        return Verified(fingerprints=tuple(sorted(good)), verifier="gpgv")
    if expired and allow_expired:
        return Verified(fingerprints=tuple(sorted(expired)), verifier="gpgv", expired_key=True)
    detail = "; ".join(dict.fromkeys(faults)) or "there is no signature"
    raise SignatureRefused(f"{name} has no good signature: {detail}", place=name, hints=_HINTS)


_VERDICTS = {
    "EXPSIG": "expired signature by",
    "EXPKEYSIG": "signed by the expired key",
    "REVKEYSIG": "signed by the revoked key",
}
_HINTS = ("export LADING_DEBIAN_KEYRING=/path/to/the/archive's/keyring.gpg",)
