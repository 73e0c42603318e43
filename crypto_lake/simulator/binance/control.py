"""A client's words on the WebSocket, and the exchange's answers.

Here belong the control frames (web-socket-streams.md, "Live Subscribing/Unsubscribing to streams"): text in, text out,
and what a connection is subscribed to in between. A wrong stream name is acknowledged like a right one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_ID_TEXT = re.compile(r"[A-Za-z0-9-]{1,36}")  # hyphens, too: the official client sends UUIDs
_INT64 = range(-(2**63), 2**63)


class _RefusedError(Exception):
    """A request that is answered with an error; the argument is the answer."""


@dataclass(slots=True)
class Subscriptions:
    """The streams that one connection has asked for, in the order they came, and whether events are wrapped.

    `changes` is how often streams were added or taken away.
    """

    combined: bool
    streams: dict[str, None] = field(default_factory=dict)
    changes: int = 0

    def answer(self, text: str) -> str:
        """Do what the client asks; the frame to send back."""
        try:
            request = _request(text)
            reply: dict[str, Any] = {"result": self._do(request, text), "id": request.get("id")}
        except _RefusedError as refused:
            reply = refused.args[0]
        return json.dumps(reply, separators=(",", ":"))

    def _do(self, request: dict[str, Any], text: str) -> Any:  # noqa: ANN401 - null, a list or a flag
        method, params = request["method"], request.get("params", [])
        if not isinstance(params, list):
            raise _invalid(f"invalid type: expected a sequence at line 1 column {len(text)}")
        match method:
            case "LIST_SUBSCRIPTIONS":
                return list(self.streams)
            case "GET_PROPERTY" | "SET_PROPERTY":
                return self._property(method, params, request.get("id"))
        if not all(isinstance(name, str) for name in params):
            raise _invalid(f"invalid type: expected a string at line 1 column {len(text)}")
        self.changes += 1
        for name in params:
            if method == "SUBSCRIBE":
                self.streams[name] = None
            else:
                self.streams.pop(name, None)
        return None

    def _property(self, method: str, params: list[Any], request_id: int | str | None) -> bool | None:
        expected = 1 if method == "GET_PROPERTY" else 2
        if len(params) > expected:
            raise _invalid("too many parameters")
        if not params or not isinstance(params[0], str):
            raise _invalid("property name must be a string")
        if params[0] != "combined":
            raise _RefusedError({"code": 0, "msg": "Unknown property", "id": request_id})
        if method == "GET_PROPERTY":
            return self.combined
        if len(params) < expected or not isinstance(params[1], bool):
            raise _RefusedError({"code": 1, "msg": "Invalid value type: expected Boolean"})
        self.combined = params[1]
        return None


def _request(text: str) -> dict[str, Any]:
    try:
        request = json.loads(text)
    except json.JSONDecodeError as error:
        raise _not_json(error.lineno, error.colno) from error
    except RecursionError as error:
        raise _not_json(1, len(text)) from error
    if not isinstance(request, dict) or "method" not in request:
        raise _invalid(f"missing field `method` at line 1 column {len(text)}")
    request_id = request.get("id")
    if not _is_id(request_id):
        raise _invalid(
            "request ID must be a 64-bit integer, an alphanumeric string of up to 36 characters or null"
        )
    if request["method"] not in _METHODS:
        names = ", ".join(f"`{name}`" for name in _METHODS)
        raise _invalid(
            f"unknown variant `{request['method']}`, expected one of {names} at line 1 column {len(text)}"
        )
    return request


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return _ID_TEXT.fullmatch(value) is not None
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value in _INT64)


def _not_json(line: int, column: int) -> _RefusedError:
    return _RefusedError({"code": 3, "msg": f"Invalid JSON: expected value at line {line} column {column}"})


def _invalid(reason: str) -> _RefusedError:
    return _RefusedError({"code": 2, "msg": f"Invalid request: {reason}"})
