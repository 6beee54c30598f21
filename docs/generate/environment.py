"""The page of environment variables: those of options come from the parsers, the others stand here by hand.

A test reads the sources for names of variables and fails for one that is on neither list.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable

from lading.cli.commands import COMMANDS
from lading.cli.main import add_global_arguments
from lading.cli.parser import Parser

Table = Callable[[tuple[str, ...], Iterable[tuple[str, ...]]], str]

STORE_AND_OUTPUT = (
    ("LADING_HOME", "the store; else `$XDG_DATA_HOME/lading`, else `~/.local/share/lading`"),
    ("XDG_DATA_HOME", "see LADING_HOME"),
    ("HOME", "see LADING_HOME"),
    ("NO_COLOR", "any value: no colour"),
    ("FORCE_COLOR", "any value: colour without a terminal, too"),
    ("TERM", "`dumb`: no colour, no progress line; also passed to a container that has a terminal"),
    ("CI", "any value: no progress line that draws over itself"),
    ("LADING_VERBOSE", "`1` or `2`: as `-v` or `-vv`"),
)
BUILDING = (
    ("SOURCE_DATE_EPOCH", "seconds since 1970: the image's `created`; layers keep their own fixed time"),
    (
        "LADING_DEBIAN_MIRROR",
        "URL or folder with `dists/` and `pool/`; else what this host's apt names. "
        "A host without apt sources must set it",
    ),
    ("LADING_DEBIAN_SECURITY_MIRROR", "the same for `SUITE-security`"),
    (
        "LADING_DEBIAN_SNAPSHOT",
        "URL or folder of a server laid out as Debian's snapshot service (it holds `archive/debian/TIME/`): "
        "where packages come from that the mirror has dropped",
    ),
    (
        "LADING_DEBIAN_KEYRING",
        "binary OpenPGP keyring for these archives; else Debian's own, shipped with lading",
    ),
)
WHEELS = (
    ("UV_DEFAULT_INDEX, UV_INDEX_URL", "the main index; else `PIP_INDEX_URL`; else uv's own default"),
    ("UV_INDEX, UV_EXTRA_INDEX_URL", "further indexes; else `PIP_EXTRA_INDEX_URL`"),
    ("UV_FIND_LINKS", "folders or pages of wheels; else `PIP_FIND_LINKS`"),
    ("UV_NO_INDEX", "`1`: only wheel folders; else `PIP_NO_INDEX`"),
    ("UV_INSECURE_HOST", "hosts whose certificate is not checked; else `PIP_TRUSTED_HOST`"),
    ("UV_INDEX_NAME_USERNAME, UV_INDEX_NAME_PASSWORD", "credentials of the index that uv knows as NAME"),
    (
        "UV_TORCH_BACKEND",
        "`cpu` counts for the accelerator cpu, `cu…` for cuda, `auto` never; `cu126` names its own",
    ),
    (
        "LADING_TORCH_INDEX",
        "where PyTorch's indexes are mirrored: a URL with `cpu/`, `cu126/` … below it; else PyTorch's own",
    ),
    ("UV_PYTHON_INSTALL_MIRROR", "where standalone Python builds come from (uv's own variable)"),
)
NETWORK = (
    ("HTTP_PROXY, HTTPS_PROXY, NO_PROXY", "proxies, as every tool reads them"),
    ("NETRC", "another file than `~/.netrc` for user names and passwords"),
    (
        "REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, SSL_CERT_FILE, PIP_CERT",
        "a bundle of certificate authorities; the first that is set",
    ),
)
REGISTRIES = (
    ("REGISTRY_AUTH_FILE", "the file with registry credentials; the first of these that knows the registry"),
    ("XDG_RUNTIME_DIR", "where `podman login` writes (containers/auth.json in it)"),
    ("XDG_CONFIG_HOME", "the same file in this folder; else in `~/.config`"),
    ("DOCKER_CONFIG", "the folder that `docker login` writes to; else `~/.docker`"),
    (
        "LADING_INSECURE_REGISTRIES",
        "HOST:PORT, apart by commas, that may be reached without TLS; loopback may",
    ),
)
RUNNING = (
    ("LADING_EMBEDDED_LEVEL", "`chroot` or `process`: the best level that containers may use"),
    ("LADING_NVIDIA_ROOT", "the folder below which NVIDIA's driver is looked for; else `/`"),
    ("CUDA_VISIBLE_DEVICES", "the GPUs that runs may be given, as batch systems set it; else all"),
)
DOCTOR = (
    ("DOCKER_HOST", "the daemon that `docker info` asks"),
    ("SSL_CERT_DIR, UV_NATIVE_TLS, UV_SYSTEM_CERTS", "other ways by which uv is told of certificates"),
    ("LD_LIBRARY_PATH", "which libcuda programs get: a stub, or one of a compatibility package"),
    ("NVIDIA_VISIBLE_DEVICES, NVIDIA_DRIVER_CAPABILITIES", "what a container was granted of GPUs"),
    ("CUDA_MPS_PIPE_DIRECTORY", "the pipes of the Multi-Process Service"),
    ("NCCL_SOCKET_IFNAME, NCCL_IB_HCA, NCCL_P2P_DISABLE", "held against the interfaces and links there are"),
    ("KUBERNETES_SERVICE_HOST, container", "that this is a container"),
    ("DBUS_SESSION_BUS_ADDRESS, DISPLAY", "whether a credential helper has its desktop session"),
)
IN_TASKS = (
    ("NAME", "each parameter, its name in upper case"),
    ("LADING_PARAMS", "JSON file with all parameters"),
    ("LADING_INPUTS", "folder of the inputs, read-only; an input NAME is at `$LADING_INPUTS/NAME`"),
    ("LADING_INPUT_NAME", "the path of input NAME"),
    ("LADING_OUTPUTS", "folder that is collected when the task has ended well"),
    ("LADING_CHECKPOINTS", "folder that stays for the next run of this task"),
    ("MLFLOW_TRACKING_URI", "an SQLite file in the outputs, so that what MLflow logs becomes metrics"),
    ("OMP_NUM_THREADS and its like", "the CPU limit, rounded up; without one the host's processors"),
    (
        "HOME, TMPDIR, XDG_CACHE_HOME, HF_HOME, TORCH_HOME, TRITON_CACHE_DIR, NUMBA_CACHE_DIR, MPLCONFIGDIR",
        "writable folders for any uid, gone after the run",
    ),
)


def option_variables() -> dict[str, tuple[str, str]]:
    """Variable → its option and the commands that have it."""
    found: dict[str, tuple[str, list[str]]] = {}
    for command in COMMANDS:
        module = importlib.import_module(f"lading.cli.{command.module}")
        parser = Parser(command.name, module.ABOUT, module.EXAMPLES, {})
        module.add_arguments(parser)
        add_global_arguments(parser)
        options = {
            action.dest: action.option_strings[-1] for action in parser._actions if action.option_strings
        }
        for declared in parser._declared:
            found.setdefault(declared.variable, (options[declared.name], []))[1].append(command.name)
    every = len(COMMANDS)
    return {
        variable: (option, "all" if len(names) == every else ", ".join(names))
        for variable, (option, names) in sorted(found.items())
    }


def environment_page(table: Table) -> str:
    """The whole page."""
    parts = [
        "# Environment variables\n",
        "What stands on the command line wins over a variable, a variable over `lading.toml`'s silence.\n",
    ]
    sections = (
        ("The store and what is printed", STORE_AND_OUTPUT),
        ("Building", BUILDING),
        ("Where wheels come from", WHEELS),
        ("The network", NETWORK),
        ("Registries", REGISTRIES),
        ("Running", RUNNING),
        ("What `lading doctor` looks at, besides", DOCTOR),
    )
    for title, rows in sections:
        parts += [f"## {title}\n", table(("variable", "meaning"), _coded(rows)) + "\n"]
    parts += [
        "uv's other variables reach uv too, but for those that would let the host's Python or another "
        "project decide (`UV_PYTHON`, `UV_PROJECT`, `UV_NO_BINARY`, `VIRTUAL_ENV`, …): a lock does not "
        "depend on the laptop. Credentials in an index URL are used and never written down.\n",
        "## What a task finds in its container\n",
        table(("variable", "meaning"), _coded(IN_TASKS)) + "\n",
        "Nothing of the caller's own environment enters a container, but for the `secrets` that are named.\n",
        "## Options\n",
        "A switch takes `1`, `true`, `yes`, `on` or `0`, `false`, `no`, `off`.\n",
    ]
    options = [(f"`{name}`", f"`{option}`", where) for name, (option, where) in option_variables().items()]
    parts.append(table(("variable", "option", "commands"), options) + "\n")
    return "\n".join(parts)


def _coded(rows: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for names, text in rows:
        plain = names.endswith("like")
        shown = names if plain else ", ".join(f"`{name}`" for name in names.split(", "))
        yield shown, text
