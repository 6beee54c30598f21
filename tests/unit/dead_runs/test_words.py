"""A log is read as people read it: the last exception, through colours, bars, ranks and launchers."""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from lading.inspect.doctor.runs.words import LATE_LINES, read_words

FIRST = (
    "Traceback (most recent call last):\n"
    '  File "/app/train.py", line 3, in load\n    open(path)\nKeyError: 1\n'
)
SECOND = (
    "Traceback (most recent call last):\n"
    '  File "/app/train.py", line 9, in <module>\n    main()\n'
    '  File "/opt/venv/lib/python3.11/site-packages/torch/nn.py", line 7, in forward\n    raise\n'
    "torch.cuda.OutOfMemoryError: full\nof tensors\n"
)


def test_an_exception_has_its_kind_its_message_and_the_line_of_the_projects_own_code() -> None:
    raised = read_words(SECOND).last
    assert raised is not None
    assert (raised.kind, raised.message) == ("OutOfMemoryError", "full\nof tensors")
    assert raised.place is not None
    assert (raised.place.path, raised.place.line) == ("/app/train.py", 9)


def test_what_an_exception_came_from_is_said_as_late_as_itself() -> None:
    chained = "\nDuring handling of the above exception, another exception occurred:\n\n"
    filler = "\n".join(f"    line {number}" for number in range(2 * LATE_LINES))
    words = read_words(f"epoch 1\n{FIRST}{chained}{SECOND.replace('    main()', filler)}")
    assert [raised.kind for raised in words.raised] == ["KeyError", "OutOfMemoryError"]
    found = words.find(re.compile(r"^KeyError"))
    assert found is not None
    assert found.late
    assert found.proof == "log line 5: KeyError: 1"
    early = words.find(re.compile("epoch"))
    assert early is not None
    assert not early.late


def test_colours_progress_bars_and_ranks_are_taken_off() -> None:
    bar = "\r".join(f" {percent}%|##" for percent in range(0, 101, 10))
    text = "".join(f"[rank3]: {line}\n" for line in FIRST.splitlines()).replace(
        "KeyError", "\x1b[31mKeyError\x1b[0m"
    )
    words = read_words(f"{bar}\n{text}")
    assert words.lines[0] == " 100%|##"
    assert words.last is not None
    assert words.last.kind == "KeyError"


def test_a_launchers_exception_hides_none() -> None:
    launcher = FIRST.replace(
        "KeyError: 1", "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
    )
    words = read_words(SECOND + "\n" * (2 * LATE_LINES) + launcher)
    assert words.last is not None
    assert words.last.kind == "OutOfMemoryError"
    found = words.find(re.compile("OutOfMemoryError"))
    assert found is not None
    assert found.late


@given(
    st.lists(st.sampled_from((*FIRST.splitlines(), *SECOND.splitlines(), "", "step 1", "\x1b[", "\r", "  x")))
)
@settings(deadline=None)
def test_any_mixture_of_lines_is_read_and_the_last_line_is_late(lines: list[str]) -> None:
    words = read_words("\n".join([*lines, "the end"]))
    assert words.lines[-1] == "the end"
    found = words.find(re.compile("the end"))
    assert found is not None
    assert found.late
    for raised in words.raised:
        assert raised.start < raised.end <= len(words.lines)


def test_a_syntax_error_of_the_program_itself_has_no_traceback_and_is_one_all_the_same() -> None:
    text = '  File "/app/train.py", line 3\n    def f(:\n          ^\nSyntaxError: invalid syntax\n'
    last = read_words(text).last
    assert last is not None
    assert (last.kind, last.message) == ("SyntaxError", "invalid syntax")
    assert last.place is not None
    assert (last.place.path, last.place.line) == ("/app/train.py", 3)
