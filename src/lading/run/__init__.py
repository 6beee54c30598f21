"""Sealed runs: a task and an image become a run specification, a run, metrics, outputs and a model.

Knows the contract with user code, the ledger and the gate; must not know how a container is started (the
engine does) nor how an image is made.
"""
