"""Which user a container runs as is read strictly (catalogue X14)."""

from __future__ import annotations

import pytest

from lading.engine.embedded.account import Account, account_of, needs_files
from lading.errors import EngineError

PASSWD = "root:x:0:0:root:/root:/bin/sh\nlading:x:1000:1001::/home/lading:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("", Account(0, 0)),
        ("0", Account(0, 0)),
        ("1000", Account(1000, 1001)),
        ("1234", Account(1234, 0)),
        ("1000:7", Account(1000, 7)),
        ("lading", Account(1000, 1001)),
        ("lading:staff", Account(1000, 50)),
        ("4294967294:4294967294", Account(4294967294, 4294967294)),
    ],
)
def test_numbers_and_names_are_understood(user: str, expected: Account) -> None:
    assert account_of(user, PASSWD, GROUP) == expected


@pytest.mark.parametrize(
    "user",
    ["nobody", "-1", "4294967295", "99999999999", "1e3", "0x0", "007", "lading:", ":5", "a:b:c", "1000 "],
)
def test_anything_else_is_refused(user: str) -> None:
    with pytest.raises(EngineError):
        account_of(user, PASSWD, GROUP)


@pytest.mark.parametrize(
    "line",
    [
        "evil:x:0",
        "evil:x:-5:0::/:",
        "evil:x:99999999999:0::/:",
        "evil:x:00:0::/:",
        "evil:x::0::/:",
        "evil:x:0:0::/:/bin/sh:x",
    ],
)
def test_a_line_that_is_no_passwd_line_names_nobody(line: str) -> None:
    with pytest.raises(EngineError):
        account_of("evil", line, "")


def test_the_first_line_of_a_name_counts() -> None:
    assert account_of("a", "a:x:5:6::/:\na:x:0:0::/:", "") == Account(5, 6)


def test_files_are_read_only_where_they_are_needed() -> None:
    assert not needs_files("")
    assert not needs_files("1000:1000")
    assert needs_files("1000")
    assert needs_files("lading")
