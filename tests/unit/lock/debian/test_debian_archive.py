"""The A series: what is believed of a Debian archive, and what is refused (facts/test-catalogue, A01–A18)."""

from __future__ import annotations

import hashlib
import http.server
import lzma
import os
import re
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from debian_mirror import DAY, NOW, Mirror, SigningKey

from lading.errors import DigestMismatch, FetchFailed, OutsideError, ResolutionFailed, SignatureRefused
from lading.lock.debian import DebianResolution, fetch_packages, resolve_packages
from lading.store import Store


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    key = SigningKey(tmp_path_factory.mktemp("key") / "home")
    yield key
    key.close()


@pytest.fixture(scope="session")
def expired_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SigningKey]:
    key = SigningKey(tmp_path_factory.mktemp("old") / "home", year=2020)
    yield key
    key.close()


class Archive:
    """A mirror with its security suite, and a store to lock into."""

    def __init__(self, folder: Path, key: SigningKey) -> None:
        self.mirror = Mirror(folder / "mirror", key)
        self.environment = {
            "LADING_HOME": str(folder / "store"),
            "LADING_DEBIAN_MIRROR": str(folder / "mirror"),
            "LADING_DEBIAN_KEYRING": str(key.keyring),
            "PATH": os.environ["PATH"],
        }
        self.store = Store.open(self.environment)
        self.mirror.write("bookworm-updates", text=b"")

    def resolve(self, *wanted: str, **options: bool) -> DebianResolution:
        return resolve_packages(
            suite="bookworm",
            architecture="amd64",
            wanted=wanted or ("hello",),
            store=self.store,
            environment=self.environment,
            **options,
        )

    def release(self) -> Path:
        return self.mirror.root / "dists/bookworm/InRelease"


@pytest.fixture
def archive(tmp_path: Path, key: SigningKey) -> Archive:
    archive = Archive(tmp_path, key)
    archive.mirror.add("hello")
    archive.mirror.write()
    return archive


def test_a_signed_suite_resolves(archive: Archive) -> None:
    """What a trusted key signed is locked: name, version, digest, size, suite; and its date is kept."""
    resolution = archive.resolve()
    (package,) = resolution.packages
    assert (package.name, package.version, package.suite, package.size_bytes) == ("hello", "1", "bookworm", 7)
    assert [suite.suite for suite in resolution.suites] == ["bookworm", "bookworm-updates"]
    assert "without bookworm-security" in resolution.warnings[0]


def test_a01_bad_signature(archive: Archive) -> None:
    content = archive.release().read_bytes()
    archive.release().write_bytes(content.replace(b"Origin: Debian", b"Origin: Devian"))
    with pytest.raises(SignatureRefused, match="changed after it was signed"):
        archive.resolve()


def test_a02_signed_by_an_untrusted_key(archive: Archive) -> None:
    """The default keyring, the archive's own, does not hold the test's key."""
    del archive.environment["LADING_DEBIAN_KEYRING"]
    with pytest.raises(SignatureRefused, match="which the keyring does not hold"):
        archive.resolve()


def test_a03_expired_key_needs_a_snapshot(archive: Archive, expired_key: SigningKey) -> None:
    archive.mirror.key = expired_key
    archive.mirror.write()
    archive.mirror.write("bookworm-updates", text=b"")
    archive.environment["LADING_DEBIAN_KEYRING"] = str(expired_key.keyring)
    with pytest.raises(SignatureRefused, match="expired key"):
        archive.resolve()
    resolution = archive.resolve(allow_expired=True)
    assert resolution.waived
    assert any("key that has expired" in warning for warning in resolution.warnings)


def test_a04_unsigned_release(archive: Archive) -> None:
    text = re.sub(rb"(?s)^.*?\n\n(.*)-----BEGIN PGP SIGNATURE.*", rb"\1", archive.release().read_bytes())
    archive.release().write_bytes(text)
    with pytest.raises(SignatureRefused, match="does not begin with a signed message"):
        archive.resolve()
    archive.release().unlink()
    with pytest.raises(SignatureRefused, match="no signed Release"):
        archive.resolve()


