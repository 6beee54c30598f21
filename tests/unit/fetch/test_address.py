"""URLs are shown without what opens doors."""

from __future__ import annotations

import pytest

from lading.fetch.address import display_url, origin, redact, split_credentials


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://host/simple/", "https://host/simple/"),
        ("https://user:pa55@host/simple/", "https://host/simple/"),
        ("https://user@host:8443/x", "https://host:8443/x"),
        ("https://u:p@ss@host/x", "https://host/x"),
        ("https://host/x?token=abc&a=1", "https://host/x?token=***&a=1"),
        ("https://host/x?X-Amz-Signature=abc", "https://host/x?X-Amz-Signature=***"),
        ("https://host/path/@scope/x", "https://host/path/@scope/x"),
        ("file:///a/b.whl", "file:///a/b.whl"),
    ],
)
def test_a_shown_url_holds_no_credential(url: str, shown: str) -> None:
    assert display_url(url) == shown


def test_every_url_in_a_text_is_redacted() -> None:
    text = "tried 'https://a:b@one/x' then <http://c:d@two/y>"
    assert redact(text) == "tried 'https://one/x' then <http://two/y>"


def test_credentials_come_off_unquoted() -> None:
    assert split_credentials("https://us%40er:p%2Fw@host/x") == ("https://host/x", ("us@er", "p/w"))
    assert split_credentials("https://host/x") == ("https://host/x", None)


def test_an_origin_is_scheme_host_and_port() -> None:
    assert origin("https://HOST/x") == origin("https://host:443/y")
    assert origin("http://host/x") != origin("https://host/x")
    assert origin("https://host:1/x") != origin("https://host:2/x")
