"""The ways out of holds lead somewhere."""

from pathlib import Path

import gateway.console
from gateway.console.ways_out import WAYS
from services.orders.domain.holds import REASONS


def test_every_way_is_one_of_a_known_reason_to_a_form_that_is_there() -> None:
    page = (Path(gateway.console.__file__).parent / "templates" / "order.html").read_text()
    assert WAYS.keys() <= REASONS.keys()
    for ways in WAYS.values():
        for anchor, _ in ways:
            assert f'id="{anchor}"' in page
