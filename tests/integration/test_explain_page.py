"""The page of `lading explain --html` in a real browser: by keyboard, wide, narrow, dark; no network."""

from __future__ import annotations

import io
import json
import random
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from services.browser import Browser, browser
from services.process import Tool

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SITE = "usr/lib/python3.12/site-packages"
WIDE, NARROW = (1400, 900), (420, 800)


def _dist(name: str, sizes: dict[str, int]) -> dict[str, bytes]:
    info = f"{SITE}/{name}-1.0.dist-info"
    record = "".join(f"{path},,\n" for path in (*sizes, f"{name}-1.0.dist-info/METADATA"))
    noise = random.Random(name)
    return {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/RECORD": record.encode(),
        **{f"{SITE}/{path}": noise.randbytes(size) for path, size in sizes.items()},
    }


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for path, content in files.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture(scope="module")
def page(lading: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an archive as Docker writes it, with a name that would break out of a careless page."""
    folder = tmp_path_factory.mktemp("page")
    layer = _tar(
        {
            **_dist("large", {"large/core.so": 900_000, "large/tests/test_it.py": 300_000}),
            **_dist("medium", {"medium/data.bin": 400_000}),
            **_dist("small", {"small/__init__.py": 60_000}),
            "opt/</script><b>bold</b>": bytes(200_000),
        }
    )
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": ["page:1"], "Layers": ["layer.tar"]}]
    archive = folder / "image.tar"
    archive.write_bytes(
        _tar({"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()})
    )
    lading("explain", f"docker-archive:{archive}", "--html", folder / "page.html")
    return folder / "page.html"


@pytest.fixture
def opened(page: Path) -> Iterator[Browser]:
    with browser() as one:
        one.resize(*WIDE)
        one.open(page)
        yield one


def _trail(one: Browser) -> list[str]:
    words: list[str] = one.evaluate("[...document.querySelectorAll('#trail button')].map(b => b.textContent)")
    return words


def _focused(one: Browser) -> str:
    title: str = one.evaluate("document.activeElement.title || document.activeElement.tagName")
    return title


def _tab_into_map(one: Browser) -> None:
    for _ in range(20):
        one.press("Tab")
        if one.evaluate("document.getElementById('map').contains(document.activeElement)"):
            return
    raise AssertionError("Tab never reaches the map")


def test_it_asks_for_nothing_and_complains_of_nothing(opened: Browser, page: Path) -> None:
    assert opened.requests == [page.as_uri()]
    assert opened.complaints == []
    assert opened.evaluate("document.querySelectorAll('b').length") == 0
    assert opened.evaluate("document.querySelectorAll('#map > button').length") >= 3


def test_the_keyboard_alone_goes_in_about_and_out(opened: Browser) -> None:
    _tab_into_map(opened)
    assert _trail(opened) == ["all"]
    assert "Python packages" in _focused(opened)
    opened.press("Enter")
    assert _trail(opened) == ["all", "Python packages"]
    assert _focused(opened).startswith("large 1.0: 1.2 MB unpacked")
    opened.press("ArrowRight")
    assert _focused(opened).startswith("medium 1.0: 400 kB unpacked")
    opened.press("ArrowLeft")
    opened.press("Enter")
    assert _trail(opened)[-1] == "large 1.0"
    for depth in (2, 1, 1):
        opened.press("Escape")
        assert len(_trail(opened)) == depth
    assert opened.evaluate("document.getElementById('map').contains(document.activeElement)")


def test_before_and_after_follow_what_is_chosen(opened: Browser) -> None:
    """The tests of `large`, 300 kB and their headers, are what there is to leave out."""
    words = "[...document.querySelectorAll('#after p')].map(p => p.textContent)"
    before, after = opened.evaluate(words)
    assert before.startswith("before  1.9 MB unpacked")
    assert after.startswith("after  1.6 MB unpacked")
    opened.evaluate("document.querySelector('#savings input').focus()")
    opened.press("Space")
    before, after = opened.evaluate(words)
    assert after.removeprefix("after") == before.removeprefix("before")


def test_boxes_are_as_large_as_their_bytes(opened: Browser) -> None:
    _tab_into_map(opened)
    opened.press("Enter")
    areas = dict(
        opened.evaluate(
            "[...document.querySelectorAll('#map > button')].map(b => [b.title.split(' ')[0],"
            " b.getBoundingClientRect().width * b.getBoundingClientRect().height])"
        )
    )
    assert areas["large"] / areas["medium"] == pytest.approx(1_200_000 / 400_000, rel=0.03)


@pytest.mark.parametrize("size", [WIDE, NARROW])
def test_nothing_sticks_out_of_the_window(opened: Browser, size: tuple[int, int]) -> None:
    opened.resize(*size)
    assert opened.evaluate("document.scrollingElement.scrollWidth") <= size[0]
    inside = (
        "(() => { const m = document.getElementById('map').getBoundingClientRect();"
        " return [...document.querySelectorAll('#map > button')].map(b => b.getBoundingClientRect())"
        ".every(b => b.left >= m.left - 1 && b.right <= m.right + 1 && b.top >= m.top - 1"
        " && b.bottom <= m.bottom + 1); })()"
    )
    assert opened.evaluate(inside)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_is_behind_them(opened: Browser, scheme: str) -> None:
    """A contrast of 4.5 at least (WCAG 2.2, 1.4.3), in the page and in each box."""
    opened.prefer(scheme)
    contrast = """
      (() => {
        const channel = c => { c /= 255; return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; };
        const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
          return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
        const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        const back = node => { for (; node; node = node.parentElement) {
          const color = getComputedStyle(node).backgroundColor;
          if (!/^rgba\\(.*, 0\\)$/.test(color)) return light(color); } return 1; };
        const texts = [...document.querySelectorAll('h1, p, td, li, small, span, th')]
          .filter(node => node.textContent.trim());
        return Math.min(...texts.map(node => ratio(light(getComputedStyle(node).color), back(node))));
      })()
    """
    assert opened.evaluate(contrast) >= 4.5
