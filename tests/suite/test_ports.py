"""Ports for servers that listen later."""

import pytest

from suite import up


def test_a_port_is_given_once_until_it_is_listened_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up, "PORTS", range(20_000, 20_200))

    given = [up.free_ports(1)[0] for _ in range(60)]

    assert len(set(given)) == 60
