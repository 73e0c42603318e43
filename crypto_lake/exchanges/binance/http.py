"""One question to Binance's REST interface, asked politely: the sockets around a `Limiter`.

Rules are those of binance-spot-api-docs, `rest-api.md` ("LIMITS", 2026-07-17). Weights are paced by the exchange's own
counter, 429 and 418 are obeyed to the second of their `Retry-After` by every task of the client, and what is worth it
is tried again.
"""

import asyncio
import math
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import msgspec
from loguru import logger

from crypto_lake import web
from crypto_lake.errors import ExchangeError, LeftAloneError, UnansweredError, UnreachableError
from crypto_lake.exchanges.base import Usage
from crypto_lake.exchanges.limiter import Limiter
from crypto_lake.showing import address, printable, without_secrets
from crypto_lake.web import Answer

# The waits between them, each twice the one before, are 7.5 s in all.
_TRIES = 5
_FIRST_WAIT_SEC = 0.5
# Who is to wait for longer is told so instead (`LeftAloneError`).
_LONGEST_OBEYED_SEC = 300
# Weight is counted by the minute: after one the count has begun anew.
_UNSAID_SEC = 60
# So often in the life of a client: whoever goes on asking an exchange that never says how long is banned.
_UNSAID_WAITS = 2
# Questions of one kind that got no answer, one after the other: the first may have been a bad one.
_UNANSWERED = 2
# A longer wait is told.
_SHORT_WAIT_SEC = 5
# A wish to be left alone, or a counter, beyond this is no number that an exchange has.
_ABSURD = 1_000_000_000
# A read, and a whole answer: a thousand trades are 150 kB.
_READ_SEC = 10
_ANSWER_SEC = 30
_MOST_BYTES = 4 << 20
# What answers and waits may take of one client, over all its questions, beyond what they are worth: an exchange that
# answers each one in the end, with little and late, must not hold it for days.
_PATIENCE_SEC = 1800
# A thousand rows are worth the longest that an answer may take: whole pages are waited for however slowly they come.
# An answer with little in it is worth the pace at which the heaviest question may be asked before a limit is told.
_WORTH_SEC, _WORTH_SEC_A_ROW = 1.5, 0.03
# Few enough that the exchange forgives it if all of them are too many. At 50 ms an answer they would ask for candles
# of 9,600 weight a minute, where 6,000 are allowed.
_AT_ONCE = 4
_USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"
# errors.md: the code of "Invalid symbol."
_INVALID_SYMBOL = "-1121"
_REDIRECTED, _BAD_REQUEST, _FIREWALL, _NOT_THERE = 300, 400, 403, 404
_BANNED, _TOO_MANY, _SERVER_ERROR = 418, 429, 500
_is_number = re.compile("-?[0-9]+").fullmatch

Sleep = Callable[[float], Coroutine[Any, Any, None]]


class InvalidSymbolError(ExchangeError):
    """The exchange does not know a symbol that was named."""


class NotThereError(ExchangeError):
    """There is nothing under that address."""


class _PassingError(Exception):
    """A trouble that may be gone the next time; the text says which."""


