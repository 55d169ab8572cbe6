"""Calls that are no chat: embeddings, pictures, sound, files, batches, and any path of a provider under /p/."""
import base64
import json
import struct

import rig as r

FORM = "multipart/form-data; boundary=XyZ"
SOUND = bytes(range(256)) * 40
VECTORS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": "@@"}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
EMBEDDED = json.dumps(VECTORS, indent=1).replace('"@@"', "[0.10, -1.5e-3, 0]").encode()


def form(**fields):
    parts = [f'--XyZ\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'.encode() for k, v in fields.items()]
    file = b'--XyZ\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n' + SOUND
    return b"".join(parts) + file + b"\r\n--XyZ--\r\n"


def simple(tmp_path, a, *more):
    return r.Rig(tmp_path, [a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m", *more])


def giving(body, kind="application/json", headers="", status=200):
    return lambda conn, request: conn.sendall(r.whole(body, kind=kind, headers=headers, status=status)) or None


def test_embeddings_pass_byte_for_byte_and_are_billed_by_their_tokens(tmp_path):
    with r.Origin(giving(EMBEDDED)) as a, simple(tmp_path, a) as rig:
        asked = b'{"model": "chat",  "input": ["a", "b"], "dimensions":  2}'
        for path in ("/v1/embeddings", "/embeddings", "/openai/v1/embeddings", "/v1/v1/embeddings/"):
            got = rig.call(asked, path)
            assert got.status == 200 and got.body == EMBEDDED
            assert got.headers["x-weir-cost-usd"] == "0.00002" and got.headers["x-weir-provider"] == "a"
        for request in a.requests:
            assert request.line == "POST /v1/embeddings HTTP/1.1"
            assert request.body == asked.replace(b'"chat"', b'"m"')
            assert request.headers["authorization"] == "Bearer sk-up-a"
        for record in rig.records(4):
            assert record["cost"] == 20000 and record["basis"] == 2 and record["outcome"] == 1
        rig.settled()


def test_a_failing_provider_is_left_for_the_next_one(tmp_path):
    with r.Origin(giving(r.error_body(), status=500)) as a, r.Origin(giving(EMBEDDED)) as b:
        lines = [a.provider("a"), b.provider("b"), "target a/m 2.5 10", "target b/m 2.5 10", "route chat ordered a/m b/m"]
        with r.Rig(tmp_path, lines) as rig:
            got = rig.call({"model": "chat", "input": "x"}, "/v1/embeddings")
            assert got.status == 200 and got.headers["x-weir-provider"] == "b" and got.headers["x-weir-attempts"] == "2"
            assert [x["outcome"] for x in rig.records(2)] == [2, 1]


def test_a_provider_that_lacks_the_endpoint_is_passed_over(tmp_path):
    with r.Origin() as n, r.Origin(giving(EMBEDDED)) as a:
        lines = [n.provider("n", "anthropic"), a.provider("a"), "target n/m 3 15", "target a/m 2.5 10"]
        with r.Rig(tmp_path, [*lines, "route chat ordered n/m a/m", "route claude ordered n/m"]) as rig:
            assert rig.call({"model": "chat", "input": "x"}, "/v1/embeddings").headers["x-weir-provider"] == "a"
            got = rig.call({"model": "claude", "input": "x"}, "/v1/embeddings")
            assert got.status == 501 and 'the provider "n" has no embeddings' in got.json["error"]["message"]
            assert not n.requests


def test_what_cannot_be_read_is_refused_before_it_costs(tmp_path):
    with r.Origin() as a, simple(tmp_path, a) as rig:
        kind = f"content-type: {FORM}\r\n"
        rows = [
            ({"input": "x"}, "/v1/embeddings", "", "model is missing"),
            (b'{"model":"chat","model":"m"}', "/v1/embeddings", "", 'the member "model" twice'),
            (b"{", "/v1/embeddings", "", "not valid JSON"),
            (form(model="chat"), "/v1/audio/transcriptions", "content-type: text/plain\r\n", "multipart/form-data"),
            (form(model="chat")[:-30], "/v1/audio/transcriptions", kind, "boundary"),
            (form(model="chat").replace(b"--XyZ--", form(model="m")), "/v1/audio/transcriptions", kind, "twice"),
            (form(prompt="chat"), "/v1/audio/transcriptions", kind, "model is missing"),
            (form(**{"model": "chat", "mo\\del": "m"}), "/v1/audio/transcriptions", kind, "in two ways"),
            (form(model="chat", x="").replace(b' name="x"', b'\r\n name="model"'), "/v1/audio/transcriptions", kind, "in two ways"),
        ]
        for body, path, headers, why in rows:
            got = rig.call(body, path, headers)
            assert got.status == 400 and why in got.json["error"]["message"], (got.status, got.body, why)
        got = rig.call(b"", "/v1/files/../batches", method="GET")
        assert got.status == 404
        assert rig.call(b"", "/v1/embeddings", method="GET").status == 405
        assert "/v1/embeddings?" in rig.call({}, "/v1/embedings").json["error"]["message"]
        assert not a.requests


def test_sound_goes_up_and_down_as_it_is(tmp_path):
    def answer(conn, request):
        if "speech" in request.line:
            conn.sendall(r.whole(SOUND * 20, kind="audio/mpeg", headers="x-ratelimit-limit-requests: 7\r\n"))
        else:
            conn.sendall(r.whole({"text": "hi", "usage": {"type": "duration", "seconds": 3}}))

    with r.Origin(answer) as a, simple(tmp_path, a) as rig:
        got = rig.call({"model": "chat", "input": "zwölf Wörter", "voice": "alloy"}, "/v1/audio/speech")
        assert got.status == 200 and got.whole and got.body == SOUND * 20
        assert got.headers["content-type"] == "audio/mpeg" and got.headers["x-ratelimit-limit-requests"] == "7"
        got = rig.call(form(model="chat", language="en"), "/v1/audio/transcriptions", f"content-type: {FORM}\r\n")
        assert got.status == 200 and got.json["text"] == "hi"
        assert a.requests[1].body == form(model="m", language="en") and a.requests[1].headers["content-type"] == FORM
        speech, text = rig.records(2)
        assert speech["cost"] == -1 and text["cost"] == -1, "a price per token says nothing of them"
        rig.settled()


def test_files_and_batches_go_to_the_one_provider_that_has_them(tmp_path):
    def answer(conn, request):
        if request.line.startswith("DELETE"):
            conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif "/content" in request.line:
            conn.sendall(r.whole(b'{"a":1}\n{"b":2}\n', kind="application/jsonl", headers='content-disposition: x; y="z"\r\n'))
        else:
            conn.sendall(r.whole({"id": "file-1", "object": "file"}))

    with r.Origin(answer) as a, r.Origin() as n:
        lines = [a.provider("a"), n.provider("n", "anthropic"), "target a/m 2.5 10", "target n/m 3 15"]
        with r.Rig(tmp_path, [*lines, "route chat ordered a/m", "route claude ordered n/m"]) as rig:
            body = form(purpose="batch")
            assert rig.call(body, "/v1/files", f"content-type: {FORM}\r\n").json["id"] == "file-1"
            assert rig.call(b"", "/v1/files?limit=2&key=sk-client", method="GET").status == 200
            got = rig.call(b"", "/v1/files/file-1/content", method="GET")
            assert got.body == b'{"a":1}\n{"b":2}\n' and got.headers["content-disposition"] == 'x; y="z"'
            assert rig.call({"input_file_id": "file-1"}, "/v1/batches").status == 200
            gone = rig.raw(r.request_bytes(None, "/v1/files/file-1", "connection: close\r\n", "DELETE"))
            assert gone.status == 204 and "content-length" not in gone.headers and "transfer-encoding" not in gone.headers
            assert [q.line for q in a.requests] == [
                "POST /v1/files HTTP/1.1",
                "GET /v1/files?limit=2 HTTP/1.1",
                "GET /v1/files/file-1/content HTTP/1.1",
                "POST /v1/batches HTTP/1.1",
                "DELETE /v1/files/file-1 HTTP/1.1",
            ]
            assert a.requests[0].body == body and "content-length" not in a.requests[1].headers
            records = rig.records(5)
            assert all(x["cost"] == 0 and x["outcome"] == 1 for x in records), records


def test_where_several_have_them_the_call_must_say(tmp_path):
    with r.Origin(giving({"data": []})) as a, r.Origin(giving({"data": []})) as b, r.Origin() as n:
        lines = [a.provider("a"), b.provider("b"), n.provider("n", "anthropic"), "target a/m 2.5 10", "target b/m 3 15"]
        routes = ["target n/m 3 15", "route one ordered a/m", "route two ordered b/m", "route claude ordered n/m"]
        with r.Rig(tmp_path, [*lines, *routes]) as rig:
            got = rig.call(b"", "/v1/files", method="GET")
            assert got.status == 400 and "a, b" in got.json["error"]["message"]
            got = rig.call(b"", "/v1/files", "x-weir-route: two\r\n", method="GET")
            assert got.status == 200 and got.headers["x-weir-provider"] == "b"
            got = rig.call(b"", "/v1/files", "x-weir-route: claude\r\n", method="GET")
            assert got.status == 400 and "a, b" in got.json["error"]["message"]
            assert rig.call(b"", "/v1/files", "x-weir-route: nope\r\n", method="GET").status == 404


def completions(*texts):
    base = {"id": "c", "object": "text_completion", "model": "m"}
    events = [{**base, "choices": [{"text": t, "index": 0, "finish_reason": None}], "usage": None} for t in texts]
    events.append({**base, "choices": [], "usage": r.USAGE})
    return [b"data: " + json.dumps(e, separators=(",", ":")).encode() + b"\n\n" for e in events] + [b"data: [DONE]\n\n"]


def test_streamed_completions(tmp_path):
    events = completions("a", "b", "c")
    with r.Origin(lambda conn, q: conn.sendall(r.stream_bytes(events))) as a, simple(tmp_path, a) as rig:
        got = rig.call({"model": "chat", "prompt": "x", "stream": True}, "/v1/completions")
        assert got.whole and got.body == b"".join(events[:3] + events[4:]), got.body
        assert a.requests[0].json == {"model": "m", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
        asked = {"model": "chat", "prompt": "x", "stream": True, "stream_options": {"include_usage": True}}
        assert rig.call(asked, "/v1/completions").body == b"".join(events)
        assert [x["cost"] for x in rig.records(2)] == [r.COST, r.COST]
        rig.settled()


def test_any_path_of_a_provider(tmp_path):
    def answer(conn, request):
        if "stream" in request.line:
            conn.sendall(r.stream_bytes(r.openai_events()))
        else:
            conn.sendall(r.whole(r.completion(), headers="set-cookie: a=b\r\nconnection: x-hop\r\nx-hop: 1\r\n"))

    with r.Origin(answer) as a, simple(tmp_path, a) as rig:
        sent = "authorization: Bearer sk-client\r\nx-api-key: sk-client\r\ncookie: c=d\r\nx-own: yes\r\nconnection: x-drop\r\nx-drop: 1\r\n"
        body = {"model": "m", "messages": r.CHAT["messages"]}
        got = rig.call(body, "/p/a/any/where?x=1&key=sk-client", sent + "content-type: application/json\r\n", method="PUT")
        assert got.status == 200 and got.json == r.completion() and got.headers["x-weir-provider"] == "a"
        assert "set-cookie" not in got.headers and "x-hop" not in got.headers
        [request] = a.requests
        assert request.line == "PUT /any/where?x=1 HTTP/1.1" and request.headers["x-own"] == "yes"
        assert request.headers["authorization"] == "Bearer sk-up-a" and b"sk-client" not in request.head
        assert "x-drop" not in request.headers and "cookie" not in request.headers and request.json == body
        assert rig.call(body, "/p/a/v1/stream").body == b"".join(r.openai_events())
        assert [x["cost"] for x in rig.records(2)] == [r.COST, r.COST]
        got = rig.call(body, "/p/b/v1/x")
        assert got.status == 404 and "There are: a" in got.json["error"]["message"]
        for path in ("/p/a", "/p//v1", "/p/a@evil.example/x"):
            assert rig.call(body, path).status == 404
        assert len(a.requests) == 2
        rig.settled()


def test_an_answer_that_breaks_off_never_ends_clean(tmp_path):
    def answer(conn, request):
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: audio/mpeg\r\ncontent-length: 100000\r\n\r\n" + SOUND)
        return False

    with r.Origin(answer) as a, simple(tmp_path, a) as rig:
        got = rig.call({"model": "chat", "input": "x"}, "/v1/audio/speech")
        assert not got.whole
        [record] = rig.records(1)
        assert record["outcome"] == 2
        rig.settled()


def test_events_that_break_off_end_with_an_error(tmp_path):
    whole = b'data: {"id":"c","object":"text_completion","choices":[{"index":0,"text":"Hel","finish_reason":null}]}\n\n'

    def answer(conn, request):
        conn.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (whole, b'data: {"id":"c","obj'):
            conn.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        return False

    with r.Origin(answer) as a, simple(tmp_path, a) as rig:
        got = rig.call({"model": "chat", "prompt": "x", "stream": True}, "/v1/completions")
        assert not got.whole and got.body.startswith(whole)
        told = json.loads(got.body[len(whole):].removeprefix(b"data: "))
        assert told["error"]["code"] == "upstream_truncated" and told["error"]["message"], told
        got = rig.call({"prompt": "x", "stream": True}, "/p/a/v1/completions")
        assert not got.whole and got.body == whole
        assert [x["outcome"] for x in rig.records(2)] == [2, 2]
        rig.settled()


def test_tokens_are_counted_by_who_can_or_guessed(tmp_path):
    def google(conn, request):
        conn.sendall(r.whole({"totalTokens": 7}))

    with r.Origin(giving({"input_tokens": 9})) as n, r.Origin(google) as g, r.Origin() as a:
        lines = [n.provider("n", "anthropic"), g.provider("g", "gemini"), a.provider("a"), "target n/m 3 15", "target g/m 1 2", "target a/m 2.5 10"]
        routes = ["route claude ordered n/m", "route gemini ordered g/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, [*lines, *routes]) as rig:
            body = {"messages": [{"role": "user", "content": "hello there"}], "system": "Be brief."}
            got = {m: rig.call({"model": m, **body}, "/v1/messages/count_tokens") for m in ("claude", "gemini", "chat")}
            assert got["claude"].json == {"input_tokens": 9} and got["gemini"].json == {"input_tokens": 7}
            assert 5 < got["chat"].json["input_tokens"] < 100 and got["chat"].headers["x-weir-estimated"] == "tokens"
            assert n.requests[0].line == "POST /v1/messages/count_tokens HTTP/1.1" and n.requests[0].json == {"model": "m", **body}
            assert g.requests[0].line.endswith("/models/m:countTokens HTTP/1.1")
            inner = g.requests[0].json["generateContentRequest"]
            assert inner["model"] == "models/m" and inner["contents"][0]["parts"] == [{"text": "hello there"}]
            asked = {"contents": [{"role": "user", "parts": [{"text": "hello there"}]}]}
            wrapped = {"generateContentRequest": {"model": "models/x", **asked}}
            assert rig.call(asked, "/v1beta/models/claude:countTokens").json == {"totalTokens": 9}
            assert rig.call(wrapped, "/v1beta/models/claude:countTokens").json == {"totalTokens": 9}
            assert set(n.requests[2].json) == {"model", "messages"} and n.requests[1].json == n.requests[2].json
            assert rig.call(wrapped, "/v1beta/models/gemini:countTokens").json == {"totalTokens": 7}
            assert g.requests[1].json == {"generateContentRequest": {"model": "models/m", **asked}}
            assert rig.call(asked, "/v1beta/models/chat:countTokens").headers["x-weir-estimated"] == "tokens"
            assert not a.requests
            assert all(x["cost"] == 0 for x in rig.records(5))
            rig.settled()


def two_kinds(tmp_path, g, a):
    lines = [g.provider("g", "gemini"), a.provider("a"), "target g/m 1 2", "target a/m 2.5 10"]
    return r.Rig(tmp_path, [*lines, "route gemini ordered g/m", "route chat ordered a/m", "route both ordered a/m g/m"])


def test_embeddings_cross_dialects_digit_by_digit(tmp_path):
    made = b'{"embeddings": [{"values": [0.10, -1.5e-3]}, {"values": [1, 0.30000000000000004]}]}'
    openai = b'{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10,-2E0]}],"usage":{"prompt_tokens":4,"total_tokens":4}}'
    with r.Origin(giving(made)) as g, r.Origin(giving(openai)) as a, two_kinds(tmp_path, g, a) as rig:
        asked = {"model": "gemini", "input": ["one", "two"], "dimensions": 2, "task_type": "RETRIEVAL_QUERY"}
        got = rig.call(asked, "/v1/embeddings")
        assert b'"embedding":[0.10,-1.5e-3]' in got.body and b"[1,0.30000000000000004]" in got.body, got.body
        assert got.headers["content-type"] == "application/json" and got.json["data"][1]["index"] == 1
        assert g.requests[0].line.endswith("/models/m:batchEmbedContents HTTP/1.1")
        one = {"model": "models/m", "content": {"parts": [{"text": "one"}]}, "outputDimensionality": 2, "taskType": "RETRIEVAL_QUERY"}
        assert g.requests[0].json["requests"][0] == one and len(g.requests[0].json["requests"]) == 2
        got = rig.call({**asked, "encoding_format": "base64"}, "/v1/embeddings").json
        assert struct.unpack("<2f", base64.b64decode(got["data"][0]["embedding"])) == struct.unpack("<2f", struct.pack("<2f", 0.1, -1.5e-3))
        got = rig.call({**asked, "input": [[1, 2]]}, "/v1/embeddings")
        assert got.status == 400 and "token numbers" in got.json["error"]["message"]

        ask = {"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "taskType": "CLUSTERING", "outputDimensionality": 2}
        got = rig.call(ask, "/v1beta/models/chat:embedContent")
        assert got.body == b'{"embedding":{"values":[0.10,-2E0]},"usageMetadata":{"promptTokenCount":4}}'
        assert got.headers["x-weir-loss"] == "taskType" and got.headers["x-weir-cost-usd"] == "0.00001"
        assert a.requests[0].line == "POST /v1/embeddings HTTP/1.1"
        assert a.requests[0].json == {"model": "m", "input": "a\nb", "dimensions": 2, "encoding_format": "float"}
        batch = {"requests": [{"model": "models/x", **ask}]}
        assert rig.call(batch, "/v1beta/models/chat:batchEmbedContents").json["embeddings"] == [{"values": [0.1, -2]}]
        assert rig.call(batch, "/v1beta/models/gemini:batchEmbedContents").body == made
        assert g.requests[-1].json["requests"][0]["model"] == "models/m"
        assert [x["outcome"] for x in rig.records(6)].count(1) == 5
        rig.settled()


def test_embeddings_move_on_to_the_other_dialect(tmp_path):
    made = giving({"embeddings": [{"values": [1]}]})
    with r.Origin(made) as g, r.Origin(giving(r.error_body(), status=503)) as a, two_kinds(tmp_path, g, a) as rig:
        got = rig.call({"model": "both", "input": "x"}, "/v1/embeddings")
        assert got.status == 200 and got.headers["x-weir-provider"] == "g" and got.json["data"][0]["embedding"] == [1]
