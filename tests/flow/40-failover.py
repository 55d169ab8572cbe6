"""Moving on: what counts as a failure, what is tried again, and what is not."""
import socket
import struct
import time

import pytest

import rig as r


def two(tmp_path, a, b, *more, route="route chat ordered a/m | b/m"):
    return r.Rig(tmp_path, [a.provider("a"), b.provider("b"), "target a/m 2.5 10", "target b/m 2.5 10", *more, route])


def status(code, headers="", kind="server_error"):
    return lambda conn, request: conn.sendall(r.whole(r.error_body(kind=kind), code, headers))


def send(data, end=True):
    def answer(conn, request):
        conn.sendall(data)
        return False if end else None

    return answer


def rst(conn, request):
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


def hang(conn, request):
    time.sleep(3)
    return False


OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
GARBAGE = {
    "not http": b"SSH-2.0-OpenSSH_9\r\n",
    "http/0.9": b"hello",
    "h2 settings": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    "tls alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "1xx flood": b"HTTP/1.1 103 Early\r\n\r\n" * 20,
    "101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "huge head": OK + b"x: " + b"y" * 200000 + b"\r\n\r\n",
    "cl and te": OK + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": OK + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    "bad length": OK + b"content-length: +5\r\n\r\nhello",
    "bad chunk": OK + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\nx",
    "truncated": OK + b"content-length: 5000\r\n\r\n{}",
    "no body": OK + b"content-length: 0\r\n\r\n",
    "not json": OK + b"content-length: 5\r\n\r\nhello",
    "redirect": b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_moves_on_and_alone_is_a_502(tmp_path, name):
    with r.Origin(send(GARBAGE[name])) as a, r.Origin() as b:
        with two(tmp_path, a, b, "route alone ordered a/m") as rig:
            got = rig.call()
            assert got.status == 200 and got.headers["x-weir-provider"] == "b" and got.headers["x-weir-attempts"] == "2"
            for path in ("/v1/chat/completions", "/v1/messages"):
                body = {**r.CHAT, "model": "alone", "max_tokens": 5}
                if path == "/v1/messages":
                    continue
                got = rig.call(body, path)
                assert got.status == 502 and got.json["error"]["code"].startswith("upstream_"), got.body
                assert got.headers["x-weir-error-source"] == "upstream"
            failed, won, alone = rig.records(3)
            assert (failed["outcome"], failed["flags"] & 1) == (2, 0) and won["flags"] & 16 and won["outcome"] == 1
            assert alone["flags"] & 1 and alone["client_status"] == 502
            assert rig.settled()["upstreams"] <= 1, "nothing is used again after an error"


def test_refused_reset_and_silent(tmp_path):
    lines = ["set connect_ms 300", "set first_token_ms 300", "set idle_ms 300"]
    with r.Origin(rst) as reset, r.Origin(hang) as silent, r.Origin() as good:
        providers = [reset.provider("reset"), silent.provider("silent"), good.provider("good")]
        providers += [f"provider refused openai 127.0.0.1 {r.ports.free_port()} plain /v1 sk"]
        providers += ["provider away openai 192.0.2.1 9 plain /v1 sk"]
        lines += providers + [f"target {n}/m" for n in ("reset", "silent", "good", "refused", "away")]
        for n in ("reset", "silent", "refused", "away"):
            lines += [f"route {n} ordered {n}/m | good/m", f"route only-{n} ordered {n}/m"]
        with r.Rig(tmp_path, lines) as rig:
            for name, code in (("reset", 502), ("silent", 504), ("refused", 502), ("away", 504)):
                for body in (r.CHAT, r.STREAM):
                    got = rig.call({**body, "model": name})
                    assert got.status == 200 and got.whole and got.headers["x-weir-provider"] == "good", name
                    got = rig.call({**body, "model": f"only-{name}"})
                    assert got.status in ((code, 502) if name == "away" else (code,)), (name, got.body)
            sent = {"reset", "silent"}
            for x in rig.records(24):
                if x["outcome"] == 2 and x["provider"] not in sent:
                    assert x["cost"] == 0 and x["in"] == 0, "nothing was sent, nothing is charged"
                if x["outcome"] == 2 and x["provider"] in sent:
                    assert x["flags"] & 4 and x["in"] > 0, "it may have cost: an estimate"
            rig.settled()


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 529, 408, 401, 403])
def test_statuses_that_move_on(tmp_path, code):
    with r.Origin(status(code)) as a, r.Origin() as b, two(tmp_path, a, b) as rig:
        assert rig.call().headers["x-weir-provider"] == "b"
        assert rig.records(2)[0]["status"] == code


@pytest.mark.parametrize("code", [400, 413, 422])
def test_bad_requests_are_never_tried_again_and_pass_as_they_are(tmp_path, code):
    with r.Origin(status(code, kind="invalid_request_error")) as a, r.Origin() as b, two(tmp_path, a, b, "set attempts 3") as rig:
        got = rig.call()
        assert got.status == code and got.json == r.error_body(kind="invalid_request_error")
        assert len(a.requests) == 1 and b.requests == []
        assert rig.records(1)[0]["cost"] == 0