@pytest.mark.parametrize("place", ["before", "after", "between"])
def test_a05_text_outside_the_signature(archive: Archive, place: str) -> None:
    content = archive.release().read_bytes()
    bent = {
        "before": b"Codename: evil\n" + content,
        "after": content + b"Codename: evil\n",
        "between": content.replace(b"Hash: SHA256\n", b"Hash: SHA256\nCodename: evil\n"),
    }[place]
    archive.release().write_bytes(bent)
    with pytest.raises(SignatureRefused, match="not one clear-signed text"):
        archive.resolve()


def test_a06_two_signed_blocks(archive: Archive) -> None:
    content = archive.release().read_bytes()
    archive.release().write_bytes(content + content)
    with pytest.raises(SignatureRefused, match="not one clear-signed text"):
        archive.resolve()


def test_a07_crlf_armour_is_valid(archive: Archive) -> None:
    content = archive.release().read_bytes()
    archive.release().write_bytes(content.replace(b"\n", b"\r\n"))
    assert [package.name for package in archive.resolve().packages] == ["hello"]


def test_a08_valid_until_past(archive: Archive) -> None:
    archive.mirror.write(date=NOW - 9 * DAY, valid_until=NOW - 2 * DAY)
    with pytest.raises(SignatureRefused, match="it expired on"):
        archive.resolve()
    resolution = archive.resolve(allow_expired=True)
    assert resolution.waived
    assert any("it expired on" in warning for warning in resolution.warnings)


def test_a09_date_in_the_future(archive: Archive) -> None:
    archive.mirror.write(date=NOW + DAY)
    for allow_expired in (False, True):
        with pytest.raises(SignatureRefused, match="in the future"):
            archive.resolve(allow_expired=allow_expired)


def test_a10_older_than_last_seen(archive: Archive) -> None:
    """A rollback is refused; a snapshot may, and is not what later Releases are compared with."""
    archive.resolve()
    archive.mirror.write(date=NOW - 3 * DAY)
    with pytest.raises(SignatureRefused, match="rollback"):
        archive.resolve()
    assert archive.resolve(allow_expired=True).waived
    archive.mirror.write(date=NOW - 2 * DAY)
    with pytest.raises(SignatureRefused, match="rollback"):
        archive.resolve()


def test_a11_codename_or_suite_changed(archive: Archive) -> None:
    """Another codename is another archive; another suite name is a release day: told."""
    archive.resolve()
    archive.mirror.write(archive_suite="oldoldstable")
    assert any("oldoldstable" in warning for warning in archive.resolve().warnings)
    archive.mirror.write(codename="trixie")
    with pytest.raises(SignatureRefused, match="bookworm was asked for"):
        archive.resolve()


def test_a12_packages_hash_mismatch(archive: Archive) -> None:
    folder = archive.mirror.write(by_hash=False)
    path = folder / "main/binary-amd64/Packages.xz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DigestMismatch, match="not the file that the signed index names"):
        archive.resolve()


def test_a12_by_hash_missing_falls_back_to_the_name(archive: Archive) -> None:
    shutil.rmtree(archive.mirror.root / "dists/bookworm/main/binary-amd64/by-hash")
    assert [package.name for package in archive.resolve().packages] == ["hello"]


def test_a12_xz_bomb(archive: Archive) -> None:
    """An index that grows beyond its signed size is not unpacked further."""
    folder = archive.mirror.root / "dists/bookworm"
    bomb = lzma.compress(bytes(64 << 20))
    plain = archive.mirror.index_text()
    digest = hashlib.sha256(bomb).hexdigest()
    (folder / "main/binary-amd64/by-hash/SHA256" / digest).write_bytes(bomb)
    text = (
        f"Codename: bookworm\nDate: {NOW - DAY:%a, %d %b %Y %H:%M:%S} UTC\nAcquire-By-Hash: yes\nSHA256:\n"
        f" {hashlib.sha256(plain).hexdigest()} {len(plain)} main/binary-amd64/Packages\n"
        f" {digest} {len(bomb)} main/binary-amd64/Packages.xz\n"
    )
    archive.release().write_bytes(archive.mirror.key.clearsign(text))
    with pytest.raises(DigestMismatch, match="does not decompress to"):
        archive.resolve()