class BinanceHttp:
    """The way to the endpoints. `usage` is what was asked so far, `url` its address as it may be shown.

    `sleep` is how it waits, `clock` what it measures waits by (seconds, never back), `transport` how requests travel
    (None: over the network). An answer may take `answer_sec` in all.

    Raises:
        ExchangeError: the environment ($HTTPS_PROXY and its like) names a proxy that is none, or certificates that
            cannot be read.
    """

    def __init__(
        self,
        rest_url: str,
        *,
        answer_sec: float = _ANSWER_SEC,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = address(rest_url).rstrip("/")
        self.usage = Usage(0, 0)
        self.limiter = Limiter()
        self._rest_url = rest_url
        self._answer_sec, self._sleep, self._clock = answer_sec, sleep, clock
        self._at_once = asyncio.Semaphore(_AT_ONCE)
        self._lost_sec, self._waited_until = 0.0, -math.inf
        self._trouble, self._doubts = "", False
        self._unsaid = 0
        self._unanswered: dict[str, int] = {}
        headers = {"X-MBX-TIME-UNIT": "MICROSECOND"} | web.ACCEPTED
        try:
            tls = web.certificates()
            # Redirects are not followed: a password in the address is meant for that host alone.
            self._http = httpx.AsyncClient(
                timeout=_READ_SEC, headers=headers, transport=transport, follow_redirects=False, verify=tls
            )
        except OSError as error:
            # $SSL_CERT_FILE, or what is installed: an update may take it away under our feet.
            raise ExchangeError(f"{self.url}: its certificates cannot be checked: {error}") from None
        except ImportError as error:
            raise ExchangeError(f"{self.url}: the environment's proxy cannot be used: {error}") from None
        except (ValueError, httpx.InvalidURL):
            # What the library says of it quotes parts of the address, in which a password may lie.
            raise ExchangeError(
                f"{self.url}: the environment's proxy cannot be used: it is no address; expected http://host:port in "
                "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
            ) from None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def quoted(self, text: str) -> str:
        """Return what an answer says, as it may be told: without what is secret in the address that was asked."""
        return without_secrets(text, self._rest_url)

    def json(self, answer: Answer) -> Any:  # noqa: ANN401 - it is JSON
        """A body of JSON; ValueError for any other."""
        try:
            return msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise ValueError(f"expected JSON, got '{printable(self.quoted(answer.text), 80)}'") from None

    async def get(
        self,
        endpoint: str,
        params: dict[str, str | int],
        weight: int,
        parse: Callable[[Answer], Any] | None = None,
        *,
        rows: int = 1,
        most_bytes: int = _MOST_BYTES,
    ) -> Any:  # noqa: ANN401 - it is whatever `parse` makes of it
        """One answer, of JSON or what `parse` takes, tried again where that is worth it; it costs `weight`.

        It has `most_bytes` once unpacked, and `rows` are asked for.

        Raises:
            InvalidSymbolError: it does not know the symbol.
            NotThereError: HTTP 404.
            LeftAloneError: it wants to be left alone for long; nothing more is sent before that is over.
            UnansweredError: `_TRIES` attempts did not bring a whole answer.
            UnreachableError: they did not either for the question to this endpoint before; or over all questions it
                takes longer than that is worth.
            ExchangeError: it refused.
        """
        mistake = ""
        for attempt in range(_TRIES):
            backoff = _FIRST_WAIT_SEC * 2**attempt
            try:
                answer = await self._send(endpoint, params, weight, most_bytes)
                self._look_at(answer, endpoint, backoff)
                parsed = (parse or self.json)(answer)
            except (web.NoAnswerError, ValueError, _PassingError) as error:
                self._trouble = mistake = self.quoted(str(error))
            else:
                self._unanswered.pop(endpoint, None)
                self._note_worth(min(rows, len(parsed)) if isinstance(parsed, list) else rows)
                return parsed
            # Who was told to wait does so before the next is sent.
            if attempt < _TRIES - 1 and not self.limiter.quiet(self._clock()):
                await self._wait(backoff)
        raise self._without_answer(endpoint, mistake)

    def _without_answer(self, endpoint: str, mistake: str) -> ExchangeError:
        """Return what it means that a question had no answer, after those to the same endpoint before."""
        self._unanswered[endpoint] = self._unanswered.get(endpoint, 0) + 1
        kind = UnreachableError if self._unanswered[endpoint] >= _UNANSWERED else UnansweredError
        return kind(f"{self.url}/{endpoint}: no answer after {_TRIES} attempts; the last: {mistake}")

    async def _send(
        self, endpoint: str, params: dict[str, str | int], weight: int, most_bytes: int
    ) -> Answer:
        """One attempt, as soon as the limiter lets it go."""
        async with self._at_once:
            self._look_at_patience(endpoint)
            while wait := self.limiter.wait(weight, self._clock()):
                if self.limiter.quiet(self._clock()) > _LONGEST_OBEYED_SEC:
                    raise LeftAloneError(f"{self.url}/{endpoint}", wait)
                await self._wait(wait)
                self._look_at_patience(endpoint)
            request = self._request(endpoint, params)
            booking, begun = self.limiter.send(weight), self._clock()
            self.usage = Usage(self.usage.requests + 1, self.usage.weight + weight)
            try:
                answer = await web.ask(
                    self._http, request, answer_sec=self._answer_sec, most_bytes=most_bytes
                )
            except BaseException:
                self.limiter.lost(booking, self._clock())
                raise
            finally:
                # A machine that slept meanwhile has not waited for the exchange.
                self._lost_sec += min(self._clock() - begun, self._answer_sec)
            used = _number(answer.headers.get(_USED_WEIGHT))
            believed = self.limiter.answered(booking, used, self._clock())
            # Who refuses more may well count more than the limit.
            if not (believed or self._doubts or answer.status in {_TOO_MANY, _BANNED}):
                self._doubts = True
                logger.warning("{}: {} is {}, which is not believed", self.url, _USED_WEIGHT, used)
            return answer

    async def _wait(self, seconds: float) -> None:
        """Wait, and count it: what several tasks wait for at the same time once."""
        now = self._clock()
        self._lost_sec += max(0.0, now + seconds - max(now, self._waited_until))
        self._waited_until = max(self._waited_until, now + seconds)
        await self._sleep(seconds)

    def _note_worth(self, rows: int) -> None:
        """Note what a good answer was worth. More than was lost before it is not saved up: who was quick may drip."""
        self._lost_sec = max(0.0, self._lost_sec - _WORTH_SEC - _WORTH_SEC_A_ROW * rows)

    def _look_at_patience(self, endpoint: str) -> None:
        """Look whether the exchange is worth a question.

        Raises:
            UnreachableError: it is not.
        """
        if self._lost_sec > _PATIENCE_SEC:
            last = f"; the last trouble: {self._trouble}" if self._trouble else ""
            raise UnreachableError(
                f"{self.url}/{endpoint}: waiting for it has taken {_PATIENCE_SEC // 60} minutes more than what it "
                f"answered is worth{last}"
            )

    def _request(self, endpoint: str, params: dict[str, str | int]) -> httpx.Request:
        """Return what is sent; a key in the address's query goes along."""
        try:
            base = httpx.URL(self._rest_url)
            url = base.copy_with(path=f"{base.path.rstrip('/')}/{endpoint}").copy_merge_params(params)
            return self._http.build_request("GET", url)
        except (httpx.InvalidURL, ValueError):
            raise ExchangeError(
                f"{self.url}/{endpoint}: not an address: expected one such as https://host:9443/path"
            ) from None

    def _look_at(self, answer: Answer, endpoint: str, backoff: float) -> None:
        """Let a good answer pass.

        Raises:
            _PassingError: the exchange has trouble of its own, or wants to be left alone for a while.
            ExchangeError: it refuses.
        """
        status = answer.status
        if status < _REDIRECTED:
            return
        refusal = self._refusal(answer)
        if status in {_TOO_MANY, _BANNED}:
            self._leave_alone(answer, endpoint, backoff)
            raise _PassingError(refusal)
        if status >= _SERVER_ERROR:
            raise _PassingError(refusal)
        if status == _FIREWALL:
            # Its firewall has met too much of us, or something it dislikes; whoever goes on makes it worse.
            self._leave_alone(answer, endpoint, 0)
        refused = NotThereError if status == _NOT_THERE else ExchangeError
        if status >= _BAD_REQUEST and _INVALID_SYMBOL in answer.text:
            refused = InvalidSymbolError
        raise refused(f"{self.url}/{endpoint}: refused: {refusal}")

    def _refusal(self, answer: Answer) -> str:
        if answer.status < _BAD_REQUEST:
            place = address(self.quoted(answer.headers.get("Location", "nowhere")))
            return f"HTTP {answer.status}, a redirect to {place}"
        return f"HTTP {answer.status} {printable(self.quoted(answer.text), 120)}".strip()

    def _leave_alone(self, answer: Answer, endpoint: str, least: float) -> None:
        """Send nothing for as long as an answer tells, by any task; a minute where it does not tell.

        Raises:
            LeftAloneError: it is a ban without an end, or the exchange has been given its minutes.
        """
        now = self._clock()
        before = self.limiter.quiet(now)
        told = _number(answer.headers.get("Retry-After"))
        # Of several refusals that were on their way at once only the first is a new one.
        self._unsaid += told is None and not before
        if told is None and (answer.status == _BANNED or self._unsaid > _UNSAID_WAITS):
            self.limiter.silence(math.inf, now)
            raise LeftAloneError(f"{self.url}/{endpoint}", math.inf)
        seconds = _UNSAID_SEC if told is None else max(least, told)
        self.limiter.silence(seconds, now)
        more = self.limiter.quiet(now) - before
        if more > _SHORT_WAIT_SEC and seconds <= _LONGEST_OBEYED_SEC:
            logger.warning(
                "{}: the exchange asks to wait {:.0f} s (HTTP {})", self.url, seconds, answer.status
            )


def _number(text: str | None) -> int | None:
    """A whole number in a header, an absurd one as `_ABSURD`; None where there is no number."""
    if text is None or not _is_number(text):
        return None
    # Thousands of digits are more than `int` takes.
    return min(int(text[:12]), _ABSURD)
