"""A remote file read at any offset. Reads that go on where the last one ended share one open response.

A server that knows no ranges is read once, from the front, into a spool file. The file must stay the same
while it is read: a changed validator, length or range is an error, never a mixture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lading.errors import FetchFailed
from lading.fetch.address import display_url
from lading.fetch.transport import HttpStatus, Refused
from lading.store.atomic import store_errors, temporary_name

if TYPE_CHECKING:
    from requests import Response

    from lading.fetch.retry import RetryPolicy

_TAIL_BYTES = 128 << 10
_LARGEST_TAIL_BYTES = 4 << 20
_SKIP_BYTES = 256 << 10
_PROGRESS_BYTES = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class Responder(Protocol):
    """Who asks: a Fetcher, or something that adds who we are to each request."""

    @property
    def staging(self) -> Path: ...

    @property
    def policy(self) -> RetryPolicy: ...

    def respond(self, method: str, url: str, headers: Mapping[str, str]) -> Response: ...

    def read_chunks(self, response: Response) -> Iterator[bytes]: ...

    def pause(self, attempt: int) -> None: ...


class HttpFile:
    """A ByteSource over HTTP; made by `Fetcher.open_file`. Not for several threads at once."""

    def __init__(self, fetcher: Responder, url: str, size_bytes: int | None, *, start: int = 0) -> None:
        """`start` is where reading in order begins: what is before it is here already."""
        self.name = display_url(url)
        self._fetcher = fetcher
        self._url = url
        self._validator: str | None = None
        self._tail = b""
        self._stream: _Stream | None = None
        self._spool: _Spool | None = None
        self._next_offset = start
        self.size_bytes = size_bytes if size_bytes is not None else -1
        if size_bytes is None:
            self._find_size()

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises FetchFailed, also when the file changed under us."""
        if offset < 0 or length < 0 or offset + length > self.size_bytes:
            raise FetchFailed(
                f"{self.name} ends at {self.size_bytes}; {offset + length} was asked for", place=self.name
            )
        if length == 0:
            return b""
        content = self._read(offset, length)
        self._next_offset = offset + length
        return content

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._spool is not None:
            self._spool.close()

    def _read(self, offset: int, length: int) -> bytes:
        if self._spool is not None:
            return self._spool.read(offset, length)
        if self._stream is not None and self._stream.reaches(offset):
            return self._stream.read(offset, length)
        tail_offset = self.size_bytes - len(self._tail)
        if offset >= tail_offset:
            start = offset - tail_offset
            return self._tail[start : start + length]
        if offset in (0, self._next_offset):
            return self._start_stream(offset, length)
        if (
            self.size_bytes - offset <= _LARGEST_TAIL_BYTES
            and offset + length > self.size_bytes - _TAIL_BYTES
        ):
            wanted = max(_TAIL_BYTES, self.size_bytes - offset)
            start = max(0, self.size_bytes - wanted)
            content = self._range(start, self.size_bytes - start)
            if self._spool is None:
                self._tail = content
            return content[offset - start : offset - start + length]
        return self._range(offset, length)

    def _start_stream(self, offset: int, length: int) -> bytes:
        response = self._ask(offset, None)
        if response is None:
            return self._spooled(offset, length)
        if self._stream is not None:
            self._stream.close()
        self._stream = _Stream(self, response, offset)
        return self._stream.read(offset, length)

    def _range(self, offset: int, length: int) -> bytes:
        for attempt in range(1, self._fetcher.policy.tries + 1):
            response = self._ask(offset, length)
            if response is None:
                return self._spooled(offset, length)
            try:
                content = b"".join(self._fetcher.read_chunks(response))
            except FetchFailed:
                if attempt == self._fetcher.policy.tries:
                    raise
                self._fetcher.pause(attempt)
                continue
            finally:
                response.close()
            if len(content) == length:
                return content
            raise FetchFailed(
                f"{self.name} sent {len(content)} bytes for a range of {length}", place=self.name
            )
        raise AssertionError("a retry policy allows at least one try")

    def _spooled(self, offset: int, length: int) -> bytes:
        assert self._spool is not None
        return self._spool.read(offset, length)

    def _ask(self, offset: int, length: int | None) -> Response | None:
        """A 206 for the range, checked; None when the server knows no ranges: then the spool is there."""
        last = self.size_bytes - 1 if length is None else offset + length - 1
        headers = {"Range": f"bytes={offset}-{last}"}
        if self._validator is not None:
            headers["If-Range"] = self._validator
        response = self._fetcher.respond("GET", self._url, headers)
        if response.status_code == 206:
            try:
                self._check_range(response, offset, last)
                self._remember(response)
            except FetchFailed:
                response.close()
                raise
            return response
        self._begin_spool(response)
        return None

    def _begin_spool(self, response: Response) -> None:
        """The whole file came where a range was asked for: keep what it sends."""
        try:
            if self._validator is not None and _validator_of(response) != self._validator:
                raise self._changed()
            length = response.headers.get("content-length")
            if length is not None and int(length) != self.size_bytes:
                raise self._wrong_size(int(length))
            self._remember(response)
        except FetchFailed:
            response.close()
            raise
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self._spool = _Spool(self, response)

    def _check_range(self, response: Response, first: int, last: int) -> None:
        text = response.headers.get("content-range", "")
        match = _CONTENT_RANGE.fullmatch(text.strip())
        if match is None or (int(match[1]), int(match[2])) != (first, last):
            raise Refused(
                f"{self.name} answered the range {first}-{last} with {text or 'no Content-Range'!r}",
                place=self.name,
            )
        if match[3] != "*" and int(match[3]) != self.size_bytes:
            raise self._wrong_size(int(match[3]))

    def _remember(self, response: Response) -> None:
        validator = _validator_of(response)
        if self._validator is not None and validator != self._validator:
            raise self._changed()
        self._validator = validator

    def _find_size(self) -> None:
        try:
            response = self._fetcher.respond("HEAD", self._url, {})
        except HttpStatus as error:
            if error.status not in (400, 403, 404, 405, 501):
                raise
        else:
            response.close()
            length = response.headers.get("content-length", "")
            if length.isdigit():
                self.size_bytes = int(length)
                self._validator = _validator_of(response)
                return
        self._find_size_by_range()

    def _find_size_by_range(self) -> None:
        response = self._fetcher.respond("GET", self._url, {"Range": "bytes=0-0"})
        match = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
        length = response.headers.get("content-length", "")
        if response.status_code == 206 and match is not None and match[3] != "*":
            self.size_bytes = int(match[3])
            self._remember(response)
            response.close()
        elif response.status_code == 200 and length.isdigit():
            self.size_bytes = int(length)
            self._begin_spool(response)
        else:
            response.close()
            raise FetchFailed(f"{self.name} does not say how long it is", place=self.name)

    def _changed(self) -> FetchFailed:
        return Refused(f"{self.name} changed while it was read", place=self.name)

    def _wrong_size(self, actual: int) -> FetchFailed:
        return Refused(
            f"{self.name} is {actual} bytes long; {self.size_bytes} were expected", place=self.name
        )


