"""A worker that is told to end: open calls first, then by their deadline, then at once."""
import os
import signal
import threading
import time

import processes
import rig as r


def slow_stream(conn, request):
    events = r.openai_events(["w"] * 10)
    conn.sendall(r.STREAM_HEAD)
    for event in events:
        conn.sendall(r.chunk(event))
        time.sleep(0.08)
    conn.sendall(b"0\r\n\r\n")


def endless(conn, request):
    conn.sendall(r.STREAM_HEAD + r.chunk(r.openai_events()[0]))
    for _ in range(200):
        conn.sendall(r.chunk(r.openai_events()[1]))
        time.sleep(0.05)
    return False


def lines(a, *more):
    return [*more, a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m"]


def start(rig, body=r.STREAM):
    got = []
    thread = threading.Thread(target=lambda: got.append(rig.call(body)))
    thread.start()
    return thread, got


def test_a_drain_lets_calls_end_and_takes_new_ones_meanwhile(tmp_path):
    with r.Origin(slow_stream) as a, r.Rig(tmp_path, lines(a)) as rig:
        idle = rig.connect()
        thread, got = start(rig)
        processes.wait_until(lambda: a.requests, 5, "the call")
        rig.command("drain")
        time.sleep(0.1)
        late = rig.call(b"", "/", method="GET")
        assert late.status == 200 and late.headers["connection"] == "close"
        thread.join(10)
        assert got[0].whole and got[0].text == "w" * 10
        rig.ended = True
        assert rig.command("wait") == "exit 0"
        assert idle.recv(10) == b""
        assert rig.records(1)[0]["outcome"] == 1


def test_an_idle_worker_drains_at_once(tmp_path):
    with r.Origin() as a, r.Rig(tmp_path, lines(a)) as rig:
        rig.call()
        begin = time.monotonic()
        rig.command("drain")
        rig.ended = True
        assert rig.command("wait") == "exit 0" and time.monotonic() - begin < 1


def test_calls_that_lie_in_the_kernel_when_an_idle_worker_drains_are_answered(tmp_path):
    """Both on a connection kept alive and on one that nobody has accepted yet: the worker learns of them and of the drain at once."""
    with r.Origin() as a, r.Rig(tmp_path, lines(a)) as rig, rig.connect() as kept:
        kept.sendall(r.request_bytes(r.CHAT))
        assert rig.read(kept).whole
        os.kill(rig.process.pid, signal.SIGSTOP)
        kept.sendall(r.request_bytes(r.CHAT))
        with rig.connect() as new:
            new.sendall(r.request_bytes(r.CHAT))
            rig.process.stdin.write("drain\n")
            rig.process.stdin.flush()
            os.kill(rig.process.pid, signal.SIGCONT)
            for s in (kept, new):
                got = rig.read(s)
                assert got.whole and got.status == 200
        rig.ended = True
        assert rig.process.stdout.readline() and rig.command("wait") == "exit 0"


def test_at_the_deadline_streams_get_the_in_stream_error(tmp_path):
    with r.Origin(endless) as a, r.Rig(tmp_path, lines(a, "set drain_ms 400")) as rig:
        thread, got = start(rig)
        processes.wait_until(lambda: a.requests, 5, "the call")
        time.sleep(0.1)
        rig.command("drain")
        thread.join(10)
        assert not got[0].whole and "draining" in got[0].events[-1]
        rig.ended = True
        assert rig.command("wait") == "exit 0"
        [record] = rig.records(1)
        assert record["err"] == "draining" and record["flags"] & 1 and record["cost"] > 0


def test_stop_is_now_with_events_committed(tmp_path):
    with r.Origin(endless) as a, r.Rig(tmp_path, lines(a)) as rig:
        calls = [start(rig) for _ in range(5)]
        processes.wait_until(lambda: len(a.requests) == 5, 5, "the calls")
        time.sleep(0.2)
        begin = time.monotonic()
        rig.command("stop")
        rig.ended = True
        assert rig.command("wait") == "exit 0" and time.monotonic() - begin < 1
        for thread, got in calls:
            thread.join(5)
            assert not got[0].whole and "draining" in got[0].events[-1]
        assert len(rig.records(5)) == 5
        assert rig.gauges()["open_slots"] == 0


def test_a_killed_workers_open_calls_stand_in_their_slots(tmp_path):
    import os
    import signal

    with r.Origin(endless) as a, r.Rig(tmp_path, lines(a)) as rig:
        calls = [start(rig) for _ in range(3)]
        processes.wait_until(lambda: len(a.requests) == 3, 5, "the calls")
        os.kill(processes.children(rig.process.pid)[0], signal.SIGKILL)
        rig.ended = True
        assert rig.command("wait") == "exit 137"
        assert rig.gauges()["open_slots"] == 3 and rig.records() == []
        [thread.join(5) for thread, _ in calls]
