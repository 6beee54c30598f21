"""For each rule over Python projects, folders it must catch and folders it must leave alone: name → text, the
linted file first. The label was written before the rule saw them.
"""

from __future__ import annotations

Folder = dict[str, str]
GIT = "git+https://git.example/a/b.git"
HASH = " --hash=sha256:" + "0" * 64


def requirements(text: str, name: str = "requirements.txt", **beside: str) -> Folder:
    return {name: text, **{key.replace("_", "."): value for key, value in beside.items()}}


def project(dependencies: str, more: str = "", **beside: str) -> Folder:
    text = f'[project]\nname = "p"\nversion = "1"\ndependencies = [{dependencies}]\n{more}'
    return {"pyproject.toml": text, **{key.replace("_", "."): value for key, value in beside.items()}}


def python(text: str, name: str = "app.py") -> Folder:
    return {name: text}


def uv_package(name: str, files: str, edges: str = "") -> str:
    return (
        f'[[package]]\nname = "{name}"\nversion = "1.0"\n'
        f'source = {{ registry = "https://index.example" }}\n{files}\n{edges}\n'
    )


def uv_lock(*packages: str) -> Folder:
    return {"uv.lock": 'version = 1\nrequires-python = ">=3.12"\n\n' + "\n".join(packages)}


def wheel(tag: str) -> str:
    return f'{{ url = "https://f.example/a-1.0-{tag}.whl", hash = "sha256:0" }}'


SDIST = 'sdist = { url = "https://f.example/a-1.0.tar.gz", hash = "sha256:0" }'
LINUX = "cp312-cp312-manylinux_2_17_x86_64"
EMPTY = "version = 1\n"
LOCKED = "[[package]]\nname = 'numpy'\nversion = '2.0'\n"
OWN = (
    LOCKED
    + "[[package]]\nname = 'p'\nversion = '1'\nsource = { virtual = '.' }\n"
    + "[package.metadata]\nrequires-dist = [{ name = 'numpy', specifier = '>=2' }]\n"
)
DOWNLOAD = "import torch\nfrom huggingface_hub import hf_hub_download\n"
IMAGE = "FROM python:3.11-slim\nCOPY . .\nRUN pip install .\n"
NEWER = 'requires-python = ">=3.12"\n'
LOOP = "import torch\nfor epoch in range(3):\n    torch.save(model, "

