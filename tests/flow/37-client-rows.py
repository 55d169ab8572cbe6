"""Rows F1 and F3 through the whole program: the app leaves at every byte and in every state, and one that stops reading."""
import json
import socket
import struct
import time

import pytest

import processes
import rig
import swarm
from client import chat
from gateway import configuration

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


def request(**more):
    body = json.dumps(chat(**more)).encode()
    return HEAD % len(body) + body


def leave(s, how):
    if how == "rst":
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_f1_leaving_at_every_byte_of_request_and_answer(start_weir, how):
    """F1: disconnects at every byte of its request and of the answer: nothing leaks, each call that reached the provider is in the ledger."""
    stream = rig.stream_bytes(rig.openai_events(model="large"))

    def slowly(request):
        return ([p for i in range(0, len(stream), 40) for p in (stream[i : i + 40], 0.002)], "keep")

    with swarm.Upstream(slowly) as upstream:
        weir = start_weir(configuration({"up": ("openai", upstream)}))
        data = request(stream=True)
        for at in range(len(data)):
            s = socket.create_connection(weir.address)
            s.sendall(data[:at])
            leave(s, how)
        assert upstream.requests == []
        calls = 0
        for at in [*range(1, 800, 17)]:
            s = socket.create_connection(weir.address)
            s.settimeout(5)
            s.sendall(data)
            seen = 0
            while seen < at:
                seen += len(s.recv(at - seen)) or at
            leave(s, how)
            calls += 1
        processes.wait_until(lambda: len(weir.log_lines()) >= len(upstream.requests), 10, "the calls in the ledger")
        processes.wait_until(lambda: upstream.open <= 2, 5, "the provider's connections to be closed")
        time.sleep(0.3)
        lines = [e for e in weir.log_lines() if e["attempts"]]
        assert len(lines) == len(upstream.requests)
        assert {e["outcome"] for e in lines} <= {"cancelled", "ok"} and sum(e["outcome"] == "cancelled" for e in lines) > 20
        assert all(float(e["cost_usd"]) > 0 for e in lines)
        weir.check(next_call=False)


def test_f3_a_reader_that_stalls_costs_little_and_is_closed(start_weir):
    """F3: stalls reading: the upstream is paused, memory stays bounded, the write-stall timer closes both."""
    event = rig.chunk(rig.openai_events(["x" * 60000], model="large")[1])
    with swarm.Upstream(lambda r: ([rig.STREAM_HEAD] + [event] * 2000, "keep")) as upstream:
        weir = start_weir(configuration({"up": ("openai", upstream)}, server={"write_stall": "1500ms"}))
        pids = weir.pids()["workers"]
        before = sum(processes.rss_kib(p) for p in pids)
        stalled = []
        for _ in range(20):
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            s.connect(weir.address)
            s.sendall(request(stream=True))
            stalled.append(s)
        processes.wait_until(lambda: upstream.open == 20, 5, "20 streams")
        time.sleep(0.6)
        if "debug" not in processes.BIN:  # ASan keeps what was freed
            assert sum(processes.rss_kib(p) for p in pids) - before < 20 * 1024, "a 120 MB stream each, 1 MiB at most"
        processes.wait_until(lambda: len(weir.log_lines()) == 20, 10, "all 20 to be closed")
        assert {e["outcome"] for e in weir.log_lines()} == {"cancelled"}
        [s.close() for s in stalled]
        weir.check(next_call=False)
