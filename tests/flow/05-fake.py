"""weir-fake by itself: what the other stories build on."""
import base64
import json
import socket

import client
import pytest
from client import ANTHROPIC_HEADERS, OPENAI_HEADERS, Connection, chat, messages

TOOL = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}


@pytest.fixture
def fake(start_fakes):
    return start_fakes("fake-a")["fake-a"]


def openai(fake, body=None, **kw):
    return client.call_openai(fake.address, body, **kw)


def anthropic(fake, body=None, **kw):
    return client.call_anthropic(fake.address, body, **kw)


def test_both_dialects_whole_and_streamed_say_the_same_tokens(fake):
    whole = openai(fake, chat("count me")).json()["usage"]
    answer = openai(fake, chat("count me", stream=True, stream_options={"include_usage": True}))
    assert client.is_whole(answer)
    assert json.loads(answer.events()[-2][1])["usage"] == whole
    unary = anthropic(fake, messages("count me")).json()
    events = anthropic(fake, messages("count me", stream=True)).events()
    assert json.loads(events[-2][1])["usage"]["output_tokens"] == unary["usage"]["output_tokens"]
    assert unary["usage"]["input_tokens"] == whole["prompt_tokens"] == 4 + 2  # ask.h: 4 for the message, 8 bytes / 4
    assert client.anthropic_text(anthropic(fake, messages("x", stream=True))) == client.anthropic_text(anthropic(fake, messages("x")))


def test_the_log_has_one_line_for_each_call_with_its_tokens(start_fakes):
    fakes = start_fakes("fake-a", "fake-b")
    for fake in fakes:
        openai(fake, chat("hi [[fake:cached=2]] [[fake:cache-write=3]]"))
    lines = fakes.bill()
    assert [line["fake"] for line in lines] == ["fake-a", "fake-b"]
    assert lines[0]["tokens"]["cache_read"] == 2 and lines[0]["tokens"]["cache_write"] == 3
    assert lines[0]["whole"] and lines[0]["usage_sent"] and lines[0]["status"] == 200
    assert "sk-app" not in json.dumps(fakes["fake-a"].calls()[0]["headers"]) and "sk-app" not in json.dumps(lines)


def test_calls_show_headers_and_exact_bytes(fake):
    body = b'{ "model":"large",\n"messages" : [{"role":"user","content":"\\u00e9"}] }'
    with Connection(fake.address) as c:
        c.request("POST", "/v1/chat/completions", body, {**OPENAI_HEADERS, "X-Odd": "yes"})
    call = fake.calls()[-1]
    assert call["body"] == body
    assert ["X-Odd", "yes"] in call["headers"]


