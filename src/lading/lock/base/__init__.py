"""Somebody else's image as the base: fetched, looked into once, and written into the lock.

`image.py` fetches, `probe.py` decides what was found, `held.py` makes its Python packages constraints.
"""
