from __future__ import annotations

import pytest

from mario_world_model.playground.guard import POLICY, host_is_ours, origin_is_ours


@pytest.mark.parametrize("host", ["localhost", "localhost:8585", "127.0.0.1:8585", "[::1]:80"])
def test_a_browser_of_this_machine_is_let_in(host: str) -> None:
    assert host_is_ours(host, loopback_only=True)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:8585", "a@127.0.0.1", "127.0.0.1/x", "[::1"],
)
def test_a_name_of_somebody_else_s_is_not(host: str) -> None:
    assert not host_is_ours(host, loopback_only=True)
    assert not host_is_ours(host, loopback_only=False)


def test_other_addresses_only_where_the_server_listens_on_them() -> None:
    assert not host_is_ours("192.168.1.7:8585", loopback_only=True)
    assert host_is_ours("192.168.1.7:8585", loopback_only=False)


def test_a_page_has_to_come_from_the_host_it_speaks_to() -> None:
    assert origin_is_ours("http://127.0.0.1:8585", "127.0.0.1:8585")
    for origin in (None, "null", "http://evil.example", "http://127.0.0.1", "http://127.0.0.1:85850"):
        assert not origin_is_ours(origin, "127.0.0.1:8585")


def test_nothing_may_come_from_elsewhere() -> None:
    assert "http:" not in POLICY
    assert "*" not in POLICY
    assert "unsafe" not in POLICY
    assert POLICY.startswith("default-src 'none'")
