"""How large an image may be, and what it is against the last one: options, check and words for both."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lading.cli.adhoc import parse_bytes
from lading.cli.format import format_size
from lading.cli.parser import Parser
from lading.cli.session import Session
from lading.errors import BudgetExceeded, UsageError

if TYPE_CHECKING:
    from lading.image.bill import Bill, Change
    from lading.image.model import Image
    from lading.oci.digest import Digest
    from lading.project.model import ImageSettings

_SHOWN_ROWS = 10
_SHOWN_CHANGES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An image, and one before it."""

    after: Bill
    before: Bill | None
    """None: there is none, or nothing is left of it."""
    before_digest: Digest | None

    @property
    def growth_bytes(self) -> int:
        return 0 if self.before is None else self.after.size_bytes - self.before.size_bytes

    def changes(self) -> tuple[Change, ...]:
        from lading.image.bill import compare

        return compare(self.before, self.after) if self.before is not None else ()

    def as_json(self) -> dict[str, Any] | None:
        if self.before is None:
            return None
        return {
            "digest": self.before_digest,
            "size_bytes": self.before.size_bytes,
            "growth_bytes": self.growth_bytes,
            "changes": [change.as_json() for change in self.changes()],
        }


def add_budget_options(parser: Parser) -> None:
    add_limit_options(parser)
    parser.option(
        "--against",
        variable="LADING_AGAINST",
        metavar="IMAGE",
        help="compare with this digest or HOST/REPOSITORY:TAG instead of the last build",
    )


def add_limit_options(parser: Parser, *, before: str = "the last build of its target") -> None:
    """`before` is what growth is measured from."""
    parser.option(
        "--max-size",
        variable="LADING_MAX_SIZE",
        metavar="SIZE",
        convert=parse_bytes,
        help="fail, with a bill, when the image is larger: 2GB",
    )
    parser.option(
        "--max-growth",
        variable="LADING_MAX_GROWTH",
        metavar="SIZE",
        convert=parse_bytes,
        help=f"fail when it is so much larger than {before}: 50MB",
    )


def compare_image(session: Session, image: Image, against: str | None) -> Comparison:
    """`image` beside `against`, or beside the last build of its kind. Before it is recorded itself.

    Raises UsageError for an `against` that is none, and what asking a registry raises.
    """
    from lading.image.bill import read_bill
    from lading.run.ledger import Ledger

    store = session.store
    after = read_bill(store, image.digest)
    assert after is not None, "it was built just now"
    if against is not None:
        return _against(session, image, against)
    with Ledger.open(store) as ledger:
        row = ledger.latest_image(image.project, image.target, image.accelerator, image.platform)
    if row is None:
        return Comparison(after=after, before=None, before_digest=None)
    return Comparison(after=after, before=read_bill(store, row.digest), before_digest=row.digest)


def _against(session: Session, image: Image, text: str) -> Comparison:
    from lading.image.bill import make_bill, read_bill
    from lading.oci.digest import Digest
    from lading.oci.manifest import ImageConfig
    from lading.oci.reference import Reference

    store = session.store
    after = read_bill(store, image.digest)
    assert after is not None, "it was built just now"
    try:
        digest = Digest(text) if text.startswith("sha256:") else None
        reference = Reference.parse(text) if digest is None else None
        if reference is not None:
            _ = reference.version
    except ValueError as error:
        raise UsageError(f"`--against {text}` is no image: {error}") from None
    if digest is not None:
        before = read_bill(store, digest)
        if before is None:
            raise UsageError(
                f"`--against`: nothing of {digest} is in the store",
                hints=("lading pull HOST/REPOSITORY:TAG",),
            )
        return Comparison(after=after, before=before, before_digest=digest)
    assert reference is not None
    found = _find(session, reference, image.platform)
    # A registry tells the layers of an image; packages within them are named on neither side then.
    body = store.blobs.read(image.manifest.config.digest, limit_bytes=8 << 20)
    return Comparison(
        after=make_bill(image.manifest, ImageConfig.from_json(json.loads(body)), {}),
        before=make_bill(found.manifest, found.config, {}),
        before_digest=found.digest,
    )


