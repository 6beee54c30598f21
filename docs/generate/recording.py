"""Records a real `lading up` in a terminal and writes it as an animated SVG.

    python docs/generate/recording.py docs/images/up.svg

Runs the commands below in a pseudo-terminal, on a copy of examples/digits, with an empty store; nothing is
edited afterwards. URL in a command stands for the address that came before. The picture plays the recording
faster than it was and says so; its clock shows real seconds. A viewer that does not animate shows the end.

Knows the few control sequences that lading's progress line uses, and SVG.
"""

from __future__ import annotations

import argparse
import fcntl
import html
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
COLUMNS = 92
SPEED = 4
READING_A_COMMAND_SECONDS = 0.8
READING_SECONDS = 8.0
"""How long the end stays before the picture begins again."""
SAMPLE_SECONDS = 0.4
"""Of the recording: a progress line that changes more often is shown as it was at these times."""
_CONTROL = re.compile(r"\r\n|\n|\r|\x1b\[K|\x1b\[[0-9;]*m|[^\r\n\x1b]+")
_UP = "lading up"


@dataclass(slots=True)
class Row:
    """One line of the screen: what it showed from when on (seconds of the recording)."""

    states: list[tuple[float, str]] = field(default_factory=list)

    def show(self, seconds: float, text: str, *, final: bool = False) -> None:
        if self.states and self.states[-1][1] == text:
            return
        if len(self.states) > 1 and seconds - self.states[-1][0] < SAMPLE_SECONDS and not final:
            return
        self.states.append((seconds, text))


@dataclass(slots=True)
class Screen:
    """Rows of text, written as a terminal would."""

    rows: list[Row] = field(default_factory=lambda: [Row()])
    _line: str = ""
    _returned: bool = False

    def write(self, seconds: float, text: str) -> None:
        for token in _CONTROL.findall(text):
            if token in ("\n", "\r\n"):
                self.rows[-1].show(seconds, self._line, final=True)
                self._line, self._returned = "", False
                self.rows.append(Row())
            elif token == "\r":
                self._returned = True
            elif token == "\x1b[K":
                self._line, self._returned = "" if self._returned else self._line, False
            elif not token.startswith("\x1b"):
                self._line = token if self._returned else self._line + token
                self._returned = False
                self._wrap(seconds)
        self.rows[-1].show(seconds, self._line)

    def _wrap(self, seconds: float) -> None:
        while len(self._line) > COLUMNS:
            self.rows[-1].show(seconds, self._line[:COLUMNS], final=True)
            self._line = self._line[COLUMNS:]
            self.rows.append(Row())


