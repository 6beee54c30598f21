"""The command line: one file per command, parsing and printing only.

Knows every package; is known by none. What a command decides is decided elsewhere.
"""