PYTHON: dict[str, tuple[tuple[Folder, ...], tuple[Folder, ...]]] = {
    "LDP001": (
        (
            requirements("torch>=2.6\nnumpy==2.0\n"),
            requirements("torch\n", "requirements-serve.txt"),
            project('"torch"', Dockerfile="FROM python:3.12\n"),
            project('"torch>=2"', lading_toml=""),
        ),
        (
            requirements("torch==2.6.0\n"),
            requirements("torch\n", uv_lock=EMPTY),
            requirements("pytest\n", "requirements-dev.txt"),
            requirements("torch\n", setup_py=""),
            requirements("-r base.txt\ntorch\n"),
            project('"torch"'),
            project('"torch"', '[build-system]\nrequires = ["hatchling"]\n', Dockerfile="FROM python:3.12\n"),
            project('"torch"', Dockerfile="FROM python:3.12\n", uv_lock=EMPTY),
        ),
    ),
    "LDP002": (
        (
            requirements("torch==2.6.0\n"),
            requirements(f"numpy==2.0{HASH}\ntorch==2.6.0\n"),
            requirements("torch==2.6.0  # why\nnumpy==2.0\n", "requirements.gpu.txt"),
        ),
        (
            requirements(f"numpy==2.0{HASH}\n"),
            requirements("numpy==2.0 \\\n   --hash=sha256:0\n"),
            requirements("torch>=2.6\n"),
            requirements("torch==2.6.0\n", uv_lock=EMPTY),
            requirements("pytest==8.0\n", "requirements-test.txt"),
            requirements(f"torch==2.6.0\n{GIT}@v1\n"),
            requirements("torch==2.6.0\n./vendor/a\n"),
        ),
    ),
    "LDP003": (
        (
            project('"numpy", "torch"', uv_lock=LOCKED),
            project('"numpy>=1.26"', uv_lock=OWN),
            {"pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.12"\ntorch = "^2"\n',
             "poetry.lock": LOCKED},
            project('"torch"',
             pylock_toml='lock-version = "1.0"\n[[packages]]\nname = "numpy"\nversion = "2"\n'),
        ),
        (
            project('"numpy>=1.26"', uv_lock=LOCKED),
            project('"numpy>=2"', uv_lock=OWN),
            project("\"numpy\", \"pywin32; sys_platform == 'win32'\"", uv_lock=LOCKED),
            project('"NumPy"', uv_lock=LOCKED),
            project('"torch"', uv_lock=EMPTY),
        ),
    ),
    "LDP004": (
        (
            requirements("torch==2.6.0\ntorchvision==0.20.1\n"),
            requirements("torchaudio==2.5.0+cu124 # why\nnumpy\ntorch==2.6.0+cu124\n"),
            requirements("torch==2.1.2 \\\n    --hash=sha256:0\ntorchvision==0.15.2\n"),
            project('"torch==2.6.0", "torchvision==0.20.1"'),
            {"environment.yml": "dependencies:\n  - pip:\n    - torch==2.6.0\n    - torchvision==0.20.1\n"},
            {"setup.py": 'setup(install_requires=["torch==2.6.0", "torchvision==0.20.1"])\n'},
        ),
        (
            requirements("torch==2.6.0\ntorchvision==0.21.0\ntorchaudio==2.6.0\n"),
            requirements("torch>=2.6\ntorchvision==0.20.1\n"),
            requirements("torch==1.13.1\ntorchvision==0.14.1\n"),
            requirements("torch==2.6.0; sys_platform == 'linux'\ntorchvision==0.20.1\n"),
            project('"torch==2.6.0"', '[project.optional-dependencies]\nold = ["torchvision==0.20.1"]\n'),
        ),
    ),
    "LDP005": (
        (
            requirements("torch==2.6.0\njax[cuda13]\n"),
            requirements("torch==2.6.0+cu118\ncupy-cuda12x==13.3.0\n"),
            project('"tensorflow[and-cuda]==2.19.0", "cupy-cuda13x"'),
        ),
        (
            requirements("torch==2.6.0\njax[cuda12]\n"),
            requirements("--index-url https://w.example/cu130\ntorch==2.6.0\njax[cuda13]\n"),
            requirements("torch\njax[cuda13]\n"),
            requirements("tensorflow==2.19.0\ncupy-cuda13x\n"),
        ),
    ),
    "LDP006": (
        (
            uv_lock(uv_package("a", SDIST)),
            uv_lock(uv_package("a", f"{SDIST}\nwheels = [{wheel('cp311-cp311-manylinux_2_17_x86_64')}]")),
            {"poetry.lock": '[[package]]\nname = "a"\nversion = "1"\nfiles = [{file = "a-1.tar.gz"}]\n'},
            {"pylock.toml": '[[packages]]\nname = "a"\nversion = "1"\nsdist = {name = "a-1.zip"}\n'},
        ),
        (
            uv_lock(uv_package("a", f"{SDIST}\nwheels = [{wheel(LINUX)}]")),
            uv_lock(uv_package("a", f"{SDIST}\nwheels = [{wheel('py3-none-any')}]")),
            uv_lock(uv_package("a", f"{SDIST}\nwheels = [{wheel('cp39-abi3-musllinux_1_1_x86_64')}]")),
            uv_lock(uv_package("a", f"wheels = [{wheel('cp312-cp312-win_amd64')}]")),
            uv_lock(
                uv_package("a", SDIST),
                uv_package("b", f"wheels = [{wheel(LINUX)}]",
                           "dependencies = [{ name = 'a', marker = \"sys_platform == 'darwin'\" }]"),
            ),
            uv_lock('[[package]]\nname = "a"\nversion = "1"\nsource = { git = "https://g.example/a" }\n'),
        ),
    ),
    "LDP007": (
        (
            project("", NEWER, Dockerfile=IMAGE),
            project("", NEWER, _python_version="x") | {".python-version": "3.11\n"},
            project("", 'requires-python = "<3.11"\n', Dockerfile=IMAGE.replace("pip install .",
             "pip install '.[serve]'")),
        ),
        (
            project("", NEWER, Dockerfile=IMAGE.replace("3.11", "3.12")),
            project("", NEWER, Dockerfile="FROM python:3.11\nRUN pip install -r requirements.txt\n"),
            project("", NEWER, Dockerfile="FROM python:3.11\nCOPY sub .\nRUN pip install .\n"),
            project("", 'requires-python = ">=3.11.4"\n', Dockerfile=IMAGE),
            project("", NEWER, Dockerfile=IMAGE.replace("python:3.11", "acme/python:3.11")),
            project("", "", Dockerfile=IMAGE),
        ),
    ),
    "LDP008": (
        (requirements(GIT + "\n"), requirements(f"b @ {GIT}\n"), requirements(f"-e {GIT}#egg=b\n"),
         project(f'"b @ {GIT}"')),
        (requirements(f"{GIT}@v1\n"), requirements(f"b @ {GIT}@0123456\n"),
         requirements("git+ssh://git@git.example/a/b@v2\n"), requirements(f"# {GIT}\n")),
    ),
    "LDP009": (
        (
            requirements("onnxruntime\nonnxruntime-gpu==1.22\n"),
            requirements("opencv-python>=4\nOpenCV_Python_Headless\n"),
            requirements("tensorflow==2.19\ntensorflow-cpu==2.19\n"),
        ),
        (
            requirements("onnxruntime-gpu\n"),
            requirements("onnxruntime; sys_platform == 'darwin'\nonnxruntime-gpu; sys_platform == 'linux'\n"),
            requirements("opencv-python\n# opencv-python-headless\n"),
        ),
    ),
    "LDP010": (
        (
            requirements("torch==2.5.1\n", serve_py=DOWNLOAD + "torch.load(hf_hub_download('a/b', 'c'))\n"),
            requirements("torch==2.0.1\n",
             serve_py=DOWNLOAD + "p = hf_hub_download('a/b', 'c')\nm = torch.load(p)\n"),
            project('"torch==2.4.0"',
             a_py="import torch as t, urllib.request as u\nt.load(u.urlretrieve('x'))\n"),
        ),
        (
            requirements("torch==2.6.0\n", serve_py=DOWNLOAD + "torch.load(hf_hub_download('a/b', 'c'))\n"),
            requirements("torch==2.5.1\n", serve_py="import torch\ntorch.load('own.pt')\n"),
            requirements("torch\n", serve_py=DOWNLOAD + "torch.load(hf_hub_download('a/b', 'c'))\n"),
        ),
    ),
    "LDP011": (
        (
            python("import torch\nm = torch.load(p, weights_only=False)\n"),
            python("import transformers as t\nt.AutoModel.from_pretrained(n, trust_remote_code=True)\n"),
            python("import torch as t\nt.hub.load('pytorch/vision', 'resnet18')\n"),
            python("from huggingface_hub import snapshot_download\nsnapshot_download('org/model')\n"),
            python("import joblib, urllib.request\njoblib.load(urllib.request.urlretrieve(u))\n"),
            python("import datasets\ndatasets.load_dataset('a', trust_remote_code=True, revision='main')\n"),
        ),
        (
            python("import torch\nm = torch.load(p)\n"),
            python("import torch\nm = torch.load(p, weights_only=flag)\n"),
            python("import transformers as t\nt.AutoModel.from_pretrained(n, trust_remote_code=True, **k)\n"),
            python("import torch\ntorch.hub.load('pytorch/vision:v0.21.0', 'resnet18')\n"),
            python("import torch\ntorch.hub.load('a/b', 'm', source='local')\n"),
            python("import pickle\npickle.load(open('cache.pkl', 'rb'))\n"),
            python("import torch\nm = torch.load(p, weights_only=False)\n", "test_app.py"),
        ),
    ),
    "LDP012": (
        (
            requirements("torch==2.6.0\npytest==8.0\n"),
            project('"torch", "black"'),
            project('"torch", "jupyterlab>=4"'),
            requirements("torch==2.6.0\n", train_py="import pandas as pd\n"),
            project('"scikit-learn"', serve_py="from PIL import Image\n"),
        ),
        (
            requirements("torch==2.6.0\npytest==8.0\n", "requirements-dev.txt"),
            project('"torch"', '[dependency-groups]\ndev = ["pytest"]\n'),
            requirements("pytest\nruff\n"),
            requirements("scikit-learn\n", train_py="import numpy\nimport joblib\nimport os\n"),
            requirements("ultralytics\n", train_py="import torch\n"),
            requirements("torch\n", train_py="try:\n    import pandas\nexcept ImportError:\n    pass\n"),
            requirements("torch\n", train_py="import pandas\n") | {"pandas.py": ""},
            requirements("torch\n", test_py="import pandas\n"),
            requirements("torch\n", train_py="import pandas\n") | {"requirements-data.txt": "pandas\n"},
            requirements("torch\npytest\n", "requirements-all.txt") | {"requirements.txt": "torch\n"},
        ),
    ),
    "LDP013": (
        (
            python(LOOP + "'last.pt')\n"),
            python("from torch import save\nwhile True:\n    save(m, f='c.pt')\n"),
            python("import torch\nfor a in b:\n    if a:\n        torch.save({'m': 1}, 'best.pt')\n"),
        ),
        (
            python(LOOP + "f'{epoch}.pt')\n"),
            python("import os\n" + LOOP + "'new.pt')\n    os.replace('new.pt', 'last.pt')\n"),
            python("import torch\ntorch.save(model, 'last.pt')\n"),
            python(LOOP + "buffer)\n"),
        ),
    ),
}  # fmt: skip
