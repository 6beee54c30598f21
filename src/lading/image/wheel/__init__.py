"""Wheels, read strictly: archives by random access, RECORD, names, and what is installed where.

Knows wheels and nothing of layers.
"""
