"""The end of a build: images are weighed, written, loaded and pushed, and the last words are said."""

from __future__ import annotations

import argparse
import platform as host
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lading.cli.budget import Comparison, growth_words
from lading.cli.format import format_seconds, format_size
from lading.cli.session import Session
from lading.errors import UsageError

if TYPE_CHECKING:
    from lading.engine.local.load import Loaded
    from lading.image.model import Image
    from lading.image.output.archive import NamedManifest
    from lading.image.output.attach import Attachments
    from lading.image.output.layout import Output
    from lading.image.publish import Published, Pusher
    from lading.oci.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One platform's image, and all that belongs to it."""

    image: Image
    attached: Attachments
    comparison: Comparison
    pusher: Pusher | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """Where the images went."""

    digest: Digest
    """Of the image, or of the index of several."""
    outputs: list[dict[str, Any]]
    published: Published | None
    loaded: Loaded | None
    seconds: float


def host_image(images: Sequence[NamedManifest], wanted_by: str) -> NamedManifest:
    """The one that this host runs; of one image, that. Raises UsageError where none is for this host."""
    from lading.oci.platform import host_platform

    if len(images) == 1:
        return images[0]
    ours = host_platform(host.machine())
    for image in images:
        if image.platform == ours:
            return image
    raise no_host_image(wanted_by, str(ours))


def no_host_image(wanted_by: str, ours: str) -> UsageError:
    return UsageError(
        f"{wanted_by} holds one platform, this host's ({ours}), and that is not among --platform",
        hints=("lading build --output oci-archive:FILE", f"lading build --platform {ours}"),
    )


def check_places(options: argparse.Namespace, outputs: Sequence[Output], platforms: Sequence[str]) -> None:
    """What can only take this host's image, before a build of minutes. Raises UsageError."""
    from lading.oci.platform import host_platform

    if len(platforms) < 2:
        return
    ours = str(host_platform(host.machine()))
    single = [output.kind for output in outputs if output.kind == "docker-archive"]
    for place in (*single, *filter(None, (options.load,))):
        if ours not in platforms:
            raise no_host_image(place, ours)
    if options.sbom is not None or options.provenance is not None:
        raise UsageError(
            "--sbom and --provenance write one image's document; several platforms have several",
            hints=(f"lading build --platform {platforms[0]} --sbom FILE",),
        )


def write_outputs(
    outputs: Sequence[Output], images: Sequence[NamedManifest], session: Session
) -> list[dict[str, Any]]:
    """Carry out every `--output`; what was written, for `--json`."""
    from lading.image.output.layout import write_output

    written = []
    for output in outputs:
        held = list(images)
        if output.kind == "docker-archive" and len(images) > 1:
            held = [host_image(images, output.kind)]
            session.printer.note(
                f"docker-archive knows no platforms: {output.path} holds {held[0].platform} alone;"
                " oci-archive holds all"
            )
        session.flush()
        with session.printer.progress(f"writing {output.kind}:{output.path}") as phase:
            size_bytes = write_output(
                session.store,
                held,
                output,
                standard_output=session.stdout.buffer,
                progress=phase.advance,
            )
        written.append({"kind": output.kind, "path": output.path, "size_bytes": size_bytes})
    return written


def load(name: str, images: Sequence[NamedManifest], session: Session) -> Loaded:
    """Into `docker` or `podman`: this host's image."""
    from lading.engine.local.load import load_image, open_engine

    client = open_engine(name, session.environment)
    with session.printer.progress(f"loading into {name}") as phase:
        return load_image(client, session.store, host_image(images, f"--load {name}"), progress=phase.advance)


def push(made: Sequence[Made], session: Session) -> Published | None:
    """Images, and for several platforms the index under the tag. None: nothing was to be pushed."""
    first = made[0].pusher
    if first is None:
        return None
    published = []
    with session.printer.progress(f"pushing to {first.destination.name}") as phase:
        for one in made:
            assert one.pusher is not None, "all go to one place"
            published.append(
                one.pusher.push(one.image, one.attached, progress=phase.advance, tagged=len(made) == 1)
            )
        if len(made) == 1:
            return published[0]
        return first.push_index([one.image for one in made], published)


