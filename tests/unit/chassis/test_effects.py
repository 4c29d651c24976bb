"""What providers outside are asked: a few at a time, and all of it."""

import asyncio

import pytest

from chassis.runtime.effects import AT_ONCE, few_at_once


async def test_a_few_at_a_time_and_all_in_their_order() -> None:
    under_way, most = 0, 0

    async def ask(number: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0)
        under_way -= 1
        return number

    wanted = 5 * AT_ONCE
    assert await few_at_once(ask(number) for number in range(wanted)) == list(range(wanted))
    assert most == AT_ONCE


async def test_what_one_raises_is_raised_once_all_have_ended() -> None:
    ended = []

    async def ask(number: int) -> int:
        if number == 0:
            raise ValueError("a defect")
        await asyncio.sleep(0.01)
        ended.append(number)
        return number

    with pytest.raises(ValueError, match="a defect"):
        await few_at_once(ask(number) for number in range(AT_ONCE))
    assert ended == list(range(1, AT_ONCE))
