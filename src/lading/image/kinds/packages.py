"""Layers of Debian packages: a base of ours, an interpreter, and what is added to a registry image."""

from __future__ import annotations

from pathlib import Path

from lading.image.debian import debian_layers, layer_over
from lading.image.foreign import base_tree
from lading.image.job import LayerJob
from lading.image.kinds.bytecode import packages_toolchain, write_library_bytecode
from lading.image.layer.writer import LayerWriter
from lading.image.spec import AddedPackagesLayer, PackagesLayer
from lading.lock.model import LockedPackage


def write_packages(job: LayerJob, spec: PackagesLayer, writer: LayerWriter) -> None:
    """The packages over those below; an interpreter's with its library's bytecode. Raises FetchFailed."""
    groups = [_opened(job, group) for group in (spec.below, spec.packages) if group]
    layers = debian_layers(groups, flavour=spec.flavour, staging=job.store.staging)
    writer.entries(layers[-1])
    if spec.interpreter is not None:
        tree = {entry.path: entry for layer in layers for entry in layer}
        toolchain = packages_toolchain(job, spec.below + spec.packages, spec.interpreter, tree)
        write_library_bytecode(job, tree, spec.interpreter, toolchain, writer)


def write_added_packages(job: LayerJob, spec: AddedPackagesLayer, writer: LayerWriter) -> None:
    """The packages over a registry image's files. Raises FetchFailed, StoreError."""
    job.sources.fetch_layers(spec.base.reference, spec.base.layers)
    below = base_tree(job.store, spec.base)
    opened = _opened(job, spec.packages)
    writer.entries(layer_over(below, opened, flavour=spec.flavour, staging=job.store.staging))


def _opened(job: LayerJob, packages: tuple[LockedPackage, ...]) -> list[tuple[LockedPackage, Path]]:
    paths = job.sources.fetch_packages(packages)
    return [(package, paths[package.name]) for package in packages]
