"""Ways in and out: what others wrote becomes lading's, and the other way round.

Knows other tools' formats and lading's settings; must not know how an image is built or run.
"""
