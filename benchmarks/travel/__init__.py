"""Images that travel: built here, pushed, pulled and started elsewhere, beside two Docker engines.

make travel       (or: PYTHONPATH=tests python -m benchmarks.travel [--rounds N] [--json FILE])
"""
