"""Which cause explains a run: the certain before the likely, the special before the general. Pure."""

from __future__ import annotations

from lading.inspect.doctor.cause import CAUSES, Area
from lading.inspect.doctor.causes import register_runs
from lading.inspect.doctor.model import Finding, explain_command
from lading.inspect.doctor.runs.evidence import RunEvidence

ORDER = (
    # What the record itself says, whatever was printed.
    "run-stopped", "run-preempted", "run-watcher-killed", "run-timeout",
    "run-memory-limit", "run-surrounding-limit", "run-host-memory", "run-process-limit",
    # What only one thing can have said.
    "run-shm-full", "run-gpu-failed", "run-driver-old", "run-gpu-too-new-or-old", "run-built-for-cpu",
    "run-cuda-fragmentation", "run-cuda-memory-taken", "run-cuda-memory", "run-device-assert",
    "run-illegal-address",
    "run-pickle-refused", "run-model-device", "run-model-version", "run-model-format", "run-model-truncated",
    "run-model-mismatch", "run-model-permission",
    "run-gated", "run-certificate", "run-network-off", "run-disk-full", "run-open-files", "run-port-taken",
    "run-cache-folder", "run-read-only", "run-wrong-architecture", "run-compiler-missing",
    "run-library-missing",
    "run-library-version", "run-module-missing", "run-module-version", "run-variable-missing",
    "run-gpu-not-given", "run-gpu-lost", "run-allocation-refused",
    # What often is the consequence of something above.
    "run-collective-setup", "run-collective-timeout", "run-network-failed", "run-file-missing",
    "run-permission",
    "run-bus-error", "run-illegal-instruction", "run-segfault", "run-aborted", "run-numbers-broke",
    "run-worker-died", "run-killed", "run-terminated",
    "run-command-not-found", "run-not-executable", "run-signal", "run-rank-failed",
    # Pace, of runs that did not die of it.
    "run-cpu-throttled", "run-data-bound", "run-memory-pressure", "run-gpu-slowed",
    # Always true, and said only where nothing better is known.
    "run-exception", "run-exit-code",
)  # fmt: skip
GENERAL = frozenset(
    {
        *(
            "run-exception",
            "run-exit-code",
            "run-signal",
            "run-rank-failed",
            "run-worker-died",
            "run-aborted",
        ),
        *("run-killed", "run-terminated"),
    }
)
"""How it ended rather than why: said only where nothing better is."""


def diagnose_run(run: RunEvidence) -> tuple[Finding, ...]:
    """The causes that fit, the one that explains most first; what is merely always true only when alone."""
    register_runs()
    found = [
        Finding(
            cause=entry.id,
            severity=entry.severity,
            title=entry.title,
            proof=sign.proof,
            remedy=sign.remedy or explain_command(entry.id),
            exit_status=entry.exit_status,
            certain=sign.certain,
        )
        for entry in CAUSES.values()
        if entry.area is Area.RUN
        for sign in entry.check(run)
    ]
    found.sort(
        key=lambda finding: (finding.cause in GENERAL, not finding.certain, ORDER.index(finding.cause))
    )
    special = [finding for finding in found if finding.cause not in GENERAL]
    if any(finding.certain for finding in special):
        return tuple(special)
    return (*special, *found[len(special) :][:1])


def certain_cause(findings: tuple[Finding, ...]) -> Finding | None:
    """The first, where its proof allows for no other."""
    return findings[0] if findings and findings[0].certain else None
