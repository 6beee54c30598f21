"""A pseudo-terminal between the caller's terminal and a container: raw mode, window size, bytes both ways."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios
from collections.abc import Iterator

_CHUNK_BYTES = 65536
_END_OF_TRANSMISSION = b"\x04"


class TerminalLink:
    """The caller's side of the container's terminal. Closes `master` when the container has ended."""

    def __init__(self, master: int, source: int, sink: int) -> None:
        self._master = master
        self._source = source
        self._sink = sink
        self.resize()

    def register(self, poll: select.poll) -> None:
        poll.register(self._master, select.POLLIN)
        # A regular file or /dev/null is always readable: poll says so, and the read ends.
        with contextlib.suppress(OSError):
            poll.register(self._source, select.POLLIN)

    def serve(self, descriptor: int, poll: select.poll) -> None:
        """Move what can be read from `descriptor` to the other side."""
        if descriptor == self._source:
            data = os.read(self._source, _CHUNK_BYTES)
            if not data:
                poll.unregister(self._source)
                data = _END_OF_TRANSMISSION
            _write_all(self._master, data)
        elif descriptor == self._master and not self._copy_out():
            poll.unregister(self._master)

    def _copy_out(self) -> bool:
        try:
            data = os.read(self._master, _CHUNK_BYTES)
        except OSError as error:
            if error.errno != errno.EIO:  # EIO: the last process of the container closed it
                raise
            return False
        _write_all(self._sink, data)
        return bool(data)

    def drain(self) -> None:
        """The container has ended: write what it had still to say."""
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        while poll.poll(0):
            if not self._copy_out():
                break
        os.close(self._master)

    def resize(self) -> None:
        """Give the container the size of the caller's window; the kernel sends it SIGWINCH."""
        with contextlib.suppress(OSError):
            size = fcntl.ioctl(self._source, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            select.select((), (descriptor,), ())


@contextlib.contextmanager
def raw_terminal(descriptor: int) -> Iterator[None]:
    """Every key goes through, Ctrl-C too; the old settings come back. What is no terminal is left alone."""
    if not os.isatty(descriptor):
        yield
        return
    import tty

    before = termios.tcgetattr(descriptor)
    try:
        tty.setraw(descriptor, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