def finish(
    made: Sequence[Made],
    outputs: Sequence[Output],
    options: argparse.Namespace,
    session: Session,
    began: float,
) -> None:
    """Everything after the building, and what is said at the end."""
    from lading.image.output.archive import platform_index
    from lading.image.output.layout import named_manifest
    from lading.oci.digest import Digest

    images = [named_manifest(one.image) for one in made]
    written = write_outputs(outputs, images, session)
    loaded = load(options.load, images, session) if options.load else None
    published = push(made, session)
    digest = made[0].image.digest
    if len(made) > 1:
        digest = Digest.of(platform_index(session.store, images).to_bytes())
    delivered = Delivered(
        digest=digest,
        outputs=written,
        published=published,
        loaded=loaded,
        seconds=time.monotonic() - began,
    )
    answer(made, delivered, session)


def last_words(made: Sequence[Made], delivered: Delivered) -> list[str]:
    """A line for each image, and one for where they went. Pure."""
    lines = []
    for one in made:
        growth = growth_words(one.comparison)
        size = format_size(one.comparison.after.size_bytes) + (f" ({growth})" if growth else "")
        platform = f" {one.image.platform}" if len(made) > 1 else ""
        lines.append(f"{one.image.tag}{platform} {one.image.digest.short}: {size}")
    went = [format_seconds(delivered.seconds)]
    if delivered.published is not None:
        moved = delivered.published.moved
        went.append(f"{format_size(moved.uploaded_bytes)} pushed")
        went += [f"{format_size(moved.mounted_bytes)} mounted"] if moved.mounted_bytes else []
        went += [f"{format_size(moved.present_bytes)} were there"] if moved.present_bytes else []
    if delivered.loaded is not None:
        loaded = delivered.loaded
        went.append(f"{format_size(loaded.moved_bytes)} loaded into {loaded.engine}")
        went += [f"{format_size(loaded.present_bytes)} were there"] if loaded.present_bytes else []
    lines[-1] += f", {', '.join(went)}" if len(made) == 1 else ""
    return lines if len(made) == 1 else [*lines, f"index {delivered.digest.short}: {', '.join(went)}"]


def answer(made: Sequence[Made], delivered: Delivered, session: Session) -> None:
    for line in last_words(made, delivered):
        session.printer.note(line)
    published = delivered.published
    place = published.reference.name if published else made[0].image.tag.rpartition(":")[0]
    name = f"{place}@{delivered.digest}"
    if any(written["path"] == "-" for written in delivered.outputs):
        session.printer.note(name)  # standard output is the archive
        return
    if not session.as_json:
        session.line(name)
        return
    documents = [_image_document(one) for one in made]
    common = {
        "outputs": delivered.outputs,
        "pushed": None if published is None else _pushed_document(published),
        "loaded": None if delivered.loaded is None else delivered.loaded.as_json(),
        "total_seconds": round(delivered.seconds, 3),
    }
    if len(made) == 1:
        session.document({"type": "image", "name": name, **documents[0], **common})
    else:
        document = {"type": "index", "name": name, "digest": delivered.digest, "images": documents}
        session.document({**document, **common})


def _image_document(made: Made) -> dict[str, Any]:
    image = made.image
    return {
        "tag": image.tag,
        "digest": image.digest,
        "target": image.target,
        "accelerator": image.accelerator,
        "platform": image.platform,
        "lock_digest": image.lock_digest,
        "reused": image.reused,
        "seconds": round(image.seconds, 3),
        "size_bytes": sum(layer.size_bytes for layer in image.layers),
        "before": made.comparison.as_json(),
        "layers": [{k: v for k, v in layer.as_json().items() if k != "warnings"} for layer in image.layers],
        "warnings": list(image.warnings),
    }


def _pushed_document(published: Published) -> dict[str, Any]:
    return {
        "reference": published.reference.qualified,
        "uploaded_bytes": published.moved.uploaded_bytes,
        "mounted_bytes": published.moved.mounted_bytes,
        "present_bytes": published.moved.present_bytes,
    }
