"""Runs whose own code ended them: a worker that died, a rank that failed, numbers that broke, any exception.
Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from lading.inspect.doctor.model import Sign
from lading.inspect.doctor.runs.evidence import RunEvidence
from lading.inspect.doctor.runs.register import death, said, told
from lading.inspect.doctor.runs.words import LAUNCHERS

_WORKER = re.compile(
    r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) (?:exited unexpectedly|is killed by signal: (\w+))"
    r"|BrokenProcessPool|A process in the process pool was terminated abruptly|worker .*died unexpectedly"
)
_RANK = re.compile(r"ChildFailedError|torch\.multiprocessing\.spawn\.Process(?:Raised|Exited)|SpawnException")
_RANK_EXIT = re.compile(r"exitcode\s*: (-?\d+)(?: \(pid: (\d+)\))?|rank\s*: (\d+) \(local_rank")
_NAN = re.compile(
    r"\b[Ll]oss (?:is|became|=|was) ?(?:nan|NaN|inf)|[Ll]oss[^\n]{0,12}[:=] ?nan\b|contains (?:NaN"
    r"|infinity|nan)"
    r"|Input (?:X |y )?contains (?:NaN|infinity)|FloatingPointError|returned nan values in its \d+th output"
    r"|probability tensor contains either `inf`, `nan`|found at least one nan|NaN or Inf found"
)
_NAN_DEATH = re.compile(r"FloatingPointError|ValueError|RuntimeError|AssertionError")
_RECURSION = re.compile(r"RecursionError")


@death(
    "run-numbers-broke", "Numbers became NaN or infinite", "torch.autograd anomaly detection; scikit-learn"
)
def numbers_broke(run: RunEvidence) -> Iterator[Sign]:
    """The loss, an input or a gradient was NaN or infinite, and something refused to go on; or the run
    recorded such a metric. Usual reasons: a learning rate that is too high, half precision without scaling, a
    division by zero, a logarithm of zero, gaps in the data.

    Mend: a smaller learning rate, clipped gradients; `torch.autograd.set_detect_anomaly(True)` names the
    operation.
    """
    match = said(run, _NAN)
    broken = sorted(name for name, value in run.metrics.items() if value is None or not math.isfinite(value))
    metrics = f"metrics that are no numbers: {', '.join(broken)}" if broken else ""
    raised = run.words.last
    if match is not None and raised is not None and _NAN_DEATH.search(raised.kind):
        yield from told(run, match, run.again("--env PYTHONWARNINGS=error::RuntimeWarning"), metrics)
    elif raised is None and (match is not None or broken):
        proof = ((match.proof,) if match is not None else ()) + tuple(filter(None, (metrics, run.ending())))
        yield Sign(proof=proof, remedy=f"lading logs {run.task}", certain=False)


@death(
    "run-worker-died",
    "A worker process died",
    "torch.utils.data: _utils/signal_handling.py; concurrent.futures",
)
def worker_died(run: RunEvidence) -> Iterator[Sign]:
    """The main process saw one of its workers end and gave up. The message names the signal at times, never
    the reason: memory (Killed), shared memory (Bus error) and crashes have pages of their own, which stand
    first where the record shows them.

    Mend: `num_workers = 0` runs the same code in the main process: what happens there is the reason.
    """
    match = said(run, _WORKER)
    how = f"killed by {match.match[2]}" if match is not None and match.match[2] else ""
    yield from told(run, match, run.again(), how)


@death("run-rank-failed", "One rank of a distributed run failed", "torch.distributed.elastic: errors")
def rank_failed(run: RunEvidence) -> Iterator[Sign]:
    """The launcher (torchrun) ended the others when one had failed. The root cause is that rank's, named
    under "Root Cause"; the launcher's own traceback says nothing of it.

    Mend: look at that rank's output; `@record` of torch.distributed.elastic keeps its traceback.
    """
    if run.words.last is not None and run.words.last.kind not in LAUNCHERS:
        return
    match = said(run, _RANK)
    codes = [found[0].strip() for line in run.words.lines if (found := _RANK_EXIT.search(line))]
    yield from told(run, match, f"lading logs {run.task}", *codes[:3])


@death("run-exception", "The code raised an exception", "the run's own traceback")
def exception(run: RunEvidence) -> Iterator[Sign]:
    """The program ended with an exception that no other page knows. The last traceback and the innermost line
    of your own code are shown.

    Mend: `lading shell --dev` opens the image on your working tree; `lading run --dev -it train -- python -m
    pdb …` stops at the exception.
    """
    raised = run.words.last
    if raised is None or run.exit_status is None or run.signal is not None:
        return
    place = raised.place
    where = f"at {place.path}:{place.line} in {place.function or 'the module'}" if place is not None else ""
    deep = "it called itself without end" if _RECURSION.search(raised.kind) else ""
    proof = tuple(filter(None, (str(raised)[:300], where, deep, run.ending())))
    yield Sign(proof=proof, remedy="lading shell --dev")


@death("run-exit-code", "The program ended with a code of its own", "exit(3)")
def exit_code(run: RunEvidence) -> Iterator[Sign]:
    """Exit code other than 0, no signal and no traceback: the program decided so (`sys.exit(2)`, argparse for
    a wrong option) and its last lines say why, or it says nothing.

    Mend: read the end of its log.
    """
    if run.exit_status is None or run.signal is not None or run.words.last is not None:
        return
    lines = [line.strip() for line in run.words.lines if line.strip()]
    last = tuple(f"last line: {line[:300]}" for line in lines[-1:]) or ("it printed nothing",)
    yield Sign(proof=(*last, run.ending()), remedy=f"lading logs {run.task}", certain=False)
