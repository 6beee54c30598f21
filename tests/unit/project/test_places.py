"""From keys to lines."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from lading.project.places import KeyLines, KeyPath

SAMPLE = '''\
# a comment with [brackets] = "and" 'quotes'
name = "a # not a comment"
"odd.key" = 'single \\'

[image]
apt = [
  "one",   # ] not the end
  "two",
]
env = { A = "1", "B C" = "}" }
text = """
[not.a.table]
key = 1
\\""" still """

[train.deep]
params.lr = 2e-4
"params".epochs = 3

[[image.allow_secret]]
path = "a"

[[image.allow_secret]]
path = "b"
expires = 2027-01-31
'''


def test_every_form_of_key_has_its_line() -> None:
    lines = KeyLines(SAMPLE)
    expected: dict[KeyPath, int] = {
        ("name",): 2,
        ("odd.key",): 3,
        ("image",): 5,
        ("image", "apt"): 6,
        ("image", "apt", 1): 8,
        ("image", "env", "B C"): 10,
        ("image", "text"): 11,
        ("train",): 16,
        ("train", "deep", "params"): 17,
        ("train", "deep", "params", "epochs"): 18,
        ("image", "allow_secret", 0, "path"): 21,
        ("image", "allow_secret", 1): 23,
        ("image", "allow_secret", 1, "expires"): 25,
        ("train", "deep", "absent", "too"): 16,
    }
    tomllib.loads(SAMPLE)
    assert expected == {path: lines.line(path) for path in expected}


KEYS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc",)), min_size=1, max_size=6
) | st.sampled_from(["a", "b", "image", "run", "a.b", "#", "=", '"', "'", "\\"])
SCALARS = (
    st.integers(-(2**63), 2**63 - 1)
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(["[x]", '"""', "'''", "# no", "a\nb = 1\n[c]", "\\"])
    | st.dates()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


def leaves(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    """Paths of all values that are no tables."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from leaves(member, (*path, key))
    elif path:
        yield path


@given(DOCUMENTS, st.booleans())
def test_the_line_of_a_key_holds_that_key(document: dict[str, Any], multiline: bool) -> None:
    """Oracle: a whole line taken out of the text at the place found takes the key out of the document."""
    text = tomli_w.dumps(document, multiline_strings=multiline)
    lines = KeyLines(text)
    rows = text.split("\n")
    for path in leaves(tomllib.loads(text)):
        name = path[-1]
        row = rows[lines.line(path) - 1]
        key, _, _ = tomli_w.dumps({str(name): 0}).rpartition(" = ")
        assert key in row, (path, row)


@given(DOCUMENTS)
def test_windows_line_ends_change_no_place(document: dict[str, Any]) -> None:
    text = tomli_w.dumps(document)
    unix, windows = KeyLines(text), KeyLines(text.replace("\n", "\r\n"))
    for path in leaves(document):
        assert unix.line(path) == windows.line(path)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=8))
def test_elements_of_arrays_of_tables_keep_their_order(entries: list[tuple[str, int]]) -> None:
    """Our own writer knows each line: `blank` empty lines, then `[[name]]`, then one key."""
    rows: list[str] = []
    expected: dict[KeyPath, int] = {}
    counts: dict[str, int] = {}
    for name, blank in entries:
        rows += [""] * blank + [f"[[{name}]]", "key = [", "1, { x = 2 }", "]"]
        index = counts.get(name, 0)
        counts[name] = index + 1
        expected[(name, index)] = len(rows) - 3
        expected[(name, index, "key")] = len(rows) - 2
        expected[(name, index, "key", 1, "x")] = len(rows) - 1
    lines = KeyLines("\n".join(rows))
    assert expected == {path: lines.line(path) for path in expected}
