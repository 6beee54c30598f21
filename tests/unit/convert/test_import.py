"""`import_dockerfile`: what becomes of instructions, one law a test."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from lading.convert.importing.context import read_context
from lading.convert.importing.decide import import_dockerfile
from lading.convert.importing.model import Context, Fate, Imported, ImportRefused

EXAMPLES = Path(__file__).parents[2] / "integration" / "dockerfiles"


def context(*paths: str, texts: dict[str, str] | None = None, **more: Any) -> Context:
    texts = texts or {}
    names = {*paths, *texts}
    folders = {f"{parent}/" for name in names for parent in map(str, Path(name).parents) if parent != "."}
    found = more.pop("requirements", "requirements.txt" if "requirements.txt" in texts else None)
    return Context(paths=frozenset(names | folders), texts=texts, requirements=found, **more)


def imported(text: str, where: Context | None = None, **more: Any) -> Imported:
    result = import_dockerfile(text, where or context("train.py", "app/main.py"), **more)
    assert tomllib.loads(result.text) == result.settings
    return result


def image(text: str, where: Context | None = None, **more: Any) -> dict[str, Any]:
    return dict(imported(text, where, **more).settings.get("image", {}))


def fates(result: Imported, line: int) -> set[Fate]:
    return {outcome.fate for outcome in result.outcomes if outcome.line == line}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.iterdir()))
def test_every_instruction_is_accounted_for(name: str) -> None:
    text = (EXAMPLES / name / "Dockerfile").read_text()
    result = import_dockerfile(text, read_context(EXAMPLES / name, EXAMPLES / name / "Dockerfile", {}))
    from lading.inspect.lint.dockerfile import read_dockerfile

    lines = {text.count("\n", 0, entry.start) + 1 for entry in read_dockerfile(text).instructions}
    assert {outcome.line for outcome in result.outcomes} == lines


class TestBases:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("python:3.12-slim", {"python": "3.12"}),
            ("python:3.11.9-bookworm", {"base": "debian:bookworm", "python": "3.11"}),
            ("mirror.example:5000/library/python:3.12", {"python": "3.12"}),
            ("python:3", {}),
            ("python:3.8-slim", {"python": "3.10"}),
            ("ghcr.io/astral-sh/uv:python3.12-bookworm-slim", {"base": "debian:bookworm", "python": "3.12"}),
            ("debian:12", {"base": "debian:bookworm"}),
            ("debian:bullseye-slim", {"base": "debian:bookworm"}),
            ("mambaorg/micromamba:2", {}),
            ("gcr.io/distroless/python3-debian12",
             {"base": "debian:bookworm", "flavour": "minimal", "python": "3.11"}),
            ("pytorch/pytorch:2.8.0-cuda12.6-cudnn9-runtime",
             {"base": "docker.io/pytorch/pytorch:2.8.0-cuda12.6-cudnn9-runtime"}),
            ("nvcr.io/nvidia/pytorch:25.06-py3", {"base": "nvcr.io/nvidia/pytorch:25.06-py3"}),
            ("company/ml", {"base": "docker.io/company/ml:latest"}),
        ],
    )  # fmt: skip
    def test_a_base_is_lading_s_own_or_stays(self, name: str, expected: dict[str, str]) -> None:
        found = image(f"FROM {name}\nCOPY train.py /app/\nWORKDIR /app\n")
        assert found == expected

    def test_an_argument_that_nothing_declares_is_named(self) -> None:
        """As Docker names it; proxies need no ARG."""
        text = "ARG V=3.12\nFROM python:${V}\nARG W\n"
        result = imported(text, arguments={"V": "3.11", "NOPE": "1", "HTTP_PROXY": "http://p.example"})
        assert [note for note in result.notes if "--build-arg" in note] == [
            "--build-arg NOPE is used nowhere: no ARG declares it; there is ARG V, W"
        ]

    def test_cuda_is_a_base_until_the_wheels_bring_it(self) -> None:
        text = "FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04\nRUN apt-get install -y python3-pip libgl1\n"
        kept = imported(text + "RUN pip install cupy-cuda12x\n")
        assert kept.settings["image"]["base"] == "docker.io/nvidia/cuda:12.4.1-runtime-ubuntu22.04"
        assert kept.settings["image"]["python"] == "3.10"
        assert Fate.LOST in fates(kept, 2), "packages of Debian cannot be added to Ubuntu"
        brought = image(text + "RUN pip install torch\n")
        assert brought["accelerator"] == "cuda"
        assert brought["apt"] == ["libgl1"]
        assert "base" not in brought

    def test_torch_s_own_index_is_an_accelerator(self) -> None:
        url = "https://torch.example/whl/cu126"
        result = imported(f"FROM python:3.12\nRUN pip install torch --index-url {url}\n")
        assert result.settings["image"]["accelerator"] == "cu126"
        assert "index-url" not in result.files["requirements.txt"]

    def test_scratch_is_named_as_lost(self) -> None:
        assert fates(imported("FROM scratch\nCOPY train.py /\n"), 1) == {Fate.LOST}

    def test_arguments_choose_the_base(self) -> None:
        text = "ARG V\nFROM python:${V}-slim\n"
        assert image(text, arguments={"V": "3.12"}) == {"python": "3.12", "workdir": "/"}
        with pytest.raises(ImportRefused, match="--build-arg"):
            imported(text)


class TestPackages:
    def test_one_file_is_used_as_it_is(self) -> None:
        where = context("train.py", texts={"requirements.txt": "six\n", "req/gpu.txt": "six\n"})
        result = imported("FROM python:3.12\nCOPY req req\nRUN pip install -r req/gpu.txt\n", where)
        assert result.settings["image"]["requirements"] == "req/gpu.txt"
        assert not [name for name in result.files if name.endswith(".txt")]

    def test_a_row_names_the_file_that_is_written(self) -> None:
        where = context("train.py", texts={"requirements.txt": "six\n"})
        text = "FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n"
        text += "RUN pip install attrs\n"
        result = imported(text, where)
        assert result.settings["image"]["requirements"] == "requirements-image.txt"
        assert [outcome.became for outcome in result.outcomes if outcome.line > 3] == [
            "requirements from requirements.txt, in requirements-image.txt",
            "requirement attrs, in requirements-image.txt",
        ]
        alone = imported(text.rpartition("RUN")[0], where)
        assert alone.outcomes[-1].became == "requirements from requirements.txt"

    def test_what_detection_finds_is_not_written(self) -> None:
        where = context(texts={"requirements.txt": "six\n"})
        text = "FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN pip install -r requirements.txt\n"
        assert image(text, where) == {"python": "3.12"}

    @pytest.mark.parametrize(
        ("command", "line"),
        [
            ("pip install 'six>=1.16' attrs", "six>=1.16\nattrs"),
            ("python3 -m pip install --no-cache-dir six", "six"),
            ("uv pip install --system six", "six"),
            ("/opt/x/bin/pip3.12 install -U six", "six"),
            ("pip install git+https://example.org/x.git@v1", "git+https://example.org/x.git@v1"),
            ("pip install --extra-index-url https://index.example/simple six", "six"),
            ("PIP_NO_CACHE_DIR=1 pip install six", "six"),
            ("set -eux; pip install six", "six"),
            ("conda run -n ml pip install six", "six"),
            ('if true; then pip install six; fi; pip install "attrs==$V"', "attrs==1.0"),
        ],
    )
    def test_names_become_lines(self, command: str, line: str) -> None:
        result = imported(f"FROM python:3.12\nARG V=1.0\nRUN {command}\n")
        assert line in result.files["requirements.txt"]

    def test_an_install_behind_a_condition_is_lost_and_never_a_step(self) -> None:
        result = imported('FROM python:3.12\nARG GPU\nRUN if [ -n "$GPU" ]; then pip install cupy; fi\n')
        assert fates(result, 3) == {Fate.LOST}
        assert "step" not in result.settings["image"]

    def test_a_project_whose_files_are_copied_one_by_one_is_the_project(self) -> None:
        where = context("src/p/__init__.py", texts={"pyproject.toml": "[project]\nname='p'\n"})
        text = "FROM python:3.12-slim AS b\nWORKDIR /b\nCOPY pyproject.toml ./\nCOPY src/ src/\n"
        text += "RUN python -m venv /v && /v/bin/pip install '.[all]'\n"
        text += "FROM gcr.io/distroless/python3\nCOPY --from=b /v /v\n"
        result = imported(text, where)
        assert fates(result, 5) == {Fate.NOT_NEEDED, Fate.CARRIED}
        assert result.settings["image"]["python"] == "3.12"

    def test_a_folder_that_git_filled_is_a_requirement(self) -> None:
        clone = "git clone -b v2 https://e.example/x.git /opt/x"
        result = imported(f"FROM python:3.12\nRUN {clone} && cd /opt/x && pip install -e .\n")
        assert result.files["requirements.txt"].endswith("\ngit+https://e.example/x.git@v2\n")
        assert "step" not in result.settings["image"]

    def test_without_isolation_a_build_needs_torch(self) -> None:
        text = "FROM python:3.12\nRUN pip install torch\nRUN pip install flash-attn --no-build-isolation\n"
        assert image(text)["build"] == {"flash-attn": {"needs": ["torch"]}}
        alone = imported("FROM python:3.12\nRUN pip install flash-attn --no-build-isolation\n")
        assert Fate.LOST in fates(alone, 2)

    def test_installers_are_not_needed(self) -> None:
        for command in ("pip install -U pip setuptools wheel", "pip install uv", "pip install poetry==2.0",
                        "curl -LsSf https://astral.sh/uv/install.sh | sh"):  # fmt: skip
            result = imported(f"FROM python:3.12\nRUN {command}\n")
            assert fates(result, 2) == {Fate.NOT_NEEDED}, command

    def test_a_virtual_environment_is_copied_with_what_it_holds(self) -> None:
        text = (
            "FROM python:3.12 AS build\nRUN python -m venv /v\nRUN apt-get install -y git\n"
            "RUN /v/bin/pip install six\n"
            "FROM python:3.12-slim\nCOPY --from=build /v /v\nCMD [\"/v/bin/python\", \"-V\"]\n"
        )  # fmt: skip
        result = imported(text)
        assert "six" in result.files["requirements.txt"]
        assert "apt" not in result.settings["image"]
        assert result.settings["image"]["command"] == ["python", "-V"]
        assert fates(result, 3) == {Fate.NOT_NEEDED}

    def test_what_a_stage_builds_by_itself_is_lost(self) -> None:
        text = "FROM gcc:14 AS build\nRUN make\nFROM python:3.12\nCOPY --from=build /src/tool /usr/bin/tool\n"
        assert fates(imported(text), 4) == {Fate.LOST}

    def test_packages_are_those_of_the_stages_they_are_copied_from(self) -> None:
        """Through several stages; another stage's packages are not the image's."""
        text = (
            "FROM python:3.12 AS base\nRUN python -m venv /v && /v/bin/pip install six\n"
            "FROM base AS more\nRUN /v/bin/pip install attrs\n"
            "FROM python:3.12 AS other\nRUN pip install idna\n"
            "FROM python:3.12 AS last\nCOPY --from=more /v /v\nCOPY --from=other /etc/hosts /x\n"
        )
        result = imported(text)
        assert result.files["requirements.txt"].splitlines()[1:] == ["six", "attrs"]
        assert Fate.CARRIED in fates(result, 2)
        assert fates(result, 4) == {Fate.CARRIED}
        assert fates(result, 6) == {Fate.NOT_NEEDED}

    def test_files_that_a_stage_copied_are_copied_on(self) -> None:
        """And what it made beside them is not."""
        text = "FROM node:22 AS web\nWORKDIR /w\nCOPY . .\nRUN npm run build\nFROM python:3.12\n"
        text += "COPY --from=web /w/app /srv/web\nCOPY --from=web /w/dist /srv/dist\n"
        result = imported(text)
        assert result.settings["image"]["files"] == [{"source": "app", "destination": "/srv/web"}]
        assert fates(result, 7) == {Fate.LOST}

    def test_uv_sync_is_the_lock_and_its_groups(self) -> None:
        texts = {"pyproject.toml": '[project]\nname = "p"\n', "uv.lock": ""}
        where = context(texts=texts, requirements="uv.lock", groups=frozenset({"dev", "gpu"}))
        text = "FROM python:3.12\nWORKDIR /app\nCOPY . .\nRUN uv sync --frozen"
        assert image(f"{text} --no-dev --extra gpu\n", where)["groups"] == ["gpu"]
        assert image(f"{text}\n", where)["groups"] == ["dev"]

    def test_poetry_s_dependencies_become_lines(self) -> None:
        pyproject = (
            "[tool.poetry]\nname='p'\n[tool.poetry.dependencies]\npython='^3.11'\nsix='^1.16'\nattrs='~23.1'\n"
            "x={version='*', extras=['a'], markers=\"sys_platform == 'linux'\"}\n"
            "[tool.poetry.group.dev.dependencies]\npytest='*'\n"
        )
        lock = "[[package]]\nname='six'\nversion='1.17.0'\n"
        where = context(texts={"pyproject.toml": pyproject, "poetry.lock": lock})
        result = imported(
            "FROM python:3.11\nCOPY . /app\nWORKDIR /app\nRUN poetry install --only main\n", where
        )
        lines = result.files["requirements.txt"].splitlines()
        assert "six==1.17.0" in lines
        assert "attrs>=23.1,<23.2" in lines
        assert "x[a] ; (sys_platform == 'linux')" in lines
        assert not [line for line in lines if line.startswith("pytest")]

    def test_conda_commands_become_an_environment(self) -> None:
        result = imported(
            "FROM continuumio/miniconda3\nRUN conda install -y -c conda-forge numpy=1.26 ffmpeg\n"
        )
        assert "numpy=1.26" in result.files["environment.yml"]
        assert result.settings["image"]["apt"] == ["ffmpeg"]


class TestCode:
    def test_the_folder_that_copies_agree_on_is_app(self) -> None:
        text = "FROM python:3.12\nWORKDIR /code\nCOPY . .\nENV DATA=/code/data:/codec\n"
        text += 'CMD ["python", "/code/train.py"]\n'
        found = image(text)
        assert found["env"] == {"DATA": "/app/data:/codec"}
        assert found["command"] == ["python", "/app/train.py"]
        assert "workdir" not in found

    def test_a_folder_copied_without_a_workdir_is_app_too(self) -> None:
        """Docker has it at the image's root; what the folder has there moves along, and nothing else."""
        where = context("train.py", "app/main.py", "etc/x.ini", texts={"requirements.txt": "six\n"})
        text = "FROM python:3.11-slim\nCOPY . .\nRUN pip install -r requirements.txt\n"
        plain = imported(f'{text}CMD ["python","train.py"]\n', where)
        assert plain.settings["image"] == {"python": "3.11", "command": ["python", "train.py"]}
        assert not plain.files
        assert fates(plain, 2) == {Fate.CARRIED}
        assert any(note.startswith("etc of the folder") for note in plain.notes)
        text += "WORKDIR /\nENV PYTHONPATH=/:/opt/x A=/train.py:/x/train.py:/etc/x.ini\n"
        text += "RUN python app/main.py > /opt/x\nRUN chmod +x /train.py\n"
        moved = imported(f"{text}CMD python /app/main.py --data /data --root-path /\n", where)
        found = moved.settings["image"]
        assert found["env"] == {"PYTHONPATH": "/app:/opt/x", "A": "/app/train.py:/x/train.py:/etc/x.ini"}
        assert found["command"][-1] == "python /app/app/main.py --data /data --root-path /"
        assert found["step"] == [{"run": "python app/main.py > /opt/x", "inputs": ["app/main.py"]}]
        assert found["files"] == [{"source": "train.py", "destination": "/app/train.py", "mode": "0755"}]
        assert "workdir" not in found
        assert Fate.LOST not in {outcome.fate for outcome in moved.outcomes}

    def test_without_a_workdir_a_step_that_names_no_code_runs_at_the_root(self) -> None:
        (step,) = image("FROM python:3.12\nCOPY . .\nRUN make x && make y\n")["step"]
        assert step == {"run": "make x\nmake y\n"}
        text = "FROM python:3.12\nCOPY . .\nRUN curl -O https://e.example/x\n"
        assert image(text)["step"][0]["run"].startswith("cd /\n")

    def test_another_folder_that_all_is_copied_to_is_before_the_root(self) -> None:
        result = imported("FROM python:3.12\nCOPY train.py /\nCOPY . /code\n")
        assert result.settings["image"]["files"] == [{"source": "train.py", "destination": "/train.py"}]
        assert ".ladingignore" not in result.files

    def test_a_folder_copied_elsewhere_is_files(self) -> None:
        text = "FROM python:3.12\nWORKDIR /srv\nCOPY app/ ./\nCOPY train.py /opt/tools/\n"
        found = image(text)["files"]
        assert found == [
            {"source": "app", "destination": "/app"},
            {"source": "train.py", "destination": "/opt/tools/train.py"},
        ]

    def test_parts_of_the_folder_are_kept_apart_from_the_rest(self) -> None:
        result = imported("FROM python:3.12\nWORKDIR /app\nCOPY app/main.py app/main.py\n")
        rules = result.files[".ladingignore"].splitlines()
        assert rules[1:] == ["/*", "!/app/", "/app/*", "!/app/main.py"]

    def test_code_that_is_made_executable_is_so(self) -> None:
        where = context("start.sh", "bin/a.sh", "bin/b.sh", "ready.sh", executables=frozenset({"ready.sh"}))
        text = "FROM python:3.12\nWORKDIR /w\nCOPY . .\nRUN chmod +x start.sh bin/*.sh ready.sh\n"
        found = image(text, where)["files"]
        assert found[0] == {"source": "start.sh", "destination": "/app/start.sh", "mode": "0755"}
        assert [entry["source"] for entry in found] == ["start.sh", "bin/a.sh", "bin/b.sh"]
        opened = imported(text.replace("+x start.sh", "-R 777 /w"), where)
        assert fates(opened, 4) == {Fate.LOST}
        assert "$LADING_OUTPUTS" in next(o.became for o in opened.outcomes if o.line == 4)

    def test_a_download_without_a_checksum_is_lost_and_one_with_it_is_a_file(self) -> None:
        sha256 = "ab" * 32
        text = "FROM python:3.12\nADD https://e.example/x.bin /opt/\n"
        text += f"ADD --checksum=sha256:{sha256} https://e.example/y.bin /opt/\n"
        result = imported(text)
        assert fates(result, 2) == {Fate.LOST}
        assert result.settings["image"]["files"] == [
            {"source": "https://e.example/y.bin", "destination": "/opt/y.bin", "sha256": sha256}
        ]


