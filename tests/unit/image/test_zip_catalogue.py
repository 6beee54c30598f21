"""The wheel catalogue, W01 to W36 and W46: archives that two readers could see differently are refused."""

from __future__ import annotations

import random
import struct
import zlib
from dataclasses import replace

import pytest
import wheels
from wheels import Case, Entry, MemorySource, archive, extra_field, members

from lading.errors import WheelRefused
from lading.image.wheel.install import Prefix, verify_wheel

PREFIX = Prefix(python_version="3.11")
VALID = members()
FIRST = VALID[0]
LAST = VALID[-1]
OTHER = Entry(name="demo/other.py", data=b"smuggled = True\n")
NOISE = random.Random(1).randbytes(70_000)


def first(**changes: object) -> bytes:
    """The valid wheel with its first member changed."""
    return archive([replace(FIRST, **changes), *VALID[1:]])  # type: ignore[arg-type]


def last(**changes: object) -> bytes:
    return archive([*VALID[:-1], replace(LAST, **changes)])  # type: ignore[arg-type]


def descriptor(
    entry: Entry, *, crc_error: int = 0, size_error: int = 0, signature: bytes = b"PK\7\x08"
) -> bytes:
    crc32 = zlib.crc32(entry.data) ^ crc_error
    return signature + struct.pack("<III", crc32, len(entry.stream) + size_error, len(entry.data))


def streamed(descriptor_bytes: bytes) -> bytes:
    """The first member with bit 3 set, sizes zero in its local header, and these bytes after its data."""
    return first(flags=8, local={"crc32": 0, "compressed": 0, "size": 0}, descriptor=descriptor_bytes)


def wide(*values: int) -> bytes:
    return extra_field(1, struct.pack(f"<{len(values)}Q", *values))


def unicode_path(name: bytes, *, of: bytes = b"demo/__init__.py") -> bytes:
    return extra_field(0x7075, struct.pack("<BI", 1, zlib.crc32(of)) + name)


def end_changed(**changes: int) -> bytes:
    """The valid wheel with numbers added to fields of its end record."""
    plain = archive(VALID)
    count, size, offset = struct.unpack_from("<HII", plain, len(plain) - 22 + 10)
    fields = {"count": count, "size": size, "offset": offset}
    return archive(VALID, end={key: fields[key] + change for key, change in changes.items()})


SMALL = archive(VALID)
EVIL = archive(members({"demo/__init__.py": b"answer = 666\n"}))
WIDE_SIZES = {"compressed": wheels.SENTINEL, "size": wheels.SENTINEL}
FIRST_SIZES = (len(FIRST.data), len(FIRST.stream))


def concatenated_from_zero() -> bytes:
    """The second archive's end record points at the first archive's directory."""
    size, offset = struct.unpack_from("<II", SMALL, len(SMALL) - 22 + 12)
    return SMALL + archive(VALID, end={"size": size, "offset": offset})


def lying_bomb(size_bytes: int) -> bytes:
    payload = wheels.deflate(bytes(size_bytes), 9)
    return first(payload=payload)


def declared_bomb(size_bytes: int) -> bytes:
    changed = {"size": wheels.SENTINEL}
    return first(
        payload=wheels.deflate(bytes(1 << 20), 9),
        local={**WIDE_SIZES},
        central=changed,
        local_extra=wide(size_bytes, len(wheels.deflate(bytes(1 << 20), 9))),
        central_extra=wide(size_bytes),
    )


