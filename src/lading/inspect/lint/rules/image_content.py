"""Rules about what a built image holds: secrets, changed wheels, duplicates, caches, rights. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from lading.inspect.image.attached import PROVENANCE, SBOM
from lading.inspect.image.model import MemberKind
from lading.inspect.lint.built import BuiltImage
from lading.inspect.lint.model import Severity, Spot
from lading.inspect.lint.rule import Kind, rule
from lading.inspect.scan.config import find_config_secrets
from lading.inspect.scan.findings import find_altered, find_secrets, find_setuid, find_startup
from lading.inspect.scan.model import Finding

_MOST_NAMED = 20
_WASTED_PERCENT = 10
_LEAST_WASTED_BYTES = 1_000_000
_BUILD_SECONDS = 3600
_SIZE_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def _spot(finding: Finding) -> Spot:
    return Spot(start=finding.line or 0, message=finding.message, path=finding.path, layer=finding.layer)


def _size(size_bytes: int) -> str:
    unit, name = next(((unit, name) for unit, name in _SIZE_UNITS if size_bytes >= unit), (1, "bytes"))
    return f"{size_bytes / unit:.3g} {name}"


@rule(
    "LDI001", "A secret in a layer, a variable or the history", Kind.IMAGE, Severity.ERROR,
    "OCI image specification, layers: a whiteout hides a file of a lower layer, its bytes stay",
)  # fmt: skip
def secret(image: BuiltImage) -> Iterator[Spot]:
    """Whoever can pull the image can read every layer, also what a later one deletes, and every variable. A
    secret that was once pushed is to be replaced at its issuer; then build without it.

    Silent about samples that an installed package lists among its own tests, examples and documents.

    Bad:

        COPY .netrc /root/.netrc
        RUN pip install -r requirements.txt && rm /root/.netrc

    Good:

        RUN --mount=type=secret,id=netrc,target=/root/.netrc pip install -r requirements.txt
    """
    yield from map(_spot, find_secrets(image.explanation, image.facts))
    yield from map(_spot, find_config_secrets(image.explanation.image.config))


@rule(
    "LDI002", "A path twice in one layer", Kind.IMAGE, Severity.ERROR,
    "OCI image specification, layer.md: a layer has one entry a path; engines refuse or differ",
)  # fmt: skip
def duplicate(image: BuiltImage) -> Iterator[Spot]:
    """Some engines refuse such a layer, others take the first entry or the last: what runs depends on who
    unpacked it.

    Bad:

        tar -cf layer.tar app && tar -rf layer.tar app/main.py

    Good:

        tar -cf layer.tar app
    """
    for number, layer in enumerate(image.explanation.image.layers, 1):
        counts = Counter(
            member.path for member in layer.members if member.path and member.kind is not MemberKind.DIRECTORY
        )
        twice = [path for path, count in counts.items() if count > 1]
        for path in twice[:_MOST_NAMED]:
            yield Spot(start=0, message=f"stands {counts[path]} times in its layer", path=path, layer=number)
        if len(twice) > _MOST_NAMED:
            yield Spot(start=0, message=f"{len(twice) - _MOST_NAMED} more paths stand twice", layer=number)


@rule(
    "LDI003", "A layer keeps the times of its build", Kind.IMAGE, Severity.WARNING,
    "reproducible-builds.org: SOURCE_DATE_EPOCH; BuildKit's rewrite-timestamp",
)  # fmt: skip
def build_times(image: BuiltImage) -> Iterator[Spot]:
    """Files written in the hour before the layer was made, each with its own second: the same build gives
    another digest tomorrow, so nothing can be compared and every push sends the layer anew.

    Bad:

        docker buildx build --output type=image,push=true .

    Good:

        SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) docker buildx build \\
          --output type=image,push=true,rewrite-timestamp=true .
    """
    history = image.explanation.image.config.get("history")
    entries = [e for e in history if isinstance(e, dict)] if isinstance(history, list) else []
    made = [_seconds(entry.get("created")) for entry in entries if not entry.get("empty_layer")]
    layers = image.explanation.image.layers
    if len(made) != len(layers):
        return
    for number, (layer, end) in enumerate(zip(layers, made, strict=True), 1):
        if end is None:
            continue
        times = Counter(
            member.mtime_seconds
            for member in layer.members
            if member.kind is MemberKind.FILE and end - _BUILD_SECONDS <= member.mtime_seconds <= end + 60
        )
        if len(times) > 1:
            files = sum(times.values())
            yield Spot(
                start=0, message=f"{files} files have times of the build, {len(times)} of them", layer=number
            )


def _seconds(text: object) -> float | None:
    try:
        return datetime.fromisoformat(str(text)[:19] + "+00:00").timestamp() if text else None
    except ValueError:
        return None


@rule(
    "LDI004", "An installed wheel differs from its RECORD", Kind.IMAGE, Severity.ERROR,
    "packaging.python.org, recording installed projects: RECORD holds the hash of each file",
)  # fmt: skip
def altered(image: BuiltImage) -> Iterator[Spot]:
    """A file of a wheel was changed after it was installed: by a patch in a Dockerfile, by another package,
    by somebody else. What runs is not what was locked and checked.

    Silent about files that are left out, about one that another wheel's RECORD names with this hash, and
    about bytecode in `__pycache__` whose source is as RECORD says.

    Bad:

        RUN sed -i 's/verify=True/verify=False/' /opt/venv/lib/python3.12/site-packages/requests/sessions.py

    Good:

        RUN pip install "requests @ https://git.example/requests-patched.tar.gz"
    """
    yield from map(_spot, find_altered(image.explanation))


@rule(
    "LDI005", "Code that runs whenever Python starts", Kind.IMAGE, Severity.WARNING,
    "docs.python.org, site: import lines of .pth files, sitecustomize; CVE-2026-6357",
)  # fmt: skip
def startup(image: BuiltImage) -> Iterator[Spot]:
    """An import line of a `.pth` file, `sitecustomize.py` or `usercustomize.py` runs before every program,
    also before `python -c pass`; `_manylinux.py` decides which wheels an installer takes. That is where
    stolen packages put themselves.

    Silent about lines that are to the letter those of setuptools, and about the distribution's own files.

    Bad:

        site-packages/helper.pth: import os; exec(…)

    Good:

        import helper   # in the program that wants it
    """
    yield from map(_spot, find_startup(image.explanation, image.facts))


@rule(
    "LDI006", "A pickle, which is a program", Kind.IMAGE, Severity.WARNING,
    "PyTorch's security policy: loading a pickle runs it; CVE-2025-1889: suffixes lie",
)  # fmt: skip
def pickled(image: BuiltImage) -> Iterator[Spot]:
    """Loading a pickle runs whatever it says, and no list of bad words catches all of it. Told by its first
    bytes, whatever it is called; archives of `torch.save` too.

    Silent about files that a package brought.

    Bad:

        torch.save(model.state_dict(), "model.pt")

    Good:

        safetensors.torch.save_file(model.state_dict(), "model.safetensors")
    """
    for number, facts in enumerate(image.facts):
        for path in facts.pickles:
            where = image.explanation.merged.seen.get(path)
            if where is not None and where.layer == number and image.explanation.packages.owner(path) is None:
                yield Spot(start=0, message="is a pickle: loading it runs it", path=path, layer=number + 1)


@rule(
    "LDI011", "A tenth of the image is hidden", Kind.IMAGE, Severity.INFO,
    "OCI image specification: layers are added, never taken away",
)  # fmt: skip
def wasted(image: BuiltImage) -> Iterator[Spot]:
    """What a later layer deletes or writes again is still pulled and stored. `lading explain` names it.

    Bad:

        RUN apt-get install -y build-essential
        RUN make && apt-get purge -y build-essential

    Good:

        RUN apt-get install -y build-essential && make && apt-get purge -y --auto-remove build-essential
    """
    evidence = image.explanation.image
    hidden = sum(evidence.member(where).size_bytes for where in image.explanation.merged.gone)
    total = evidence.unpacked_bytes
    if hidden >= _LEAST_WASTED_BYTES and hidden * 100 > total * _WASTED_PERCENT:
        message = f"{_size(hidden)} of {_size(total)} are deleted or rewritten by later layers"
        yield Spot(start=0, message=f"{message}: {hidden * 100 // total} %")


@rule(
    "LDI012", "Caches in the image", Kind.IMAGE, Severity.WARNING,
    "docs.docker.com, best practices: clean caches in the step that fills them",
)  # fmt: skip
def caches(image: BuiltImage) -> Iterator[Spot]:
    """What pip, apt, conda, Hugging Face and torch keep for the next time: nothing reads it at run time, and
    a model in a cache has no name and no owner.

    Silent below 100 kB.

    Bad:

        RUN pip install torch

    Good:

        RUN --mount=type=cache,target=/root/.cache pip install torch
    """
    for saving in image.explanation.savings:
        if saving.kind == "cache":
            first = image.explanation.image.member(saving.members[0])
            yield Spot(
                start=0,
                message=f"{saving.title}: {len(saving.members)} files, {_size(saving.size_bytes)}",
                path=first.path,
                layer=saving.members[0].layer + 1,
            )


@rule(
    "LDI013", "A setuid program that no distribution brought", Kind.IMAGE, Severity.WARNING,
    "CIS Docker Benchmark 4.8: remove setuid and setgid permissions",
)  # fmt: skip
def setuid(image: BuiltImage) -> Iterator[Spot]:
    """It runs with other rights than whoever starts it: setuid, setgid, or file capabilities. One mistake
    in it is root.

    Silent about the programs of the distribution's packages (`su`, `passwd` …); `lading scan` lists them.

    Bad:

        RUN chmod u+s /usr/local/bin/tool

    Good:

        USER 1000
    """
    for finding in find_setuid(image.explanation, image.facts):
        owner = image.explanation.packages.owner(finding.path)
        if owner is None or owner.kind not in ("deb", "apk"):
            yield _spot(finding)


@rule(
    "LDI015", "No bill of materials, or no provenance", Kind.IMAGE, Severity.INFO,
    "OCI distribution specification, referrers; BuildKit's attestations",
)  # fmt: skip
def attached(image: BuiltImage) -> Iterator[Spot]:
    """Nobody can say later what is in it and how it was made. Looked for beside an image at a registry and in
    an OCI layout: as referrers, and as attestations of BuildKit. One that is about another digest counts for
    nothing.

    Silent where neither could be: in the store, in Docker, in Docker's archives.

    Bad:

        docker buildx build --provenance=false --push .

    Good:

        docker buildx build --provenance=true --sbom=true --push .
        lading push registry.example/team/app
    """
    if image.attached is None:
        return
    digest = image.explanation.image.digest
    for kind in (SBOM, PROVENANCE):
        of_kind = [one for one in image.attached if one.kind == kind]
        if any(one.subject == digest for one in of_kind):
            continue
        stray = next((one.subject for one in of_kind if not one.has_subject), None)
        if stray is not None:
            yield Spot(start=0, message=f"its {kind} is about {stray[:19]}, which is another image")
        else:
            yield Spot(start=0, message=f"no {kind} refers to it")