class TestSteps:
    def test_what_nobody_knows_is_a_step_with_the_files_it_names(self) -> None:
        text = "FROM python:3.12\nARG LEVEL=9\nWORKDIR /code\nCOPY . .\n"
        text += "RUN apt-get update && python train.py --level $LEVEL > /opt/x\n"
        (step,) = image(text)["step"]
        assert step["inputs"] == ["train.py"]
        assert step["env"] == {"LEVEL": "9"}
        assert "apt-get" not in step["run"]
        assert "network" not in step

    def test_commands_stand_in_their_order(self) -> None:
        text = "FROM python:3.12\nRUN export A=1 && make x && cd /opt && make y && cd /\n"
        (step,) = image(text)["step"]
        assert step["run"] == "export A=1\nmake x\ncd /opt\nmake y\n"

    @pytest.mark.parametrize(
        "command",
        [
            "wget https://e.example/m.bin",
            "curl -fsSLo m.bin https://e.example/m.bin",
            "echo x > here.txt",
            "git clone https://e.example/x",
            "cd sub && tar -xzf /opt/a.tgz",
            "cp /opt/a /code/b",
        ],
    )
    def test_what_plainly_writes_beside_the_code_is_lost(self, command: str) -> None:
        """The code's folder is read-only for a step, whose build would fail."""
        where = "FROM python:3.12-slim\nWORKDIR /code\nCOPY . .\n"
        assert Fate.LOST in fates(imported(f"{where}RUN {command}\n"), 4)
        (step,) = image(f"FROM python:3.12-slim\nRUN {command.replace('/code', '/x')}\n")["step"]
        assert step["run"].startswith(("cd /\n", "cp "))

    def test_programs_that_a_step_or_a_start_runs_are_there(self) -> None:
        text = "FROM python:3.12\nRUN curl -o /opt/x https://e.example/x | xz -d\n"
        assert image(text)["apt"] == ["curl", "xz-utils"]
        check = "FROM python:3.12\nHEALTHCHECK CMD curl -f http://localhost || exit 1\nCMD exec tini -- x\n"
        assert image(check)["apt"] == ["curl"]
        tools = "FROM python:3.12\nRUN apt-get install -y gcc libfoo-dev\nRUN make -C /opt/x\n"
        assert image(tools)["apt"] == ["make", "gcc", "libfoo-dev"]

    def test_a_part_that_cannot_be_a_step_does_not_take_the_others_along(self) -> None:
        text = "FROM python:3.12\nWORKDIR /w\nCOPY . .\nENV W=/w\n"
        text += "RUN ln -s /opt/venv $W/venv && cp ${W}/app/main.py /entry.py && chmod +x /entry.py\n"
        result = imported(text)
        assert fates(result, 5) == {Fate.LOST, Fate.STEP}
        (step,) = result.settings["image"]["step"]
        assert step["run"] == "cp ${W}/app/main.py /entry.py\nchmod +x /entry.py\n"
        assert step["inputs"] == ["app/main.py"]
        assert result.settings["image"]["env"] == {"W": "/app"}

    def test_caches_below_the_code_lie_elsewhere(self) -> None:
        text = "FROM python:3.12\nWORKDIR /w\nCOPY . .\nENV HF_HOME=/w/.cache/hf\n"
        assert image(text)["env"] == {"HF_HOME": "/tmp/hf"}
        found = image(text + "RUN make model\n")
        assert found["env"] == {"HF_HOME": "/opt/hf"}
        assert "mkdir -p /opt/hf" in found["step"][0]["run"]
        named = image(text + "RUN make /w/.cache/hf/model\n")
        assert named["step"][1]["run"] == "make /opt/hf/model"

    def test_a_download_has_the_network(self) -> None:
        (step,) = image("FROM python:3.12\nRUN curl -fsSLo /opt/x https://e.example/x\n")["step"]
        assert step["network"] is True

    def test_what_needs_several_users_is_lost(self) -> None:
        result = imported(
            "FROM python:3.12\nRUN for p in a b; do apt-get install -y $p; done\nRUN dpkg -i x.deb\n"
        )
        assert fates(result, 2) == fates(result, 3) == {Fate.LOST}
        assert "step" not in result.settings["image"]

    def test_an_argument_without_a_value_is_asked_for(self) -> None:
        text = "FROM python:3.12\nARG URL\nRUN curl -o /opt/x $URL\n"
        assert fates(imported(text), 3) == {Fate.LOST}
        assert image(text, arguments={"URL": "https://e.example/"})["step"][0]["env"] == {
            "URL": "https://e.example/"
        }

    def test_secrets_are_names(self) -> None:
        mount = "--mount=type=secret,id=hf_token,env=HF_TOKEN"
        text = f"FROM python:3.12\nRUN {mount} python -c 'print(1)' > /opt/x\n"
        assert image(text)["step"][0]["secrets"] == ["HF_TOKEN"]


