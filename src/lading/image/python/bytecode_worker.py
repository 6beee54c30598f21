"""Compiles groups of modules on standard input to .pyc on standard output, in the image's own interpreter.

Standard library only. Each group is compiled in a process of its own, forked from the same bare state: what
CPython marshals depends on reference counts, so on every string that an earlier module left behind (3.13
keeps them for ever). A group's bytecode is thus a function of the group alone.

A request is a u32 count, then per module two u32 lengths, name, source; the reply per module a u32 length and
the .pyc, all little-endian. Length 0: it does not compile, as the Python 2 templates that some wheels carry.
PEP 552 unchecked-hash files: no time, no check.
"""

import os
import struct
import sys
from importlib.util import MAGIC_NUMBER, source_hash
from marshal import dumps

COUNT = struct.Struct("<I")
HEAD = struct.Struct("<II")
FLAG_UNCHECKED_HASH = b"\x01\x00\x00\x00"
REPLY_PIPE = 1


def compiled(name: str, source: bytes) -> bytes:
    """The .pyc of one module, or nothing."""
    try:
        code = compile(source, name, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return b""
    return MAGIC_NUMBER + FLAG_UNCHECKED_HASH + source_hash(source) + dumps(code)


def answer(group: list[tuple[str, bytes]]) -> None:
    """Compile and reply. Exits: runs in a child."""
    for name, source in group:
        reply = compiled(name, source)
        rest = memoryview(COUNT.pack(len(reply)) + reply)
        while rest:
            rest = rest[os.write(REPLY_PIPE, rest) :]
    os._exit(0)


def main() -> None:
    requests = sys.stdin.buffer
    while head := requests.read(COUNT.size):
        group = []
        for _ in range(COUNT.unpack(head)[0]):
            name_bytes, source_bytes = HEAD.unpack(requests.read(HEAD.size))
            name = requests.read(name_bytes).decode("utf-8", "surrogateescape")
            group.append((name, requests.read(source_bytes)))
        child = os.fork()
        if child == 0:
            answer(group)
        _, status = os.waitpid(child, 0)
        if status != 0:
            sys.exit(f"compiling {group[0][0]} or one after it ended with status {status}")


if __name__ == "__main__":
    main()
