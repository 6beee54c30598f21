"""What a build keeps of the outside world is trusted by its digest, each time it is used."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from fetch.loopback import Loopback, ranges

from lading.errors import FetchFailed
from lading.image.job import Sources
from lading.image.request import BuildContext
from lading.image.target import open_sources_at
from lading.lock.model import LockedInterpreter
from lading.oci.digest import Digest
from lading.store import Store

CONTENT = b"an archive of a Python, or a file of a project" * 99
Take = Callable[[Sources, str], Path]


def standalone(sources: Sources, url: str) -> Path:
    interpreter = LockedInterpreter(
        provider="standalone",
        version="3.12",
        build="cpython-3.12.7",
        executable="/opt/python/bin/python3.12",
        url=url,
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        size_bytes=len(CONTENT),
    )
    return sources.fetch_standalone(interpreter)


def file(sources: Sources, url: str) -> Path:
    assert sources.fetch_file is not None
    return sources.fetch_file(url, hashlib.sha256(CONTENT).hexdigest())


@pytest.mark.catalogue("R40")
@pytest.mark.parametrize("take", [standalone, file])
def test_a_kept_file_that_was_spoilt_is_fetched_again(take: Take, tmp_path: Path) -> None:
    """Its first use put it there; with other bytes of the same length it is as good as gone."""
    store = Store.open({"LADING_HOME": str(tmp_path / "home")})
    context = BuildContext(store=store, environment={}, listener=None)  # type: ignore[arg-type]
    with Loopback() as server:
        server.files["/kept"] = CONTENT
        server.answers["/kept"] = [ranges]
        url = server.url("/kept")
        with open_sources_at(tmp_path, (), context, offline=False) as sources:
            path = take(sources, url)
            assert path == store.blobs.path(Digest.of(CONTENT))
            asked = len(server.log)
            assert take(sources, url).read_bytes() == CONTENT
            assert len(server.log) == asked
            path.chmod(0o644)
            path.write_bytes(CONTENT[::-1])
            assert take(sources, url).read_bytes() == CONTENT
            path.chmod(0o644)
            path.write_bytes(CONTENT[::-1])
        with (
            open_sources_at(tmp_path, (), context, offline=True) as sources,
            pytest.raises(FetchFailed, match="--offline forbids"),
        ):
            take(sources, url)