class TestSecrets:
    TOKEN = "hf_" + "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"

    @pytest.mark.parametrize(
        "line",
        [
            "ENV HF_TOKEN={}",
            "ENV SOMETHING={}",
            "ARG API_KEY={}\nENV COPY_OF_KEY=$API_KEY",
            "RUN curl -H 'Authorization: {}' https://e.example > /opt/x",
            "RUN pip install --extra-index-url https://me:{}@e.example/simple six",
            "RUN pip install git+https://{}@e.example/x.git",
            'CMD ["serve", "--token", "{}"]',
            'LABEL token="{}"',
            "RUN pip install https://e.example/six-1.0-py3-none-any.whl?t={}",
            "RUN pip install -i https://e.example/{}/simple six",
            "COPY <<EOF /etc/token\n{}\nEOF",
            "ARG T={}\nRUN echo $T > /opt/t",
            "ADD --checksum=sha256:" + "ab" * 32 + " https://e.example/x?t={} /opt/x",
        ],
    )
    def test_a_credential_is_never_written(self, line: str) -> None:
        result = imported(f"FROM python:3.12\n{line.format(self.TOKEN)}\n")
        written = [result.text, *result.files.values(), *(o.instruction + o.became for o in result.outcomes)]
        assert not [text for text in written if self.TOKEN in text]
        assert Fate.LOST in {outcome.fate for outcome in result.outcomes}


