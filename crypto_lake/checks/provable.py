"""Why an exchange's data cannot prove what a check says: one reason for each kind of check, None where it can."""

from crypto_lake.exchanges.capabilities import Capabilities

_IDS = {
    "contiguous": None,
    "rising": "the exchange's trade ids skip: one that is not there need not be missing",
    "none": "the exchange sends no trade ids",
}
_CANDLES = {
    "with taker volumes": None,
    "without taker volumes": (
        "the exchange's candles do not tell what takers bought: seven of nine columns were compared"
    ),
    "none": "the exchange has no candles to compare with",
}


def anywhere(_: Capabilities) -> None:
    """Nothing of the exchange's is needed for the proof."""


def always(_: object) -> None:
    """Nothing of a day leaves a doubt."""


def by_ids(what: Capabilities) -> str | None:
    """A missing trade is told by a missing id, and an absurd id by its distance from the next one."""
    return _IDS[what.trade_ids]


def by_candles(what: Capabilities) -> str | None:
    """Our bars are told right by the exchange's own candles."""
    return _CANDLES[what.candles]


def by_quotes(what: Capabilities) -> str | None:
    """A new quote is told from one that is sent again by its id, or its time."""
    if what.quotes_have_id or what.quotes_have_time:
        return None
    return "the exchange's quotes have neither id nor time: one that is sent again looks like a new one"