def test_errors_of_the_last_target(tmp_path):
    with r.Origin() as a:
        with r.Rig(tmp_path, [a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
            a.answer = status(401, kind="invalid_request_error")
            got = rig.call()
            assert got.status == 502 and got.json["error"]["code"] == "upstream_auth_error" and "boom" not in got.json["error"]["type"]
    with r.Origin(status(503, "retry-after: 3600\r\n")) as a:
        with r.Rig(tmp_path, [a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
            got = rig.call()
            assert got.status == 503 and int(got.headers["retry-after"]) <= 30 and got.json == r.error_body()
    with r.Origin(send(b"HTTP/1.1 500 X\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<h1>oh</h1>\n", False)) as a:
        with r.Rig(tmp_path, [a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
            got = rig.call()
            assert got.status == 500 and b"<h1>" not in got.body and "error" in got.json


def test_the_same_target_is_tried_as_often_as_configured(tmp_path):
    with r.Origin(status(503)) as a, r.Origin() as b, two(tmp_path, a, b, "set attempts 3") as rig:
        got = rig.call()
        assert got.headers["x-weir-attempts"] == "4" and len(a.requests) == 3
        a.answer = status(503, "x-should-retry: false\r\n")
        assert rig.call().headers["x-weir-attempts"] == "2"


def test_at_most_four_tries(tmp_path):
    with r.Origin(status(500)) as a:
        lines = [a.provider("a")] + [f"target a/m{i}" for i in range(8)]
        lines += ["route chat ordered " + " ".join(f"a/m{i}" for i in range(8))]
        with r.Rig(tmp_path, lines) as rig:
            got = rig.call()
            assert got.status == 500 and got.headers["x-weir-attempts"] == "4" and len(a.requests) == 4


def test_a_pooled_connection_that_died_is_dialled_anew(tmp_path):
    seen = {}

    def answer(conn, request):
        n = seen[conn] = seen.get(conn, 0) + 1
        if n > 1:
            return rst(conn, request)  # closes exactly at reuse
        conn.sendall(r.whole(r.completion()))

    with r.Origin(answer) as a:
        with r.Rig(tmp_path, [a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m"]) as rig:
            for _ in range(10):
                got = rig.call()
                assert got.status == 200 and got.headers["x-weir-attempts"] == "1"
            assert {x["cost"] for x in rig.records(10)} == {r.COST}, "never charged twice"


def test_bytes_behind_an_answer_are_never_the_next_answer(tmp_path):
    poison = r.whole(r.completion("poison"))

    def answer(conn, request):
        conn.sendall(r.whole(r.completion()) + poison)

    with r.Origin(answer) as a:
        with r.Rig(tmp_path, [a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
            for _ in range(5):
                assert rig.call().json["choices"][0]["message"]["content"] == "hello"
            assert a.connections == 5


def test_connection_close_and_http_1_0_are_honoured(tmp_path):
    for head in (b"HTTP/1.1 200 OK\r\nconnection: close\r\n", b"HTTP/1.0 200 OK\r\n"):
        body = r.whole(r.completion()).replace(b"HTTP/1.1 200 X\r\n", head)
        with r.Origin(send(body)) as a:
            with r.Rig(tmp_path, [a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
                assert [rig.call().status for _ in range(3)] == [200] * 3 and a.connections == 3


def test_retry_after_benches_the_target(tmp_path):
    with r.Origin(status(429, "retry-after: 1\r\n", "rate_limit_error")) as a, r.Origin() as b, two(tmp_path, a, b) as rig:
        assert [rig.call().headers["x-weir-provider"] for _ in range(4)] == ["b"] * 4
        assert len(a.requests) == 1, "benched"
        a.answer = r.good
        time.sleep(1.1)
        assert rig.call().headers["x-weir-provider"] == "a"


def test_the_only_target_is_asked_although_benched(tmp_path):
    """A pause spares a target while another can answer. Where none can, the provider says whether its limit holds for this call too."""
    for code, word in ((429, "rate_limit_error"), (529, "overloaded_error")):
        with r.Origin(status(code, "retry-after: 9\r\n", word)) as a:
            with r.Rig(tmp_path / word, [a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
                assert [rig.call().status for _ in range(2)] == [code] * 2 and len(a.requests) == 2
                a.answer = r.good
                assert [rig.call().status for _ in range(2)] == [200] * 2


def test_the_circuit_opens_probes_and_closes(tmp_path):
    lines = ["set failures 3", "set open_ms 500"]
    with r.Origin(status(500)) as a, r.Origin() as b, two(tmp_path, a, b, *lines) as rig:
        for _ in range(10):
            assert rig.call().headers["x-weir-provider"] == "b"
        assert len(a.requests) == 3
        time.sleep(0.55)
        assert rig.call().headers["x-weir-provider"] == "b" and len(a.requests) == 4, "one probe, still bad"
        assert rig.call().headers["x-weir-provider"] == "b" and len(a.requests) == 4
        a.answer = r.good
        time.sleep(0.55)
        assert [rig.call().headers["x-weir-provider"] for _ in range(3)] == ["a"] * 3
        assert rig.gauges()["target0"]["circuit"] == 0


def test_all_circuits_open(tmp_path):
    with r.Origin(status(500)) as a:
        lines = ["set failures 2", "set open_ms 5000", a.provider("a"), "target a/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines) as rig:
            assert [rig.call().status for _ in range(2)] == [500, 500]
            got = rig.call()
            assert got.status == 503 and got.json["error"]["code"] == "no_target" and len(a.requests) == 2


def test_weights_and_drains(tmp_path):
    with r.Origin() as a, r.Origin() as b, two(tmp_path, a, b, route="route chat weighted a/m:1 b/m:3") as rig:
        for _ in range(200):
            rig.call()
        assert 20 <= len(a.requests) <= 85 and len(a.requests) + len(b.requests) == 200
        rig.command("weight 0 0")
        before = len(a.requests)
        [rig.call() for _ in range(20)]
        assert len(a.requests) == before
        rig.command("drained 1 1")
        assert rig.call().headers["x-weir-provider"] == "a", "weight 0 is the last resort, a drained one is none"
        rig.command("drained 0 1")
        assert rig.call().status == 503


def test_deadlines(tmp_path):
    events = r.openai_events()

    def stall(conn, request):
        conn.sendall(r.STREAM_HEAD + b"".join(r.chunk(e) for e in events[:3]))
        time.sleep(2)
        return False

    lines = ["set idle_ms 300", "set first_token_ms 300"]
    with r.Origin(stall) as a, r.Origin() as b, two(tmp_path, a, b, *lines) as rig:
        start = time.monotonic()
        got = rig.call(r.STREAM)
        assert not got.whole and got.text == "one two " and "timeout" in got.events[-1] and time.monotonic() - start < 1.5
        a.answer = lambda c, q: (c.sendall(r.STREAM_HEAD + r.chunk(events[0])), time.sleep(2)) and False
        assert rig.call(r.STREAM).headers["x-weir-provider"] == "b"
        a.answer = b.answer = hang
        start = time.monotonic()
        got = rig.call(headers="x-weir-timeout: 200ms\r\n")
        assert got.status == 504 and time.monotonic() - start < 0.9
        assert rig.call(headers="x-weir-timeout: soon\r\n").status == 400
        rig.settled()


def test_an_early_answer_while_the_body_is_sent(tmp_path):
    """413 and close after the first bytes of a large request."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port = r.ports.free_port()
    listener.bind(("127.0.0.1", port))
    listener.listen(5)

    def serve():
        conn, _ = listener.accept()
        conn.recv(1000)
        conn.sendall(r.whole(r.error_body("too large", "invalid_request_error"), 413, "connection: close\r\n"))
        time.sleep(0.5)
        conn.close()

    import threading

    threading.Thread(target=serve, daemon=True).start()
    with r.Rig(tmp_path, [f"provider a openai 127.0.0.1 {port} plain /v1 sk", "target a/m", "route chat ordered a/m"]) as rig:
        got = rig.call({**r.CHAT, "pad": "x" * 8_000_000})
        assert got.status == 413 and got.json["error"]["message"] == "too large"
        rig.settled()


def test_a_long_web_page_is_not_an_answer(tmp_path):
    """Longer than what is held: it would be on its way before its end has been seen."""
    page = r.whole(b"<html>" + b"x" * (3 << 20) + b"</html>", kind="text/html")
    with r.Origin(lambda c, q: c.sendall(page)) as a, r.Origin() as b:
        lines = [a.provider("a"), b.provider("b"), "target a/m", "target b/m"]
        with r.Rig(tmp_path, [*lines, "route chat ordered a/m | b/m", "route alone ordered a/m"]) as rig:
            assert rig.call().json == r.completion()
            alone = rig.call({**r.CHAT, "model": "alone"})
            assert alone.status == 502 and b"<html" not in alone.raw
            rig.settled()


def test_a_fallback_that_does_not_fit_does_not_hide_the_failure(tmp_path):
    with r.Origin(lambda c, q: c.sendall(r.whole(r.error_body(), 503))) as a, r.Origin() as b:
        lines = [a.provider("a"), b.provider("b", "anthropic"), "target a/m", "target b/m"]
        with r.Rig(tmp_path, [*lines, "route chat ordered a/m | b/m", "route alone ordered b/m"]) as rig:
            assert rig.call({**r.CHAT, "n": 2, "model": "alone"}).status == 400
            got = rig.call({**r.CHAT, "n": 2})
            assert got.status >= 500, "worth another try, and not the app's fault"
            assert sum(x["flags"] & 1 for x in rig.records(2)) == 2, "one final record for each call"
            rig.settled()
