"""Leases: granted whole, in the order of asking, and freed by death."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.machine.lease import Lease, LeaseQueue, LeaseServer, ServiceRefused, service_address

PATIENCE_S = 60  # only how long a broken server may hang a test; nothing is measured by it


class Client:
    """A client that asks and does not wait, unlike :class:`Lease`."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(str(address))

    def ask(self, request):
        text = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
        self.socket.sendall(text)
        return self

    def lease(self, count):
        return self.ask({"lease": count})

    def answer(self):
        with self.socket.makefile("rb") as lines:
            return json.loads(lines.readline() or "null")

    def granted(self):
        return self.answer()["resources"]

    def close(self):
        self.socket.close()

    __del__ = close  # a test that is done with a client lets it go


@pytest.fixture
def serve(tmp_path_factory):
    """Start lease servers on short paths, and stop them."""
    servers = []

    def start(count, **services):
        services.setdefault("echo", lambda: "here")
        directory = tmp_path_factory.mktemp("l")
        servers.append(LeaseServer(directory / "s", count, services).start())
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def settle(server):
    """Wait until the server has handled all that was sent before: each round trip is one of its turns."""
    for _ in range(4):
        assert Client(server.address).ask({"service": "echo"}).answer() == {"address": "here"}


def is_waiting(client):
    return not select.select([client.socket], [], [], 0)[0]


# The queue


def test_queue_grants_in_the_order_of_asking():
    queue = LeaseQueue(range(2))
    for holder in (5, 3, 9):
        queue.request(holder, 1)
    assert queue.grant() == [(5, (0,)), (3, (1,))]
    queue.release(3)
    assert queue.grant() == [(9, (1,))]


def test_exclusive_request_is_not_starved_by_small_ones_that_would_fit():
    queue = LeaseQueue(range(2))
    queue.request(1, 1)
    queue.grant()
    queue.request(2, 2)
    queue.request(3, 1)
    assert queue.grant() == [], "the free core belongs to the exclusive request that came first"
    queue.release(1)
    assert queue.grant() == [(2, (0, 1))]
    queue.release(2)
    assert queue.grant() == [(3, (0,))]


def test_more_than_there_is_means_all():
    queue = LeaseQueue(range(3))
    queue.request(1, 64)
    assert queue.grant() == [(1, (0, 1, 2))]


@pytest.mark.parametrize("count", [0, -1])
def test_lease_of_nothing_is_refused(count):
    with pytest.raises(ValueError, match=f"a lease of {count} resources was asked for"):
        LeaseQueue(range(2)).request(1, count)


@pytest.mark.parametrize("granted", [True, False])
def test_second_request_of_a_holder_is_refused(granted):
    queue = LeaseQueue(range(2))
    queue.request(1, 1)
    if granted:
        queue.grant()
    with pytest.raises(ValueError, match="holder 1 asks for a second lease"):
        queue.request(1, 1)


def test_who_stops_waiting_is_forgotten_and_unknown_holders_are_ignored():
    queue = LeaseQueue(range(1))
    for holder in (1, 2, 3):
        queue.request(holder, 1)
    queue.grant()
    queue.release(2)
    queue.release(77)
    queue.release(1)
    assert queue.grant() == [(3, (0,))]


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(["ask", "release"]), st.integers(0, 5), st.integers(1, 6))),
)
def test_leases_are_whole_disjoint_first_come_and_leave_nothing_idle(resources, actions):
    queue, expected, counts = LeaseQueue(range(resources)), deque(), {}
    for action, holder, count in actions:
        if action == "release":
            queue.release(holder)
            expected = deque(other for other in expected if other != holder)
            counts.pop(holder, None)
        elif holder not in counts:
            queue.request(holder, count)
            expected.append(holder)
            counts[holder] = min(count, resources)
        for granted, taken in queue.grant():
            assert granted == expected.popleft()
            assert len(taken) == counts[granted]
        held = [resource for lease in queue.held.values() for resource in lease]
        assert len(held) == len(set(held)) <= resources
        assert [holder for holder, _ in queue.waiting] == list(expected)
        assert not expected or counts[expected[0]] > resources - len(held)


# The server


def test_lease_waits_for_its_turn_and_frees_on_exit(serve):
    server = serve(2)
    with Lease(server.address, 1) as first, Lease(server.address, 1) as second:
        assert {*first.resources, *second.resources} == {0, 1}
        waiting = Client(server.address).lease(1)
        settle(server)
        assert is_waiting(waiting)
    assert len(waiting.granted()) == 1