class _Stream:
    """One open response from some offset to the end, resumed where it breaks."""

    def __init__(self, file: HttpFile, response: Response, offset: int) -> None:
        self._file = file
        self._position = offset
        self._buffer = b""
        self._breaks = 0
        self._broke_at = offset
        self._open(response)

    def _open(self, response: Response) -> None:
        self._response = response
        self._chunks: Iterator[bytes] = self._file._fetcher.read_chunks(response)

    def reaches(self, offset: int) -> bool:
        return self._position <= offset <= self._position + _SKIP_BYTES

    def read(self, offset: int, length: int) -> bytes:
        while self._position < offset:
            self._take(offset - self._position)
        parts = []
        while length:
            parts.append(self._take(length))
            length -= len(parts[-1])
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        self._response.close()

    def _take(self, most: int) -> bytes:
        if not self._buffer:
            self._buffer = self._next_chunk()
        taken, self._buffer = self._buffer[:most], self._buffer[most:]
        self._position += len(taken)
        return taken

    def _next_chunk(self) -> bytes:
        """Goes on from where the connection broke; a mebibyte of progress forgives earlier breaks."""
        while True:
            try:
                if chunk := next(self._chunks, b""):
                    return chunk
                failure = FetchFailed(f"{self._file.name} ended early", place=self._file.name)
            except Refused:
                raise
            except FetchFailed as error:
                failure = error
            self._response.close()
            if self._position - self._broke_at >= _PROGRESS_BYTES:
                self._breaks = 0
            self._breaks, self._broke_at = self._breaks + 1, self._position
            if self._breaks >= self._file._fetcher.policy.tries:
                raise failure
            self._file._fetcher.pause(self._breaks)
            response = self._file._ask(self._position, None)
            if response is None:
                raise self._file._changed()
            self._open(response)


class _Spool:
    """The file from its front, as far as it has come, in an unlinked temporary file."""

    def __init__(self, file: HttpFile, response: Response) -> None:
        self._file = file
        self._response = response
        self._chunks = file._fetcher.read_chunks(response)
        self._received = 0
        path = file._fetcher.staging / temporary_name()
        with store_errors("creating a spool file", path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            path.unlink()

    def read(self, offset: int, length: int) -> bytes:
        self._receive(offset + length)
        with store_errors("reading a spool file", self._file._fetcher.staging):
            return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        self._response.close()
        os.close(self._descriptor)

    def _receive(self, end: int) -> None:
        attempt = 0
        while self._received < end:
            try:
                for chunk in self._chunks:
                    self._keep(chunk)
                    if self._received >= end:
                        return
                raise FetchFailed(f"{self._file.name} ended early", place=self._file.name)
            except Refused:
                raise
            except FetchFailed:
                attempt += 1
                if attempt == self._file._fetcher.policy.tries:
                    raise
                self._file._fetcher.pause(attempt)
                self._restart()

    def _keep(self, chunk: bytes) -> None:
        if self._received + len(chunk) > self._file.size_bytes:
            raise self._file._wrong_size(self._received + len(chunk))
        with store_errors("writing a spool file", self._file._fetcher.staging):
            view = memoryview(chunk)
            while view:
                written = os.pwrite(self._descriptor, view, self._received)
                self._received += written
                view = view[written:]

    def _restart(self) -> None:
        """Without ranges, going on means hearing the beginning again; it is written over, not trusted."""
        self._response.close()
        self._response = self._file._fetcher.respond("GET", self._file._url, {})
        self._file._remember(self._response)
        self._chunks = self._file._fetcher.read_chunks(self._response)
        self._received = 0


def _validator_of(response: Response) -> str | None:
    """What If-Range may carry: a strong ETag, else Last-Modified (RFC 9110 §13.1.5)."""
    etag: str | None = response.headers.get("etag")
    if etag is not None and not etag.startswith("W/"):
        return etag
    modified: str | None = response.headers.get("last-modified")
    return modified
