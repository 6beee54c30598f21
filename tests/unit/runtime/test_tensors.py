"""Laws of tensors and requests: what is accepted is right in type, range and shape; nothing else crashes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lading_runtime.protocol import read_request
from lading_runtime.tensors import DATATYPES, BadRequest, Tensor, TensorSpec, check_tensor, read_tensor


def tensor(**changes: Any) -> dict[str, Any]:
    return {"name": "X", "datatype": "INT64", "shape": [2, 2], "data": [1, 2, 3, 4], **changes}


def status(document: Any) -> int:
    with pytest.raises(BadRequest) as caught:
        read_tensor(document)
    return caught.value.status


@pytest.mark.parametrize("data", [[1, 2, 3, 4], [[1, 2], [3, 4]]])
def test_flat_and_nested_data_are_the_same(data: Any) -> None:
    assert read_tensor(tensor(data=data)) == Tensor("X", "INT64", (2, 2), [1, 2, 3, 4])


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        tensor(name=""),
        tensor(name=3),
        tensor(datatype="INT65"),
        tensor(datatype=None),
        tensor(datatype=["INT64"]),
        tensor(shape=None),
        tensor(shape=[-1, 4]),
        tensor(shape=[True, 4]),
        tensor(shape=[2.0, 2]),
        tensor(shape=[1] * 33),
        tensor(shape=[1 << 70]),
        tensor(data=4),
        tensor(data="abcd"),
        {"name": "X", "datatype": "INT64", "shape": [0]},
    ],
)
def test_a_wrong_form_is_400(document: Any) -> None:
    assert status(document) == 400


@pytest.mark.parametrize(
    "document",
    [
        tensor(data=[1, 2, 3]),
        tensor(data=[[1, 2], [3]]),
        tensor(data=[[1, 2, 3, 4]]),
        tensor(data=[1, 2, [3], 4]),
        tensor(data=[1, 2, 3, 4.5]),
        tensor(data=[1, 2, 3, True]),
        tensor(data=[1, 2, 3, "4"]),
        tensor(data=[1, 2, 3, None]),
        tensor(data=[1, 2, 3, 1 << 63]),
        tensor(datatype="UINT8", data=[0, 1, 255, 256]),
        tensor(datatype="UINT8", data=[0, 1, 255, -1]),
        tensor(datatype="INT8", data=[-128, 127, 0, 128]),
        tensor(datatype="BOOL", data=[True, False, 1, 2]),
        tensor(datatype="FP16", data=[1, 2, 3, 70000]),
        tensor(datatype="FP32", data=[1, 2, 3, 1e39]),
        tensor(datatype="FP64", data=[1, 2, 3, float("inf")]),
        tensor(datatype="FP64", data=[1, 2, 3, 10**400]),
        tensor(datatype="BYTES", data=["a", "b", "c", 1]),
    ],
)
def test_a_wrong_value_is_422(document: Any) -> None:
    assert status(document) == 422


@pytest.mark.parametrize("datatype", DATATYPES)
def test_every_datatype_has_values_it_takes(datatype: str) -> None:
    good: Any = "é" if datatype == "BYTES" else 1
    assert read_tensor(tensor(datatype=datatype, shape=[1], data=[good])).datatype == datatype
    assert read_tensor(tensor(datatype=datatype, shape=[0], data=[])).values == []


def test_a_model_takes_its_own_type_and_shape_only() -> None:
    spec = TensorSpec("X", "FP32", (-1, 2))
    check_tensor(Tensor("X", "FP32", (7, 2), [0.0] * 14), spec)
    for wrong in (
        Tensor("X", "FP64", (1, 2), []),
        Tensor("X", "FP32", (2,), []),
        Tensor("X", "FP32", (1, 3), []),
    ):
        with pytest.raises(BadRequest) as caught:
            check_tensor(wrong, spec)
        assert caught.value.status == 422


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.one_of(
        st.binary(),
        json_values.map(lambda value: json.dumps(value).encode()),
        st.fixed_dictionaries(
            {},
            optional={
                "id": json_values,
                "outputs": json_values,
                "parameters": json_values,
                "inputs": st.lists(
                    st.fixed_dictionaries(
                        {},
                        optional={
                            "name": st.text() | json_values,
                            "datatype": st.sampled_from(DATATYPES) | json_values,
                            "shape": st.lists(st.integers(0, 3)) | json_values,
                            "data": st.lists(st.integers() | st.floats()) | json_values,
                        },
                    )
                )
                | json_values,
            },
        ).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_body_is_a_request_or_a_bad_request(body: bytes) -> None:
    try:
        request = read_request(body)
    except BadRequest as error:
        assert error.status in (400, 422)
    else:
        assert request.inputs


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"{}",
        b'{"inputs": []}',
        b'{"inputs": NaN}',
        b'{"inputs": [], "inputs": []}',
        b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"inputs": ' + b"9" * 100_000 + b"}",
        b"\xff\xfe\xfd",
        b'{"id": 7, "inputs": [1]}',
    ],
)
def test_hostile_json_is_400(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        read_request(body)
    assert caught.value.status == 400
