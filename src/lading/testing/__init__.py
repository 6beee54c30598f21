"""Contract suites: the laws that every implementation of a seam keeps, to be run by its own tests.

Needs pytest; nothing of lading imports this package.
"""
