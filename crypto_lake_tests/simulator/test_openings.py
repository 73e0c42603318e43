"""Who is served when: the stretches of one symbol and of several."""

from crypto_lake.simulator.server.openings import Openings, Stretch, at

BOTH = Openings(
    {
        "A": [Stretch(0, 1, 100), Stretch(200, 201, 900)],
        "B": [Stretch(0, 2, 150), Stretch(180, 182, 500), Stretch(600, 601, 700)],
    }
)


def test_a_client_of_several_is_served_while_all_of_them_are() -> None:
    assert BOTH.of(["A", "B"]) == [Stretch(0, 1, 100), Stretch(200, 201, 500), Stretch(600, 601, 900)]


def test_a_symbol_that_is_over_or_has_not_begun_keeps_nobody_from_hearing_others() -> None:
    assert BOTH.of(["B"]) == [Stretch(0, 1, 150), Stretch(180, 182, 500), Stretch(600, 601, 900)]
    assert BOTH.of([]) == [Stretch(0, 1, 900)]


def test_a_time_belongs_to_its_stretch_or_the_next_one() -> None:
    found = BOTH.of(["A"])
    assert [at(found, time) for time in (50, 100, 899, 900)] == [found[0], found[1], found[1], None]