def test_tools_are_called_as_the_request_asks(fake):
    tools = [{"type": "function", "function": {"name": name, "parameters": TOOL}} for name in ("one", "two")]
    calls = openai(fake, chat("hi [[fake:parallel]]", tools=tools)).json()["choices"][0]["message"]["tool_calls"]
    assert [c["function"]["name"] for c in calls] == ["one", "two"]
    assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Oslo", "days": 7}
    chosen = openai(fake, chat("hi", tools=tools, tool_choice={"type": "function", "function": {"name": "two"}})).json()
    assert chosen["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "two"
    assert openai(fake, chat("hi", tools=tools, tool_choice="none")).json()["choices"][0]["finish_reason"] == "stop"
    wished = openai(fake, chat('hi [[fake:call=two:{"a":[["x"]]}]]', tools=tools)).json()["choices"][0]["message"]["tool_calls"]
    assert [(c["function"]["name"], c["function"]["arguments"]) for c in wished] == [("two", '{"a":[["x"')], "it ends at the first ]]"
    assert "tool_calls" not in openai(fake, chat("hi [[fake:call=three]]", tools=tools)).json()["choices"][0]["message"]
    answer = anthropic(fake, messages("hi", tools=[{"name": "one", "input_schema": TOOL}])).json()
    assert answer["stop_reason"] == "tool_use" and answer["content"][0]["input"] == {"city": "Oslo", "days": 7}


def test_stop_length_schema_and_refusal(fake):
    assert openai(fake, chat("hi", max_tokens=3)).json()["choices"][0]["finish_reason"] == "length"
    assert openai(fake, chat("hi", stop=["model"])).json()["choices"][0]["message"]["content"] == "answered by fake-a, "
    stopped = anthropic(fake, messages("hi", stop_sequences=["model"])).json()
    assert (stopped["stop_reason"], stopped["stop_sequence"]) == ("stop_sequence", "model")
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": TOOL}}
    assert json.loads(client.openai_text(openai(fake, chat("hi", response_format=form)))) == {"city": "fake-a", "days": 7}
    assert openai(fake, chat("[[fake:refuse]]")).json()["choices"][0]["message"]["refusal"]
    assert anthropic(fake, messages("[[fake:refuse]]")).json()["stop_reason"] == "refusal"


@pytest.mark.parametrize(
    "body, says",
    [
        ({"model": "m", "messages": [{"role": "user", "content": "x"}]}, "max_tokens"),
        (messages(thinking_budget=1), "Extra inputs"),
        (messages(system=5), "system"),
        ({**messages(), "messages": [{"role": "assistant", "content": "x"}]}, "user"),
        ({**messages(), "messages": [{"role": "user", "content": ""}]}, "non-empty"),
        (
            {**messages(), "messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "x"}]}]},
            "unexpected `tool_use_id`",
        ),
        (
            {
                **messages(),
                "messages": [
                    {"role": "user", "content": "x"},
                    {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "n", "input": {}}]},
                    {"role": "user", "content": "y"},
                ],
            },
            "without `tool_result`",
        ),
    ],
)
def test_anthropic_refuses_what_anthropic_refuses(fake, body, says):
    answer = anthropic(fake, body)
    assert answer.status == 400
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "body, says",
    [
        (chat(thinking={"type": "enabled"}), "Unknown parameter: 'thinking'"),
        (chat(stream_options={"include_usage": True}), "stream_options"),
        (chat(parallel_tool_calls=True), "tools"),
        ({"model": "m", "messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "must be a response"),
        ({"model": "m", "messages": []}, "messages"),
    ],
)
def test_openai_refuses_what_openai_refuses(fake, body, says):
    answer = openai(fake, body)
    assert answer.status == 400
    assert says in answer.json()["error"]["message"]


def test_an_error_with_headers_three_times_and_no_more(fake):
    fake.fault(status=529, times=3, headers={"retry-after": "7"}, path="*/messages")
    got = [anthropic(fake) for _ in range(4)]
    assert [a.status for a in got] == [529, 529, 529, 200]
    assert got[0].header("retry-after") == "7" and got[0].json()["error"]["type"] == "overloaded_error"
    assert openai(fake).status == 200
    assert anthropic(fake, messages(model="status-402")).json()["error"]["type"] == "billing_error"


@pytest.mark.parametrize("keep", [0, 1, 7, 400, 1000])
@pytest.mark.parametrize("split", [0, 3])
def test_a_stream_cut_after_so_many_bytes(fake, keep, split):
    whole = openai(fake, chat("cut me", stream=True)).body
    fake.fault(keep_bytes=keep, end="fin", **({"split_bytes": split} if split else {}))
    answer = openai(fake, chat("cut me", stream=True))
    strip = lambda b: b.split(b'"created":')[0]  # noqa: E731 - the time differs
    assert not answer.complete and len(answer.body) == keep
    assert strip(answer.body) == strip(whole[:keep])


@pytest.mark.parametrize("events", [0, 1, 5])
def test_a_stream_cut_after_so_many_events(fake, events):
    fake.fault(keep_events=events, end="fin")
    answer = anthropic(fake, messages(stream=True))
    assert len(answer.events()) == events and not answer.complete
    assert fake.calls()[-1]["whole"] is False


def test_a_reset_is_a_reset(fake):
    fake.fault(keep_events=2, end="rst")
    with Connection(fake.address) as c:
        c.send(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: k\r\nanthropic-version: 2023-06-01\r\nContent-Length: 0\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            while c.socket.recv(4096):
                pass


def test_a_stall_is_silent_and_open(fake):
    fake.fault(keep_events=3, end="stall")
    with Connection(fake.address, timeout=0.5) as c:
        with pytest.raises(socket.timeout):
            c.request("POST", "/v1/messages", messages(stream=True), ANTHROPIC_HEADERS)
    assert fake.wait_for_calls(1)[0]["client_gone"]


def test_delays(fake):
    fake.fault(delay_head_ms=150, times=1)
    assert openai(fake).first_byte_s >= 0.145  # timers count from the loop's last look at the clock
    fake.fault(delay_first_ms=150, delay_event_ms=20, keep_events=5, end="fin", times=1)
    answer = openai(fake, chat(stream=True))
    assert 0.145 + 4 * 0.019 <= answer.total_s < 2


def test_an_error_event_in_a_200_and_a_stream_without_its_end(fake):
    fake.fault(error_after_events=4, times=1)
    events = anthropic(fake, messages(stream=True)).events()
    assert [e[0] for e in events][-1] == "error" and len(events) == 5
    fake.fault(omit_events=1, times=1)
    answer = openai(fake, chat(stream=True))
    assert answer.complete and not client.is_whole(answer)


def test_a_malformed_chunk_garbage_and_extra_bytes(fake):
    fake.fault(malformed_after_events=2, times=1, end="fin")
    with pytest.raises(ValueError):
        openai(fake, chat(stream=True))
    fake.fault(raw=b"SSH-2.0-dropbear\r\n", times=1)
    with pytest.raises((client.Broken, ValueError)):
        openai(fake)
    fake.fault(extra="HTTP/1.1 200 OK\r\n\r\n", times=1)
    with Connection(fake.address) as c:
        c.request("POST", "/v1/chat/completions", chat(), OPENAI_HEADERS)
        assert c.socket.recv(100) == b"HTTP/1.1 200 OK\r\n\r\n" if not c.buffer else c.buffer == b"HTTP/1.1 200 OK\r\n\r\n"


def test_wrong_length_until_eof_redirect_and_base64(fake):
    fake.fault(content_length=100000, end="fin", times=1)
    assert not openai(fake).complete
    fake.fault(until_eof=True, times=1)
    answer = openai(fake, chat(stream=True))
    assert client.is_whole(answer) and answer.header("content-length") is None and answer.header("transfer-encoding") is None
    fake.fault(status=302, headers={"location": "http://169.254.169.254/"}, body="", times=1)
    assert openai(fake).header("location") == "http://169.254.169.254/"
    fake.fault(body_base64=base64.b64encode(b"\x00\xff").decode(), headers={"content-type": "application/x-odd"}, times=1)
    assert openai(fake).body == b"\x00\xff"


def test_an_early_answer_does_not_wait_for_the_body(fake):
    fake.fault(early=True, status=413)
    with Connection(fake.address) as c:
        c.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{")
        assert c.read_head().status == 413


def test_connections_that_are_not_served(fake):
    fake.fault(on_accept=True, end="rst", times=1)
    with pytest.raises((client.Broken, ConnectionError)):
        openai(fake)
    fake.fault(on_accept=True, end="stall", times=1)
    with pytest.raises(socket.timeout):
        openai(fake, timeout=0.3)
    assert openai(fake).status == 200


def test_every_second_call_and_after_some(fake):
    fake.fault(status=500, every=2, skip=1)
    assert [openai(fake).status for _ in range(5)] == [200, 500, 200, 500, 200]


def test_usage_that_is_missing_or_other(fake):
    fake.fault(usage=False, times=2)
    assert "usage" not in openai(fake).json() and "usage" not in anthropic(fake).json()
    fake.fault(usage={"input": 5, "output": 9}, times=1)
    usage = openai(fake).json()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (5, 9)
    assert fake.calls()[-1]["tokens"]["output"] == 9


def test_a_fault_with_a_typo_is_refused(fake):
    with pytest.raises(AssertionError, match="unknown key"):
        fake.fault(keep_byte=3)


def test_keep_alive_pipelining_and_a_client_that_leaves(fake):
    with Connection(fake.address) as c:
        for _ in range(3):
            assert c.request("POST", "/v1/chat/completions", chat(), OPENAI_HEADERS).status == 200
        body = json.dumps(chat()).encode()
        one = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        c.send(one * 5)
        for _ in range(5):
            assert client.is_whole(c.read_body(c.read_head()))
    stats = fake.stats()
    assert stats["connections"] == 1 and stats["calls"] == stats["whole"] == 8
    fake.fault(delay_event_ms=50)
    with Connection(fake.address) as c:
        body = json.dumps(chat(stream=True)).encode()
        c.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        c.read_head()
    assert fake.wait_for_calls(9)[-1]["client_gone"]


def test_tls(start_fakes, tmp_path):
    import ssl
    import subprocess

    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    fakes = start_fakes({"new": [], "old": [f"tls12:{cert}:{key}"]}, tls=(cert, key))
    context = ssl.create_default_context(cafile=str(cert))
    for name, version in (("new", "TLSv1.3"), ("old", "TLSv1.2")):
        with Connection(fakes[name].address, tls=context, server_name="localhost") as c:
            assert c.socket.version() == version
            answer = c.request("POST", "/v1/messages", messages(stream=True), ANTHROPIC_HEADERS)
            assert client.is_whole(answer)
    with pytest.raises(ssl.SSLError):
        client.call_openai(fakes["new"].address, tls=ssl.create_default_context(), server_name="localhost")
    stats = fakes["new"].stats()
    assert stats["tls_ready"] == 1 and stats["tls_failed"] == 1


def test_counting_tokens_wants_no_limit(fake):
    body = {k: v for k, v in messages("count me").items() if k != "max_tokens"}
    with Connection(fake.address) as c:
        assert c.request("POST", "/v1/messages/count_tokens", json.dumps(body).encode(), ANTHROPIC_HEADERS).json() == {"input_tokens": 6}
    assert "max_tokens" in anthropic(fake, body).json()["error"]["message"]


# ---- Gemini ----


def gemini(fake, contents, verb="generateContent", model="gemini-3-pro", **more):
    body = json.dumps({"contents": contents, **more}).encode()
    with Connection(fake.address) as c:
        return c.request("POST", f"/v1beta/models/{model}:{verb}", body, {"x-goog-api-key": "k", "content-type": "application/json"})


def said(role, *parts):
    return {"role": role, "parts": list(parts)}


def test_gemini_whole_streamed_and_in_an_array(fake):
    hi = [said("user", {"text": "count me"})]
    whole = gemini(fake, hi).json()
    text = whole["candidates"][0]["content"]["parts"][0]["text"]
    assert whole["usageMetadata"]["promptTokenCount"] == 6 and whole["candidates"][0]["finishReason"] == "STOP"
    events = [json.loads(data) for _, data in gemini(fake, hi, "streamGenerateContent?alt=sse").events()]
    array = gemini(fake, hi, "streamGenerateContent").json()
    for chunks in (events, array):
        assert "".join(p["text"] for c in chunks for p in c["candidates"][0]["content"]["parts"]) == text
        assert chunks[-1]["usageMetadata"] == whole["usageMetadata"]
    assert gemini(fake, hi, "countTokens").json() == {"totalTokens": 6}
    error = gemini(fake, hi, model="status-429").json()["error"]
    assert error["status"] == "RESOURCE_EXHAUSTED" and error["details"][0]["retryDelay"] == "1s"


@pytest.mark.parametrize("words, contents, more", [
    ("contents is not specified", [], {}),
    ("parts must not be empty", [said("user")], {}),
    ("must have one initialized field", [said("user", {})], {}),
    ("Please use a valid role", [said("assistant", {"text": "x"})], {}),
    ("missing a thought_signature", [said("user", {"text": "x"}), said("model", {"functionCall": {"name": "f", "args": {}}}),
                                     said("user", {"functionResponse": {"name": "f", "response": {"output": "1"}}})], {}),
    ("number of function response parts", [said("user", {"text": "x"}), said("model", {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "CiQBFake1"}),
                                           said("user", {"text": "y"})], {}),
    ("Corrupted thought signature", [said("user", {"text": "x"}), said("model", {"text": "y", "thoughtSignature": "b3RoZXI="}), said("user", {"text": "z"})], {}),
    ('Unknown name "additionalProperties"', [said("user", {"text": "x"})],
     {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "additionalProperties": False}}]}]}),
    ('Unknown name "stop"', [said("user", {"text": "x"})], {"stop": ["x"]}),
    ("thinking budget and thinking level", [said("user", {"text": "x"})], {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}}),
])
def test_gemini_is_as_strict_as_the_real_one(fake, words, contents, more):
    answer = gemini(fake, contents, **more)
    assert answer.status == 400 and words in answer.json()["error"]["message"] and answer.json()["error"]["status"] == "INVALID_ARGUMENT"
