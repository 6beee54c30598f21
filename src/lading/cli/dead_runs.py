"""What the doctor says of a run, and the archive for a bug report.

Printing only: the conclusions are `inspect`'s.
"""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lading.cli.containers import age, find_run, open_engine, open_ledger, run_document
from lading.cli.session import Session
from lading.errors import LadingError, TaskFailed, UsageError

if TYPE_CHECKING:
    from lading.inspect.doctor.bundle import BundleInputs
    from lading.inspect.doctor.model import Finding
    from lading.inspect.doctor.redact import Redactor
    from lading.inspect.doctor.runs.evidence import RunEvidence
    from lading.run.ledger import Ledger
    from lading.run.rows import RunRow

_LOG_HEAD_BYTES = 256 << 10
_LOG_TAIL_BYTES = 1 << 20
_BRIEF_BYTES = 64 << 10
_LARGEST_FILE_BYTES = 1 << 20
_PROJECT_FILES = ("lading.toml", "pyproject.toml", "requirements.txt", "lading.lock")


def explain_run(word: str, project: str | None, session: Session) -> tuple[Finding, ...]:
    """Print what is known of the run or task `word`; what was found. Raises UsageError for none."""
    from lading.inspect.doctor.runs.diagnose import diagnose_run

    with open_ledger(session) as ledger:
        row = find_run(ledger, word, project)
        evidence = _gathered(row, session, ledger)
    findings = diagnose_run(evidence)
    if session.as_json:
        session.document(
            {
                "type": "doctor",
                "run": run_document(row),
                "findings": [finding.as_json() for finding in findings],
                "circumstances": evidence.seen.as_json(),
            }
        )
        return findings
    whose = "" if project == row.project else f" of the project {row.project}"
    session.line(f"run {row.run_id[:8]} of {row.task}{whose}, {age(row.at)}: {_state(row, evidence)}")
    for finding in findings:
        perhaps = "" if finding.certain else "perhaps "
        print_finding(finding, perhaps, session)
    if not findings:
        session.printer.note(f"nothing found; what it wrote: lading logs {row.run_id[:8]}")
    return findings


def print_finding(finding: Finding, lead: str, session: Session) -> None:
    """`lead` stands before the cause: how bad it is, or how certain."""
    session.line(f"{lead}{finding.cause}: {finding.title}")
    for line in finding.proof:
        session.line(f"  {line}")
    session.line(f"  remedy  {finding.remedy}")
    if finding.remedy != finding.explain:
        session.line(f"  more    {finding.explain}")


def _state(row: RunRow, evidence: RunEvidence) -> str:
    if not row.phase.ended:
        return "it is still running; what is said is of now"
    return f"{row.phase.value}, {evidence.ending()}"


def _gathered(row: RunRow, session: Session, ledger: Ledger, *, brief: bool = False) -> RunEvidence:
    """`brief`: by the last words alone, for a command that is about to end."""
    from lading.inspect.doctor.runs.reading import LOG_BYTES, gather_run

    return gather_run(row, session.store, ledger, log_bytes=_BRIEF_BYTES if brief else LOG_BYTES)


def explained(error: TaskFailed, session: Session) -> TaskFailed:
    """`error` with the cause and its remedy as last hints, where the record makes it certain; else with the
    way to what is known. Never raises: the error itself matters more.
    """
    if error.run_id is None:
        return error
    from lading.inspect.doctor.runs.diagnose import certain_cause, diagnose_run

    doctor = f"lading doctor {error.run_id[:8]}"
    try:
        with open_ledger(session) as ledger:
            row = ledger.run(error.run_id)
            findings = diagnose_run(_gathered(row, session, ledger, brief=True)) if row is not None else ()
    except LadingError:
        return error
    found = certain_cause(findings)
    if found is None:
        error.hints = (*error.hints, doctor)
        return error
    error.cause = found.cause
    remedy = (found.remedy,) if found.remedy != found.explain else ()
    error.hints = (*error.hints, *remedy, f"{found.title[0].lower()}{found.title[1:]}: {doctor}")
    return error


def write_report(word: str | None, output: str | None, host: tuple[Finding, ...], session: Session) -> int:
    """Write the archive about the run `word`, or the newest; 0. Raises UsageError, OutsideError."""
    from lading.inspect.doctor.bundle import bundle_members, write_bundle

    with open_ledger(session) as ledger:
        row = _asked(word, ledger)
        inputs = _bundle_inputs(row, host, session, ledger)
    redactor = _redactor(inputs, row, session)
    bundle = bundle_members(inputs, redactor)
    name = f"lading-bundle-{row.run_id[:8]}.tar.gz" if row is not None else "lading-bundle.tar.gz"
    path = Path(output or name)
    if path.is_dir():
        path = path / name
    size_bytes = write_bundle(bundle, redactor, path)
    if session.as_json:
        session.document(
            {
                "type": "bundle",
                "path": str(path),
                "size_bytes": size_bytes,
                "members": [name for name, _ in bundle.members],
                "left_out": list(bundle.left_out),
            }
        )
        return 0
    for line in bundle.left_out:
        session.printer.note(f"left out: {line}")
    for name in inputs.unknown_secrets:
        session.printer.note(f"hint: with the log: export {name}=… and make the bundle again")
    session.printer.note(f"read it before you send it: tar -xzOf {path} | less")
    session.line(str(path))
    return 0


