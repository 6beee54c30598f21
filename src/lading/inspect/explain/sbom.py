"""The bill of materials of any image, from what its own package records say: CycloneDX 1.6. Pure."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from lading.image.output.purl import image_purl
from lading.image.output.sbom import Licence, serial_number
from lading.inspect.explain.explanation import Explanation, shown
from lading.inspect.explain.packages import Package
from lading.oci.json import canonical_json

_SYSTEMS = {"deb": ("debian", "architecture"), "apk": ("alpine", "A"), "rpm": ("redhat", "arch")}
"""By kind of package: what a system is that does not say its name, and where the architecture stands."""


def image_sbom(explanation: Explanation) -> bytes:
    """Packages that are seen in the image, with who requires whom."""
    image = explanation.image
    digest = image.digest or image.config_digest
    release = image.os_release
    held = {package_purl(p, release): p for p in explanation.packages.packages if not p.gone}
    names = {(p.kind, p.name): reference for reference, p in held.items()}
    name = shown(image.name.partition("@")[0])
    subject = {
        "type": "container",
        "bom-ref": str(digest),
        "name": name,
        "version": str(digest),
        "purl": image_purl(name, digest, image.platform.partition("/")[2]),
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial_number(digest),
        "version": 1,
        "metadata": {
            "component": subject,
            "tools": {"components": [{"type": "application", "name": "lading"}]},
        },
        "components": [_component(reference, held[reference]) for reference in sorted(held)],
        "dependencies": [
            {"ref": subject["bom-ref"], "dependsOn": sorted(held)},
            *(_dependency(reference, held[reference], names) for reference in sorted(held)),
        ],
    }
    return canonical_json(document)


def package_purl(package: Package, release: dict[str, str]) -> str:
    """As scanners understand it; `release` is os-release."""
    name, version = quote(shown(package.name), safe=""), quote(shown(package.version), safe=":")
    if package.kind == "python":
        return f"pkg:pypi/{name}@{version}"
    if package.kind == "conda":
        build = quote(package.details.get("build", ""), safe="")
        return f"pkg:conda/{name}@{version}" + (f"?build={build}" if build else "")
    unnamed, architecture = _SYSTEMS[package.kind]
    system = quote(release.get("ID", unnamed), safe="")
    qualifiers = [("arch", package.details.get(architecture, ""))]
    if package.kind == "rpm":
        epoch = package.details.get("epoch", 0)
        qualifiers += [("epoch", str(epoch) if epoch else "")]
        qualifiers += [
            ("distro", f"{release['ID']}-{release['VERSION_ID']}" if "VERSION_ID" in release else "")
        ]
    else:
        qualifiers += [("distro", release.get("VERSION_CODENAME", ""))]
    words = "&".join(f"{key}={quote(value, safe='')}" for key, value in qualifiers if value)
    return f"pkg:{package.kind}/{system}/{name}@{version}" + (f"?{words}" if words else "")


def _component(reference: str, package: Package) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": reference,
        "name": shown(package.name),
        "version": shown(package.version),
        "purl": reference,
    }
    details = package.details
    expression = details.get("licence_expression") or None
    words = details.get("licence") or details.get("L") or None
    if licences := Licence(
        expression=expression, name=None if expression or not words else shown(words)
    ).as_json():
        component["licenses"] = licences
    return component


def _dependency(reference: str, package: Package, names: dict[tuple[str, str], str]) -> dict[str, Any]:
    found = sorted({names[package.kind, name] for name in package.requires if (package.kind, name) in names})
    return {"ref": reference, "dependsOn": found} if found else {"ref": reference}
