"""A stream that breaks: never a clean end, and before its first content only the fallback is seen."""
import pytest

import rig as r

TEXT = "one two three"


def cut_origin(data):
    """Sends the first `at` bytes of a streamed answer and closes the connection."""
    state = {"at": 0}

    def answer(conn, request):
        conn.sendall(data[: state["at"]])
        return False

    origin = r.Origin(answer)
    origin.state = state
    return origin


def points(events, data):
    """Every event boundary and every 7th byte."""
    found, at = set(range(0, len(data), 7)), len(r.STREAM_HEAD)
    for event in events:
        found.add(at)
        at += len(r.chunk(event))
    return sorted(found)


def events_of(dialect, *words):
    return r.openai_events(*words) if dialect == "openai" else r.anthropic_events(*words)


@pytest.mark.parametrize("client", ["openai", "anthropic"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_cut_everywhere_with_a_fallback(tmp_path, client, provider):
    events = events_of(provider)
    data = r.stream_bytes(events)
    terminal = data.index(r.chunk(events[-1]))
    body = {**r.STREAM, "max_tokens": 9} if client == "anthropic" else r.STREAM
    path = "/v1/chat/completions" if client == "openai" else "/v1/messages"
    end = "[DONE]" if client == "openai" else "message_stop"

    def good(conn, request):
        conn.sendall(r.stream_bytes(events_of(provider, ["RESCUED"])))

    with cut_origin(data) as a, r.Origin(good) as b:
        lines = [a.provider("a", provider), b.provider("b", provider), "target a/m 2.5 10", "target b/m 2.5 10"]
        with r.Rig(tmp_path, [*lines, "route chat ordered a/m | b/m"]) as rig:
            calls = rescued = broken = 0
            for at in points(events, data):
                if at > terminal + len(r.chunk(events[-1])) - 3:
                    break  # the terminal event has been sent whole
                a.state["at"] = at
                got = rig.call(body, path)
                calls += 1
                if got.text == "RESCUED":
                    rescued += 1
                    assert got.whole and got.headers["x-weir-provider"] == "b" and end in got.body.decode()
                else:
                    broken += 1
                    assert not got.whole, f"a clean end after a cut at byte {at}"
                    assert TEXT.startswith(got.text) and "RESCUED" not in got.text
                    assert end not in got.body.decode()
                    assert '"error"' in got.events[-1], got.events
            assert rescued > 10 and broken > 10
            records = rig.records(calls + rescued)
            assert len(records) == calls + rescued
            assert sum(x["outcome"] == 2 for x in records) == calls
            assert sum(x["flags"] & 1 for x in records) == calls
            rig.settled()


def test_a_whole_stream_in_any_split_is_the_same_answer_and_bill(tmp_path):
    data = r.stream_bytes(r.openai_events())
    step = {"n": 1}

    def answer(conn, request):
        import socket

        conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(0, len(data), step["n"]):
            conn.sendall(data[i : i + step["n"]])

    with r.Origin(answer) as a, r.Rig(tmp_path, [a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m"]) as rig:
        bodies = set()
        for n in (1, 2, 3, 5, 17, 64, 1000):
            step["n"] = n
            got = rig.call(r.STREAM)
            assert got.whole
            bodies.add(got.body)
        assert len(bodies) == 1
        assert {x["cost"] for x in rig.records(7)} == {r.COST}


def test_an_error_event_before_content_moves_on_and_after_it_is_told(tmp_path):
    error = b'data: {"error":{"message":"overloaded","type":"server_error","code":null}}\n\n'
    kind = {"events": []}

    def answer(conn, request):
        conn.sendall(r.stream_bytes(kind["events"]))

    with r.Origin(answer) as a, r.Origin() as b:
        with r.Rig(tmp_path, [a.provider("a"), b.provider("b"), "target a/m", "target b/m", "route chat ordered a/m | b/m"]) as rig:
            kind["events"] = [r.openai_events()[0], error]
            got = rig.call(r.STREAM)
            assert got.whole and got.headers["x-weir-provider"] == "b"
            kind["events"] = [*r.openai_events()[:2], error]
            got = rig.call(r.STREAM)
            assert not got.whole and got.text == "one " and "overloaded" in got.events[-1]
            assert len(rig.records(3)) == 3


def test_bytes_behind_the_terminal_event_are_not_waited_for(tmp_path):
    import time

    def answer(conn, request):
        conn.sendall(r.STREAM_HEAD + b"".join(r.chunk(e) for e in r.openai_events()))
        time.sleep(1.5)  # no last chunk
        return False

    with r.Origin(answer) as a, r.Rig(tmp_path, [a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m"]) as rig:
        start = time.monotonic()
        got = rig.call(r.STREAM)
        assert got.whole and got.events[-1] == "[DONE]" and time.monotonic() - start < 1
        rig.settled()


def test_json_where_a_stream_was_asked_for(tmp_path):
    def answer(conn, request):
        conn.sendall(r.whole(r.error_body("busy", "server_error")))

    with r.Origin(answer) as a, r.Origin() as b:
        with r.Rig(tmp_path, [a.provider("a"), b.provider("b"), "target a/m", "target b/m", "route chat ordered a/m | b/m"]) as rig:
            got = rig.call(r.STREAM)
            assert got.whole and got.headers["x-weir-provider"] == "b"
