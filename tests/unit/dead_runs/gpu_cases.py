"""Deaths on GPUs, as CUDA, the frameworks and NCCL are known to tell them."""

from __future__ import annotations

from dead_runs.death import DEATHS, NCCL, Case, raised, seen

_TORCH_OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {tried}. GPU 0 has a total capacity of "
    "79.15 GiB "
    "of which {free} is free. {others}Including non-PyTorch memory, this process has {own} memory in use. "
    "Of the "
    "allocated memory {allocated} is allocated by PyTorch, and {unused} is reserved by PyTorch but "
    "unallocated. If "
    "reserved but unallocated memory is large try setting "
    "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid "
    "fragmentation.  See documentation for Memory Management  "
    "(https://pytorch.org/docs/stable/notes/cuda.html)"
)
_CUDA_TAIL = (
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below "
    "might be "
    "incorrect.\nFor debugging consider passing CUDA_LAUNCH_BLOCKING=1\nCompile with `TORCH_USE_CUDA_DSA` "
    "to enable "
    "device-side assertions.\n"
)
_WATCHDOG = (
    "[rank3]:[E1125 10:21:33.123456789 ProcessGroupNCCL.cpp:632] [Rank 3] Watchdog caught collective "
    "operation "
    "timeout: WorkNCCL(SeqNum=4133, OpType=ALLREDUCE, NumelIn=25557032, NumelOut=25557032, "
    "Timeout(ms)=600000) ran "
    "for 600013 milliseconds before timing out.\n"
    "[rank3]:[E1125 10:21:33.2 ProcessGroupNCCL.cpp:695] [Rank 3] Some NCCL operations have failed or "
    "timed out.\n"
    "terminate called after throwing an instance of 'c10::DistBackendError'\n"
    "  what():  [PG ID 0 PG GUID 0(default_pg) Rank 3] Process group watchdog thread terminated with "
    "exception\n"
)

