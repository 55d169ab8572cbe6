"""The client leaves: at every byte of its request, in every state of the answer, and one that stops reading."""
import socket
import struct
import time

import processes
import rig as r


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def test_leaving_at_every_byte_of_the_request(tmp_path):
    with r.Origin() as a, r.Rig(tmp_path, [a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
        data = r.request_bytes(r.STREAM)
        for at in range(len(data)):
            s = rig.connect()
            s.sendall(data[:at])
            (s.close if at % 2 else lambda s=s: reset(s))()
        assert rig.call().status == 200
        g = rig.settled()
        assert g["upstreams"] <= 1
        assert len(a.requests) == 1


def test_leaving_in_every_state_of_the_answer(tmp_path):
    data = r.stream_bytes(r.openai_events())
    state = {"at": 0}

    def answer(conn, request):
        conn.sendall(data[: state["at"]])
        conn.settimeout(5)
        assert conn.recv(1) == b""  # weir closes the connection, and at once
        return False

    with r.Origin(answer) as a, r.Rig(tmp_path, [a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m"]) as rig:
        calls = 0
        for at in [0, 1, 40, *range(len(r.STREAM_HEAD), len(data) - 40, 60)]:
            state["at"] = at
            s = rig.connect()
            s.sendall(r.request_bytes(r.STREAM))
            before = a.ended
            calls += 1
            processes.wait_until(lambda: len(a.requests) == calls, 5, "the request upstream")
            time.sleep(0.01)
            start = time.monotonic()
            s.close() if at % 2 else reset(s)
            processes.wait_until(lambda: a.ended > before, 5, "the provider's connection to be closed")
            assert time.monotonic() - start < 1
        records = rig.records(calls)
        assert {x["outcome"] for x in records} == {3} and all(x["flags"] & 4 for x in records)
        assert all(x["cost"] > 0 for x in records), "an estimate of what the provider may charge"
        assert rig.settled()["upstreams"] == 0


def test_leaving_while_it_is_dialled_and_while_a_retry_waits(tmp_path):
    with r.Origin(lambda c, q: c.sendall(r.whole(r.error_body(), 503))) as a:
        lines = [a.provider("a"), "provider dead openai 192.0.2.1 9 plain /v1 sk", "target a/m", "target dead/m"]
        lines += ["set attempts 3", "set backoff_ms 5000", "set max_backoff_ms 5000", "route slow ordered a/m", "route dead ordered dead/m"]
        with r.Rig(tmp_path, lines) as rig:
            for model in ("slow", "dead"):
                s = rig.connect()
                s.sendall(r.request_bytes({**r.CHAT, "model": model}))
                time.sleep(0.1)
                s.close()
                rig.settled(2)
            assert len(a.requests) == 1, "nobody is left to try again for"


def test_a_client_that_stops_reading_stops_the_provider_and_is_closed(tmp_path):
    sent = {"n": 0, "done": False}

    def answer(conn, request):
        event = r.openai_events(["x" * 10000])[1]
        conn.sendall(r.STREAM_HEAD)
        conn.settimeout(20)
        try:
            while sent["n"] < 100_000_000:
                conn.sendall(r.chunk(event))
                sent["n"] += len(event)
        finally:
            sent["done"] = True

    with r.Origin(answer) as a:
        with r.Rig(tmp_path, ["set stall_ms 1500", a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m"]) as rig:
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                s.connect(("127.0.0.1", rig.port))
                s.sendall(r.request_bytes(r.STREAM))
                time.sleep(0.7)
                first = sent["n"]
                time.sleep(0.4)
                assert sent["n"] == first < 20_000_000, "back-pressure reaches the provider"
                processes.wait_until(lambda: sent["done"], 5, "the stalled call to be closed")
            [record] = rig.records(1)
            assert record["outcome"] == 3
            rig.settled()


def test_slow_requests_are_ended(tmp_path):
    with r.Origin() as a:
        lines = ["set header_ms 300", "set body_idle_ms 300", "set keepalive_ms 300", a.provider("a"), "target a/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines) as rig:
            data = r.request_bytes(r.CHAT)
            with rig.connect() as s:  # says nothing
                assert s.recv(10) == b""
            for part in (data[:20], data[:-5]):
                got = rig.raw(part)
                assert got.status == 408 and got.headers["connection"] == "close"
            with rig.connect() as s:
                s.sendall(data)
                assert rig.read(s).status == 200
                start = time.monotonic()
                assert s.recv(10) == b"" and 0.1 < time.monotonic() - start < 2
            rig.settled()


def test_the_buffers_budget(tmp_path):
    def slow(conn, request):
        time.sleep(0.6)
        conn.sendall(r.whole(r.completion()))

    with r.Origin(slow) as a:
        with r.Rig(tmp_path, ["set buffers 300000", a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
            big = {**r.CHAT, "pad": "x" * 200000}
            with rig.connect() as s:
                s.sendall(r.request_bytes(big))
                processes.wait_until(lambda: len(a.requests) == 1, 5, "the first request")
                refused = rig.call(big)
                assert refused.status == 503 and refused.json["error"]["code"] == "overloaded"
                assert rig.read(s).status == 200
            assert rig.call(big).status == 200
            rig.settled()
