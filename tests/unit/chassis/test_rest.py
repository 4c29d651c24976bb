"""How the writer rests where calls crowd, in virtual time: who comes together is answered together, and nobody waits for nobody."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from argosy.catalog.v1 import channels_service_pb2
from chassis.kernel.ids import new_id
from chassis.runtime.contracts import methods_of
from chassis.runtime.host import wall_clock
from chassis.runtime.work import Cause
from chassis.runtime.writer import Call, Principal, Writer
from tests.sim.world import VirtualLoop

METHOD = methods_of(channels_service_pb2.DESCRIPTOR.services_by_name["ChannelsService"])[0]
# How long each transaction takes.
TOOK_S = 0.005
MANY = 20


class Paced(Writer):
    """A writer of which only the pace is real: it notes when it takes how many calls, and answers them."""

    def __init__(self) -> None:
        nothing = cast(Any, None)
        super().__init__(nothing, nothing, nothing, {}, wall_clock, lambda _: None)
        self.taken: list[tuple[int, int]] = []

    def _shares(self, batch: Sequence[Call]) -> bool:
        return False

    async def _answer(self, batch: Sequence[Call], *, hopeful: bool = True) -> None:
        self.taken.append((round(asyncio.get_running_loop().time() * 1e4), len(batch)))
        await asyncio.sleep(TOOK_S)
        for call in batch:
            call.answer.set_result(METHOD.response())


def taken(*arrivals: float) -> list[tuple[int, int]]:
    """Returns when (in tenths of milliseconds) how many of the calls were taken that came so many seconds after a crowd was answered."""

    async def ask(writer: Writer, at: float) -> None:
        await asyncio.sleep(at)
        request = METHOD.request(request_id=new_id())
        await writer.submit([Call(METHOD, request, Principal("tester"), Cause("tester", METHOD.path, "1"))])

    async def run() -> list[tuple[int, int]]:
        writer = Paced()
        serving = asyncio.ensure_future(writer.serve())
        await asyncio.gather(*(ask(writer, 0) for _ in range(MANY)))
        assert writer.taken == [(0, MANY)]
        await asyncio.gather(*(ask(writer, at) for at in arrivals))
        serving.cancel()
        return writer.taken[1:]

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(run())


@pytest.mark.parametrize(
    ("arrivals", "expected"),
    [
        # All come again within twice what the last transaction took, and are taken when the last of them is there.
        ([0.0004 * number for number in range(MANY)], [(50 + 76, MANY)]),
        # They come slower than that, but they come.
        ([0.001 * number for number in range(MANY)], [(50 + 190, MANY)]),
        # Most do not come again: after the rest, and the little longer in which none came, nobody waits for them.
        ([0.0] * 5, [(50 + 100, 5)]),
        ([0.0] * 5 + [0.0095], [(50 + 125, 6)]),
        # A few who come one by one keep nobody waiting for long.
        ([0.0021 * number for number in range(MANY)], [(50 + 300, 15), (350 + 175, 5)]),
    ],
    ids=["at once", "slowly", "few", "one more", "one by one"],
)
def test_who_comes_together_is_taken_together(arrivals: list[float], expected: list[tuple[int, int]]) -> None:
    assert taken(*arrivals) == expected
