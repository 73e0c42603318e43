from crypto_lake.simulator.binance.limits import WeightLimit


def test_weight_adds_up_within_a_minute_and_starts_again_with_the_next() -> None:
    limit = WeightLimit(100)
    assert [limit.ask(25, second).used_weight for second in (0, 10, 59, 60)] == [25, 50, 75, 25]


def test_above_the_limit_the_wait_is_until_the_minute_ends() -> None:
    limit = WeightLimit(50)
    assert [limit.ask(25, 45).status for _ in range(3)] == [200, 200, 429]
    assert limit.ask(25, 45).retry_after_s == 15


def test_a_client_that_waits_is_welcome_again() -> None:
    limit = WeightLimit(25)
    assert [limit.ask(25, second).status for second in (0, 1, 60)] == [200, 429, 200]


def test_asking_through_the_429s_ends_in_a_ban() -> None:
    limit = WeightLimit(0, patience=2, ban_s=120)
    assert [limit.ask(1, 5).status for _ in range(4)] == [429, 429, 429, 418]


def test_asking_through_a_ban_makes_it_longer() -> None:
    limit = WeightLimit(0, patience=0, ban_s=120)
    assert [limit.ask(1, second).retry_after_s for second in (0, 1, 2, 3)] == [60, 120, 240, 480]


def test_a_ban_ends() -> None:
    limit = WeightLimit(10, patience=0, ban_s=120)
    banned = [limit.ask(11, 0) for _ in range(2)][-1]
    assert banned.banned_until_s == 120
    assert [limit.ask(1, second).status for second in (120, 121)] == [200, 200]


def test_no_ban_is_longer_than_three_days() -> None:
    limit = WeightLimit(0, patience=0)
    assert [limit.ask(1, 0) for _ in range(40)][-1].retry_after_s == 3 * 86_400
