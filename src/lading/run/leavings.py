"""What is said of files that a run wrote where nothing is kept. Pure: names in, words out."""

from __future__ import annotations

_SHOWN = 4


def left_behind_words(names: tuple[str, ...], *, task: str, outputs: str) -> tuple[str, ...]:
    """One warning with the remedy for `task`, whose outputs are the folder `outputs`; none for none."""
    if not names:
        return ()
    folders = {name.partition("/")[0] for name in names}
    remedy = f"write them to $LADING_OUTPUTS or into {outputs}/"
    if len(folders) == 1 and all("/" in name for name in names):
        remedy += f', or set outputs = "{_shown(folders.pop())}" under [{task}]'
    return (f"{thrown_away(names)}; {remedy}",)


def thrown_away(names: tuple[str, ...]) -> str:
    """`written beside the code and thrown away: a, b`."""
    return f"written beside the code and thrown away: {_listed(names)}"


def interrupted_words(names: tuple[str, ...]) -> tuple[str, ...]:
    """One warning for what an interrupted run had in its outputs; none for nothing."""
    if not names:
        return ()
    return (
        f"an interrupted run keeps no outputs: {_listed(names)}; what it saves in $LADING_CHECKPOINTS stays",
    )


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(map(_shown, names[:_SHOWN])) + more


def _shown(name: str) -> str:
    """A name that user code chose, fit for a terminal."""
    return name if name.isprintable() else ascii(name)