def run_in_terminal(command: str, folder: Path, environment: dict[str, str]) -> Iterator[bytes]:
    """What `command` writes to its terminal, as it comes. Raises CalledProcessError."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS + 1, 0, 0))
    process = subprocess.Popen(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # the last writer is gone
            break
        if not data:
            break
        yield data
    os.close(master)
    if status := process.wait():
        raise subprocess.CalledProcessError(status, command)


@dataclass(slots=True, kw_only=True)
class Recording:
    screen: Screen
    seconds: float
    """How long it plays, at the speed at which it happened; pauses for reading a command included."""
    ticks: list[tuple[float, int]]
    """When the clock shows another second: commands that ran, without the pauses between them."""


def record(commands: tuple[str, ...], folder: Path, environment: dict[str, str]) -> Recording:
    """Run `commands` one after the other. Raises CalledProcessError."""
    screen, elapsed, written, worked = Screen(), 0.0, "", 0.0
    ticks = [(0.0, 0)]
    for command in commands:
        if url := re.search(r"http://[0-9.:]+", written):
            command = command.replace("URL", url[0])
        screen.write(elapsed, f"$ {command}\n")
        elapsed += READING_A_COMMAND_SECONDS * SPEED
        began, start = time.monotonic(), elapsed
        for data in run_in_terminal(command, folder, environment):
            text = data.decode(errors="replace")
            written += text
            elapsed = start + time.monotonic() - began
            screen.write(elapsed, text)
        elapsed = start + time.monotonic() - began
        whole = range(int(worked) + 1, int(worked + elapsed - start) + 1)
        ticks += [(start + second - worked, second) for second in whole]
        worked += elapsed - start
        if screen.rows[-1].states[-1][1]:
            screen.write(elapsed, "\n")
        screen.write(elapsed, "\n")
    return Recording(screen=screen, seconds=elapsed, ticks=ticks)


def svg(recording: Recording) -> str:
    """The recording as one SVG file, light and dark."""
    rows, seconds = recording.screen.rows, recording.seconds
    while rows and not rows[-1].states[-1][1]:
        rows.pop()
    total = seconds / SPEED + READING_SECONDS
    cell, line, top = 8.4, 20, 60
    width, height = round(COLUMNS * cell + 40), top + line * len(rows) + 8
    styles, texts = [], []
    for number, row in enumerate(rows):
        y = top + line * number
        shown = [state for state in row.states if state[1] or len(row.states) > 1]
        for index, (start, text) in enumerate(shown):
            if not text:
                continue
            end = shown[index + 1][0] if index + 1 < len(shown) else None
            name = f"r{number}s{index}"
            styles.append(_keyframes(name, start / SPEED / total, end and end / SPEED / total, total))
            last = "" if end is None else " was"
            texts.append(
                f'<text class="{name}{last}" x="20" y="{y}" textLength="{len(text) * cell:.1f}" '
                f'xml:space="preserve">{_coloured(text)}</text>'
            )
    clock = _clock(recording.ticks, total, width, styles)
    return _SVG.format(
        width=width,
        height=height,
        inner=height - 1,
        outer=width - 1,
        styles="\n".join(styles),
        texts="\n".join(texts),
        clock=clock,
        speed=SPEED,
        title=html.escape(f"Recording of `{_UP}`: lock, build, train, check, seal, serve and a prediction"),
    )


def _keyframes(name: str, start: float, end: float | None, total: float) -> str:
    """Visible from `start` to `end`, as parts of the whole."""
    steps = f"0%{{opacity:0}}{start:.4%}{{opacity:1}}"
    steps += f"{end:.4%}{{opacity:0}}" if end is not None else ""
    return f"@keyframes {name}{{{steps}}}.{name}{{animation:{name} {total:.2f}s step-end infinite}}"


def _clock(ticks: list[tuple[float, int]], total: float, width: int, styles: list[str]) -> str:
    """One text a second of the recording."""
    texts = []
    ends = [start / SPEED / total for start, _ in ticks[1:]]
    for (start, second), end in zip(ticks, [*ends, None], strict=True):
        styles.append(_keyframes(f"c{second}", start / SPEED / total, end, total))
        kind = f"c{second} dim" + ("" if end is None else " was")
        texts.append(f'<text class="{kind}" x="{width - 20}" y="24" text-anchor="end">{second} s</text>')
    return "\n".join(texts)


def _coloured(text: str) -> str:
    """Prompts and good news stand out; colour says nothing that the words do not."""
    shown = html.escape(text)
    if text.startswith("$ "):
        return f'<tspan class="prompt">$</tspan><tspan class="strong">{shown[1:]}</tspan>'
    shown = shown.replace("✓", '<tspan class="good">✓</tspan>')
    return re.sub(r"(http://[0-9.:]+)", r'<tspan class="link">\1</tspan>', shown)


_SVG = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" role="img">
<title>{title}</title>
<style>
.paper{{fill:#ffffff;stroke:#d0d7de}}.bar{{fill:#f6f8fa}}
text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:#24292f}}
.dim{{font-size:12px;fill:#6e7781}}.strong{{font-weight:600}}.prompt{{fill:#6e7781}}
.good{{fill:#1a7f37}}.link{{fill:#0550ae}}.was{{opacity:0}}
@media (prefers-color-scheme:dark){{
.paper{{fill:#0d1117;stroke:#30363d}}.bar{{fill:#161b22}}text{{fill:#e6edf3}}.dim,.prompt{{fill:#8b949e}}
.good{{fill:#3fb950}}.link{{fill:#79c0ff}}}}
{styles}
@media (prefers-reduced-motion:reduce){{text{{animation:none!important}}}}
</style>
<rect class="paper" x="0.5" y="0.5" width="{outer}" height="{inner}" rx="8"/>
<path class="bar" d="M1 9a8 8 0 0 1 8-8H{outer}v34H1z" clip-path="inset(0 round 8px 8px 0 0)"/>
<text class="dim" x="20" y="24">examples/digits, an empty store; {speed} times as fast as it was</text>
{clock}
{texts}
</svg>
"""


def main() -> int:
    parser = argparse.ArgumentParser(description="Record a real run as an SVG.")
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output.absolute()
    commands = (
        _UP,
        "curl -s URL/v2/models/digits/infer -d @sample.json | jq -c .outputs[0]",
        _UP,
    )
    with tempfile.TemporaryDirectory(prefix="lading-recording-") as place:
        folder = Path(place, "digits")
        ignored = shutil.ignore_patterns("lading.lock", "out", "__pycache__")
        shutil.copytree(ROOT / "examples" / "digits", folder, ignore=ignored)
        environment = {name: value for name, value in os.environ.items() if name not in ("CI", "LADING_JSON")}
        environment |= {
            "LADING_HOME": str(Path(place, "store")),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "TERM": "xterm",
            "NO_COLOR": "1",
        }
        try:
            recording = record(commands, folder, environment)
        finally:
            stop = ["lading", "stop", "--all", "-q"]
            subprocess.run(stop, env=environment, check=False, stdout=subprocess.DEVNULL)
    output.parent.mkdir(exist_ok=True)
    output.write_text(svg(recording), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
