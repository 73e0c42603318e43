"""Errors of attempts: which are worth a second one, and how a failed one is told in a line. No I/O."""

import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus

from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI

from crypto_lake.showing import printable

# What a peer says of itself may be in it, and goes to the journal with each attempt.
_LONGEST_TEXT = 300
_RETRIED_STATUS = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


def is_hopeless(error: BaseException) -> bool:
    """Return whether the same attempt is bound to fail again: a wrong address, a refusal, a certificate not trusted.

    This counts before the first success only. What has worked once is tried again for ever, since a 403 of a
    firewall or a certificate of a middlebox passes, and a recorder that has given up records nothing.
    """
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _RETRIED_STATUS
    return isinstance(error, InvalidURI | ssl.SSLCertVerificationError)


def described(error: BaseException, quoted: Callable[[str], str] = str) -> str:
    """One line for people, without a traceback; what the exchange says in it cannot steer a terminal.

    `quoted` takes out of it what is secret in the address that was asked: the exchange may repeat that.
    """
    match error:
        case InvalidStatus():
            text = f"the handshake was answered with HTTP {error.response.status_code}"
        case ssl.SSLCertVerificationError():
            text = f"its certificate is not trusted: {error.verify_message}"
        case InvalidURI():
            text = f"not a WebSocket address: {error.msg}"
        case TimeoutError():
            text = "no answer in time"
        case socket.gaierror():
            text = "its name is not known (DNS)"
        case ConnectionRefusedError():
            text = "connection refused"
        case ConnectionClosed():
            text = f"closed: {error}"
        case _:
            text = f"{type(error).__name__}: {error}"
    return printable(quoted(text), _LONGEST_TEXT)