def _find(session: Session, reference: Any, platform: str) -> Any:
    from lading.oci.platform import Platform
    from lading.registry.client import open_registry
    from lading.registry.pull import find_image

    with open_registry(reference.registry, session.store, session.environment) as registry:
        return find_image(registry, reference, Platform.parse(platform), session.store)


def check_budget(
    comparison: Comparison,
    image: Image,
    settings: ImageSettings,
    max_size: int | None,
    max_growth: int | None,
) -> None:
    """Raises BudgetExceeded with the bill. What the command line says goes before what the project says."""
    max_size, max_growth = max_size or settings.max_size, max_growth or settings.max_growth
    size_bytes, growth_bytes = comparison.after.size_bytes, comparison.growth_bytes
    if max_size is not None and size_bytes > max_size:
        rows = comparison.after.rows
        raise BudgetExceeded(
            f"{image.tag} for {image.platform} weighs {format_size(size_bytes)}, and {format_size(max_size)}"
            " is allowed\n"
            + bill_lines([(f"{row.name} {row.version}".strip(), row.size_bytes) for row in rows]),
            bill=tuple({"name": r.name, "version": r.version, "size_bytes": r.size_bytes} for r in rows),
            hints=(f"lading build --max-size {_ceiling(size_bytes)}",),
        )
    if max_growth is not None and growth_bytes > max_growth:
        changes = comparison.changes()
        raise BudgetExceeded(
            f"{image.tag} for {image.platform} grew by {format_size(growth_bytes)}, and"
            f" {format_size(max_growth)} is allowed\n"
            + bill_lines([(str(change), change.size_bytes) for change in changes], signed=True),
            bill=tuple(change.as_json() for change in changes),
            hints=(f"lading build --max-growth {_ceiling(growth_bytes)}",),
        )


def check_sizes(
    command: str,
    name: str,
    size_bytes: int,
    rows: list[tuple[str, int]],
    max_size: int | None,
    growth: tuple[int, list[tuple[str, int]]] | None = None,
    max_growth: int | None = None,
) -> None:
    """The same for any image. `rows` and the rows of `growth` are the bill. Raises BudgetExceeded."""
    if max_size is not None and size_bytes > max_size:
        raise BudgetExceeded(
            f"{name} weighs {format_size(size_bytes)}, and {format_size(max_size)} is allowed\n"
            + bill_lines(rows),
            bill=tuple({"name": row, "size_bytes": size} for row, size in rows),
            hints=(f"lading {command} --max-size {_ceiling(size_bytes)}",),
        )
    if max_growth is not None and growth is not None and growth[0] > max_growth:
        raise BudgetExceeded(
            f"{name} grew by {format_size(growth[0])}, and {format_size(max_growth)} is allowed\n"
            + bill_lines(growth[1], signed=True),
            bill=tuple({"name": row, "size_bytes": size} for row, size in growth[1]),
            hints=(f"lading {command} --max-growth {_ceiling(growth[0])}",),
        )


def bill_lines(rows: list[tuple[str, int]], *, signed: bool = False) -> str:
    """The largest rows, one a line; how much the rest is. Pure."""
    lines = [
        f"  {_signed(size) if signed else format_size(size):>8}  {name}" for name, size in rows[:_SHOWN_ROWS]
    ]
    if rest := rows[_SHOWN_ROWS:]:
        size = sum(size for _, size in rest)
        lines.append(f"  {_signed(size) if signed else format_size(size):>8}  {len(rest)} more")
    return "\n".join(lines)


def growth_words(comparison: Comparison) -> str:
    """`+14 MB: pandas 2.3 → 2.4, libgl1 added`; empty where there is nothing to compare with. Pure."""
    from lading.image.bill import named_changes

    if comparison.before is None:
        return ""
    changes = named_changes(comparison.changes())
    if not changes:
        return "as before"
    named = ", ".join(str(change) for change in changes[:_SHOWN_CHANGES])
    more = f" and {len(changes) - _SHOWN_CHANGES} more" if len(changes) > _SHOWN_CHANGES else ""
    return f"{_signed(comparison.growth_bytes)}: {named}{more}"


def _signed(size_bytes: int) -> str:
    return f"{'-' if size_bytes < 0 else '+'}{format_size(abs(size_bytes))}"


def _ceiling(size_bytes: int) -> str:
    return f"{-(-size_bytes // 1_000_000)}MB"
