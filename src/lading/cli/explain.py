"""`lading explain`: where every byte of an image comes from, and what need not be there."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lading.cli.budget import add_limit_options, check_sizes
from lading.cli.format import format_count, format_seconds, format_size
from lading.cli.inspected import FORMS, add_platform, read_words, sharing_images
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import OutsideError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lading.inspect.explain.account import Line
    from lading.inspect.explain.explanation import Explanation
    from lading.inspect.explain.savings import Saving
    from lading.oci.digest import DiffId

ABOUT = """Say where every byte of an image comes from, whoever made it, and what could be left out.

The lines add up to all uncompressed bytes of all layers. Each layer is read once; what was read is kept."""
EXAMPLES = """Examples:
  lading explain                                    the project's image
  lading explain registry.example/team/app:1.4
  docker save app:1.4 > app.tar && lading explain docker-archive:app.tar
  lading explain app:1.4 --why numpy                which packages brought it in
  lading explain app:1.4 --sbom app.cdx.json
  lading explain app:1.4 --max-size 2GB             exit code 1 when it is larger"""
_ROWS = 8
_BAR = 16


def add_arguments(parser: Parser) -> None:
    parser.add_argument("image", metavar="IMAGE", nargs="?", help=FORMS)
    add_platform(parser)
    parser.option(
        "--why", variable="LADING_WHY", metavar="PACKAGE", help="only say which packages brought this one in"
    )
    parser.option(
        "--gpu",
        variable="LADING_GPU",
        metavar="sm_NN",
        convert=parse_gpu,
        help="say how much machine code is for other GPUs than this: sm_86",
    )
    parser.option(
        "--sbom", variable="LADING_SBOM", metavar="FILE", help="write a CycloneDX bill of materials"
    )
    parser.option(
        "--html", variable="LADING_HTML", metavar="FILE", help="write one page with a map of the bytes"
    )
    parser.flag(
        "--all", variable="LADING_ALL", help="every package, not only the largest; with --json every file"
    )
    add_limit_options(parser, before="the other image")
    parser.option(
        "--against", variable="LADING_AGAINST", metavar="IMAGE", help="another image, for the growth"
    )


def parse_gpu(text: str) -> int:
    """86 of `sm_86`, `8.6` or `86`. Raises ArgumentTypeError."""
    digits = text.removeprefix("sm_").replace(".", "").rstrip("af")
    if not digits.isascii() or not digits.isdigit() or not 2 <= len(digits) <= 3:
        raise argparse.ArgumentTypeError(f"`{text}` is no GPU architecture; write it as sm_86")
    return int(digits)


def execute(options: argparse.Namespace, session: Session) -> int:
    from lading.inspect.explain.explanation import as_json, explain_image

    if options.max_growth is not None and options.against is None:
        raise UsageError(
            "`--max-growth` needs an image to measure from",
            hints=("lading explain IMAGE --max-growth 50MB --against IMAGE",),
        )
    explanation = explain_image(read_words(options.image, options.platform, session))
    if options.why is not None:
        return _why(explanation, options.why, session)
    if options.sbom is not None:
        _write_sbom(explanation, options.sbom, session)
    if options.html is not None:
        _write_page(explanation, options.html, session)
    _check(explanation, options, session)
    sharing = sharing_images(session, explanation.image)
    if session.as_json:
        session.document(as_json(explanation, with_files=options.all, sharing=sharing))
    else:
        width = shutil.get_terminal_size((100, 24)).columns
        for line in explained_lines(explanation, options, sharing, width):
            session.line(line)
    return 0


def _check(explanation: Explanation, options: argparse.Namespace, session: Session) -> None:
    image = explanation.image
    growth = None
    if options.max_growth is not None:
        from lading.inspect.explain.explanation import explain_image

        before = explain_image(read_words(options.against, options.platform, session))
        then, now = before.stored_bytes(), explanation.stored_bytes()
        changes = {name: now.get(name, 0) - then.get(name, 0) for name in {**then, **now}}
        rows = sorted(((n, size) for n, size in changes.items() if size), key=lambda row: (-row[1], row[0]))
        growth = image.packed_bytes - before.image.packed_bytes, rows
    rows = list(explanation.stored_bytes().items())
    check_sizes("explain", image.name, image.packed_bytes, rows, options.max_size, growth, options.max_growth)


def _why(explanation: Explanation, name: str, session: Session) -> int:
    from lading.cli.parser import closest
    from lading.inspect.explain.explanation import shown, why_here

    chains = why_here(explanation.packages, name)
    if not chains:
        near = closest(name, {package.name for package in explanation.packages.packages})
        raise UsageError(
            f"{explanation.image.name} has no package `{name}`",
            hints=(f"lading explain {explanation.image.name} --why {near}",) if near else (),
        )
    if session.as_json:
        session.document({"type": "why", "package": name, "chains": [[shown(n) for n in c] for c in chains]})
        return 0
    for chain in chains:
        session.line(
            shown(" → ".join(chain)) if len(chain) > 1 else f"{shown(chain[0])}: nothing requires it"
        )
    return 0


def _write_sbom(explanation: Explanation, path: str, session: Session) -> None:
    from lading.inspect.explain.sbom import image_sbom

    _write(path, image_sbom(explanation))
    count = format_count(len(explanation.packages.packages), "package")
    session.printer.note(f"{path}: CycloneDX 1.6, {count}")


def _write_page(explanation: Explanation, path: str, session: Session) -> None:
    from lading.inspect.explain.html import explanation_page

    titles = [_saving_words(explanation, saving) for saving in explanation.savings]
    _write(path, explanation_page(explanation, ". ".join(_summary(explanation)), titles).encode())
    session.printer.note(f"{path}: one page, no network needed")


def _write(path: str, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise OutsideError(f"writing {path} failed: {error.strerror}", place=path) from error


def explained_lines(
    explanation: Explanation,
    options: argparse.Namespace,
    sharing: Mapping[DiffId, tuple[str, ...]],
    width: int,
) -> list[str]:
    """All of it, as people read it. Pure."""
    lines = [
        f"{explanation.image.name}  {explanation.image.platform}",
        *_wrapped([*_summary(explanation), *_gpu_lines(explanation, options.gpu)], width),
        "",
        *_tree(explanation, width, options.all),
        "",
        *_layers(explanation, sharing, width),
        "",
        *_savings(explanation),
    ]
    return [line.rstrip() for line in lines]


def _wrapped(lines: list[str], width: int) -> list[str]:
    import textwrap

    return [part for line in lines for part in textwrap.wrap(line, max(40, width), subsequent_indent="  ")]


def _summary(explanation: Explanation) -> list[str]:
    image = explanation.image
    stored = f", {format_size(image.packed_bytes)} as stored" if image.is_packed else ", stored uncompressed"
    members = sum(len(layer.members) for layer in image.layers)
    return [
        f"{format_size(image.unpacked_bytes)} unpacked{stored}, {format_count(len(image.layers), 'layer')},"
        f" {format_count(members, 'entry', 'entries')}",
        f"cold pull at 1 Gb/s: {format_seconds(explanation.pull_seconds)}"
        f" ({format_size(image.packed_bytes)} × 8 / 1 Gb/s; unpacking comes on top)",
    ]


def _gpu_lines(explanation: Explanation, gpu: int | None) -> list[str]:
    side = explanation.gpu
    lines = []
    if side.driver is not None:
        lines.append(f"CUDA {side.cuda}: needs driver {side.driver} or later")
    if len(side.majors) > 1:
        lines.append(f"two CUDAs: {', '.join(side.majors)}")
    lines += [f"twice: {words}" for words in side.copies]
    if side.code:
        total = sum(code.size_bytes for code in side.code)
        parts = ", ".join(f"{code.name} {format_size(code.size_bytes)}" for code in side.code[:6])
        lines.append(f"GPU code {format_size(total)}: {parts}" + (" …" if len(side.code) > 6 else ""))
    if gpu is not None:
        useless = side.useless_for(gpu)
        size, packed = sum(c.size_bytes for c in useless), sum(c.packed_bytes for c in useless)
        lines.append(
            f"machine code that sm_{gpu} cannot run: {format_size(size)} ({format_size(packed)} as stored);"
            " only wheels built for fewer architectures leave it out"
        )
    return lines


def _tree(explanation: Explanation, width: int, everything: bool) -> list[str]:
    total = explanation.account
    lines = [f"{'unpacked':>9} {'as stored':>10}  where the bytes are"]
    room = max(20, width - 23)

    def row(line: Line, indent: str) -> str:
        from lading.inspect.explain.explanation import shown

        bar = "█" * round(_BAR * line.size_bytes / max(1, total.size_bytes))
        name = f"{indent}{shown(line.name)}"
        space = room - (_BAR + 1 if room > 50 else 0)
        name = name if len(name) <= space else name[: space - 1] + "…"
        tail = f" {bar}" if room > 50 else ""
        return (
            f"{format_size(line.size_bytes):>9} {format_size(line.packed_bytes):>10}  {name:<{space}}{tail}"
        )

    for group in total.sorted():
        lines.append(row(group, ""))
        children = group.sorted()
        shown_rows = children if everything else children[:_ROWS]
        lines += [row(child, "  ") for child in shown_rows]
        if rest := children[len(shown_rows) :]:
            size, packed = sum(c.size_bytes for c in rest), sum(c.packed_bytes for c in rest)
            lines.append(f"{format_size(size):>9} {format_size(packed):>10}    {len(rest)} more")
    lines.append(f"{format_size(total.size_bytes):>9} {format_size(total.packed_bytes):>10}  all of it")
    return lines


def _layers(explanation: Explanation, sharing: Mapping[DiffId, tuple[str, ...]], width: int) -> list[str]:
    from lading.inspect.explain.explanation import shown

    lines = [f"{'unpacked':>9} {'as stored':>10}  layer"]
    for number, layer in enumerate(explanation.image.layers):
        words = " ".join(shown(explanation.image.notes[number].created_by).split()) or layer.digest.short
        others = len(sharing.get(layer.diff_id, ()))
        note = f"  (also in {format_count(others, 'other image')})" if others else ""
        text = f"{number + 1:>3}  {words[: max(12, width - 30 - len(note))]}{note}"
        lines.append(f"{format_size(layer.unpacked_bytes):>9} {format_size(layer.packed_bytes):>10}  {text}")
    return lines


def _saving_words(explanation: Explanation, saving: Saving) -> str:
    from lading.inspect.explain.explanation import share_words

    packed = f"{format_size(saving.packed_bytes)} as stored, {share_words(explanation, saving)}"
    files = format_count(len(saving.members), "file")
    return f"−{format_size(saving.size_bytes)} ({packed})  {saving.title}: {files}"


def _savings(explanation: Explanation) -> list[str]:
    if not explanation.savings:
        return ["nothing found that need not be there"]
    lines = ["what leaving out would save"]
    for number, saving in enumerate(explanation.savings, 1):
        lines += [f"{number:>3}  {_saving_words(explanation, saving)}", f"     {saving.advice}"]
    first = explanation.suggested
    size, packed_bytes = sum(s.size_bytes for s in first), sum(s.packed_bytes for s in first)
    image = explanation.image
    lines.append(
        f"the first {len(first)}: {format_size(image.unpacked_bytes)} →"
        f" {format_size(image.unpacked_bytes - size)} unpacked, {format_size(image.packed_bytes)} →"
        f" {format_size(image.packed_bytes - packed_bytes)} as stored"
    )
    return lines
