"""Records of OSV's format, as PyPI's and Debian's are published."""

from __future__ import annotations

from typing import Any


def record(
    id: str,
    package: str,
    *events: tuple[str, str],
    ecosystem: str = "PyPI",
    versions: tuple[str, ...] = (),
    vector: str | None = None,
    affected: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    severity = [] if vector is None else [{"type": "CVSS_V3", "score": vector}]
    return {
        "schema_version": "1.6.7",
        "id": id,
        "modified": "2026-11-20T08:00:00Z",
        "summary": f"{package} can be made to do wrong",
        "severity": severity,
        "affected": [
            {
                "package": {"ecosystem": ecosystem, "name": package, "purl": f"pkg:pypi/{package}"},
                "ranges": [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}],
                "versions": list(versions),
                **(affected or {}),
            }
        ],
        **more,
    }


CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
"""9.8"""
MEDIUM = "CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N"
"""6.1"""