def test_a13_deb_size_or_hash_mismatch(archive: Archive) -> None:
    resolution = archive.resolve()
    deb = archive.mirror.root / resolution.packages[0].filename
    for content in (b"hello 2", b"hello 1 and more"):
        deb.write_bytes(content)
        with pytest.raises(OutsideError, match=r"not the file that|larger than"):
            fetch_packages(resolution.packages, store=archive.store, environment=archive.environment)
    deb.write_bytes(b"hello 1")
    paths = fetch_packages(resolution.packages, store=archive.store, environment=archive.environment)
    assert paths["hello"].read_bytes() == b"hello 1"


def test_a13_a_damaged_blob_is_fetched_again(archive: Archive) -> None:
    packages = archive.resolve().packages
    path = fetch_packages(packages, store=archive.store, environment=archive.environment)["hello"]
    path.chmod(0o644)
    path.write_bytes(b"hellO 1")
    again = fetch_packages(packages, store=archive.store, environment=archive.environment)["hello"]
    assert again.read_bytes() == b"hello 1"


def test_a14_loops_virtual_packages_alternatives_and_pre_depends(archive: Archive) -> None:
    """Loops end; a virtual package is its provider; the first alternative that can be had is taken."""
    mirror = archive.mirror
    mirror.add("app", Pre_Depends="loop-a (>= 1)", Depends="mta, missing | second | third")
    mirror.add("loop-a", Depends="loop-b")
    mirror.add("loop-b", Depends="loop-a")
    mirror.add("postfix", Provides="mta")
    mirror.add("second")
    mirror.add("third")
    mirror.write()
    resolution = archive.resolve("app")
    assert [package.name for package in resolution.packages] == [
        "app",
        "loop-a",
        "loop-b",
        "postfix",
        "second",
    ]
    assert [package.name for package in resolution.closure(["loop-b"])] == ["loop-a", "loop-b"]


def test_a15_two_architectures(archive: Archive) -> None:
    """A package of another architecture satisfies nothing; `all` does, and so does `:any`."""
    archive.mirror.add("tool", Depends="data:any, lib:amd64")
    archive.mirror.add("data", Architecture="all")
    archive.mirror.add("lib", "2", Architecture="arm64")
    archive.mirror.add("lib", "1")
    archive.mirror.write()
    found = {
        package.name: (package.version, package.architecture) for package in archive.resolve("tool").packages
    }
    assert found == {"tool": ("1", "amd64"), "data": ("1", "all"), "lib": ("1", "amd64")}


def test_a16_release_without_packages(archive: Archive) -> None:
    archive.mirror.write(architecture="arm64")
    with pytest.raises(SignatureRefused, match="names no index main/binary-amd64/Packages"):
        archive.resolve()


def test_a17_without_gpgv_sqv_is_used_and_without_both_it_refuses(archive: Archive, tmp_path: Path) -> None:
    """The check is never skipped. The sqv here has sqv's command line and asks gpgv."""
    programs = tmp_path / "bin"
    programs.mkdir()
    archive.environment["PATH"] = str(programs)
    with pytest.raises(SignatureRefused, match="neither gpgv nor sqv is installed"):
        archive.resolve()
    sqv = programs / "sqv"
    gpgv = shutil.which("gpgv")
    sqv.write_text(
        f'#!/bin/sh\n[ "$1" = --keyring ] || exit 2\nexec {gpgv} --status-fd 3 --keyring "$2" "$3" "$4" 3>&1 '
        "| /usr/bin/sed -n 's/.*VALIDSIG \\([0-9A-F]*\\) .*/\\1/p' | /usr/bin/grep .\n"
    )
    sqv.chmod(0o755)
    archive.environment["PATH"] = str(programs)
    assert [package.name for package in archive.resolve().packages] == ["hello"]
    archive.release().write_bytes(archive.release().read_bytes().replace(b"Debian", b"Devian"))
    with pytest.raises(SignatureRefused, match="no good signature"):
        archive.resolve()


