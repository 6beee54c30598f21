"""Gathers a run's evidence: its ledger row, its log, the circumstances beside it. Reads; knows no cause."""

from __future__ import annotations

from lading.engine.circumstances import Circumstances, EndedBy
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.words import Words, read_words
from lading.run.ledger import Ledger
from lading.run.record import OVER_ITS_LIMIT, TIMED_OUT, read_circumstances, read_log
from lading.run.rows import RunRow
from lading.store import Store

LOG_BYTES = 512 << 10
_HEAD_SHARE = 8
"""Most deaths are told at the end; what led there may stand at the beginning."""


def gather_run(row: RunRow, store: Store, ledger: Ledger, *, log_bytes: int = LOG_BYTES) -> RunEvidence:
    """All that is known of the run `row`, and of its log so much. What is gone is simply absent."""
    terms = row.seal_terms
    seen = read_circumstances(store, row.run_id)
    gpus = terms.get("gpus") or {}
    image = next((image for image in ledger.images() if image.digest == row.image_digest), None)
    return RunEvidence(
        run_id=row.run_id,
        task=row.task,
        phase=row.phase.value,
        reason=row.reason,
        exit_status=row.exit_status,
        command=tuple(terms.get("command") or ()),
        network=bool(terms.get("network")),
        gpus=int(gpus.get("count", 0)),
        accelerator=image.accelerator if image is not None else "cpu",
        secrets=tuple(terms.get("secrets") or ()),
        limits=row.limits,
        enforced_by=row.enforced_by,
        level=row.level,
        wall_seconds=row.cost.wall_seconds,
        cpu_seconds=row.cost.cpu_seconds,
        peak_memory_bytes=row.cost.peak_memory_bytes,
        metrics=row.metrics,
        words=_words(store, row.run_id, log_bytes),
        seen=seen or Circumstances(ended_by=_told_end(row.reason or "")),
        is_watched=seen is not None,
    )


def _told_end(reason: str) -> EndedBy | None:
    if TIMED_OUT in reason:
        return EndedBy.TIMEOUT
    return EndedBy.MEMORY_LIMIT if OVER_ITS_LIMIT in reason else None


def _words(store: Store, run_id: str, log_bytes: int) -> Words:
    head_bytes = log_bytes // _HEAD_SHARE
    log = read_log(store, run_id, head_bytes=head_bytes, tail_bytes=log_bytes - head_bytes)
    tail = log.tail.decode("utf-8", "replace")
    if not log.left_out_bytes:
        return read_words(log.head.decode("utf-8", "replace") + tail)
    head = log.head.decode("utf-8", "replace").rpartition("\n")[0]
    gap = f"\n\n… {log.left_out_bytes} bytes left out …\n\n"
    return read_words(head + gap + tail.partition("\n")[2], is_whole=False)
