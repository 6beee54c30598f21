"""Laws of the contract with user code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading.errors import ProjectError
from lading.run.contract import (
    SCRATCH,
    contract_environment,
    merge_params,
    needs_shell,
    params_document,
    render_command,
)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("python train.py", ("python", "train.py")),
        (
            "python train.py --lr {lr} --name={name}",
            ("python", "train.py", "--lr", "0.0002", "--name=a b; $c"),
        ),
        ("python -c 'print(1)'", ("python", "-c", "print(1)")),
        ("python a.py && python b.py", ("sh", "-c", "python a.py && python b.py")),
        ("python a.py {name} | tee x", ("sh", "-c", "python a.py 'a b; $c' | tee x")),
        ("EPOCHS=3 python a.py", ("sh", "-c", "EPOCHS=3 python a.py")),
        ("python a.py ${HOME} {flag}", ("sh", "-c", "python a.py ${HOME} true")),
        ('python a.py "$HOME"', ("sh", "-c", 'python a.py "$HOME"')),
        ("python a.py {{lr}}", ("python", "a.py", "{lr}")),
        ("python a.py '*.csv'", ("python", "a.py", "*.csv")),
        ("python a.py *.csv", ("sh", "-c", "python a.py *.csv")),
    ],
)
def test_a_shell_runs_only_what_needs_one(run: str, words: tuple[str, ...]) -> None:
    assert render_command(run, {"lr": 2e-4, "name": "a b; $c", "flag": True}) == words


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_a_value_is_one_word_whatever_it_holds(value: str) -> None:
    """Without a shell as it is; with one, quoted so that it never becomes syntax."""
    import shlex

    assert render_command("tool {value}", {"value": value}) == ("tool", value)
    *_, script = render_command("tool {value} | cat", {"value": value})
    assert shlex.split(script.rpartition("|")[0]) == ["tool", value]


@pytest.mark.parametrize(
    ("run", "word"),
    [("python {epoch}", "epochs"), ("", "empty"), ("python 'open", "cannot be read"), ("  ", "empty")],
)
def test_a_bad_command_is_told(run: str, word: str) -> None:
    with pytest.raises(ProjectError) as caught:
        render_command(run, {"epochs": 3}, place="lading.toml: train.run")
    assert word in caught.value.message + " ".join(caught.value.hints)
    assert caught.value.place == "lading.toml: train.run"


def test_quotes_hide_signs_from_the_shell_test() -> None:
    assert not needs_shell("python -c 'a; b | c > $d'")
    assert not needs_shell('python -c "a; b | c"')
    assert needs_shell('python -c "a $b"')
    assert not needs_shell(r"python a\ b.py")


def test_every_cache_is_in_the_scratch_folder() -> None:
    environment = contract_environment(params={}, inputs=(), threads=3)
    for name in ("HOME", "HF_HOME", "TORCH_HOME", "TRITON_CACHE_DIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"):
        assert environment[name].startswith(SCRATCH)
    assert environment["OMP_NUM_THREADS"] == "3"


def test_parameters_are_variables_and_a_document() -> None:
    params: dict[str, str | int | float | bool] = {"epochs": 3, "lr": 2e-4, "fast": True, "opt-name": "adam"}
    environment = contract_environment(params=params, inputs=("my-data",), threads=1)
    assert environment["EPOCHS"] == "3"
    assert (environment["FAST"], environment["OPT_NAME"]) == ("true", "adam")
    assert environment["LADING_INPUT_MY_DATA"] == "/lading/inputs/my-data"
    assert b'"lr": 0.0002' in params_document(params)


def test_given_parameters_take_the_declared_type() -> None:
    declared: dict[str, str | int | float | bool] = {"epochs": 3, "lr": 0.1, "fast": True, "name": "x"}
    given_ = {"epochs": "5", "lr": "1e-3", "fast": "false", "name": "7"}
    assert merge_params(declared, given_) == {"epochs": 5, "lr": 1e-3, "fast": False, "name": "7"}
    for bad in ({"epochs": "2.5"}, {"fast": "maybe"}, {"epoch": "1"}):
        with pytest.raises(ProjectError):
            merge_params(declared, bad)


@pytest.mark.parametrize(
    ("declared", "given_", "hint"),
    [
        ({"n": 1}, {"N": "10"}, "did you mean n?"),
        ({"epochs": 3}, {"epoch": "1"}, "did you mean epochs?"),
        ({}, {"n": "300"}, "add params = { n = 300 } under [fit]"),
        ({}, {"name": "a b"}, 'add params = { name = "a b" } under [fit]'),
        ({}, {"version": "1.2.3"}, 'add params = { version = "1.2.3" } under [fit]'),
        ({}, {"fast": True}, "add params = { fast = true } under [fit]"),
        ({"epochs": 3}, {"lr": "1e-3"}, "add lr = 1e-3 to params under [fit]"),
    ],
)
def test_a_parameter_that_is_not_declared_is_answered_by_what_to_write(
    declared: dict[str, str | int | float | bool], given_: dict[str, str | bool], hint: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        merge_params(declared, given_, place="lading.toml: fit", table="fit")

    assert caught.value.hints == (hint,)
