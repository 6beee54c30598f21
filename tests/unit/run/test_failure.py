"""What a failed run says at its end decides the next step that is shown."""

from __future__ import annotations

import pytest

from lading.run.failure import failure_hints


@pytest.mark.parametrize(
    ("log", "fragment"),
    [
        ("urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>", "network"),
        ("OSError: [Errno 101] Network is unreachable", "network = true under [fit]"),
        ("ModuleNotFoundError: No module named 'torch.nn'", "'torch.nn'"),
        ("ImportError: libGL.so.1: cannot open shared object file: No such file", "libGL.so.1"),
        ("OSError: [Errno 30] Read-only file system: 'out'", "$LADING_OUTPUTS"),
    ],
)
def test_known_words_get_their_remedy(log: str, fragment: str) -> None:
    (hint,) = failure_hints(log, network=False, task="fit")
    assert fragment in hint


def test_unknown_words_get_none_and_the_network_is_not_blamed_where_it_was_on() -> None:
    assert failure_hints("ValueError: bad", network=False, task="fit") == ()
    assert failure_hints("gaierror", network=True, task="fit") == ()
