"""How far back the partitions of this process reach, told before anything of Dagster is loaded."""

_whole: list[bool] = [False]


def back_to_the_first_day_of_all() -> None:
    """Let them begin where any exchange does: for commands, which take any day, and show no partitions to anybody."""
    _whole[0] = True


def is_whole() -> bool:
    """Return whether they do; else they begin where the lake does."""
    return _whole[0]
