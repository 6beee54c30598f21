"""Laws of the seal: every term counts, limits do not, secrets' values never do."""

from __future__ import annotations

from typing import Any

import pytest

from lading.oci.digest import Digest
from lading.run.seal import explain_difference, make_seal

BASE: dict[str, Any] = {
    "image_config": Digest.of(b"config"),
    "command": ("python", "train.py"),
    "params": {"lr": 0.1, "epochs": 3},
    "environment": {"A": "1"},
    "secrets": ("HF_TOKEN",),
    "inputs": {"digits": Digest.of(b"data")},
    "mounts": {"/lading/outputs": "rw"},
    "user": "1000:1000",
    "network": False,
}


@pytest.mark.parametrize(
    ("change", "term"),
    [
        ({"image_config": Digest.of(b"other")}, "image"),
        ({"command": ("python", "other.py")}, "command"),
        ({"params": {"lr": 0.2, "epochs": 3}}, "params.lr"),
        ({"params": {"lr": 0.1, "epochs": 3.0}}, "params.epochs"),
        ({"params": {"lr": 0.1}}, "params.epochs"),
        ({"environment": {"A": "1", "B": ""}}, "environment.B"),
        ({"secrets": ()}, "secrets"),
        ({"inputs": {"digits": Digest.of(b"other")}}, "inputs.digits"),
        ({"mounts": {"/lading/outputs": "ro"}}, "mounts./lading/outputs"),
        ({"user": "0"}, "user"),
        ({"network": True}, "network"),
        ({"roles": 2}, "roles"),
        ({"gpus": {"count": 1}}, "gpus.count"),
    ],
)
def test_every_term_changes_the_seal_and_is_named(change: dict[str, Any], term: str) -> None:
    before, after = make_seal(**BASE), make_seal(**{**BASE, **change})
    assert before.digest != after.digest
    assert term in [difference.term for difference in explain_difference(before.terms, after.terms)]


def test_the_order_of_what_was_written_does_not_count() -> None:
    other = make_seal(**{**BASE, "params": {"epochs": 3, "lr": 0.1}})
    assert other.digest == make_seal(**BASE).digest
    assert explain_difference(other.terms, make_seal(**BASE).terms) == ()


def test_golden() -> None:
    """The seal is for ever: a change of this digest needs a new SEAL_FORMAT."""
    assert (
        make_seal(**BASE).digest == "sha256:1d2eddc19d335ed94dc74843681a82cd549463d50df30be1a60df87d10afa7e3"
    )


def test_a_difference_reads_well() -> None:
    after = make_seal(**{**BASE, "params": {"lr": 0.2, "epochs": 3}, "inputs": {}})
    shown = [str(difference) for difference in explain_difference(make_seal(**BASE).terms, after.terms)]
    assert shown == [f"inputs.digits: {BASE['inputs']['digits'].hex[:12]} → absent", "params.lr: 0.1 → 0.2"]
