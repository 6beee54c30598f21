"""What is written where nothing is kept is named, with the remedy that fits."""

from __future__ import annotations

import pytest

from lading.run.leavings import interrupted_words, left_behind_words


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ((), ()),
        (
            ("a.joblib", "models/b"),
            (
                "written beside the code and thrown away: a.joblib, models/b;"
                " write them to $LADING_OUTPUTS or into out/",
            ),
        ),
        (
            ("models/b", "models/c/d"),
            (
                "written beside the code and thrown away: models/b, models/c/d;"
                ' write them to $LADING_OUTPUTS or into out/, or set outputs = "models" under [train]',
            ),
        ),
        (
            tuple("abcdef"),
            (
                "written beside the code and thrown away: a, b, c, d and 2 more;"
                " write them to $LADING_OUTPUTS or into out/",
            ),
        ),
        (
            ("\x1b[2J",),
            (
                "written beside the code and thrown away: '\\x1b[2J';"
                " write them to $LADING_OUTPUTS or into out/",
            ),
        ),
    ],
)
def test_the_words_name_the_files_and_the_remedy(names: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert left_behind_words(names, task="train", outputs="out") == expected


def test_outputs_of_an_interrupted_run_are_named_as_not_kept() -> None:
    assert interrupted_words(()) == ()
    (words,) = interrupted_words(("model.joblib",))
    assert words.startswith("an interrupted run keeps no outputs: model.joblib;")
