"""Real engines for tests, each in folders and on sockets of its own, stopped by whoever started it.

Knows daemons and command lines; must not know lading.
"""
