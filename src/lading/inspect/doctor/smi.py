"""What nvidia-smi tells of each GPU: its full report as XML, and its matrix of connections. Pure.

Elements come and go with releases of the driver: what is absent is unknown, never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.etree import ElementTree

_REASONS = ("clocks_event_reasons", "clocks_throttle_reasons")
_PREFIX = re.compile(r"clocks_(?:event|throttle)_reason_")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmiGpu:
    """One GPU as nvidia-smi reports it. Empty text: not said."""

    number: int
    name: str = ""
    address: str = ""
    mig: str = ""
    mig_pending: str = ""
    mig_devices: int = 0
    compute_mode: str = ""
    processes: int = 0
    slowdowns: frozenset[str] = frozenset()
    """Reasons that are active: `hw_thermal_slowdown` …"""
    temperature: str = ""
    recovery: str = ""
    """What the driver asks for: `Reset`, `Reboot`, `Drain and Reset`."""
    uncorrectable: int = 0
    """Memory errors since the driver was loaded."""
    worn: bool = False
    """Whether more on-chip errors were counted than the driver puts up with."""
    remap_pending: bool = False
    remap_failed: bool = False
    width: int = 0
    widest: int = 0
    """PCIe lanes in use, and at most."""
    fabric_state: str = ""
    fabric_status: str = ""


def parse_report(text: str) -> tuple[SmiGpu, ...]:
    """Of `nvidia-smi -q -x`; nothing where it is no such report."""
    start = text.find("<nvidia_smi_log")
    if start < 0:
        return ()
    try:
        tree = ElementTree.fromstring(text[start:])
    except ElementTree.ParseError:
        return ()
    return tuple(_gpu(number, element) for number, element in enumerate(tree.findall("gpu")))


def _gpu(number: int, gpu: ElementTree.Element) -> SmiGpu:
    pcie = "pci/pci_gpu_link_info/link_widths/"
    return SmiGpu(
        number=number,
        name=_text(gpu, "product_name"),
        address=gpu.get("id", "").lower(),
        mig=_text(gpu, "mig_mode/current_mig"),
        mig_pending=_text(gpu, "mig_mode/pending_mig"),
        mig_devices=len(gpu.findall("mig_devices/mig_device")),
        compute_mode=_text(gpu, "compute_mode"),
        processes=sum(1 for one in gpu.findall("processes/process_info") if "C" in _text(one, "type")),
        slowdowns=frozenset(
            _PREFIX.sub("", reason.tag)
            for name in _REASONS
            for reason in gpu.findall(f"{name}/*")
            if (reason.text or "").strip() == "Active"
        ),
        temperature=_text(gpu, "temperature/gpu_temp"),
        recovery=_recovery(gpu),
        uncorrectable=_uncorrectable(gpu),
        worn=_text(gpu, "ecc_errors/aggregate/sram_threshold_exceeded") == "Yes",
        remap_pending=_text(gpu, "remapped_rows/remapped_row_pending") == "Yes",
        remap_failed=_text(gpu, "remapped_rows/remapped_row_failure") == "Yes",
        width=_lanes(_text(gpu, pcie + "current_link_width")),
        widest=_lanes(_text(gpu, pcie + "max_link_width")),
        fabric_state=_text(gpu, "fabric/state"),
        fabric_status=_text(gpu, "fabric/status"),
    )


def _uncorrectable(gpu: ElementTree.Element) -> int:
    volatile = gpu.find("ecc_errors/volatile")
    if volatile is None:
        return 0
    counts = [one.text or "" for one in volatile if "uncorrectable" in one.tag]
    counts.append(_text(volatile, "double_bit/device_memory"))  # before Ampere
    return sum(int(text) for text in counts if text.isdecimal())


def _recovery(gpu: ElementTree.Element) -> str:
    """Of drivers since 565; of earlier ones, whether a reset is required."""
    asked = _text(gpu, "gpu_recovery_action")
    if any(word in asked.lower() for word in ("reset", "reboot", "drain")):
        return asked
    return "Reset" if _text(gpu, "gpu_reset_status/reset_required") == "Yes" else ""


def _text(element: ElementTree.Element, path: str) -> str:
    text = (element.findtext(path) or "").strip()
    return "" if text in ("N/A", "[N/A]", "None") else text


def _lanes(text: str) -> int:
    number = text.removesuffix("x")
    return int(number) if number.isdecimal() else 0


def parse_topology(text: str) -> Mapping[tuple[str, str], str]:
    """Of `nvidia-smi topo -m`: each pair of GPUs once, with `NV4`, `PIX`, `PHB`, `NODE` or `SYS`."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    lines = [line.split("\t") for line in plain.splitlines() if line.strip()]
    head = next((line for line in lines if any(cell.strip() == "GPU0" for cell in line[1:])), None)
    if head is None:
        return {}
    columns = [cell.strip() for cell in head]
    found = {}
    for line in lines:
        first = line[0].strip()
        if not re.fullmatch(r"GPU\d+", first):
            continue
        for column, cell in zip(columns[1:], line[1:], strict=False):
            if re.fullmatch(r"GPU\d+", column) and (column, first) not in found and column != first:
                found[(first, column)] = cell.strip()
    return found
