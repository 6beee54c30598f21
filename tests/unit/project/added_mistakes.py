"""Mistakes in `[[image.files]]`, `[[image.step]]` and `bake`: rows of test_mistakes.py."""

from __future__ import annotations

from .mistake_rows import config

FILE = "[[image.files]]\n"
STEP = "[[image.step]]\n"
ADDED = [
    config("files-table", '[image.files]\nsource = "a"\n', "lading.toml:1", "image.files", "[[image.files]]"),
    config("files-list", "[image]\nfiles = ['a']\n", "lading.toml:2", "image.files[0]", "must be a table"),
    config(
        "no-destination", FILE + "source = 'train.py'\n", "lading.toml:1", "image.files[0]", "destination"
    ),
    config(
        "destination-relative",
        FILE + "source = 'train.py'\ndestination = 'opt/a'\n",
        "lading.toml:3",
        "image.files[0].destination",
        "not an absolute path",
    ),
    config(
        "destination-up",
        FILE + "source = 'train.py'\ndestination = '/opt/../etc/a'\n",
        "lading.toml:3",
        "image.files[0].destination",
        "not canonical",
    ),
    config(
        "destination-folder",
        FILE + "source = 'train.py'\ndestination = '/opt/'\n",
        "lading.toml:3",
        "image.files[0].destination",
        "ends in a slash",
    ),
    config(
        "destination-environment",
        FILE + "source = 'train.py'\ndestination = '/opt/venv/bin/python'\n",
        "lading.toml:3",
        "image.files[0].destination",
        "the Python environment",
    ),
    config(
        "destination-merged",
        FILE + "source = 'train.py'\ndestination = '/bin/tool'\n",
        "lading.toml:3",
        "image.files[0].destination",
        'write "/usr/bin/tool"',
    ),
    config(
        "destination-kernel",
        FILE + "source = 'train.py'\ndestination = '/tmp/a'\n",
        "lading.toml:3",
        "image.files[0].destination",
        "not kept in an image",
    ),
    config(
        "destination-whiteout",
        FILE + "source = 'train.py'\ndestination = '/opt/.wh.a'\n",
        "lading.toml:3",
        "image.files[0].destination",
        "removed file",
    ),
    config(
        "destination-models",
        FILE + "source = 'train.py'\ndestination = '/models/a'\n",
        "lading.toml:3",
        "image.files[0].destination",
        "bake = true",
    ),
    config(
        "destination-twice",
        (FILE + "source = 'train.py'\ndestination = '/opt/a'\n") * 2,
        "lading.toml:6",
        "image.files[1].destination",
        "is there twice",
    ),
    config(
        "destination-in-code",
        FILE + "source = 'lading.toml'\ndestination = '/app/train.py'\n",
        "lading.toml:1",
        "destination",
        "is a file of the code already",
    ),
    config(
        "file-absent",
        FILE + "source = 'weights.bin'\ndestination = '/opt/a'\n",
        "lading.toml:1",
        "source",
        "'weights.bin' is not there",
    ),
    config(
        "file-outside",
        FILE + "source = '../a'\ndestination = '/opt/a'\n",
        "lading.toml:2",
        "image.files[0].source",
        "not a path inside the project",
    ),
    config(
        "file-url-without-sha256",
        FILE + "source = 'https://example.org/a'\ndestination = '/opt/a'\n",
        "lading.toml:1",
        "image.files[0]",
        "needs `sha256`",
        "curl -fsSL https://example.org/a | sha256sum",
    ),
    config(
        "file-scheme",
        FILE + "source = 's3://bucket/a'\ndestination = '/opt/a'\n",
        "lading.toml:2",
        "image.files[0].source",
        "s3://",
    ),
    config(
        "file-credentials",
        FILE + "source = 'https://u:p@example.org/a'\ndestination = '/opt/a'\nsha256 = '" + "0" * 64 + "'\n",
        "lading.toml:2",
        "image.files[0].source",
        "credentials",
    ),
    config(
        "file-mode-number",
        FILE + "source = 'train.py'\ndestination = '/opt/a'\nmode = 0o755\n",
        "lading.toml:4",
        "image.files[0].mode",
        "must be a string",
    ),
    config(
        "file-mode-setuid",
        FILE + "source = 'train.py'\ndestination = '/opt/a'\nmode = '4755'\n",
        "lading.toml:4",
        "image.files[0].mode",
        "octal digits",
    ),
    config("step-string", "[image]\nstep = 'make'\n", "lading.toml:2", "image.step", "[[image.step]]"),
    config("step-no-run", STEP + "network = true\n", "lading.toml:1", "image.step[0]", "needs `run`"),
    config(
        "step-typo", STEP + "run = 'a'\nnetwrok = true\n", "lading.toml:3", "image.step[0].netwrok", "network"
    ),
    config(
        "step-input-absent",
        STEP + "run = 'a'\ninputs = ['setup.sh']\n",
        "lading.toml:1",
        "inputs",
        "'setup.sh' is not there",
    ),
    config(
        "step-secret-and-env",
        STEP + "run = 'a'\nsecrets = ['T']\nenv = { T = 'x' }\n",
        "lading.toml:4",
        "image.step[0].env.T",
        "also named under `secrets`",
    ),
    config(
        "step-secret-value",
        STEP + "run = 'a'\nsecrets = ['T=x']\n",
        "lading.toml:3",
        "image.step[0].secrets[0]",
        "never the value",
    ),
    config(
        "step-reserved-variable",
        STEP + "run = 'a'\nenv = { LADING_HOME = 'x' }\n",
        "lading.toml:3",
        "image.step[0].env.LADING_HOME",
        "set by lading",
    ),
    config(
        "step-without-shell",
        "[image.serve]\nflavour = 'minimal'\n" + STEP + "run = 'a'\n",
        "lading.toml:3",
        "step",
        "the image serve is minimal",
        "[image.serve] step = []",
    ),
    config("bake-word", "[serve]\nbake = 'yes'\n", "lading.toml:2", "serve.bake", "true or false"),
]