def _asked(word: str | None, ledger: Ledger) -> RunRow | None:
    """The run that is meant; of the newest ones, the last that ended badly."""
    from lading.run.rows import RunPhase

    if word is not None:
        return find_run(ledger, word)
    runs = ledger.runs()
    bad = next((run for run in runs if run.phase in (RunPhase.FAILED, RunPhase.INTERRUPTED)), None)
    return bad or (runs[0] if runs else None)


def _bundle_inputs(
    row: RunRow | None, host: tuple[Finding, ...], session: Session, ledger: Ledger
) -> BundleInputs:
    from lading.inspect.doctor.bundle import BundleInputs
    from lading.inspect.doctor.runs.diagnose import diagnose_run
    from lading.run.record import read_log

    common: dict[str, Any] = {
        "versions": _versions(),
        "host": _host(session),
        "findings": tuple(finding.as_json() for finding in host),
        "environment": session.environment,
        "files": _project_files(),
    }
    if row is None:
        return BundleInputs(**common)
    evidence = _gathered(row, session, ledger)
    log = read_log(session.store, row.run_id, head_bytes=_LOG_HEAD_BYTES, tail_bytes=_LOG_TAIL_BYTES)
    gap = f"\n… {log.left_out_bytes} bytes left out …\n" if log.left_out_bytes else ""
    text = log.head.decode("utf-8", "replace") + gap + log.tail.decode("utf-8", "replace")
    return BundleInputs(
        **common,
        run={
            **run_document(row),
            "seal_terms": dict(row.seal_terms),
            "limits": dict(row.limits),
            "accelerator": evidence.accelerator,
        },
        circumstances=evidence.seen.as_json(),
        diagnosis=tuple(finding.as_json() for finding in diagnose_run(evidence)),
        log=text if log.size_bytes else None,
        log_left_out_bytes=log.left_out_bytes,
        unknown_secrets=tuple(name for name in evidence.secrets if not session.environment.get(name)),
    )


def _versions() -> dict[str, Any]:
    from lading import __version__

    return {
        "lading": __version__,
        "python": sys.version.split()[0],
        "implementation": platform.python_implementation(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "libc": " ".join(platform.libc_ver()),
        "distribution": _distribution(),
    }


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""


def _host(session: Session) -> dict[str, Any]:
    from lading.engine.nvidia import find_gpus, nvidia_root

    probe = open_engine(session).probe()
    gpus = find_gpus(nvidia_root(session.environment))
    disk = os.statvfs(session.store.root)
    return {
        "processors": os.cpu_count(),
        "usable_processors": len(os.sched_getaffinity(0)),
        "memory": _read("/proc/meminfo").splitlines()[:3],
        "cgroup": _read("/proc/self/cgroup").splitlines(),
        "root": os.geteuid() == 0,
        "engine": {
            "level": probe.level.value if probe.level else None,
            "reason": probe.reason,
            "remedy": probe.remedy,
        },
        "store": {
            "free_bytes": disk.f_bavail * disk.f_frsize,
            "free_files": disk.f_favail,
        },
        "driver": gpus.driver,
        "gpus": [
            {
                "index": gpu.index,
                "name": gpu.name,
                "memory_bytes": gpu.memory_bytes,
                "used_bytes": gpu.used_bytes,
                "capability": gpu.capability,
            }
            for gpu in gpus.gpus
        ],
    }


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _project_files() -> dict[str, str]:
    """Of the folder that the command was given in: what says how images are built."""
    found = {}
    for name in _PROJECT_FILES:
        path = Path(name)
        try:
            if path.stat().st_size <= _LARGEST_FILE_BYTES:
                found[name] = path.read_text(errors="replace")
        except OSError:
            continue
    return found


def _redactor(inputs: BundleInputs, row: RunRow | None, session: Session) -> Redactor:
    from lading.inspect.doctor.redact import Redactor, secrets_in

    declared = row.seal_terms.get("secrets") or () if row is not None else ()
    environment = {**os.environ, **session.environment}
    return Redactor(
        secrets=secrets_in(environment, also=declared),
        homes=_homes(environment),
        users=_users(environment),
        hosts=_hosts(),
    )


def _homes(environment: dict[str, str]) -> tuple[str, ...]:
    homes = {environment.get("HOME", ""), str(Path("~").expanduser())}
    return tuple(sorted(home for home in homes if home not in ("", "/", "~")))


def _users(environment: dict[str, str]) -> tuple[str, ...]:
    import getpass
    import pwd

    names = {environment.get(name, "") for name in ("USER", "LOGNAME", "SUDO_USER", "USERNAME")}
    try:
        entry = pwd.getpwuid(os.getuid())
        names |= {entry.pw_name, entry.pw_gecos.partition(",")[0], getpass.getuser()}
    except (KeyError, OSError):
        pass  # a user without a name has none to tell
    return tuple(sorted(filter(None, names)))


def _hosts() -> tuple[str, ...]:
    full = platform.node()
    return tuple(sorted({full, full.partition(".")[0]} - {""}))


def no_run_named_bundle(words: list[str]) -> None:
    """Raises UsageError for more words than `[RUN]` or `bundle [RUN]`."""
    most = 2 if words[:1] == ["bundle"] else 1
    if len(words) > most:
        raise UsageError(
            f"`{words[most]}` is one word too many", hints=("lading doctor RUN", "lading doctor bundle RUN")
        )
