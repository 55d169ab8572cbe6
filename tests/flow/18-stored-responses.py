"""Responses that a provider keeps: what only it can do goes to it, and to nobody else."""
import json

import rig as r

SAID = {
    "id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": "m", "error": None,
    "output": [{"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "hello", "annotations": []}]}],
    "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
}


def event(kind, number, **more):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **more})}\n\n".encode()


EVENTS = [event("response.output_text.delta", 4, delta="lo"), event("response.completed", 5, response=SAID)]


def answer(conn, request):
    if "stream=true" in request.line:
        conn.sendall(r.stream_bytes(EVENTS))
    else:
        conn.sendall(r.whole(SAID))


def two(tmp_path, own, other, *routes):
    lines = [own.provider("own", "responses"), other.provider("other"), "target own/m 2.5 10", "target other/m 2.5 10"]
    return r.Rig(tmp_path, [*lines, *routes])


def test_they_are_fetched_deleted_and_cancelled_where_they_lie(tmp_path):
    calls = [
        ("GET", "/v1/responses/resp_1?include[]=reasoning.encrypted_content"),
        ("GET", "/v1/responses/resp_1/input_items?limit=2"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("DELETE", "/v1/responses/resp_1"),
    ]
    with r.Origin(answer) as own, r.Origin() as other, two(tmp_path, own, other, "route chat ordered other/m own/m") as rig:
        for method, path in calls:
            got = rig.call(b"", path, method=method)
            assert got.status == 200 and got.json == SAID and got.headers["x-weir-provider"] == "own"
        assert [q.line for q in own.requests] == [f"{method} {path} HTTP/1.1" for method, path in calls]
        got = rig.call(b"", "/v1/responses/resp_1?stream=true&starting_after=3", method="GET")
        assert got.whole and got.body == b"".join(EVENTS)
        got = rig.call({"model": "chat", "input": "x"}, "/v1/responses/input_tokens")
        assert got.status == 200 and own.requests[-1].json == {"model": "m", "input": "x"}
        assert not other.requests and all(x["cost"] == 0 for x in rig.records(6))
        rig.settled()


def test_what_is_compacted_is_billed_by_its_tokens(tmp_path):
    body = b'{"model": "chat",  "input":[{"role":"user","content":"x"}]}'
    with r.Origin(answer) as own, r.Origin() as other, two(tmp_path, own, other, "route chat ordered other/m own/m") as rig:
        got = rig.call(body, "/v1/responses/compact")
        assert got.status == 200 and got.json == SAID
        assert own.requests[0].line == "POST /v1/responses/compact HTTP/1.1" and own.requests[0].body == body.replace(b'"chat"', b'"m"')
        assert not other.requests and rig.records(1)[0]["cost"] == r.COST
        rig.settled()


def test_without_such_a_provider_the_call_says_so(tmp_path):
    with r.Origin() as own, r.Origin() as other, two(tmp_path, own, other, "route chat ordered other/m") as rig:
        got = rig.call(b"", "/v1/responses/resp_1", method="GET")
        assert got.status >= 400 and "responses.retrieve" in got.json["error"]["message"], got.body
        got = rig.call({"model": "chat", "input": "x", "previous_response_id": "resp_1"}, "/v1/responses")
        assert got.status == 400 and "previous_response_id" in got.json["error"]["message"]
        assert not own.requests and not other.requests


def test_a_stored_conversation_finds_the_target_that_keeps_it(tmp_path):
    body = b'{"model": "chat",  "previous_response_id":"resp_1", "input":[{"type":"item_reference","id":"msg_1"}], "background":true}'
    with r.Origin(answer) as own, r.Origin() as other, two(tmp_path, own, other, "route chat ordered other/m own/m") as rig:
        got = rig.call(body, "/v1/responses")
        assert got.status == 200 and got.json == SAID and got.headers["x-weir-provider"] == "own"
        [request] = own.requests
        assert request.line == "POST /v1/responses HTTP/1.1" and request.body == body.replace(b'"chat"', b'"m"')
        assert not other.requests and rig.records(1)[0]["cost"] == r.COST


def test_a_web_socket_is_told_to_come_by_http(tmp_path):
    upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    with r.Origin() as own, r.Origin() as other, two(tmp_path, own, other, "route chat ordered own/m") as rig:
        got = rig.raw(r.request_bytes(None, "/v1/responses", upgrade, "GET"))
        assert got.status == 426 and got.headers["upgrade"] == "HTTP/1.1"
