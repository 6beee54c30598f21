"""Looking into what others made: images (explain, diff) and the files around them (lint).

Knows bytes and what they say of themselves; must not know how an image is built, run or served. `export`
alone reads a plan, and writes it in another tool's words.
"""
