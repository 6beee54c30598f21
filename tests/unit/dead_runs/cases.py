"""One or more ways to die for each cause."""

from __future__ import annotations

from dead_runs.death import DEATHS, GB, NCCL, Case, kernel, limited, raised, seen
from dead_runs.gpu_cases import GPU_CASES
from lading.engine.circumstances import Circumstances, EndedBy, GpuUse, Sample
from lading.run.record import TERMINATED, WATCHER_KILLED

_GATED = (
    "huggingface_hub.errors.GatedRepoError: 401 Client Error. (Request ID: Root=1-67-5b;0b)\n\n"
    "Cannot access gated repo for url https://huggingface.co/org/model/resolve/main/config.json.\n"
    "Access to model org/model is restricted. You must have access to it and be authenticated to access it. "
    "Please log in.\n"
)
_HUB = (
    "OSError: We couldn't connect to 'https://huggingface.co' to load the files, and couldn't find them "
    "in the "
    "cached files.\nCheck your internet connection or see how to run the library in offline mode.\n"
)
_BUSY = tuple(Sample(seconds=float(n), memory_bytes=GB, cpus=1.9, waiting=0) for n in range(1, 40))
_STARVED = tuple(
    Sample(seconds=float(n), memory_bytes=GB, cpus=0.2, waiting=int(n % 3 > 0), gpu_percent=12.0)
    for n in range(1, 40)
)
_LEAK = tuple(Sample(seconds=float(n), memory_bytes=n * GB // 20, cpus=1.0, waiting=0) for n in range(1, 41))

_LEAK = tuple(Sample(seconds=float(n), memory_bytes=n * GB // 20, cpus=1.0, waiting=0) for n in range(1, 41))

CASES = (
    # memory
    Case(
        name="cgroup",
        cause="run-memory-limit",
        exit_status=137,
        log="",
        seen=seen(oom_kills=1, own_limit_reached=True, host_oom_kills=1, samples=_LEAK),
        more=limited(2 * GB),
        remedy="--memory 4GB",
    ),
    Case(
        name="watchdog",
        cause="run-memory-limit",
        exit_status=137,
        log="",
        seen=seen(ended_by=EndedBy.MEMORY_LIMIT),
        more=limited(2 * GB),
    ),
    Case(
        name="pod, counted",
        cause="run-surrounding-limit",
        exit_status=137,
        log="",
        seen=seen(oom_kills=1, around_limit_reached=True, around_limit_bytes=8 * GB, host_oom_kills=1),
    ),
    Case(
        name="pod, logged",
        cause="run-surrounding-limit",
        exit_status=137,
        log="",
        seen=seen(oom_kills=1, host_oom_kills=1, kernel=kernel("MEMCG", "oom_memcg=/kubepods/pod7,")),
        more=limited(64 * GB),
    ),
    Case(
        name="a worker in a pod",
        cause="run-surrounding-limit",
        log=(DEATHS / "worker-kill.log").read_text(),
        seen=seen(oom_kills=1, around_limit_reached=True, around_limit_bytes=8 * GB),
    ),
    Case(
        name="host, logged",
        cause="run-host-memory",
        exit_status=137,
        log="",
        seen=seen(
            oom_kills=1,
            host_oom_kills=1,
            least_free_memory_bytes=90_000_000,
            kernel=kernel("NONE", "global_oom,"),
        ),
    ),
    Case(
        name="host, counted",
        cause="run-host-memory",
        exit_status=137,
        log="",
        seen=seen(host_oom_kills=1, least_free_memory_bytes=90_000_000),
        certain=False,
    ),
    *(
        Case(name=name, cause="run-allocation-refused")
        for name in ("alloc-torch", "alloc-numpy", "alloc-rlimit")
    ),
    Case(name="bad-alloc", cause="run-allocation-refused", exit_status=134),
    Case(name="shm-torch", cause="run-shm-full", remedy="--shm-size"),
    Case(name="shm-worker", cause="run-shm-full"),
    Case(
        name="shm-python",
        cause="run-shm-full",
        exit_status=135,
        seen=seen(shm_bytes=1_048_576, peak_shm_bytes=1_048_576),
        remedy="--shm-size 3MB",
    ),
    Case(name="worker-bus", cause="run-shm-full", certain=False),
    Case(
        name="worker-bus, full",
        cause="run-shm-full",
        log=(DEATHS / "worker-bus.log").read_text(),
        seen=seen(shm_bytes=64_000_000, peak_shm_bytes=63_900_000),
    ),
    Case(
        name="nccl-shm",
        cause="run-shm-full",
        log=raised(
            NCCL.format(
                kind="unhandled system error",
                name="ncclSystemError: System call (e.g. socket, malloc) or external library call failed.",
                last="Error while creating shared memory segment /dev/shm/nccl-Kx3bqP (size 9637888), "
                "error: No "
                "space left on device (28)",
            )
        ),
    ),
    Case(name="mapped file", cause="run-bus-error", exit_status=135, log=""),
    # signals
    Case(name="faulthandler", cause="run-segfault", exit_status=139),
    Case(name="worker-segv", cause="run-segfault"),
    Case(
        name="silent segfault", cause="run-segfault", exit_status=139, log="", remedy="PYTHONFAULTHANDLER=1"
    ),
    Case(name="avx", cause="run-illegal-instruction", exit_status=132, log=""),
    Case(name="abort-cpp", cause="run-aborted", exit_status=134),
    Case(
        name="timeout",
        cause="run-timeout",
        exit_status=143,
        log="epoch 1\n",
        seen=seen(ended_by=EndedBy.TIMEOUT),
        more={"limits": {"timeout_seconds": 3600.0}},
        remedy="--timeout 2h",
    ),
    Case(name="stop", cause="run-stopped", exit_status=143, log="", seen=seen(ended_by=EndedBy.REQUEST)),
    Case(
        name="interrupt",
        cause="run-stopped",
        exit_status=None,
        log=raised("KeyboardInterrupt"),
        more={"phase": "interrupted", "reason": "interrupted"},
    ),
    Case(
        name="preempted",
        cause="run-preempted",
        exit_status=None,
        log="epoch 3\n",
        more={"phase": "interrupted", "reason": TERMINATED},
    ),
    Case(
        name="kill -9 of lading",
        cause="run-watcher-killed",
        exit_status=None,
        log="epoch 3\n",
        more={"phase": "interrupted", "reason": WATCHER_KILLED},
    ),
    Case(name="kill -9", cause="run-killed", exit_status=137, log="epoch 3\n"),
    Case(
        name="kill -9, unwatched",
        cause="run-killed",
        exit_status=137,
        log="epoch 3\n",
        seen=Circumstances(),
        more={"is_watched": False},
        certain=False,
    ),
    Case(name="kill", cause="run-terminated", exit_status=143, log="epoch 3\n"),
    Case(
        name="threads",
        cause="run-process-limit",
        log=raised("RuntimeError: can't start new thread"),
        seen=seen(processes_refused=3),
        more={"limits": {"pids": 64}},
        remedy="--pids 128",
    ),
    Case(name="sigfpe", cause="run-signal", exit_status=136, log=""),
    # start
    Case(
        name="no such command",
        cause="run-command-not-found",
        exit_status=127,
        log="lading: cannot run 'traim': it is not in the image\n",
    ),
    Case(
        name="no such command, shell",
        cause="run-command-not-found",
        exit_status=127,
        log="sh: 1: ffmpeg: not found\n",
    ),
    Case(
        name="no execute bit",
        cause="run-not-executable",
        exit_status=126,
        log="lading: cannot run './train.py': Permission denied\n",
    ),
    Case(
        name="another processor",
        cause="run-wrong-architecture",
        exit_status=126,
        log="lading: cannot run './tool': Exec format error\n",
    ),
    Case(name="exec-format", cause="run-wrong-architecture"),
    Case(
        name="libGL",
        cause="run-library-missing",
        log=raised("ImportError: libGL.so.1: cannot open shared object file: No such file or directory"),
        remedy="libGL.so.1",
    ),
    Case(
        name="a program's library",
        cause="run-library-missing",
        exit_status=127,
        log="tool: error while loading shared libraries: libxml2.so.2: cannot open shared object file: No "
        "such "
        "file or directory\n",
    ),
    Case(name="library-version", cause="run-library-version"),
    Case(
        name="glibc",
        cause="run-library-version",
        log=raised(
            "ImportError: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by "
            "/opt/venv/lib/python3.11/site-packages/x/_c.so)"
        ),
    ),
    Case(
        name="opencv",
        cause="run-module-missing",
        log=raised("ModuleNotFoundError: No module named 'cv2'"),
        remedy="echo opencv-python-headless >> requirements.txt",
    ),
    Case(name="numpy-removed", cause="run-module-version"),
    Case(name="cannot-import", cause="run-module-version"),
    Case(
        name="numpy 1 and 2",
        cause="run-module-version",
        log=raised(
            "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from "
            "C header, "
            "got 88 from PyObject"
        ),
    ),
    Case(name="compile", cause="run-compiler-missing"),
    Case(
        name="triton",
        cause="run-compiler-missing",
        log=raised("RuntimeError: Failed to find C compiler. Please specify via CC environment variable."),
    ),
    Case(name="environ", cause="run-variable-missing", remedy="--secret HF_TOKEN"),
    # models
    *(
        Case(name=name, cause="run-model-truncated")
        for name in ("truncated-safetensors", "truncated-torch", "empty-torch", "truncated-pickle")
    ),
    *(Case(name=name, cause="run-model-truncated") for name in ("truncated-npy", "truncated-h5")),
    *(
        Case(name=name, cause="run-model-truncated", certain=False)
        for name in ("truncated-onnx", "truncated-npz", "onnx-lfs")
    ),
    Case(name="lfs-torch", cause="run-model-format", remedy="git lfs pull"),
    *(
        Case(name=name, cause="run-model-format")
        for name in ("html-torch", "lfs-safetensors", "npy-format", "gz-format", "h5-format")
    ),
    *(
        Case(name=name, cause="run-model-version")
        for name in ("onnx-ir", "onnx-opset", "onnx-op", "pickle-protocol", "sklearn-moved")
    ),
    Case(
        name="numpy 2 pickle",
        cause="run-model-version",
        log=raised("ModuleNotFoundError: No module named 'numpy._core'"),
    ),
    Case(
        name="sklearn trees",
        cause="run-model-version",
        log="InconsistentVersionWarning: Trying to unpickle estimator DecisionTreeClassifier from version "
        "1.2.2 when "
        "using version 1.5.0. This might lead to breaking code or invalid results.\n"
        + raised(
            "ValueError: node array from the pickle has an incompatible dtype: expected: [('left', '<i8')]"
        ),
    ),
    *(Case(name=name, cause="run-model-mismatch") for name in ("state-dict", "torch-main-class")),
    Case(name="torch-class", cause="run-pickle-refused"),
    Case(name="cuda-checkpoint", cause="run-model-device", remedy="--gpus 1"),
    *(Case(name=name, cause="run-model-permission") for name in ("onnx-permission", "torch-permission")),
    # files
    Case(name="disk-full", cause="run-disk-full", remedy="lading store gc"),
    Case(name="disk-full-torch", cause="run-disk-full"),
    Case(name="open-files", cause="run-open-files"),
    Case(
        name="read only",
        cause="run-read-only",
        log=raised("OSError: [Errno 30] Read-only file system: 'model.pt'"),
    ),
    Case(
        name="cache",
        cause="run-cache-folder",
        log=raised("PermissionError: [Errno 13] Permission denied: '/.cache'"),
    ),
    Case(
        name="denied",
        cause="run-permission",
        log=raised("PermissionError: [Errno 13] Permission denied: '/data/rows.csv'"),
    ),
    Case(name="worker-exception", cause="run-file-missing"),
    Case(name="onnx-missing", cause="run-file-missing"),
    # network
    Case(name="network-off", cause="run-network-off", remedy="--network"),
    Case(name="hub", cause="run-network-off", log=raised(_HUB)),
    Case(name="hub, with network", cause="run-network-failed", log=raised(_HUB), more={"network": True}),
    Case(
        name="resolver",
        cause="run-network-failed",
        log=(DEATHS / "network-off.log").read_text(),
        more={"network": True},
    ),
    Case(name="gated", cause="run-gated", log=raised(_GATED), more={"network": True}, remedy="HF_TOKEN"),
    Case(name="certificate", cause="run-certificate", more={"network": True}),
    Case(name="port-python", cause="run-port-taken"),
    Case(name="port-torch", cause="run-port-taken"),
    *GPU_CASES,
    # code
    *(
        Case(name=name, cause="run-numbers-broke")
        for name in ("nan-sklearn", "nan-anomaly", "nan-multinomial")
    ),
    *(Case(name=name, cause="run-worker-died") for name in ("worker-exit", "worker-kill", "pool-died")),
    Case(
        name="a rank without words",
        cause="run-rank-failed",
        log=(DEATHS / "torchrun.log").read_text().partition("bad\n")[2].partition("bad\n")[2],
    ),
    Case(name="torchrun", cause="run-exception"),
    Case(
        name="value", cause="run-exception", log=raised("ValueError: too many values to unpack (expected 2)")
    ),
    Case(name="argparse", cause="run-exit-code", exit_status=2, certain=False),
    Case(name="silent", cause="run-exit-code", exit_status=3, log="", certain=False),
    # pace
    Case(
        name="throttled",
        cause="run-cpu-throttled",
        exit_status=0,
        log="",
        seen=seen(throttled_share=0.6, samples=_BUSY),
        more={"phase": "finished", "wall_seconds": 40.0, "limits": {"cpus": 2.0}},
        remedy="--cpus 4",
    ),
    Case(
        name="starved",
        cause="run-data-bound",
        exit_status=0,
        log="",
        seen=seen(io_pressure_share=0.5, samples=_STARVED),
        more={"phase": "finished", "wall_seconds": 40.0, "gpus": 1},
    ),
    Case(
        name="paging",
        cause="run-memory-pressure",
        exit_status=0,
        log="",
        seen=seen(memory_pressure_share=0.5, samples=_BUSY),
        more={"phase": "finished", "wall_seconds": 40.0},
    ),
    Case(
        name="hot",
        cause="run-gpu-slowed",
        exit_status=0,
        log="",
        seen=seen(
            samples=_BUSY,
            gpus=(
                GpuUse(
                    index=0,
                    memory_bytes=80 * GB,
                    peak_memory_bytes=40 * GB,
                    mean_percent=90.0,
                    slowed_by=("heat",),
                ),
            ),
        ),
        more={"phase": "finished", "wall_seconds": 40.0, "gpus": 1},
    ),
)
