"""An app that reads slowly: its answer is not cut by timers of other states, and the provider's silence is still noticed."""
import json
import socket
import time

import rig as r


def connect(path):
    """A Unix socket: what the kernel takes for a peer that does not read is small and fixed."""
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s


def test_keep_alive_begins_when_the_answer_has_been_read(tmp_path):
    text = r.completion("x" * 900_000)
    path = str(tmp_path / "app.sock")
    with r.Origin(lambda c, q: c.sendall(r.whole(text))) as a:
        lines = [f"unix {path}", "set keepalive_ms 300", a.provider("a"), "target a/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines) as rig, connect(path) as s:
            s.sendall(r.request_bytes(r.CHAT))
            time.sleep(1)
            got = rig.read(s)
            assert got.whole and got.body == json.dumps(text).encode()


def test_a_provider_that_falls_silent_while_the_app_does_not_read(tmp_path):
    def answer(conn, request):
        events = r.openai_events(["one", "x" * 600_000])  # the long one goes out at once and is the last that is read
        conn.sendall(r.STREAM_HEAD + b"".join(r.chunk(e) for e in events[:3]))
        time.sleep(4)

    path = str(tmp_path / "app.sock")
    with r.Origin(answer) as a:
        lines = [f"unix {path}", "set idle_ms 400", a.provider("a"), "target a/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines) as rig, connect(path) as s:
            s.sendall(r.request_bytes(r.STREAM))
            time.sleep(1)
            begin = time.monotonic()
            got = rig.read(s)
            assert time.monotonic() - begin < 2.5, "the idle deadline runs again"
            assert not got.whole and "timeout" in got.events[-1]
            [record] = rig.records(1)
            assert record["flags"] & 1


def test_a_slow_reader_with_more_and_more_queued_for_it_is_not_a_stalled_one(tmp_path):
    """The kernel takes nothing while its buffer drains, and more comes meanwhile: what counts is that the app reads, not that fewer bytes wait."""
    def answer(conn, request):
        conn.sendall(r.STREAM_HEAD)
        for event in r.openai_events(["x" * 250_000, *["y" * 2000 for _ in range(100)]]):
            conn.sendall(r.chunk(event))
            time.sleep(0.02)
        conn.sendall(b"0\r\n\r\n")

    path = str(tmp_path / "app.sock")
    with r.Origin(answer) as a:
        lines = [f"unix {path}", "set stall_ms 400", a.provider("a"), "target a/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines) as rig, connect(path) as s:
            s.sendall(r.request_bytes(r.STREAM))
            got, begin = b"", time.monotonic()
            while time.monotonic() - begin < 2:
                time.sleep(0.1)
                got += s.recv(20_000)
            while not r.Answer(got).whole and (piece := s.recv(65536)):
                got += piece
            assert r.Answer(got).whole and r.Answer(got).text == "x" * 250_000 + "y" * 200_000
            assert rig.records(1)[0]["outcome"] == 1
