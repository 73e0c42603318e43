"""The symbols that an exchange leaves without any answer in a run, and when that means the exchange itself. No I/O."""

from collections.abc import Hashable

from crypto_lake.errors import UnansweredError, UnreachableError


class Silence:
    """The knowledge of one run. `symbols` is how many it asks about; each is named by something of the caller's own.

    A symbol is silent after two questions without an answer: it is not asked about again, and keeps no other from being
    asked about. Where two symbols are silent one after the other, or no other is left, it is the exchange.
    """

    def __init__(self, symbols: int) -> None:
        self._symbols = symbols
        self._once: set[Hashable] = set()
        self._silent: dict[Hashable, UnansweredError] = {}
        self._before: Hashable = None

    def of(self, symbol: Hashable) -> UnansweredError | None:
        """Why a symbol is not to be asked about any more; None: it may be."""
        return self._silent.get(symbol)

    def answered(self) -> None:
        """Note that the exchange has answered something."""
        self._before = None

    def note(self, symbol: Hashable, error: UnansweredError) -> None:
        """Note that a question about a symbol got no answer.

        Raises:
            UnreachableError: it is the exchange that answers nothing.
        """
        if symbol in self._once or isinstance(error, UnreachableError):
            self._silent[symbol] = UnansweredError(str(error))
        self._once.add(symbol)
        if self._before not in {None, symbol} or len(self._silent) == self._symbols:
            raise UnreachableError(str(error))
        if symbol in self._silent:
            self._before = symbol