def test_server_serves_first_come_first_served(serve):
    server = serve(2)
    holder, everything, small = (Client(server.address) for _ in range(3))
    assert holder.lease(1).granted() == [0]
    everything.lease(99)
    settle(server)
    small.lease(1)
    settle(server)
    assert is_waiting(everything)
    assert is_waiting(small)
    holder.close()
    assert everything.granted() == [0, 1]
    assert is_waiting(small)
    everything.close()
    assert small.granted() == [0]


HOLDER = """
import sys, time
from bench.machine.lease import Lease
with Lease(sys.argv[1], 1):
    print("held", flush=True)
    time.sleep(600)
"""


def test_killed_holder_frees_its_lease(serve):
    server = serve(1)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(server.address)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[2],
    ) as holder:
        assert holder.stdout.readline() == b"held\n"
        waiting = Client(server.address).lease(1)
        settle(server)
        assert is_waiting(waiting)
        os.kill(holder.pid, signal.SIGKILL)
        assert waiting.granted() == [0]


def test_lease_granted_to_a_client_that_has_just_died_goes_to_the_next(serve):
    entered, leave = ([threading.Event(), threading.Event()] for _ in range(2))

    def gate(turn):
        def wait():
            entered[turn].set()
            assert leave[turn].wait(PATIENCE_S)
            return "open"

        return wait

    server = serve(1, first=gate(0), second=gate(1))
    holder, dying, heir, one, other = (Client(server.address) for _ in range(5))
    holder.lease(1).granted()
    dying.lease(1)
    settle(server)
    heir.lease(1)
    settle(server)
    # The holder's end and the second gate reach the server in one turn; `dying` dies within that turn.
    one.ask({"service": "first"})
    assert entered[0].wait(PATIENCE_S)
    holder.close()
    other.ask({"service": "second"})
    leave[0].set()
    assert entered[1].wait(PATIENCE_S)
    dying.close()
    leave[1].set()
    assert heir.granted() == [0]


def test_second_lease_on_a_connection_is_refused_and_the_first_one_stays(serve):
    server = serve(1)
    holder = Client(server.address)
    assert holder.lease(1).granted() == [0]
    assert "asks for a second lease" in holder.lease(1).answer()["error"]
    waiting = Client(server.address).lease(1)
    settle(server)
    assert is_waiting(waiting)


@pytest.mark.parametrize(
    "nonsense", [b"no json\n", b"7\n", b"{}\n", b'{"lease": "x"}\n', b'{"lease": 0}\n', b"\xff\xfe\n"]
)
def test_nonsense_is_answered_and_harms_nobody(serve, nonsense):
    server = serve(1)
    assert "error" in Client(server.address).ask(nonsense).answer()
    assert Client(server.address).lease(1).granted() == [0]


def test_refusal_names_the_request_and_leaves_no_one_in_the_queue(serve):
    server = serve(1)
    with pytest.raises(ServiceRefused, match=r"ValueError: a lease of 0"):
        Lease(server.address, 0).__enter__()
    with Lease(server.address, 1) as lease:
        assert lease.resources == (0,)


def test_who_is_interrupted_while_waiting_does_not_stay_in_the_queue(serve, monkeypatch):
    server = serve(1)

    def interrupted(connection, request):
        connection.sendall(json.dumps(request).encode() + b"\n")
        settle(server)
        raise KeyboardInterrupt

    with Lease(server.address, 1):
        monkeypatch.setattr("bench.machine.lease._ask", interrupted)
        impatient = Lease(server.address, 1)
        with pytest.raises(KeyboardInterrupt):
            impatient.__enter__()
    heir = Client(server.address).lease(1)
    settle(server)
    assert not is_waiting(heir)


def test_service_is_started_when_first_asked_for_and_its_failure_is_told(serve):
    asked = []

    def broken():
        raise OSError("no room")

    server = serve(1, ready=lambda: asked.append(1) or "address", broken=broken)
    assert asked == []
    assert service_address(server.address, "ready") == "address"
    with pytest.raises(ServiceRefused, match="OSError: no room"):
        service_address(server.address, "broken")
    with pytest.raises(ServiceRefused, match="KeyError: 'unheard of'"):
        service_address(server.address, "unheard of")
    assert service_address(server.address, "echo") == "here"


def test_stop_wakes_waiting_clients_with_an_error_and_later_ones_get_it_too(serve):
    server = serve(1)
    holder = Lease(server.address, 1)
    holder.__enter__()
    found = []

    def wait():
        try:
            Lease(server.address, 1).__enter__()
        except ConnectionError as error:
            found.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    settle(server)
    server.stop()
    waiting.join(PATIENCE_S)
    assert len(found) == 1
    assert not server.address.exists()
    with pytest.raises(ConnectionError, match="the run that grants leases has ended"):
        Lease(server.address, 1).__enter__()
    holder.__exit__(None, None, None)
