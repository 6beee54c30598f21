"""`lading diff`: what differs between two images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lading.cli.budget import add_limit_options, check_sizes
from lading.cli.format import format_count, format_size
from lading.cli.inspected import FORMS, add_platform, read_words
from lading.cli.parser import Parser
from lading.cli.session import Session

if TYPE_CHECKING:
    from lading.inspect.diff.compare import ImageDifference

ABOUT = """Say what differs between two images: packages with their bytes, files, config, layers, driver.

Exit code 0 whether or not they differ; with --exit-code 1 where they do. 1 too when a limit is exceeded."""
EXAMPLES = """Examples:
  lading diff registry.example/team/app:1.4 registry.example/team/app:1.5
  lading diff docker-archive:old.tar docker-archive:new.tar --max-growth 50MB
  lading diff app:1.4 train --json"""
_ROWS = 12


def add_arguments(parser: Parser) -> None:
    parser.add_argument("before", metavar="A", help=FORMS)
    parser.add_argument("after", metavar="B", help="the same")
    add_platform(parser)
    parser.flag("--exit-code", variable="LADING_EXIT_CODE", help="exit with 1 where the images differ")
    parser.flag("--all", variable="LADING_ALL", help="every change, not only the largest")
    add_limit_options(parser, before="A")


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.inspect.diff.compare import compare_images
    from lading.inspect.explain.explanation import explain_image

    before = explain_image(read_words(options.before, options.platform, session))
    after = explain_image(read_words(options.after, options.platform, session))
    difference = compare_images(before, after)
    if session.as_json:
        session.document(difference.as_json())
    else:
        for line in difference_lines(difference, everything=options.all):
            session.line(line)
    rows = list(after.stored_bytes().items())
    growth = difference.growth_bytes, [(str(change), change.size_bytes) for change in difference.packages]
    size_bytes = difference.measured(after)
    check_sizes("diff", after.image.name, size_bytes, rows, options.max_size, growth, options.max_growth)
    return 1 if options.exit_code and not difference.is_empty else 0


def difference_lines(difference: ImageDifference, *, everything: bool) -> list[str]:
    """Pure."""
    from lading.inspect.explain.explanation import shown

    old, new = difference.before, difference.after
    lines = [
        f"{old.image.name} → {new.image.name}",
        f"unpacked {format_size(old.image.unpacked_bytes)} → {format_size(new.image.unpacked_bytes)},"
        f" as stored {format_size(old.image.packed_bytes)} → {format_size(new.image.packed_bytes)}",
        f"layers {len(old.image.layers)} → {len(new.image.layers)}, {difference.shared_layers} shared,"
        f" the first {difference.shared_prefix} in the same order",
    ]
    if old.gpu.driver != new.gpu.driver:
        lines.append(f"driver {old.gpu.driver or 'none needed'} → {new.gpu.driver or 'none needed'}")
    if difference.is_empty:
        return [*lines, "nothing else differs"]
    lines += _rows(
        "packages", [f"{_signed(c.size_bytes):>9}  {shown(str(c))}" for c in difference.packages], everything
    )
    config = [f"{key}: {_words(before)} → {_words(after)}" for key, before, after in difference.config]
    lines += _rows("config", [shown(line) for line in config], everything)
    marks = (("+", difference.added), ("-", difference.removed), ("~", difference.changed))
    added, removed, changed = (len(paths) for _, paths in marks)
    counts = f"files: {added} added, {removed} removed, {changed} changed"
    return lines + _rows(
        counts, [f"{mark} /{shown(path)}" for mark, paths in marks for path in paths], everything
    )


def _rows(title: str, rows: list[str], everything: bool) -> list[str]:
    if not rows:
        return []
    cut = rows if everything else rows[:_ROWS]
    more = [f"  {format_count(len(rows) - len(cut), 'more line')}: --all"] if len(rows) > len(cut) else []
    return ["", title, *(f"  {row}" for row in cut), *more]


def _signed(size_bytes: int) -> str:
    return f"{'-' if size_bytes < 0 else '+'}{format_size(abs(size_bytes))}"


def _words(value: object) -> str:
    return "none" if value is None else str(value)
