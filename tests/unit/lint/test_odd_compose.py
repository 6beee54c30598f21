"""Whatever stands where something else is expected in a compose file or a Dockerfile, no rule stumbles."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from lading.inspect.lint.documents import Unreadable
from lading.inspect.lint.engine import lint_text
from lading.inspect.lint.fix import mended
from lint.cases_compose import COMPOSE
from lint.cases_docker import DOCKERFILES
from lint.corpus import written
from lint.test_odd_files import ODD, changed

TEXTS = [text for caught, left in COMPOSE.values() for text in (*caught, *left)]
TEXTS += [sample.text for sample in written() if "compose" in Path(sample.name).name]
LINES = sorted(
    {
        line
        for text in (
            *(text for caught, left in DOCKERFILES.values() for text in (*caught, *left)),
            *(sample.text for sample in written() if "Dockerfile" in Path(sample.name).name),
        )
        for line in text.splitlines(keepends=True)
    }
)


def mends_end(name: str, text: str) -> None:
    """A mend leaves a file that can be read, brings no finding, and settles in a few rounds."""
    findings = lint_text(name, text, {})
    for _ in range(4):
        after = mended(text, findings)
        if after == text:
            return
        left = lint_text(name, after, {})
        assert not Counter(one.rule for one in left) - Counter(one.rule for one in findings)
        text, findings = after, left
    raise AssertionError(text)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_an_odd_compose_file(data: st.DataObject) -> None:
    value = changed(yaml.safe_load(data.draw(st.sampled_from(TEXTS))), data, ODD)
    mends_end("compose.yaml", yaml.safe_dump(value, default_flow_style=data.draw(st.booleans())))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(LINES), min_size=1, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_a_dockerfile_of_lines_in_any_order(lines: list[str], end: str) -> None:
    text = "FROM python:3.12-slim\n" + "".join(lines)
    try:
        mends_end("Dockerfile", text.replace("\n", end))
    except Unreadable:
        return
