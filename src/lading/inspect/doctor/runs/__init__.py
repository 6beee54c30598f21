"""A run that ended badly: its evidence, its last words, and which causes explain it."""
