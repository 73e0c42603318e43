"""One request over HTTP whose answer has an end, in time and in size. Nothing of any exchange, nothing tried again."""

import asyncio
import contextlib
import logging
import os
import ssl
import zlib
from collections.abc import AsyncIterator
from functools import cache
from typing import NamedTuple

import httpx

# They log each address with its password at INFO, and each header at DEBUG.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)

# What is asked for, and all that is unpacked: nested or other codings grow a thousandfold twice over.
ACCEPTED = {"Accept-Encoding": "gzip"}
_GZIP = {"gzip", "x-gzip"}
_GZIP_FORMAT = 16 + zlib.MAX_WBITS


def certificates() -> ssl.SSLContext:
    """Return what certificates are checked by, read once for all clients: there are more than a hundred of them.

    Raises:
        OSError: the file that `$SSL_CERT_FILE` names, or the one that is installed, is gone.
    """
    return _certificates(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _certificates(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    return httpx.create_ssl_context()


class NoAnswerError(Exception):
    """No whole answer came; the text says why, in words that may be the answer's own: who shows them masks them."""


class Answer(NamedTuple):
    """A whole answer, unpacked."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, whatever bytes it has."""
        return self.body.decode(errors="replace")


async def ask(
    client: httpx.AsyncClient, request: httpx.Request, *, answer_sec: float, most_bytes: int
) -> Answer:
    """Send a request and read its answer, which may take `answer_sec` in all and have `most_bytes` once unpacked.

    Raises:
        NoAnswerError: it did not come, not in time, not whole, or is longer.
    """
    async with _answered(client, request, answer_sec) as response:
        return Answer(response.status_code, response.headers, await _body(response, most_bytes))


async def tell(client: httpx.AsyncClient, request: httpx.Request, *, answer_sec: float) -> int:
    """Send a request and return the status of the answer, whose body is not waited for.

    Raises:
        NoAnswerError: it did not come, or not in time.
    """
    async with _answered(client, request, answer_sec) as response:
        return response.status_code


@contextlib.asynccontextmanager
async def _answered(
    client: httpx.AsyncClient, request: httpx.Request, answer_sec: float
) -> AsyncIterator[httpx.Response]:
    """Give the head of an answer; the body must be read within the block, and in the same time."""
    try:
        # The library's own limits are those of one read, which a byte a second never reaches.
        async with asyncio.timeout(answer_sec):
            response = await client.send(request, stream=True)
            try:
                yield response
            finally:
                await response.aclose()
    except TimeoutError:
        raise NoAnswerError(f"no whole answer within {answer_sec:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
        # The library hands through, as they are, a TLS record that is none and a redirect to no address, or to no name.
        raise NoAnswerError(f"{type(error).__name__} {error}".strip()) from None


async def _body(response: httpx.Response, most_bytes: int) -> bytes:
    coding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if coding not in _GZIP | {"identity", ""}:
        raise NoAnswerError(f"Content-Encoding: expected gzip or none, got {coding!r}")
    unpack = zlib.decompressobj(_GZIP_FORMAT) if coding in _GZIP else None
    body, came = bytearray(), 0
    # Not `aiter_bytes`: it unpacks a whole read before anybody can count.
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError("expected the answer of an asynchronous client")
    async for packed in response.stream:
        if unpack and unpack.eof:
            # Nobody wants what comes behind the end, and the library would keep all of it.
            break
        # One byte more than may come: it tells too long an answer, and zlib takes a room of 0 for one without an end.
        room = most_bytes + 1 - len(body)
        body += _unpacked(unpack, packed, room) if unpack else packed[:room]
        came += len(packed)
        # Gzip may go on without an end though there is nothing in it.
        if max(len(body), came) > most_bytes:
            raise NoAnswerError(f"longer than {most_bytes:,} bytes")
    # An answer without a body may say gzip as well.
    if unpack and body and not unpack.eof:
        raise NoAnswerError("gzip that ends before its end")
    return bytes(body)


def _unpacked(unpack: "zlib._Decompress", packed: bytes, room: int) -> bytes:
    try:
        return unpack.decompress(packed, room)
    except zlib.error as error:
        raise NoAnswerError(f"damaged gzip: {error}") from None
