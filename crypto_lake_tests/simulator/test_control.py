import json

import pytest

from crypto_lake.simulator.binance.control import Subscriptions

from .clients import Json


def answer(subscriptions: Subscriptions, **request: Json) -> Json:
    return json.loads(subscriptions.answer(json.dumps(request)))


@pytest.fixture
def subscriptions() -> Subscriptions:
    return Subscriptions(combined=False, streams={"solusdt@trade": None})


def test_a_subscription_is_acknowledged_and_listed(subscriptions: Subscriptions) -> None:
    assert answer(subscriptions, method="SUBSCRIBE", params=["adausdt@trade"], id=1) == {
        "result": None,
        "id": 1,
    }
    listed = answer(subscriptions, method="LIST_SUBSCRIPTIONS", id="abc")
    assert listed == {"result": ["solusdt@trade", "adausdt@trade"], "id": "abc"}


def test_a_stream_is_left_again(subscriptions: Subscriptions) -> None:
    assert answer(subscriptions, method="UNSUBSCRIBE", params=["solusdt@trade"], id=312)["result"] is None
    assert not subscriptions.streams


def test_a_wrong_name_is_acknowledged_like_a_right_one(subscriptions: Subscriptions) -> None:
    assert answer(subscriptions, method="SUBSCRIBE", params=["nope@nothing"], id=None) == {
        "result": None,
        "id": None,
    }


def test_wrapping_can_be_switched_and_asked_for(subscriptions: Subscriptions) -> None:
    assert answer(subscriptions, method="SET_PROPERTY", params=["combined", True], id=5) == {
        "result": None,
        "id": 5,
    }
    assert answer(subscriptions, method="GET_PROPERTY", params=["combined"], id=2) == {
        "result": True,
        "id": 2,
    }


def test_an_unknown_property_is_error_0(subscriptions: Subscriptions) -> None:
    unknown = answer(subscriptions, method="SET_PROPERTY", params=["colour", True], id=9)
    assert unknown == {"code": 0, "msg": "Unknown property", "id": 9}


def test_a_property_of_the_wrong_type_is_error_1(subscriptions: Subscriptions) -> None:
    wrong = answer(subscriptions, method="SET_PROPERTY", params=["combined", "yes"], id=9)
    assert wrong == {"code": 1, "msg": "Invalid value type: expected Boolean"}


@pytest.mark.parametrize(
    "request_",
    [
        {"params": []},
        {"method": "DANCE"},
        {"method": ["SUBSCRIBE"]},
        {"method": "SUBSCRIBE", "params": "solusdt@trade"},
        {"method": "SUBSCRIBE", "params": [1]},
        {"method": "SUBSCRIBE", "params": [], "id": "x" * 37},
        {"method": "SUBSCRIBE", "params": [], "id": 2**63},
        {"method": "SUBSCRIBE", "params": [], "id": 1.5},
        {"method": "SUBSCRIBE", "params": [], "id": True},
        {"method": "GET_PROPERTY", "params": ["combined", 1]},
        {"method": "SET_PROPERTY", "params": []},
    ],
)
def test_a_request_that_makes_no_sense_is_error_2(
    subscriptions: Subscriptions, request_: dict[str, Json]
) -> None:
    refused = answer(subscriptions, **request_)
    assert refused["code"] == 2
    assert refused["msg"].startswith("Invalid request: ")


@pytest.mark.parametrize("text", ["", "hello", '{"method":', "[" * 10])
def test_what_is_no_json_is_error_3(subscriptions: Subscriptions, text: str) -> None:
    refused = json.loads(subscriptions.answer(text))
    assert refused["code"] == 3
    assert refused["msg"].startswith("Invalid JSON: expected value at line 1 column ")


@pytest.mark.parametrize("text", ["[]", "1", "null", '"SUBSCRIBE"', "[" * 100_000])
def test_json_that_is_no_request_is_an_error_and_not_the_end(subscriptions: Subscriptions, text: str) -> None:
    assert json.loads(subscriptions.answer(text))["code"] in (2, 3)
