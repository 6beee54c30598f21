"""`environment.yml` of conda, in the words of pip: what of it is a Python package, and what is not.

`document.py` reads the YAML, `spec.py` one dependency, `names.py` knows names; `environment.py` puts them
together. Nothing here asks a network or runs conda.
"""
