"""A Dockerfile is read as BuildKit reads it, and every character knows its place."""

from __future__ import annotations

import platform

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.inspect.lint.dockerfile import NotADockerfile, read_dockerfile
from lading.inspect.lint.engine import lint_text
from lading.inspect.lint.fix import mended
from lading.inspect.lint.shell import read_shell
from lading.inspect.lint.yaml_file import read_yaml

LINES = st.sampled_from(
    [
        "RUN a \\", "  && b", "# note", "", "    # inside", "RUN <<E", "E", "text", "COPY <<A <<-B /x", "A",
        "\tB",
        "ENV A=1 B='two words' \\", "  C=3", 'CMD ["a", "b"]', "RUN --mount=type=cache,target=/r x", "USER 1",
        "RUN echo é \\ ", "LABEL a=b", "FROM b AS c", "healthcheck --interval=3s CMD x", "RUN a \\\\",
        "ENV k v w",
    ]
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@given(st.lists(LINES, max_size=12), st.sampled_from(["", "# escape=`\n", "# syntax=docker/dockerfile:1\n"]))
def test_it_reads_what_buildkit_reads(lines: list[str], head: str) -> None:
    text = head + "FROM a\n" + "\n".join(lines) + "\n"
    try:
        read = read_dockerfile(text)
    except NotADockerfile:
        return
    for entry in read.instructions:
        assert all(text[entry.offset(at)] == character for at, character in enumerate(entry.text))
    lint_text("Dockerfile", text, {})  # no rule stumbles over what can be written
    if platform.machine() != "x86_64":
        return  # BuildKit's parser has no wheel
    import dockerfile

    try:
        theirs = dockerfile.parse_string(text)
    except dockerfile.GoParseError:
        return  # it checks more than the structure
    assert [
        (entry.keyword, text[: entry.start].count("\n") + 1, [flag.text for flag in entry.flags])
        for entry in read.instructions
    ] == [(entry.cmd.upper(), entry.start_line, list(entry.flags)) for entry in theirs]
    assert [[part.content for part in entry.heredocs] for entry in read.instructions] == [
        [part.content for part in entry.heredocs] for entry in theirs
    ]


def test_a_stage_knows_the_image_it_stands_on() -> None:
    read = read_dockerfile(
        "ARG V=3.12\nFROM python:${V}-slim AS base\nFROM base AS b\nFROM ${X:-scratch}\nFROM $Y\n"
    )
    assert [read.base(stage) for stage in read.stages] == [
        "python:3.12-slim",
        "python:3.12-slim",
        "scratch",
        None,
    ]


def test_words_that_a_variable_decides_are_not_literal() -> None:
    (command,) = read_shell("pip install 'a b' \"c\" $X d$Y *.whl").commands
    assert [(word.value, word.literal) for word in command.words] == [
        ("pip", True), ("install", True), ("a b", True), ("c", True), ("$X", False), ("d$Y", False),
        ("*.whl", False),
    ]  # fmt: skip


def test_a_mend_keeps_the_ends_of_lines() -> None:
    text = "FROM a\r\nENV CUDA_VISIBLE_DEVICES=0\r\nRUN x\r\n"
    assert mended(text, lint_text("Dockerfile", text, {})) == "FROM a\r\nRUN x\r\n"


@given(st.sampled_from(["", "\ufeff"]), st.text("é😀\r\n #", max_size=20))
def test_places_in_yaml_count_characters(mark: str, head: str) -> None:
    text = mark + "".join(f"# {line}\n" for line in head.splitlines()) + "services: {é: 1}\n"
    (document,) = read_yaml(text)
    assert text[document.keys["services"] :].startswith("services")
    assert text[document.members["services"].keys["é"] :].startswith("é")
