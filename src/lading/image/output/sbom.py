"""The bill of materials of an image: CycloneDX 1.6, canonical JSON.

Pure, and a function of image and lock alone: no time, no host, no version of lading, and a serial number that
follows from the image's digest. Source: the CycloneDX 1.6 JSON schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lading.image.model import Image
from lading.image.output.purl import debian_purl, image_purl, interpreter_purl, wheel_purl
from lading.lock.model import LockedInterpreter, LockedPackage, LockedVariant, LockedWheel
from lading.oci.digest import Digest
from lading.oci.json import canonical_json
from lading.oci.platform import Platform

MEDIA_SBOM = "application/vnd.cyclonedx+json"
SIZE_PROPERTY = "lading:size_bytes"
"""Of the file that the component was installed from."""
_MAX_LICENCE_NAME = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """What a distribution says of its licence: an SPDX expression, or words."""

    expression: str | None = None
    name: str | None = None

    def as_json(self) -> list[dict[str, Any]]:
        if self.expression is not None:
            return [{"expression": self.expression}]
        return [{"license": {"name": self.name}}] if self.name else []


def licence_from_metadata(text: str) -> Licence:
    """The licence in a METADATA file: License-Expression, else a short License, else a classifier."""
    from email.parser import HeaderParser

    headers = HeaderParser().parsestr(text)
    expression = headers.get("License-Expression")
    if expression and expression.strip():
        return Licence(expression=" ".join(expression.split()))
    words = (headers.get("License") or "").strip()
    if words and "\n" not in words and len(words) <= _MAX_LICENCE_NAME and words.upper() != "UNKNOWN":
        return Licence(name=words)
    names = sorted(
        classifier.rpartition(" :: ")[2]
        for classifier in headers.get_all("Classifier") or ()
        if classifier.startswith("License :: ")
    )
    return Licence(name=" and ".join(names) or None)


def selected(
    variant: LockedVariant, target: str
) -> tuple[tuple[LockedWheel, ...], tuple[LockedPackage, ...]]:
    """The wheels and Debian packages that `target` holds, sorted by name."""
    selection = variant.targets[target]
    wheels, packages = set(selection.wheels), set(selection.packages)
    return (
        tuple(sorted((w for w in variant.wheels if w.name in wheels), key=lambda w: w.name)),
        tuple(sorted((p for p in variant.packages if p.name in packages), key=lambda p: p.name)),
    )


def make_sbom(image: Image, variant: LockedVariant, *, licences: Mapping[str, Licence]) -> bytes:
    """The document. `licences` by normalized wheel name; a wheel without one is listed all the same."""
    wheels, packages = selected(variant, image.target)
    components = [
        _interpreter(variant.interpreter),
        *(_wheel(wheel, licences.get(wheel.name, Licence())) for wheel in wheels),
        *(_package(package) for package in packages),
    ]
    components.sort(key=lambda component: str(component["bom-ref"]))
    subject = _image(image)
    references = [component["bom-ref"] for component in components]
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(image.digest),
        "version": 1,
        "metadata": {
            "component": subject,
            "tools": {"components": [{"type": "application", "name": "lading"}]},
        },
        "components": components,
        "dependencies": [
            {"ref": subject["bom-ref"], "dependsOn": references},
            *({"ref": reference} for reference in references),
        ],
    }
    return canonical_json(document)


def serial_number(digest: Digest) -> str:
    """A UUID (RFC 9562, version 8: our own hash) from the image's digest."""
    import uuid

    raw = bytearray.fromhex(digest.hex[:32])
    raw[6] = (raw[6] & 0x0F) | 0x80
    raw[8] = (raw[8] & 0x3F) | 0x80
    return f"urn:uuid:{uuid.UUID(bytes=bytes(raw))}"


def _image(image: Image) -> dict[str, Any]:
    name = image.tag.rpartition(":")[0]
    architecture = Platform.parse(image.platform).architecture
    properties = {
        "lading:accelerator": image.accelerator,
        "lading:lock": str(image.lock_digest),
        "lading:platform": image.platform,
        "lading:target": image.target,
    }
    return {
        "type": "container",
        "bom-ref": str(image.digest),
        "name": name,
        "version": str(image.digest),
        "purl": image_purl(name, image.digest, architecture),
        "hashes": _hashes(image.digest.hex),
        "properties": [{"name": key, "value": value} for key, value in properties.items()],
    }


def _wheel(wheel: LockedWheel, licence: Licence) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": wheel_purl(wheel),
        "name": wheel.name,
        "version": wheel.version,
        "purl": wheel_purl(wheel),
        "hashes": _hashes(wheel.sha256),
        "properties": _file(wheel.filename, wheel.size_bytes),
    }
    if licences := licence.as_json():
        component["licenses"] = licences
    return component


def _package(package: LockedPackage) -> dict[str, Any]:
    return {
        "type": "library",
        "bom-ref": debian_purl(package),
        "name": package.name,
        "version": package.version,
        "purl": debian_purl(package),
        "hashes": _hashes(package.sha256),
        "properties": _file(package.filename, package.size_bytes),
    }


def _interpreter(interpreter: LockedInterpreter) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "platform",
        "bom-ref": interpreter_purl(interpreter),
        "name": "python",
        "version": interpreter.build,
        "purl": interpreter_purl(interpreter),
        "properties": [{"name": "lading:provider", "value": interpreter.provider}],
    }
    if interpreter.sha256 is not None:
        component["hashes"] = _hashes(interpreter.sha256)
    return component


def _file(name: str, size_bytes: int) -> list[dict[str, str]]:
    return [{"name": "lading:file", "value": name}, {"name": SIZE_PROPERTY, "value": str(size_bytes)}]


def _hashes(sha256: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": sha256}]
