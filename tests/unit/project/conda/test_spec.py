"""A conda dependency allows the same versions in conda's words and in PEP 440's."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from lading.project.conda.spec import BadSpec, parse_spec, python_specifiers

ORACLE = tomllib.loads(Path(__file__).with_name("rattler.toml").read_text())

releases = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


def allowed(specifiers: str, version: str) -> bool:
    return SpecifierSet(specifiers).contains(Version(version), prereleases=True)


def numbers(version: str, length: int = 6) -> list[int]:
    parts = [int(part) for part in version.split(".")]
    return [*parts, *[0] * (length - len(parts))]


@pytest.mark.parametrize("text", ORACLE["allowed"])
def test_the_versions_allowed_are_those_that_condas_matcher_allows(text: str) -> None:
    specifiers = parse_spec(text).specifiers
    assert [one for one in ORACLE["versions"] if allowed(specifiers, one)] == ORACLE["allowed"][text]


@given(releases, releases)
def test_one_equals_sign_is_every_version_that_begins_so(wanted: str, version: str) -> None:
    length = wanted.count(".") + 1
    begins = numbers(version)[:length] == numbers(wanted)[:length]
    assert allowed(python_specifiers(f"={wanted}"), version) == begins
    assert allowed(python_specifiers(f"{wanted}.*"), version) == begins
    assert allowed(python_specifiers(f"!={wanted}.*"), version) != begins


@given(releases, releases)
def test_two_equals_signs_a_space_and_a_build_string_are_that_version_alone(
    wanted: str, version: str
) -> None:
    equal = numbers(version) == numbers(wanted)
    for text in (f"a=={wanted}", f"a {wanted}", f"a={wanted}=py39_0", f"a {wanted} py39_0"):
        assert allowed(parse_spec(text).specifiers, version) == equal


@given(st.sampled_from(["<", "<=", ">", ">="]), releases, releases)
def test_an_order_is_the_order_of_numbers(operator: str, wanted: str, version: str) -> None:
    ours, theirs = numbers(version), numbers(wanted)
    right = {"<": ours < theirs, "<=": ours <= theirs, ">": ours > theirs, ">=": ours >= theirs}
    assert allowed(python_specifiers(f"{operator}{wanted}"), version) == right[operator]


@given(st.lists(st.tuples(st.sampled_from(["==", "!=", "<", "<=", ">=", ">"]), releases), max_size=4))
def test_what_is_pep_440_already_stays_as_it_is(parts: list[tuple[str, str]]) -> None:
    text = ",".join(dict.fromkeys(f"{operator}{version}" for operator, version in parts))
    assert python_specifiers(text) == text


@given(
    st.text(max_size=30)
    | st.from_regex(r"[a-z]{1,4}[ =<>!~]{0,3}[0-9.*|,=()^a-z\[\]']{0,14}", fullmatch=True)
)
def test_any_text_is_read_or_refused_in_words(text: str) -> None:
    try:
        specifiers = parse_spec(text).specifiers
    except BadSpec as error:
        assert str(error)
        assert error.suggestion
    else:
        SpecifierSet(specifiers)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("numpy=1.8|=1.9", "no choice"),
        ("numpy=^1.*$", "no choice"),
        ("numpy=1.*.3", "no version that a Python package has"),
        ("numpy=1.2-3", "no version that a Python package has"),
        ("numpy>1.2.*", "different things"),
        ("numpy==", "is no version"),
        ("numpy=1.2,", "is no version"),
        ("numpy<*", "leaves no version"),
        ("ray[default]", "no key and value"),
        ("https://example.org/numpy-1.0-py_0.conda", "package file"),
        ("py*", "no conda package"),
        ("=1.2", "no conda package"),
    ],
)
def test_what_wheels_cannot_say_is_refused(text: str, says: str) -> None:
    with pytest.raises(BadSpec) as caught:
        _ = parse_spec(text).specifiers
    assert says in str(caught.value)