GPU_CASES = (
    # GPUs
    Case(
        name="cuda memory",
        cause="run-cuda-memory",
        log=raised(
            _TORCH_OOM.format(
                tried="2.00 GiB",
                free="1.21 GiB",
                others="",
                own="77.93 GiB",
                allocated="76.12 GiB",
                unused="1.02 GiB",
            )
        ),
    ),
    Case(
        name="cuda memory in a container",
        cause="run-cuda-memory",
        log=raised(
            "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total "
            "capacity of "
            "79.15 GiB of which 1.21 GiB is free. Process 31337 has 77.93 GiB memory in use. Of the "
            "allocated memory "
            "76.12 GiB is allocated by PyTorch, and 1.02 GiB is reserved by PyTorch but unallocated."
        ),
    ),
    Case(
        name="cuda memory, torch 1",
        cause="run-cuda-memory",
        log=raised(
            "RuntimeError: CUDA out of memory. Tried to allocate 512.00 MiB (GPU 0; 15.78 GiB total "
            "capacity; 14.10 "
            "GiB already allocated; 310.75 MiB free; 14.20 GiB reserved in total by PyTorch)"
        ),
    ),
    Case(
        name="jax",
        cause="run-cuda-memory",
        log=raised(
            "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory while trying to "
            "allocate "
            "17179869184 bytes."
        ),
    ),
    Case(
        name="tensorflow",
        cause="run-cuda-memory",
        log=raised(
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError: {{function_node "
            "__wrapped__Conv2D}} OOM when allocating tensor with shape[512,64,224,224] and type float on "
            "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc [Op:Conv2D]"
        ),
    ),
    Case(
        name="cuda memory of a rank",
        cause="run-cuda-memory",
        log="\n".join(
            f"[rank1]: {line}"
            for line in raised(
                _TORCH_OOM.format(
                    tried="2.00 GiB",
                    free="1.21 GiB",
                    others="",
                    own="77.93 GiB",
                    allocated="76.12 GiB",
                    unused="1.02 GiB",
                )
            ).splitlines()
        )
        + "\n"
        + (DEATHS / "torchrun.log").read_text().partition("bad\n")[2].partition("bad\n")[2],
    ),
    Case(
        name="fragments",
        cause="run-cuda-fragmentation",
        log=raised(
            _TORCH_OOM.format(
                tried="2.00 GiB",
                free="1.21 GiB",
                others="",
                own="77.93 GiB",
                allocated="60.12 GiB",
                unused="16.9 GiB",
            )
        ),
        remedy="expandable_segments:True",
    ),
    Case(
        name="fragments, torch 1",
        cause="run-cuda-fragmentation",
        log=raised(
            "RuntimeError: CUDA out of memory. Tried to allocate 512.00 MiB (GPU 0; 15.78 GiB total "
            "capacity; 9.10 "
            "GiB already allocated; 310.75 MiB free; 14.20 GiB reserved in total by PyTorch) If reserved "
            "memory is >> "
            "allocated memory try setting max_split_size_mb to avoid fragmentation."
        ),
    ),
    Case(
        name="a neighbour's memory",
        cause="run-cuda-memory-taken",
        log=raised(
            _TORCH_OOM.format(
                tried="2.00 GiB",
                free="18.94 MiB",
                others="Process 1842 has 74.00 GiB memory in use. ",
                own="3.66 GiB",
                allocated="3.20 GiB",
                unused="150.12 MiB",
            )
        ),
        remedy="nvidia-smi",
    ),
    Case(
        name="driver 470",
        cause="run-driver-old",
        log=raised(
            "RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please "
            "update your GPU "
            "driver by downloading and installing a new version from the URL: "
            "http://www.nvidia.com/Download/index.aspx"
        ),
    ),
    Case(
        name="driver, runtime",
        cause="run-driver-old",
        log=raised("RuntimeError: CUDA driver version is insufficient for CUDA runtime version"),
    ),
    Case(
        name="RTX 5090",
        cause="run-gpu-too-new-or-old",
        log="UserWarning: NVIDIA GeForce RTX 5090 with CUDA capability sm_120 is not compatible with the "
        "current "
        "PyTorch installation.\n"
        + raised(
            "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device\n"
            + _CUDA_TAIL
        ),
    ),
    Case(
        name="no GPU asked for",
        cause="run-gpu-not-given",
        log=raised("RuntimeError: No CUDA GPUs are available"),
        remedy="--gpus 1",
    ),
    Case(
        name="no driver",
        cause="run-gpu-not-given",
        log=raised(
            "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA "
            "GPU and "
            "installed a driver from http://www.nvidia.com/Download/index.aspx"
        ),
    ),
    Case(name="cpu-build", cause="run-built-for-cpu", remedy="--accelerator cuda"),
    Case(
        name="label beyond the classes",
        cause="run-device-assert",
        log="/pytorch/aten/src/ATen/native/cuda/Loss.cu:245: nll_loss_forward_reduce_cuda_kernel_2d: "
        "block: [0,0,0], "
        "thread: [7,0,0] Assertion `t >= 0 && t < n_classes` failed.\n"
        + raised("RuntimeError: CUDA error: device-side assert triggered\n" + _CUDA_TAIL),
        remedy="CUDA_LAUNCH_BLOCKING=1",
    ),
    Case(
        name="illegal address",
        cause="run-illegal-address",
        log=raised("RuntimeError: CUDA error: an illegal memory access was encountered\n" + _CUDA_TAIL),
    ),
    Case(
        name="off the bus",
        cause="run-gpu-failed",
        log=raised("RuntimeError: CUDA error: an illegal memory access was encountered\n" + _CUDA_TAIL),
        seen=seen(
            kernel=(
                "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the "
                "bus.",
            )
        ),
    ),
    Case(
        name="ecc",
        cause="run-gpu-failed",
        log=raised("RuntimeError: CUDA error: uncorrectable ECC error encountered\n" + _CUDA_TAIL),
    ),
    Case(
        name="nvml",
        cause="run-gpu-lost",
        exit_status=255,
        log="Failed to initialize NVML: Unknown Error\n",
        more={"gpus": 1},
    ),
    Case(name="watchdog of nccl", cause="run-collective-timeout", exit_status=134, log=_WATCHDOG),
    Case(name="gloo-timeout", cause="run-collective-timeout"),
    Case(
        name="no interface",
        cause="run-collective-setup",
        log=raised(
            NCCL.format(
                kind="internal error",
                name="ncclInternalError: Internal check failed.",
                last="Bootstrap : no socket interface found",
            )
        ),
    ),
    Case(
        name="two ranks, one GPU",
        cause="run-collective-setup",
        log=raised(
            NCCL.format(
                kind="invalid usage",
                name="ncclInvalidUsage: This usually reflects invalid usage of NCCL library.",
                last="Duplicate GPU detected : rank 1 and rank 0 both on CUDA device 3b000",
            )
        ),
    ),
)
