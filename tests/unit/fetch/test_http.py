"""What is fetched is what was named, or one clear error without credentials."""

from __future__ import annotations

import base64
import hashlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from fetch.loopback import (
    Loopback,
    broken_after,
    crawling,
    ranges,
    redirect,
    stalled,
    status,
    whole,
)
from lading.errors import DigestMismatch, FetchFailed
from lading.fetch.http import Fetcher
from lading.fetch.transport import HttpStatus

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def test_the_whole_answer_comes_back(server: Loopback, fetcher: Fetcher) -> None:
    server.files["/a"] = CONTENT
    assert fetcher.get_bytes(server.url("/a"), limit_bytes=1 << 20, sha256=SHA256) == CONTENT


def test_other_bytes_are_a_digest_mismatch(server: Loopback, fetcher: Fetcher) -> None:
    server.files["/a"] = CONTENT[::-1]
    with pytest.raises(DigestMismatch, match=SHA256):
        fetcher.get_bytes(server.url("/a"), limit_bytes=1 << 20, sha256=SHA256)


def test_an_answer_over_the_limit_is_refused_at_once(server: Loopback, fetcher: Fetcher) -> None:
    server.files["/a"] = CONTENT
    with pytest.raises(FetchFailed, match="larger than 100 bytes"):
        fetcher.get_bytes(server.url("/a"), limit_bytes=100)
    assert len(server.log) == 1


@pytest.mark.parametrize("code", [408, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again(server: Loopback, fetcher: Fetcher, code: int) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [status(code, Retry_After="3600"), status(code), ranges]
    assert fetcher.get_bytes(server.url("/a"), limit_bytes=1 << 20) == CONTENT
    assert len(server.log) == 3


@pytest.mark.catalogue("R14")
def test_five_tries_and_no_more(server: Loopback, fetcher: Fetcher) -> None:
    server.answers["/a"] = [status(503)]
    with pytest.raises(FetchFailed, match=r"answered 503.*tried 5 times"):
        fetcher.get_bytes(server.url("/a"), limit_bytes=1 << 20)
    assert len(server.log) == 5


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410, 418])
def test_a_4xx_is_believed_the_first_time(server: Loopback, fetcher: Fetcher, code: int) -> None:
    server.answers["/a"] = [status(code)]
    with pytest.raises(HttpStatus) as caught:
        fetcher.get_bytes(server.url("/a"), limit_bytes=1 << 20)
    assert caught.value.status == code
    assert len(server.log) == 1


def test_a_wait_longer_than_the_budget_is_not_begun(
    server: Loopback, fetcher_for: Callable[..., Fetcher]
) -> None:
    from lading.fetch.retry import RetryPolicy

    server.answers["/a"] = [status(429, Retry_After="3600")]
    policy = RetryPolicy(budget_seconds=1, longest_delay_seconds=100)
    with pytest.raises(HttpStatus, match="tried 1 times"):
        fetcher_for(policy=policy).get_bytes(server.url("/a"), limit_bytes=9)
    assert len(server.log) == 1


@pytest.mark.parametrize("with_reset", [False, True])
def test_a_body_that_breaks_off_is_fetched_again(
    server: Loopback, fetcher: Fetcher, with_reset: bool
) -> None:
    server.files["/a"] = CONTENT
    server.answers["/a"] = [broken_after(100, with_reset=with_reset), whole]
    assert fetcher.get_bytes(server.url("/a"), limit_bytes=1 << 20) == CONTENT


@pytest.mark.catalogue("R19")
def test_a_silent_server_is_given_up(server: Loopback, fetcher_for: Callable[..., Fetcher]) -> None:
    from lading.fetch.retry import RetryPolicy

    server.files["/a"] = CONTENT
    server.answers["/a"] = [stalled]
    with pytest.raises(FetchFailed, match="timed out"):
        fetcher_for(policy=RetryPolicy(tries=1)).get_bytes(server.url("/a"), limit_bytes=1 << 20)


@pytest.mark.catalogue("R20")
def test_a_crawling_server_is_given_up(server: Loopback, fetcher_for: Callable[..., Fetcher]) -> None:
    from lading.fetch.retry import RetryPolicy

    server.files["/a"] = CONTENT
    server.answers["/a"] = [crawling]
    with pytest.raises(FetchFailed, match="sends too slowly"):
        fetcher_for(policy=RetryPolicy(tries=1)).get_bytes(server.url("/a"), limit_bytes=1 << 20)


def test_nobody_listening_is_one_clear_error(fetcher: Fetcher) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchFailed, match=r"fetching http://127.0.0.1:\d+/a failed: .*refused"):
        fetcher.get_bytes(f"http://user:hunter2@127.0.0.1:{port}/a", limit_bytes=9)


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


def test_userinfo_travels_as_a_header_and_shows_nowhere(server: Loopback, fetcher: Fetcher) -> None:
    server.answers["/a"] = [status(403)]
    with pytest.raises(HttpStatus) as caught:
        fetcher.get_bytes(server.url("/a", userinfo="user:hunter2"), limit_bytes=9)
    assert server.log[0].headers["authorization"] == _basic("user:hunter2")
    assert "hunter2" not in str(caught.value) + str(caught.value.place)
    assert caught.value.__cause__ is None


