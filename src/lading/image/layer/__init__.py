"""The byte format of layers: tar, gzip members, the recipe, one writer, and reading single files back.

Knows entries and bytes; must not know wheels, packages or projects.
"""
