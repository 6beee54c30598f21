"""What a build says of its layers: news line by line, what was there in one."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from lading.cli.building import BuildPrinter
from lading.cli.report import Printer
from lading.image.model import Image
from lading.store import Store
from small_image import put_image


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return put_image(Store.open({"LADING_HOME": str(tmp_path)}))


def lines(image: Image, written: int = 0, verbosity: int = 0, *, closing: bool = False) -> list[str]:
    stream = io.StringIO()
    table = BuildPrinter(Printer(stream=stream, verbosity=verbosity))
    for layer in image.layers[:written]:
        table.written(layer, 1.0)
    table.table(image, closing=closing)
    return stream.getvalue().splitlines()


def test_layers_that_were_there_take_one_line_together(image: Image) -> None:
    assert lines(image) == ["  2 layers reused"]


def test_layers_that_were_written_take_a_line_each(image: Image) -> None:
    first, rest = lines(image, written=1)

    assert first.startswith("  base ") and first.endswith("written  1.0 s")
    assert rest == "  1 layer reused"


def test_where_no_other_summary_follows_the_table_has_its_own(image: Image) -> None:
    assert lines(image, closing=True)[-1].startswith("  small:1.0-cpu  2 layers (all reused), ")


def test_under_v_every_layer_is_named(image: Image) -> None:
    assert [line.split()[0] for line in lines(image, verbosity=1)] == ["base", "tail", "small:1.0-cpu"]


def test_what_a_registry_has_is_told_from_what_is_here(image: Image) -> None:
    away = replace(image, absent=frozenset({image.layers[1].digest}))

    assert lines(away) == ["  1 layer reused, 1 layer in registry"]


def test_a_warning_is_said_when_its_layer_is_written_and_not_again(image: Image) -> None:
    odd = replace(image.layers[0], warnings=("base is odd",))
    image = replace(image, layers=(odd, image.layers[1]), warnings=("base is odd", "two layers quarrel"))

    assert lines(image, written=1)[-2:] == ["warning: base is odd", "warning: two layers quarrel"]
    assert lines(image)[-1:] == ["warning: two layers quarrel"]
    assert lines(replace(image, reused=True)) == ["  2 layers reused"]
    assert "warning: base is odd" in lines(replace(image, reused=True), verbosity=1)
