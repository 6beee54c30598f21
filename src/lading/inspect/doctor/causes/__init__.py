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

    register_runs()


def register_runs() -> None:
    """Those of runs alone: a run that failed asks for them before its command ends."""
    from lading.inspect.doctor.causes import (  # noqa: F401 they register
        run_code,
        run_files,
        run_gpu,
        run_memory,
        run_models,
        run_network,
        run_pace,
        run_signals,
        run_start,
    )
