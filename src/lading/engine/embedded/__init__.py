"""The embedded engine: containers with nothing but Linux, as root or not, at the best level the host allows.

    probe.py       which level, and why not a better one
    trees.py       layers as folders (tar.py reads, unpack.py writes, layer_stream.py verifies)
    prepare.py     trees, account, scratch, control group → plan.py: the ContainerPlan
    child.py       fork; namespaces.py or uncontained.py: what the child does before exec; init.py: PID 1
    supervise.py   limits, signals, measures; lifecycle.py: start to record
    engine.py      the protocol; enter.py: exec into a running container

Knows layers, commands and mounts; must not know what a project, a task or a lock is.
"""

from lading.engine.embedded.engine import EmbeddedEngine

__all__ = ["EmbeddedEngine"]
