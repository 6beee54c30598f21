"""Where containers run. The seam takes our `RunSpec`, never a backend's arguments.

`embedded` needs nothing but Linux and picks the best level the host allows; others are adapters.
"""
