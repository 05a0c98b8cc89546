"""Neither all sessions together nor those of one address take more than they may."""

import pytest

from mailops.lib.smtp_room import Limits, Room


@pytest.fixture
def room():
    return Room(Limits(sessions=3, sessions_each=2, octets=100, octets_each=60))


def entered(room, *peers):
    return [room.enter(object(), peer) for peer in peers]


def test_one_address_leaves_places_to_others(room):
    assert entered(room, *[("192.0.2.1", 1)] * 3) == [True, True, False]
    assert entered(room, ("192.0.2.2", 1), ("192.0.2.3", 1)) == [True, False]


def test_an_ipv6_network_is_one_address(room):
    one, other = ("2001:db8::1", 1, 0, 0), ("2001:db8::2", 1, 0, 0)
    elsewhere = ("2001:db8:0:1::1", 1, 0, 0)
    assert entered(room, one, other, ("2001:db8::3%eth0", 1, 0, 2)) == [True, True, False]
    assert entered(room, elsewhere) == [True]


@pytest.mark.parametrize("peer", ["", None, ("",), ()])
def test_a_peer_without_an_address_may_come(room, peer):
    assert entered(room, peer) == [True]


def test_a_place_is_free_again_when_its_session_leaves(room):
    sessions = [object(), object()]
    assert all(room.enter(one, ("192.0.2.1", 1)) for one in sessions)
    room.leave(sessions[0])
    assert sessions[0] not in room
    assert entered(room, ("192.0.2.1", 1)) == [True]


def test_octets_are_counted_over_all_sessions_until_they_let_go(room):
    ours, others = object(), object()
    room.enter(ours, ("192.0.2.1", 1))
    room.enter(others, ("192.0.2.2", 1))
    with room.hold(ours) as held:
        assert held.add(60)
        assert not held.add(1)
        with room.hold(others) as too:
            assert not too.add(40)  # 101 of 100
        held.release()
        with room.hold(others) as too:
            assert too.add(60)
    with room.hold(ours) as held:
        assert held.add(60)
