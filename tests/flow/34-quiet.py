"""A provider that thinks for long: the client is kept awake, and may still be answered by another."""
import time

import pytest

import rig as r

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_after_ten_seconds_a_head_and_a_ping_then_the_fallback(tmp_path, dialect):
    events = r.openai_events if dialect == "openai" else r.anthropic_events

    def silent(conn, request):
        conn.sendall(r.STREAM_HEAD + r.chunk(events()[0]))
        time.sleep(14)
        return False

    with r.Origin(silent) as a, r.Origin(lambda c, q: c.sendall(r.stream_bytes(events(["late"])))) as b:
        lines = ["set first_token_ms 11500", "set idle_ms 60000", a.provider("a", dialect), b.provider("b", dialect)]
        lines += ["target a/m", "target b/m", "route chat ordered a/m | b/m", "route alone ordered a/m"]
        path = "/v1/chat/completions" if dialect == "openai" else "/v1/messages"
        with r.Rig(tmp_path, lines) as rig, rig.connect(20) as other:
            other.sendall(r.request_bytes({**r.STREAM, "model": "alone", "max_tokens": 5}, path))
            with rig.connect(20) as s:
                begin = time.monotonic()
                s.sendall(r.request_bytes({**r.STREAM, "max_tokens": 5}, path))
                first = s.recv(65536)
                assert 9 < time.monotonic() - begin < 11.2 and first.startswith(b"HTTP/1.1 200") and b"ping" in first
                rest = b""
                while not r.Answer(first + rest).whole:
                    rest += s.recv(65536)
                got = r.Answer(first + rest)
                assert b"sk-up" not in got.raw and b"POST" not in got.raw
                assert got.text == "late" and got.body.count(b"message_start") in (0, 2)
            broken = rig.read(other)
            assert broken.status == 200 and not broken.whole and "timeout" in broken.events[-1]
            assert len(rig.records(3)) == 3
            rig.settled()