class TestStart:
    def test_the_shell_form_stays_a_shell_s(self) -> None:
        assert image("FROM python:3.12\nCMD python x.py $PORT\n")["command"] == [
            "/bin/sh",
            "-c",
            "python x.py $PORT",
        ]

    def test_runners_are_taken_off(self) -> None:
        for words in (
            '["uv", "run", "--no-sync", "x"]',
            '["poetry", "run", "x"]',
            '["conda", "run", "-n", "a", "x"]',
        ):
            assert image(f"FROM python:3.12\nCMD {words}\n")["command"] == ["x"]
        assert image("FROM python:3.12\nCMD uv run --frozen x.py\n")["command"][-1] == "x.py"

    def test_a_check_keeps_its_times(self) -> None:
        text = "FROM python:3.12\nHEALTHCHECK --interval=1m30s --retries=2 CMD curl -f http://localhost\n"
        check = image(text)["healthcheck"]
        assert check["retries"] == 2
        assert check["interval"] == "1m30s" or "interval" not in check

    def test_a_user_is_a_number(self) -> None:
        assert image("FROM python:3.12\nRUN useradd -u 1234 me\nUSER me\n")["user"] == "1234:1234"
        assert image("FROM python:3.12\nUSER root\n")["user"] == "0:0"
        assert "user" not in image("FROM python:3.12\nUSER somebody\n")

    def test_a_training_script_is_a_task(self) -> None:
        result = imported(
            'FROM python:3.12\nWORKDIR /app\nCOPY . .\nCMD ["python", "train.py", "{x}", "${Y}"]\n'
        )
        assert result.settings["train"]["run"] == "python train.py '{{x}}' '${Y}'"


def test_no_dockerfile_is_refused_with_its_reason() -> None:
    with pytest.raises(ImportRefused, match="no instruction"):
        imported("hello world\n")
    with pytest.raises(ImportRefused, match="no stage 'x'"):
        imported("FROM python:3.12 AS a\n", stage="x")
