"""EPSS: how likely a flaw is to be used within thirty days, from the file that is published each day."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Collection
from pathlib import Path

from lading.errors import OutsideError, ProjectError


def read_chances(path: Path, wanted: Collection[str]) -> dict[str, float]:
    """CVE → probability, for `wanted`. Raises OutsideError, ProjectError."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open("rt") as file:
            rows = csv.DictReader(line for line in file if not line.startswith("#"))
            if rows.fieldnames is None or not {"cve", "epss"} <= set(rows.fieldnames):
                raise ProjectError(f"{path} has no columns cve and epss", place=str(path))
            return {row["cve"]: float(row["epss"]) for row in rows if row["cve"] in wanted}
    except (OSError, EOFError) as error:
        raise OutsideError(
            f"{path} cannot be read: {error}", place=str(path), hints=(f"ls -l {path}",)
        ) from error
    except (ValueError, csv.Error) as error:
        raise ProjectError(f"{path} is no file of EPSS scores: {error}", place=str(path)) from None
