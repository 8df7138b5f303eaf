"""Binance's answers become the right error: what is definitive, what is not, and how long to wait."""

from __future__ import annotations

import json

import pytest

from axon_exchange_binance.errors import refused
from axon_quant.errors import (
    AmbiguousError,
    AuthError,
    ClockError,
    DuplicateOrderError,
    NotFoundError,
    RateLimitedError,
    RejectedError,
    UnavailableError,
)


def meant(status: int, code: int, text: str = "text", *, changes: bool = True, headers=None, **more):
    body = json.dumps({"code": code, "msg": text, **more}).encode()
    return refused(status, body, headers or {}, symbol="BTCUSDT", changes=changes, now_ms=1_700_000_000_000)


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (400, -1013, "Filter failure: NOTIONAL", RejectedError),
        (400, -1013, "Filter failure: LOT_SIZE", RejectedError),
        (400, -2010, "Account has insufficient balance for requested action.", RejectedError),
        (400, -2010, "Stop price would trigger immediately.", RejectedError),
        (400, -2010, "Duplicate order sent.", DuplicateOrderError),
        (400, -2011, "Unknown order sent.", NotFoundError),
        (400, -2011, "Order was not canceled due to cancel restrictions.", RejectedError),
        (400, -2013, "Order does not exist.", NotFoundError),
        (400, -2026, "Order was archived.", NotFoundError),
        (400, -1021, "Timestamp for this request is outside of the recvWindow.", ClockError),
        (400, -1022, "Signature for this request is not valid.", AuthError),
        (401, -2015, "Invalid API-key, IP, or permissions for action.", AuthError),
        (401, -2014, "API-key format invalid.", AuthError),
        (400, -1121, "Invalid symbol.", RejectedError),
        (400, -1131, "recvWindow must be less than 60000.", RejectedError),
        (400, -1145, "Invalid cancelRestrictions", RejectedError),
        (503, -1008, "Server is currently overloaded with other requests.", UnavailableError),
        (400, -1016, "This service is no longer available.", UnavailableError),
        (504, -1007, "Timeout waiting for response from backend server.", AmbiguousError),
        (400, -1006, "An unexpected response was received from the message bus.", AmbiguousError),
        (400, -1000, "An unknown error occurred while processing the request.", AmbiguousError),
        (503, -1000, "", AmbiguousError),
        (502, 0, "", AmbiguousError),
    ],
)
def test_what_an_order_was_answered(status, code, text, kind):
    error = meant(status, code, text)
    assert type(error) is kind
    assert (error.venue, error.symbol, error.code, error.text) == ("binance", "BTCUSDT", str(code), text)


@pytest.mark.parametrize(("status", "code"), [(503, -1000), (504, -1007), (500, 0), (400, -1006)])
def test_a_question_without_an_answer_leaves_nothing_ambiguous(status, code):
    assert type(meant(status, code, changes=False)) is UnavailableError


def test_a_body_that_is_no_json_is_judged_by_its_status():
    error = refused(502, b"<html>Bad gateway</html>", {}, symbol=None, changes=True, now_ms=0)
    assert type(error) is AmbiguousError
    error = refused(404, b"<html>", {}, symbol=None, changes=True, now_ms=0)
    assert type(error) is RejectedError
    assert "404" in str(error)


@pytest.mark.parametrize(
    ("status", "code", "text", "headers", "seconds"),
    [
        (429, -1003, "Too much request weight used.", {"Retry-After": "7"}, 7),
        (418, -1003, "Way too much request weight used; IP banned until 1700000012500.", {}, 12.5),
        (418, -1003, "IP banned until 1700000012500.", {"Retry-After": "13"}, 13),
        (429, -1015, "Too many new orders; current limit is 50 orders per 10 SECOND.", {}, 10),
        (429, -1015, "Too many new orders; current limit is 200000 orders per DAY.", {}, 60),
        (429, -1003, "Too many requests.", {}, 60),
        (403, 0, "", {}, 300),
    ],
)
def test_how_long_to_wait(status, code, text, headers, seconds):
    error = meant(status, code, text, headers=headers)
    assert type(error) is RateLimitedError
    assert error.retry_after == pytest.approx(seconds)


def test_a_replacement_whose_order_cannot_be_cancelled_is_rejected():
    data = {
        "cancelResult": "FAILURE",
        "newOrderResult": "NOT_ATTEMPTED",
        "cancelResponse": {"code": -2011, "msg": "Unknown order sent."},
        "newOrderResponse": None,
    }
    error = meant(400, -2022, "Order cancel-replace failed.", data=data)
    assert type(error) is RejectedError
    assert "cannot be cancelled: Unknown order sent. [-2011]" in str(error)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (-2010, "Order would immediately match and take.", RejectedError),
        (-1015, "Too many new orders; current limit is 1 orders per 10 SECOND.", RateLimitedError),
        (-1007, "Timeout waiting for response from backend server.", AmbiguousError),
    ],
)
def test_a_replacement_that_failed_after_the_cancel_says_so(code, text, kind):
    data = {
        "cancelResult": "SUCCESS",
        "newOrderResult": "FAILURE",
        "cancelResponse": {"symbol": "BTCUSDT", "orderId": 3},
        "newOrderResponse": {"code": code, "msg": text},
    }
    error = meant(409, -2021, "Order cancel-replace partially failed.", data=data)
    assert type(error) is kind
    assert "the order was cancelled, but not replaced" in str(error)


def test_every_error_says_what_to_do_where_something_can_be_done():
    for code in (-1013, -1021, -1022, -1121, -2014, -2015):
        assert meant(400, code).hint