CASES = [
    Case(id="W00-valid", raw=SMALL, rule=None),
    Case(id="W00-valid-stored", raw=first(method=0), rule=None),
    Case(
        id="W00-valid-folder-entry",
        raw=archive([Entry(name="demo/", mode=0o40755, method=0), *VALID]),
        rule=None,
    ),
    Case(id="W00-valid-utf8-name", raw=wheels.wheel({"demo/größe.py": b"x"}), rule=None),
    Case(id="W00-valid-zip64-end", raw=archive(VALID, zip64="whole"), rule=None),
    Case(
        id="W00-valid-zip64-member",
        raw=first(
            local=WIDE_SIZES,
            central=WIDE_SIZES,
            local_extra=wide(*FIRST_SIZES),
            central_extra=wide(*FIRST_SIZES),
        ),
        rule=None,
    ),
    Case(id="W00-valid-plain-comment", raw=archive(VALID, end={"comment": b"hello"}), rule=None),
    Case(
        id="W01-duplicate-name-in-directory",
        raw=archive([replace(FIRST, data=b"answer = 666\n"), *VALID]),
        rule="zip-duplicate-name",
    ),
    Case(
        id="W02-duplicate-name-in-local-headers",
        raw=archive([FIRST, replace(FIRST, data=b"answer = 666\n", in_directory=False), *VALID[1:]]),
        rule="zip-gap",
    ),
    Case(
        id="W03-local-name-differs", raw=first(local={"name": b"demo/__init__.px"}), rule="zip-local-mismatch"
    ),
    Case(
        id="W04-local-compressed-size-differs", raw=first(local={"compressed": 1}), rule="zip-local-mismatch"
    ),
    Case(id="W05-local-size-differs", raw=first(local={"size": 1}), rule="zip-local-mismatch"),
    Case(
        id="W06-member-missing-in-directory",
        raw=archive([*VALID[:1], replace(OTHER, in_directory=False), *VALID[1:]]),
        rule="zip-gap",
    ),
    Case(
        id="W07-member-without-local-header",
        raw=archive([replace(OTHER, in_archive=False), *VALID]),
        rule="zip-overlap",
    ),
    Case(
        id="W07-no-local-header-there",
        raw=first(local={"signature": b"PK\0\0"}),
        rule="zip-local-header",
    ),
    Case(id="W08-two-archives", raw=EVIL + SMALL, rule="zip-directory-offset"),
    Case(
        id="W08-two-archives-offsets-adjusted",
        raw=archive(VALID, prefix=EVIL),
        rule="zip-prefix",
    ),
    Case(
        id="W09-two-archives-first-footer-far-away",
        raw=EVIL + archive(members({"demo/__init__.py": NOISE})),
        rule="zip-directory-offset",
    ),
    Case(
        id="W10-second-end-points-at-first-archive", raw=concatenated_from_zero(), rule="zip-directory-offset"
    ),
    Case(
        id="W11-archive-in-comment",
        raw=archive(VALID, end={"comment": EVIL}),
        rule="zip-directory-offset",
    ),
    Case(
        id="W11-archive-in-comment-offsets-adjusted",
        raw=archive(VALID, end={"comment": EVIL})[: -len(EVIL)] + archive(VALID, prefix=SMALL)[len(SMALL) :],
        rule="zip-prefix",
    ),
    Case(id="W11-signature-in-comment", raw=archive(VALID, end={"comment": b"..PK\1\2"}), rule="zip-comment"),
    Case(id="W12-trailing-byte", raw=archive(VALID, trailing=b"x"), rule="zip-trailing-data"),
    Case(id="W13-trailing-4096-nul", raw=archive(VALID, trailing=bytes(4096)), rule="zip-trailing-data"),
    Case(id="W14-trailing-4097-nul", raw=archive(VALID, trailing=bytes(4097)), rule="zip-trailing-data"),
    Case(id="W15-prefix-offsets-adjusted", raw=archive(VALID, prefix=b"#!/bin/sh\n"), rule="zip-prefix"),
    Case(id="W15-prefix", raw=b"#!/bin/sh\n" + SMALL, rule="zip-directory-offset"),
    Case(id="W16-gap-before-directory", raw=archive(VALID, gap=b"x"), rule="zip-gap"),
    Case(id="W16-gap-between-members", raw=first(after=b"x"), rule="zip-gap"),
    Case(id="W17-count-too-small", raw=end_changed(count=-1), rule="zip-directory-count"),
    Case(id="W17-count-too-big", raw=end_changed(count=1), rule="zip-directory-count"),
    Case(id="W17-count-on-disk-differs", raw=archive(VALID, end={"disk_count": 1}), rule="zip-multi-disk"),
    Case(id="W18-size-too-small", raw=end_changed(size=-1), rule="zip-directory-offset"),
    Case(id="W18-size-too-big", raw=end_changed(size=1), rule="zip-directory-offset"),
    Case(id="W18-offset-too-small", raw=end_changed(offset=-1), rule="zip-directory-offset"),
    Case(id="W18-offset-too-big", raw=end_changed(offset=1), rule="zip-directory-offset"),
    Case(id="W18-both-shifted", raw=end_changed(offset=-1, size=1), rule="zip-directory-entry"),
    Case(id="W19-zip64-end-without-locator", raw=archive(VALID, zip64="no-locator"), rule="zip64-locator"),
    Case(
        id="W19-zip64-end-unreferenced",
        raw=archive(VALID, zip64="no-locator", end={"count": 4, "size": 0, "offset": 0}),
        rule="zip-directory-offset",
    ),
    Case(id="W20-locator-to-wrong-offset", raw=archive(VALID, zip64="wrong-locator"), rule="zip64-locator"),
    Case(id="W21-zip64-end-without-end", raw=archive(VALID, zip64="no-end"), rule="zip-not-an-archive"),
    Case(
        id="W22-zip64-extensible-data", raw=archive(VALID, zip64="extensible"), rule="zip64-extensible-data"
    ),
    Case(
        id="W23-duplicate-zip64-field-local",
        raw=first(local_extra=wide(*FIRST_SIZES) * 2),
        rule="zip64-field",
    ),
    Case(
        id="W23-duplicate-zip64-field-central",
        raw=first(central=WIDE_SIZES, central_extra=wide(*FIRST_SIZES) + wide(1, 2)),
        rule="zip64-field",
    ),
    Case(
        id="W23-superfluous-zip64-field",
        raw=first(central_extra=wide(*FIRST_SIZES)),
        rule="zip64-field",
        lenient=None,
    ),
    Case(id="W24-unicode-path-equal", raw=first(central_extra=unicode_path(b"demo/__init__.py")), rule=None),
    Case(
        id="W24-unicode-path-central",
        raw=first(central_extra=unicode_path(b"evil.py")),
        rule="zip-unicode-path",
    ),
    Case(
        id="W24-unicode-path-local", raw=first(local_extra=unicode_path(b"evil.py")), rule="zip-unicode-path"
    ),
    Case(
        id="W24-unicode-path-twice",
        raw=first(central_extra=unicode_path(b"demo/__init__.py") * 2),
        rule="zip-unicode-path",
    ),
    Case(
        id="W24-extra-field-cut-off-central", raw=first(central_extra=b"\1\0\x10\0"), rule="zip-extra-field"
    ),
    Case(id="W24-extra-field-cut-off-local", raw=first(local_extra=b"\1"), rule="zip-extra-field"),
    Case(id="W25-entry-comment", raw=first(comment=b"note"), rule="zip-entry-comment", lenient=None),
    Case(
        id="W26-descriptor-missing",
        raw=streamed(b""),
        rule="zip-data-descriptor",
        lenient="zip-descriptor-mismatch",
    ),
    Case(
        id="W27-descriptor-wrong-crc",
        raw=streamed(descriptor(FIRST, crc_error=1)),
        rule="zip-data-descriptor",
        lenient="zip-descriptor-mismatch",
    ),
    Case(
        id="W28-descriptor-wrong-size",
        raw=streamed(descriptor(FIRST, size_error=1)),
        rule="zip-data-descriptor",
        lenient="zip-descriptor-mismatch",
    ),
    Case(id="W29-descriptor", raw=streamed(descriptor(FIRST)), rule="zip-data-descriptor", lenient=None),
    Case(
        id="W29-descriptor-without-signature",
        raw=streamed(descriptor(FIRST, signature=b"")),
        rule="zip-data-descriptor",
        lenient=None,
    ),
    Case(
        id="W30-stored-with-two-sizes",
        raw=first(method=0, payload=FIRST.data, local={"size": 1}, central={"size": 1}),
        rule="zip-stored-size",
    ),
    Case(
        id="W30-size-reaches-into-directory",
        raw=last(local={"compressed": len(LAST.stream) + 30}, central={"compressed": len(LAST.stream) + 30}),
        rule="zip-overlap",
    ),
    Case(
        id="W31-size-overflow",
        raw=first(
            local=WIDE_SIZES,
            central=WIDE_SIZES,
            local_extra=wide(2**64 - 1, 2**64 - 1),
            central_extra=wide(2**64 - 1, 2**64 - 1),
        ),
        rule="zip-overlap",
    ),
    Case(id="W32-encrypted", raw=first(flags=1), rule="zip-encrypted"),
    Case(id="W32-strong-encryption", raw=first(flags=0x40), rule="zip-flags"),
    *(
        Case(id=f"W33-method-{method}", raw=first(method=method), rule="zip-method")
        for method in (1, 9, 12, 14, 93, 99)
    ),
    Case(id="W34-junk-after-stream", raw=first(payload=FIRST.stream + b"junk"), rule="zip-deflate-trailing"),
    Case(id="W34-stream-without-end", raw=first(payload=FIRST.stream[:-1]), rule="zip-deflate"),
    *(
        Case(
            id=f"W35-truncated-{percent}", raw=SMALL[: len(SMALL) * percent // 100], rule="zip-not-an-archive"
        )
        for percent in (0, 25, 50, 75, 99)
    ),
    Case(id="W35-end-record-missing", raw=SMALL[:-22], rule="zip-not-an-archive"),
    Case(id="W36-wrong-crc", raw=first(local={"crc32": 1}, central={"crc32": 1}), rule="zip-crc"),
    Case(
        id="W36-wrong-size",
        raw=first(local={"size": 11}, central={"size": 11}),
        rule="record-size",
        lenient="zip-size",
    ),
    Case(id="W46-ten-gibibytes-declared", raw=declared_bomb(10 << 30), rule="zip-bomb"),
    Case(id="W46-more-than-declared", raw=lying_bomb(64 << 20), rule="zip-size"),
    Case(id="W46-archives-within", raw=wheels.wheel({"demo/42.zip": EVIL}), rule=None),
    Case(
        id="W46-a-million-members",
        raw=SMALL[:-22]
        + wheels.end64_record(1_000_001, 0, len(SMALL) - 22)
        + wheels.locator(len(SMALL) - 22)
        + wheels.end_record(count=0xFFFF, size=0, offset=wheels.SENTINEL),
        rule="zip-too-many-members",
    ),
    Case(
        id="W46-overlapping-members",
        raw=archive(
            [
                FIRST,
                *(
                    replace(OTHER, name=f"demo/{n}.py", in_archive=False, central={"offset": 0})
                    for n in range(50)
                ),
                *VALID[1:],
            ]
        ),
        rule="zip-overlap",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_strict_reading_gives_the_verdict_of_the_catalogue(case: Case) -> None:
    assert _verdict(case, lenient=False) == case.rule


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_lenient_reading_waives_only_what_is_waivable(case: Case) -> None:
    assert _verdict(case, lenient=True) == case.lenient_rule


def _verdict(case: Case, *, lenient: bool) -> str | None:
    try:
        install = verify_wheel(MemorySource(case.raw), case.filename, PREFIX, lenient=lenient)
    except WheelRefused as refusal:
        return refusal.rule
    if case.rule is not None:
        assert any(warning.endswith(f"[{case.rule}]") for warning in install.warnings)
    return None
