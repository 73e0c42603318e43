"""One step of the work for each of some symbols, of which none keeps the others from it."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import TypeVar

from loguru import logger

from crypto_lake.disk import publish
from crypto_lake.errors import LakeBusyError, LakeError, together
from crypto_lake.series import Series

_Done = TypeVar("_Done")


def of_every_symbol(
    series: Iterable[Series],
    day: date,
    step: Callable[[Series], _Done | None],
    failed: str,
    endings: tuple[type[LakeError], ...] = (),
    failures: list[LakeError] | None = None,
) -> list[_Done]:
    """Return what `step` made of each symbol, without those of which it made nothing.

    `failed` is what the log says before an error. Errors are added to `failures`, where that is given.

    Raises:
        LakeError: the first one of `step`, when all symbols were tried; one of the `endings` at once. With `failures`
            only where nothing was made, or where another process has a symbol, which passes by itself.
    """
    done: list[_Done] = []
    errors: list[LakeError] = []
    for one in series:
        try:
            with publish.told_of_folders():
                made = step(one)
        except endings:
            raise
        except LakeError as error:
            logger.error("{} {}: {}{}", one.symbol, day, failed, error)
            errors.append(error)
        else:
            done += [] if made is None else [made]
    if not errors:
        return done
    if failures is None:
        raise errors[0]
    busy = [error for error in errors if isinstance(error, LakeBusyError)]
    if busy or not done:
        raise busy[0] if busy else together(errors)
    failures += errors
    return done
