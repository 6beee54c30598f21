"""What runs tells its role; what does not tell has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lading.inspect.lint.model import Severity
from lading.inspect.lint.roles import Role, role_of_command, role_of_image, roles_of_name
from lading.inspect.lint.rule import all_rules


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("torchrun --nproc-per-node=4 main.py", Role.TRAIN),
        ("python -u train.py --lr 1", Role.TRAIN),
        ("python3.12 -m forecast.training.train", Role.TRAIN),
        ("accelerate launch sft.py", Role.TRAIN),
        ("mpirun -np 8 python pretrain.py", Role.TRAIN),
        ("./finetune_llama.py", Role.TRAIN),
        ("exec uvicorn app:app", Role.SERVE),
        ("tini -- gunicorn app:app", Role.SERVE),
        ("uv run uvicorn app:app", Role.SERVE),
        ("vllm serve org/name", Role.SERVE),
        ("python -m vllm.entrypoints.openai.api_server", Role.SERVE),
        ("mlflow models serve -m m", Role.SERVE),
        ("/opt/conda/bin/jupyter lab", Role.DEV),
        ("tensorboard --logdir .", Role.DEV),
        ("accelerate config", None),
        ("vllm bench", None),
        ("mlflow server", None),
        ("python constraints.py", None),
        ("python -c train", None),
        ("sh -c", None),
        ("", None),
    ],
)
def test_a_command_tells_its_role(command: str, role: Role | None) -> None:
    assert role_of_command(command.split()) is role


def test_images_that_everyone_uses_for_one_thing() -> None:
    assert role_of_image("localhost:5000/vllm/vllm-openai:v1") is Role.SERVE
    assert role_of_image("quay.io/jupyter/base-notebook@sha256:0") is Role.DEV
    assert role_of_image("python:3.12") is None


def test_a_name_may_tell_several_roles_and_needs_the_whole_word() -> None:
    assert roles_of_name("Dockerfile.serve-prod") == {Role.SERVE, Role.RELEASE}
    assert roles_of_name("requirements_dev.txt") == {Role.DEV}
    assert roles_of_name("product-trainable.yaml") == frozenset()


def test_a_rule_that_is_off_speaks_of_a_release() -> None:
    rule = replace(all_rules()["LDK001"], severity=Severity.OFF)
    assert rule.level_in("job.release.yaml") is Severity.INFO
    assert rule.level_in("job.yaml") is Severity.OFF
    assert all_rules()["LDK001"].level_in("job.release.yaml") is Severity.ERROR