@pytest.fixture
def served(archive: Archive) -> Iterator[tuple[Archive, list[str], dict[str, list[bytes]]]]:
    """The archive over loopback HTTP: paths asked for, and answers to give first."""
    asked: list[str] = []
    first: dict[str, list[bytes]] = {}
    root = archive.mirror.root

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(root))  # type: ignore[arg-type]

        def do_GET(self) -> None:
            asked.append(self.path)
            if answers := first.get(self.path):
                content = answers.pop(0)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            else:
                super().do_GET()

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        archive.environment["LADING_DEBIAN_MIRROR"] = f"http://127.0.0.1:{server.server_port}"
        yield archive, asked, first
        server.shutdown()
        thread.join()


def test_a18_mixed_generations_are_asked_by_hash(
    served: tuple[Archive, list[str], dict[str, list[bytes]]],
) -> None:
    """While a mirror updates, the old name holds new bytes; the old index is still there by its digest."""
    archive, asked, first = served
    name = "/dists/bookworm/main/binary-amd64/Packages.xz"
    first[name] = [b"of another generation"]
    assert [package.name for package in archive.resolve().packages] == ["hello"]
    assert name not in asked
    assert any("/by-hash/SHA256/" in path for path in asked)


def test_a18_a_release_without_its_index_is_asked_for_again(
    served: tuple[Archive, list[str], dict[str, list[bytes]]],
) -> None:
    """The Release of the generation before, whose index is gone already: fetched again, then right."""
    archive, asked, first = served
    old = archive.release().read_bytes()
    shutil.rmtree(archive.mirror.root / "dists/bookworm/main")
    archive.mirror.add("world")
    archive.mirror.write(date=NOW - DAY / 2)
    first["/dists/bookworm/InRelease"] = [old]
    assert [package.name for package in archive.resolve("hello", "world").packages] == ["hello", "world"]
    assert asked.count("/dists/bookworm/InRelease") == 2


def test_offline_opens_no_socket_and_needs_nothing_new(
    served: tuple[Archive, list[str], dict[str, list[bytes]]],
) -> None:
    archive, asked, _ = served
    with pytest.raises(FetchFailed, match="--offline forbids"):
        archive.resolve(offline=True)
    online = archive.resolve()
    fetch_packages(online.packages, store=archive.store, environment=archive.environment)
    asked.clear()
    offline = archive.resolve(offline=True)
    fetch_packages(offline.packages, store=archive.store, environment=archive.environment, offline=True)
    assert online.packages == offline.packages
    assert asked == []


def test_a_conflict_names_both_chains(archive: Archive) -> None:
    archive.mirror.add("left", Depends="old-lib")
    archive.mirror.add("right", Depends="new-lib")
    archive.mirror.add("old-lib", Conflicts="new-lib")
    archive.mirror.add("new-lib")
    archive.mirror.write()
    with pytest.raises(ResolutionFailed, match="left → old-lib") as caught:
        archive.resolve("left", "right")
    assert "right → new-lib" in caught.value.message


def test_a_choice_that_conflicts_is_made_again(archive: Archive) -> None:
    archive.mirror.add("left", Depends="one | two")
    archive.mirror.add("right", Depends="four | three", Breaks="one (<< 2)")
    archive.mirror.add("one")
    archive.mirror.add("two")
    archive.mirror.add("three")
    archive.mirror.write()
    found = [package.name for package in archive.resolve("left", "right").packages]
    assert found == ["left", "right", "three", "two"]


def test_a_missing_dependency_names_its_chain(archive: Archive) -> None:
    archive.mirror.add("top", Depends="middle")
    archive.mirror.add("middle", Depends="hello (>= 2)")
    archive.mirror.write()
    with pytest.raises(ResolutionFailed, match=r"hello \(>= 2\), wanted by top → middle; there is hello 1"):
        archive.resolve("top")


def test_the_highest_version_of_all_suites_wins(archive: Archive) -> None:
    updates = Mirror(archive.mirror.root, archive.mirror.key)
    updates.add("hello", "1+u1")
    updates.write("bookworm-updates")
    (package,) = archive.resolve().packages
    assert (package.version, package.suite) == ("1+u1", "bookworm-updates")
