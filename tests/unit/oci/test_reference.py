"""Names of images mean what engines mean by them, and say the registry always."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.oci.digest import Digest
from lading.oci.reference import Reference

DIGEST = Digest.of(b"x")


@pytest.mark.parametrize(
    ("text", "qualified"),
    [
        ("digits:1", "docker.io/library/digits:1"),
        ("team/digits:1", "docker.io/team/digits:1"),
        ("localhost/digits:1", "localhost/digits:1"),
        ("localhost:5000/team/digits:1", "localhost:5000/team/digits:1"),
        ("[::1]:5000/team/digits:1", "[::1]:5000/team/digits:1"),
        ("ghcr.io/team/digits:1", "ghcr.io/team/digits:1"),
        (f"ghcr.io/team/digits@{DIGEST}", f"ghcr.io/team/digits@{DIGEST}"),
        (f"digits:1@{DIGEST}", f"docker.io/library/digits:1@{DIGEST}"),
        ("127.0.0.1:5000/digits", "127.0.0.1:5000/digits"),
    ],
)
def test_names_are_qualified_as_engines_do(text: str, qualified: str) -> None:
    reference = Reference.parse(text)

    assert (reference.familiar, reference.qualified) == (text, qualified)
    assert Reference.parse(qualified) == reference


@pytest.mark.parametrize(
    "text",
    [
        *("", ":1", "Digits:1", "digits:", "digits:1:", "a b:1", "digits:" + "x" * 129, "../x:1", "x@md5:00"),
        *("a/" * 130 + "b", "x@sha256:12", "host:99999999/x:1"),
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no|at most|not a sha256"):
        Reference.parse(text)


@given(st.from_regex(r"[a-z0-9]{1,30}([._-][a-z0-9]{1,30}){0,6}:[a-z][A-Za-z0-9_.-]{0,40}", fullmatch=True))
def test_every_plain_name_survives_parsing(text: str) -> None:
    assert Reference.parse(text).familiar == text


def test_a_digest_goes_before_a_tag() -> None:
    assert Reference.parse(f"a/b:1@{DIGEST}").version == DIGEST
    assert Reference.parse("a/b:1").version == "1"


def test_nothing_ever_means_latest() -> None:
    with pytest.raises(ValueError, match="neither tag nor digest"):
        _ = Reference.parse("a/b").version
