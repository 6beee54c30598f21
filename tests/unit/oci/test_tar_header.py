"""Fields of tar headers: what is written comes back, and what is no number, name or record is refused."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.oci.tar_header import (
    BLOCK_BYTES,
    TarRefused,
    clean_path,
    decimal,
    number,
    pax_records,
    ustar_name,
    verify_checksum,
)


def _header(info: tarfile.TarInfo) -> bytes:
    """By Python's tarfile."""
    return info.tobuf(tarfile.USTAR_FORMAT)[:BLOCK_BYTES]


@given(size=st.integers(0, 0o77777777777), mode=st.integers(0, 0o7777))
def test_octal_fields_of_another_writer_come_back(size: int, mode: int) -> None:
    info = tarfile.TarInfo("a/b")
    info.size, info.mode = size, mode
    block = _header(info)
    verify_checksum(block)
    assert number(block[124:136], "size") == size
    assert number(block[100:108], "mode") == mode
    assert ustar_name(block) == b"a/b"


@given(size=st.integers(1 << 36, (1 << 62) - 1))
def test_base_256_fields_come_back(size: int) -> None:
    """GNU's way to write what octal digits cannot hold."""
    info = tarfile.TarInfo("big")
    info.size = size
    assert number(info.tobuf(tarfile.GNU_FORMAT)[124:136], "size") == size


@given(time=st.integers(-(1 << 62), -1))
def test_negative_numbers_are_for_signed_fields_alone(time: int) -> None:
    field = b"\xff" + time.to_bytes(11, "big", signed=True)
    assert number(field, "time", signed=True) == time
    with pytest.raises(TarRefused, match="negative"):
        number(field, "size")


@pytest.mark.parametrize(
    "field", [b"+0000007\0", b"00_1\0\0\0\0", b"0x10\0\0\0\0", b"8888888\0", b"1 1\0\0\0\0\0"]
)
def test_what_is_no_octal_number_is_refused(field: bytes) -> None:
    with pytest.raises(TarRefused) as refused:
        number(field, "size")
    assert refused.value.rule == "tar-number"


@given(st.dictionaries(st.text("abcdefgh.", min_size=1), st.text(min_size=1), min_size=1))
def test_pax_records_of_another_writer_come_back(records: dict[str, str]) -> None:
    info = tarfile.TarInfo("x")
    info.pax_headers = records
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as writer:
        writer.addfile(info)
    block = archive.getvalue()[:BLOCK_BYTES]
    assert block[156:157] == b"x"
    body = archive.getvalue()[BLOCK_BYTES : BLOCK_BYTES + number(block[124:136], "size")]
    assert {key: value.decode() for key, value in pax_records(body)} == records


@pytest.mark.parametrize(
    "body", [b"9 a=b\n", b"5 a=b\n", b"x a=b\n", b"6 a=b\0", b"6 =bc\n", b"6 abc\n", b"4 \n\n"]
)
def test_broken_pax_records_are_refused(body: bytes) -> None:
    with pytest.raises(TarRefused) as refused:
        list(pax_records(body))
    assert refused.value.rule == "tar-pax"


@pytest.mark.parametrize("raw", [b"../a", b"a/../b", b"a/..", b".."])
def test_a_path_never_leaves_the_layer(raw: bytes) -> None:
    with pytest.raises(TarRefused, match="leaves"):
        clean_path(raw)


def test_a_path_has_no_nul_no_dots_and_no_slash_at_its_ends() -> None:
    assert clean_path(b"/./a//b/./c/") == "a/b/c"
    assert clean_path(b"\xff/a").encode("utf-8", "surrogateescape") == b"\xff/a"
    with pytest.raises(TarRefused, match="NUL"):
        clean_path(b"a\0b")


def test_sums_of_signed_bytes_are_taken_too() -> None:
    """As some old writers had them; Docker takes them as well."""
    info = tarfile.TarInfo("ä")
    block = bytearray(_header(info))
    rest = block[:148] + block[156:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in rest) + 8 * 32
    block[148:156] = b"%06o\0 " % signed
    verify_checksum(bytes(block))
    block[0] ^= 1
    with pytest.raises(TarRefused, match="checksum"):
        verify_checksum(bytes(block))


def test_a_decimal_is_digits_and_not_endless() -> None:
    assert decimal(b"123") == 123
    for text in (b"", b"-1", b"1.5", b"9" * 19):
        with pytest.raises(TarRefused):
            decimal(text)