def test_credentials_are_for_their_origin_alone(
    server: Loopback, fetcher_for: Callable[..., Fetcher]
) -> None:
    with Loopback(files={"/b": CONTENT}) as other:
        server.answers["/a"] = [redirect(other.url("/b"))]
        credentials = {f"http://127.0.0.1:{server.port}": ("user", "hunter2")}
        fetcher_for(credentials=credentials).get_bytes(server.url("/a"), limit_bytes=1 << 20)
        fetcher_for().get_bytes(server.url("/a", userinfo="me:secret"), limit_bytes=1 << 20)
        assert [one.headers.get("authorization") for one in server.log] == [
            _basic("user:hunter2"),
            _basic("me:secret"),
        ]
        assert [one.headers.get("authorization") for one in other.log] == [None, None]


def test_credentials_stay_through_a_redirect_at_home(server: Loopback, fetcher: Fetcher) -> None:
    server.files["/b"] = CONTENT
    server.answers["/a"] = [redirect("/b")]
    fetcher.get_bytes(server.url("/a", userinfo="me:secret"), limit_bytes=1 << 20)
    assert server.log[1].headers["authorization"] == _basic("me:secret")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://x/"])
def test_a_redirect_out_of_http_is_refused(server: Loopback, fetcher: Fetcher, target: str) -> None:
    server.answers["/a"] = [redirect(target)]
    with pytest.raises(FetchFailed, match="is refused"):
        fetcher.get_bytes(server.url("/a"), limit_bytes=9)
    assert len(server.log) == 1


@pytest.mark.catalogue("R30")
def test_a_redirect_from_https_to_http_is_refused() -> None:
    from lading.fetch.transport import _redirected

    with pytest.raises(FetchFailed, match="from https to http is refused"):
        _redirected("https://host/a", "http://host/a")
    assert _redirected("http://host/a", "//other/b") == "http://other/b"


@pytest.mark.parametrize("target", ["http://host:99999/x", "http://[::1/x", "https:///x"])
def test_a_redirect_to_nowhere_is_refused(server: Loopback, fetcher: Fetcher, target: str) -> None:
    server.answers["/a"] = [redirect(target)]
    with pytest.raises(FetchFailed):
        fetcher.get_bytes(server.url("/a"), limit_bytes=9)
    assert len(server.log) == 1


@pytest.mark.parametrize("url", ["http://host:port/x", "http://[::1/x", "//host/x", "", "http:///x"])
def test_what_is_no_url_is_refused(fetcher: Fetcher, url: str) -> None:
    with pytest.raises(FetchFailed, match="not an http or https URL"):
        fetcher.get_bytes(url, limit_bytes=9)


def test_a_redirect_loop_ends(server: Loopback, fetcher: Fetcher) -> None:
    server.answers["/a"] = [redirect("/a")]
    with pytest.raises(FetchFailed, match="redirects without end"):
        fetcher.get_bytes(server.url("/a"), limit_bytes=9)


def test_a_file_url_is_not_fetched(fetcher: Fetcher) -> None:
    with pytest.raises(FetchFailed, match="not an http or https URL"):
        fetcher.get_bytes("file:///etc/passwd", limit_bytes=9)


@pytest.mark.catalogue("R39")
def test_offline_opens_no_socket_and_says_what_is_missing(
    server: Loopback, fetcher_for: Callable[..., Fetcher], tmp_path: Path
) -> None:
    fetcher = fetcher_for(offline=True)
    url = server.url("/a", userinfo="me:secret")
    for attempt in (
        lambda: fetcher.get_bytes(url, limit_bytes=9),
        lambda: fetcher.open_file(url),
        lambda: fetcher.download(url, tmp_path / "x", sha256=SHA256),
    ):
        with pytest.raises(FetchFailed, match=r"/a is not in the store.*--offline") as caught:
            attempt()
        assert "secret" not in str(caught.value)
        assert caught.value.hints == ("run the same command once without --offline",)
    assert server.log == []


def test_a_download_is_whole_and_verified(server: Loopback, fetcher: Fetcher, tmp_path: Path) -> None:
    server.files["/a"] = CONTENT
    fetcher.download(server.url("/a"), tmp_path / "got", sha256=SHA256, size_bytes=len(CONTENT))
    assert (tmp_path / "got").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["got"]


def test_a_bad_download_leaves_nothing(server: Loopback, fetcher: Fetcher, tmp_path: Path) -> None:
    server.files["/a"] = CONTENT
    with pytest.raises(DigestMismatch):
        fetcher.download(server.url("/a"), tmp_path / "got", sha256="0" * 64)
    with pytest.raises(FetchFailed, match="bytes long; 5 were expected"):
        fetcher.download(server.url("/a"), tmp_path / "got", sha256=SHA256, size_bytes=5)
    assert list(tmp_path.iterdir()) == []
