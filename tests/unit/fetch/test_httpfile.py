"""A remote file reads like a local one, whatever the server does, or is refused as a whole."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from fetch.loopback import (
    Answer,
    Loopback,
    broken_after,
    content_range,
    ranges,
    status,
    whole,
)
from lading.errors import FetchFailed
from lading.fetch.http import Fetcher

CONTENT = random.Random(7).randbytes(3 << 20)
STEP = 100_000


def read_through(fetcher: Fetcher, url: str, size_bytes: int | None = None) -> bytes:
    """As a layer writer reads a wheel: its end first, then everything from the front."""
    with contextlib.closing(fetcher.open_file(url, size_bytes)) as file:
        end = file.size_bytes
        assert file.read(end - 22, 22) == CONTENT[-22:]
        assert file.read(end - 9000, 8000) == CONTENT[-9000:-1000]
        parts = [file.read(at, min(STEP, end - at)) for at in range(0, end, STEP)]
    return b"".join(parts)


@pytest.mark.parametrize("answer", [ranges, whole])
@pytest.mark.parametrize("size_bytes", [None, len(CONTENT)])
def test_end_first_then_in_order_gives_the_file(
    server: Loopback, fetcher: Fetcher, answer: Answer, size_bytes: int | None
) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [answer]
    assert read_through(fetcher, server.url("/a"), size_bytes) == CONTENT


def test_a_wheel_costs_one_request_for_its_end_and_one_for_the_rest(
    server: Loopback, fetcher: Fetcher
) -> None:
    server.files["/a"] = CONTENT
    read_through(fetcher, server.url("/a"), len(CONTENT))
    last = len(CONTENT) - 1
    assert server.ranges() == [f"bytes={len(CONTENT) - (128 << 10)}-{last}", f"bytes=0-{last}"]


@pytest.mark.catalogue("R22")
def test_a_server_without_ranges_is_heard_once(server: Loopback, fetcher: Fetcher, tmp_path: Path) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [whole]
    read_through(fetcher, server.url("/a"), len(CONTENT))
    assert server.methods() == ["GET"]
    assert list(tmp_path.iterdir()) == []


def test_reads_anywhere_give_what_stands_there(server: Loopback, fetcher: Fetcher) -> None:
    server.files["/a"] = CONTENT
    dice = random.Random(1)
    with contextlib.closing(fetcher.open_file(server.url("/a"))) as file:
        for _ in range(40):
            offset = dice.randrange(len(CONTENT))
            length = dice.randrange(min(200_000, len(CONTENT) - offset + 1))
            assert file.read(offset, length) == CONTENT[offset : offset + length]


def test_reading_past_the_end_is_refused(server: Loopback, fetcher: Fetcher) -> None:
    server.files["/a"] = CONTENT
    with (
        contextlib.closing(fetcher.open_file(server.url("/a"))) as file,
        pytest.raises(FetchFailed, match="ends at"),
    ):
        file.read(len(CONTENT) - 1, 2)
        assert file.read(len(CONTENT), 0) == b""


@pytest.mark.parametrize("refusal", [405, 501, 403])
def test_the_size_is_found_without_head(server: Loopback, fetcher: Fetcher, refusal: int) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [status(refusal), ranges]
    assert fetcher.size_bytes(server.url("/a")) == len(CONTENT)


@pytest.mark.parametrize("with_reset", [False, True])
@pytest.mark.parametrize("ignore_range", [False, True])
def test_a_broken_connection_is_taken_up_again(
    server: Loopback, fetcher: Fetcher, with_reset: bool, ignore_range: bool
) -> None:
    server.files["/a"] = CONTENT
    broken = broken_after(1_200_000, with_reset=with_reset, ignore_range=ignore_range)
    server.answers["/a"] = [broken, broken, whole if ignore_range else ranges]
    with contextlib.closing(fetcher.open_file(server.url("/a"), len(CONTENT))) as file:
        got = b"".join(file.read(at, min(STEP, len(CONTENT) - at)) for at in range(0, len(CONTENT), STEP))
    assert got == CONTENT
    assert len(server.log) == 3


def test_a_resumed_request_names_the_same_file(server: Loopback, fetcher: Fetcher) -> None:
    """If-Range carries the first answer's validator, and the range starts at the first missing byte."""
    server.files["/a"] = CONTENT
    server.answers["/a"] = [broken_after(1000), ranges]
    with contextlib.closing(fetcher.open_file(server.url("/a"), len(CONTENT))) as file:
        assert file.read(0, len(CONTENT)) == CONTENT
    first, second = server.log
    assert "if-range" not in first.headers
    assert second.headers["if-range"].startswith('"')
    assert second.headers["range"] == f"bytes=1000-{len(CONTENT) - 1}"


def test_a_server_that_always_breaks_is_given_up(server: Loopback, fetcher: Fetcher) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [broken_after(10)]
    with (
        contextlib.closing(fetcher.open_file(server.url("/a"), len(CONTENT))) as file,
        pytest.raises(FetchFailed),
    ):
        file.read(0, len(CONTENT))
    assert len(server.log) == 5


@pytest.mark.parametrize("answer", [ranges, whole])
def test_a_file_that_changes_between_answers_is_refused(
    server: Loopback, fetcher: Fetcher, answer: Answer
) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [broken_after(1000, ignore_range=answer is whole), answer]
    with contextlib.closing(fetcher.open_file(server.url("/a"), len(CONTENT))) as file:
        file.read(0, 500)
        server.files["/a"] = CONTENT[::-1]
        with pytest.raises(FetchFailed, match="changed while it was read"):
            file.read(500, 100_000)


@pytest.mark.catalogue("R23")
@pytest.mark.parametrize(
    "text",
    [
        "bytes 0-9/3145728",
        "bytes 1-3145728/3145728",
        f"bytes 0-{len(CONTENT) - 1}/99",
        "bytes */3145728",
        "pages 1-2/3",
        "",
    ],
)
def test_a_wrong_content_range_is_refused(server: Loopback, fetcher: Fetcher, text: str) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [content_range(text)]
    with (
        contextlib.closing(fetcher.open_file(server.url("/a"), len(CONTENT))) as file,
        pytest.raises(FetchFailed),
    ):
        file.read(0, 100)
    assert len(server.log) == 1


@pytest.mark.parametrize("answer", [ranges, whole])
def test_another_length_than_the_lock_says_is_refused(
    server: Loopback, fetcher_for: Callable[..., Fetcher], answer: Answer
) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [answer]
    with (
        contextlib.closing(fetcher_for().open_file(server.url("/a"), len(CONTENT) + 5)) as file,
        pytest.raises(FetchFailed, match="bytes long"),
    ):
        file.read(0, 100)
