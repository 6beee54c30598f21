"""One module an area. What is not imported here does not exist."""


def register() -> None:
    """Import every module of causes: they enter themselves."""
