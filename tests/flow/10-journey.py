"""One call through one worker: unary, streamed, refused, and what stands in the journal."""
import json

import rig as r


def simple(tmp_path, a, *more):
    return r.Rig(tmp_path, [a.provider("a"), "target a/m 2.5 10", *more, "route chat ordered a/m"])


def test_a_unary_call_is_answered_byte_for_byte_and_booked(tmp_path):
    with r.Origin() as a, simple(tmp_path, a) as rig:
        answer = rig.call()
        assert answer.status == 200 and answer.body == json.dumps(r.completion()).encode()
        assert answer.headers["x-weir-route"] == "chat" and answer.headers["x-weir-provider"] == "a"
        assert answer.headers["x-weir-model"] == "m" and answer.headers["x-weir-attempts"] == "1"
        assert answer.headers["x-weir-cost-usd"] == "0.000075"
        [record] = rig.records(1)
        assert record["outcome"] == 1 and record["cost"] == r.COST and record["basis"] == 2
        assert record["client_status"] == 200 and record["flags"] & 1
        assert record["id"] == answer.headers["x-request-id"]
        assert record["bytes_out"] == len(answer.body)
        assert json.loads(a.requests[0].body) == {**r.CHAT, "model": "m"}
        rig.settled()


def test_a_stream_is_passed_on_event_by_event(tmp_path):
    with r.Origin() as a, simple(tmp_path, a) as rig:
        answer = rig.call(r.STREAM)
        asked_for_usage_by_us = b'"usage"'
        assert answer.whole and answer.body == b"".join(e for e in r.openai_events() if asked_for_usage_by_us not in e)
        [record] = rig.records(1)
        assert record["cost"] == r.COST and record["finish"] == "stop" and record["ttft_us"] > 0
        assert record["bytes_out"] == len(answer.body)


def test_keep_alive_and_pipelined_requests_are_answered_in_order(tmp_path):
    def answer(conn, request):
        conn.sendall(r.whole(r.completion(request.json["messages"][0]["content"])))

    with r.Origin(answer) as a, simple(tmp_path, a) as rig, rig.connect() as s:
        asked = [{**r.CHAT, "messages": [{"role": "user", "content": f"n{i}"}]} for i in range(20)]
        s.sendall(b"".join(r.request_bytes(q) for q in asked))
        got, rest = [], b""
        while len(got) < 20:
            one = r.Answer(rest)
            if one.whole:
                got.append(one.json["choices"][0]["message"]["content"])
                rest = one.after
            else:
                piece = s.recv(65536)
                assert piece
                rest += piece
        assert got == [f"n{i}" for i in range(20)]
        assert a.connections == 1, "the provider's connection is used again"
        assert len(rig.records(20)) == 20


def test_what_weir_answers_itself(tmp_path):
    with r.Origin() as a, simple(tmp_path, a) as rig:
        models = rig.call(None, "/v1/models", method="GET")
        assert models.status == 200 and [m["id"] for m in models.json["data"]] == ["chat"]
        assert rig.call(b"", "/v1/models/chat", method="GET").json["id"] == "chat"
        assert rig.call(b"", "/v1/models/none", method="GET").status == 404
        assert rig.call(b"", "/", method="GET").status == 200
        head = rig.raw(r.request_bytes(b"", "/api/hello", method="HEAD", headers="connection: close\r\n"))
        assert head.status == 200 and head.body == b""
        assert a.requests == []


def test_refusals_speak_the_clients_dialect(tmp_path):
    with r.Origin() as a, simple(tmp_path, a, "set max_body 2000") as rig:
        unknown = rig.call({**r.CHAT, "model": "chatt"})
        assert unknown.status == 404 and unknown.json["error"]["code"] == "model_not_found"
        assert "chat" in unknown.json["error"]["message"]
        anthropic = rig.call({**r.CHAT, "model": "x", "max_tokens": 5}, "/v1/messages")
        assert anthropic.status == 404 and anthropic.json["type"] == "error"
        assert anthropic.json["error"]["type"] == "not_found_error"
        path = rig.call(path="/v1/chat/completion")
        assert path.status == 404 and "/v1/chat/completions" in path.json["error"]["message"]
        method = rig.call(b"", method="GET")
        assert method.status == 405 and method.headers["allow"] == "POST"
        assert rig.call(b"{").status == 400
        assert rig.call(b'{"model":"chat","model":"x","messages":[]}').status == 400
        large = rig.call({**r.CHAT, "pad": "x" * 3000})
        assert large.status == 413 and large.headers["connection"] == "close"
        assert a.requests == []
        assert {x["err"] for x in rig.records(7)} >= {"model_not_found", "no_endpoint", "method", "bad_json"}
        rig.settled()


def test_expect_100_continue_is_answered_here(tmp_path):
    with r.Origin() as a, simple(tmp_path, a) as rig, rig.connect() as s:
        data = r.request_bytes(r.CHAT, headers="expect: 100-continue\r\n")
        head, body = data.split(b"\r\n\r\n", 1)
        s.sendall(head + b"\r\n\r\n")
        assert s.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        s.sendall(body)
        assert rig.read(s).status == 200
        assert "expect" not in a.requests[0].headers


def test_a_large_answer_is_passed_on_as_it_comes(tmp_path):
    def answer(conn, request):
        conn.sendall(r.whole(r.completion("x" * 3_000_000)))

    with r.Origin(answer) as a, simple(tmp_path, a) as rig:
        got = rig.call()
        assert got.whole and got.json == r.completion("x" * 3_000_000)
        assert "x-weir-cost-usd" not in got.headers
        [record] = rig.records(1)
        assert record["cost"] == r.COST and record["bytes_out"] == len(got.body)
        rig.settled()


def test_http_1_0_gets_no_chunks(tmp_path):
    with r.Origin() as a, simple(tmp_path, a) as rig:
        data = r.request_bytes(r.STREAM).replace(b"HTTP/1.1", b"HTTP/1.0")
        got = rig.raw(data)
        assert got.status == 200 and "transfer-encoding" not in got.headers
        assert got.body.endswith(b"data: [DONE]\n\n")


def test_a_client_on_a_unix_socket(tmp_path):
    import socket

    path = str(tmp_path / "s")
    with r.Origin() as a, r.Rig(tmp_path, [f"unix {path}", a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(path)
            s.sendall(r.request_bytes(r.CHAT, host="anything"))
            assert rig.read(s).status == 200
