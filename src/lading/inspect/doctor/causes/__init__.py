"""One module an area. What is not imported here does not exist."""


def register() -> None:
    """Import every module of causes: they enter themselves."""
    from lading.inspect.doctor.causes import (  # noqa: F401 they register
        answers,
        cgroups,
        cuda,
        devices,
        driver,
        engines,
        fabric,
        gpus,
        kernel,
        network,
        registries,
        sources,
        storage,
        toolkit,
    )
