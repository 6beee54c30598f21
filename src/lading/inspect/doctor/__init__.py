"""What is wrong here, and what to do: causes over evidence of a host or of a run.

Evidence is gathered by thin modules into frozen values; a cause is one pure function over them, whose
docstring is its page. A further cause is a further function in `causes/`, nothing else.
"""
