"""Hostile answers of a provider, through the whole program: curl's replies verbatim, llhttp's responses, SSE vectors at every split.

Whatever comes: no hang, no crash, the client gets well-formed HTTP (or a stream that ends honestly), and a connection on which anything
was wrong is never used again.
"""
import base64
import json
import os
import re
import time

import pytest

import client
import processes
import swarm
from client import chat, messages
from gateway import configuration

QUIET = {"circuit_breaker": {"failures": 0}, "timeout": {"connect": "2s", "first_token": "300ms", "idle": "300ms", "total": "20s"}}
REFUSALS = re.compile(rb"(?m)^HTTP/1\.[01] (401|402|403|429)")
REFUSING = 400  # targets of their own for answers that take a target out of service for a while


def need(*parts):
    path = swarm.corpora(*parts)
    if path is None:
        pytest.skip(f"no corpora/{'/'.join(parts)}")
    return path


def call(body, path=b"/v1/chat/completions"):
    body = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (path, len(body), body)


def head(status=200, more=b""):
    return b"HTTP/1.1 %d X\r\n%s\r\n" % (status, more)


COMPLETION = json.dumps({
    "id": "c1", "object": "chat.completion", "created": 1, "model": "large",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}).encode()  # fmt: skip


def unary(body=COMPLETION, status=200, more=b""):
    return head(status, b"content-type: application/json\r\ncontent-length: %d\r\n%s" % (len(body), more)) + body


class Playback:
    """An upstream that answers the call "play N" with the N-th of `said` ((bytes or list, end)), and weir before it."""

    def __init__(self, start_weir, server=None):
        self.said = []
        self.upstream = swarm.Upstream(self.answer)
        routes = {"chat": {"targets": [{"model": "up/large"}], **QUIET}}
        config = configuration({"up": ("openai", self.upstream)}, routes, server=server or {})
        for i in range(REFUSING):
            config["models"][f"up/m{i}"] = {"same_as": "up/large"}
            routes[f"m{i}"] = {"targets": [{"model": f"up/m{i}"}], **QUIET}
        self.spare = iter(range(REFUSING))
        self.weir = start_weir(config)

    def answer(self, request):
        found = re.search(rb"play ([0-9]+)\b", request.body)
        return self.said[int(found[1])] if found else unary()

    def play(self, said, stream=False, path=b"/v1/chat/completions", stream_options=None, **kw):
        """Each of `said` to a call of its own; the outcomes, and the numbers of those after which the connection was used again."""
        first = len(self.said)
        inputs = []
        for i, one in enumerate(said):
            self.said.append(one)
            data = b"".join(p for p in one[0] if isinstance(p, bytes)) if isinstance(one[0], list) else one[0]
            benches = REFUSALS.search(data) is not None or b"retry-after" in data[:4000].lower()
            model = f"m{next(self.spare)}" if benches else "chat"
            body = (chat if path.endswith(b"completions") else messages)(f"play {first + i}", model=model, stream=stream)
            if stream_options:
                body["stream_options"] = stream_options
            inputs.append(call(body, path))
        outcomes = swarm.exchange_all(self.weir.address, inputs, quiet=0.05, **kw)
        again = set()
        for before, _ in self.upstream.reused:
            found = re.search(rb"play ([0-9]+)\b", before.body)
            if found and int(found[1]) >= first:
                again.add(int(found[1]) - first)
        return outcomes, again

    def end(self):
        self.weir.check(secrets=())
        self.weir.check_secrets(("sk-canary",))
        assert self.upstream.strays == []
        self.upstream.stop()


@pytest.fixture
def playback(start_weir):
    p = Playback(start_weir)
    yield p
    p.end()


def is_honest(outcome, stream):
    """One well-formed answer; a 200 is whole JSON, or a stream that ends with its terminal event, its error, or visibly cut."""
    assert outcome.ended != "hang", outcome.data[:300]
    [reply] = outcome.replies
    if reply.status != 200:
        assert reply.complete and reply.status >= 400, reply
        assert isinstance(json.loads(reply.body), dict), reply
    elif reply.get("content-encoding"):
        pass  # passed on unread
    elif "event-stream" in reply.get("content-type", ""):
        whole = reply.body.endswith((b"data: [DONE]\n\n", b"data: [DONE]\r\n\r\n"))
        assert not reply.complete or whole, reply
        assert whole or b'"error"' in reply.body, reply
    elif reply.complete:
        assert isinstance(json.loads(reply.body), dict), reply
    return reply


# ---- curl's replies ----

def curl_replies():
    with open(need("http-curl-replies", "index.jsonl"), encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    for row in rows:
        with open(need("http-curl-replies", "raw", row["file"]), "rb") as f:
            yield row["file"], f.read()


def with_crlf(data):
    """The heads of a reply with the line ends that they have on the wire; the collection stores most of them with bare LF."""
    done = b""
    while data.startswith(b"HTTP/") and b"\r\n" not in data.partition(b"\n\n")[0]:
        start, end, data = data.partition(b"\n\n")
        done += start.replace(b"\n", b"\r\n") + (b"\r\n\r\n" if end else b"")
    return done + data


@pytest.mark.parametrize("form,stream,end", [
    ("as stored", False, "keep"), ("as stored", True, "fin"), ("crlf", False, "keep"), ("crlf", False, "fin"), ("crlf", True, "fin")])
def test_r4_curl_replies_never_hang_crash_or_poison(playback, form, stream, end):
    """R4: 1,512 raw replies out of curl's test suite as upstream answers: no hang, no crash, no reuse after an error."""
    cases = list(curl_replies())
    if form == "crlf":
        cases = [(name, with_crlf(data)) for name, data in cases]
    outcomes, again = playback.play([(data, end) for _, data in cases], stream)
    found, poisoned = {}, []
    for i, ((name, data), outcome) in enumerate(zip(cases, outcomes)):
        reply = is_honest(outcome, stream)
        found[reply.status] = found.get(reply.status, 0) + 1
        answered_well = reply.error is None or reply.error not in (
            "up_protocol", "up_truncated", "up_reset", "up_redirect", "up_timeout_first", "up_timeout_idle", "up_stream_error")
        if i in again and not answered_well:
            poisoned.append((name, reply))
    print(f"curl replies {form}, stream {stream}, then {end}: {len(cases)}, by status {found}, connections used again {len(again)}")
    assert not poisoned, f"{len(poisoned)}: {poisoned[:5]}"
    assert len(cases) == 1512


def test_r4_llhttp_responses(playback):
    """R4: llhttp's response cases as upstream answers: what its strict mode refuses ends as a 502 of ours."""
    with open(need("http-llhttp", "cases.jsonl"), encoding="utf-8") as f:
        cases = [json.loads(line) for line in f]
    cases = [c for c in cases if c["type"].startswith("response")]
    said = [(base64.b64decode(c["raw_b64"]) + b"\r\n", "fin") for c in cases]
    outcomes, again = playback.play(said)
    for i, (c, outcome) in enumerate(zip(cases, outcomes)):
        reply = is_honest(outcome, False)
        if c["error_code"] not in (None, 0, 5, 22) and not c["messages_complete"]:
            assert reply.status in (502, 504) and i not in again, (c["title"], reply)
        assert reply.status != 200, (c["title"], reply)
    print(f"llhttp responses: {len(cases)} of {len(cases)} ended honestly")


# ---- bytes that are not an answer, rows E7 to E12 ----

GOOD = b"content-type: application/json\r\n"
LENGTH = b"content-length: %d\r\n" % len(COMPLETION)
BAD = {
    "E7 ssh banner": b"SSH-2.0-OpenSSH_9.2\r\n",
    "E7 HTTP/0.9": COMPLETION,
    "E7 h2 settings": b"\0\0\x12\4\0\0\0\0\0\0\3\0\0\0\x80",
    "E7 tls alert": b"\x15\3\1\0\2\2\x28",
    "E7 zeros": bytes(4096),
    "E8 10 k of 103": b"HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n" * 10_000 + unary(),
    "E8 9 of 102": b"HTTP/1.1 102 Processing\r\n\r\n" * 9 + unary(),
    "E8 101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n" + unary(),
    "E9 header 1 MiB": head(200, GOOD + LENGTH + b"x: " + b"y" * (1 << 20) + b"\r\n") + COMPLETION,
    "E9 10 k headers": head(200, GOOD + LENGTH + b"".join(b"x-%d: y\r\n" % i for i in range(10_000))) + COMPLETION,
    "E9 NUL": head(200, GOOD + LENGTH + b"x: a\0b\r\n") + COMPLETION,
    "E9 bare CR": head(200, GOOD + LENGTH + b"x: a\rb\r\n") + COMPLETION,
    "E9 obs-fold": head(200, GOOD + LENGTH + b"x: a\r\n b\r\n") + COMPLETION,
    "E9 no colon": head(200, GOOD + LENGTH + b"nothing\r\n") + COMPLETION,
    "E9 space before colon": head(200, GOOD + LENGTH + b"x : y\r\n") + COMPLETION,
    "E10 CL and TE": head(200, GOOD + LENGTH + b"transfer-encoding: chunked\r\n") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(COMPLETION), COMPLETION),
    "E10 two CL": head(200, GOOD + LENGTH + b"content-length: 5\r\n") + COMPLETION,
    "E10 two CL alike": head(200, GOOD + LENGTH + LENGTH) + COMPLETION,
    "E10 CL -1": head(200, GOOD + b"content-length: -1\r\n") + COMPLETION,
    "E10 CL 2^64": head(200, GOOD + b"content-length: 18446744073709551616\r\n") + COMPLETION,
    "E10 CL +5": head(200, GOOD + b"content-length: +%d\r\n" % len(COMPLETION)) + COMPLETION,
    "E10 CL 0x5": head(200, GOOD + b"content-length: 0x5\r\n") + COMPLETION,
    "E10 TE gzip, chunked": head(200, GOOD + b"transfer-encoding: gzip, chunked\r\n") + b"%x\r\n%s\r\n0\r\n\r\n" % (len(COMPLETION), COMPLETION),
    "E11 CL too large": head(200, GOOD + b"content-length: %d\r\n" % (len(COMPLETION) + 9)) + COMPLETION,
    "E11 CL too small": head(200, GOOD + b"content-length: %d\r\n" % (len(COMPLETION) - 9)) + COMPLETION,
    "E12 chunk 2^63": head(200, GOOD + b"transfer-encoding: chunked\r\n") + b"8000000000000000\r\n" + COMPLETION,
    "E12 chunk overflow": head(200, GOOD + b"transfer-encoding: chunked\r\n") + b"ffffffffffffffff1\r\n" + COMPLETION,
    "E12 chunk extension 1 MiB": head(200, GOOD + b"transfer-encoding: chunked\r\n") + b"5;x=" + b"y" * (1 << 20) + b"\r\nhello\r\n0\r\n\r\n",
    "E12 bare LF": head(200, GOOD + b"transfer-encoding: chunked\r\n") + b"%x\n%s\n0\n\n" % (len(COMPLETION), COMPLETION),
    "E12 trailers 10 k": head(200, GOOD + b"transfer-encoding: chunked\r\n")
    + b"%x\r\n%s\r\n0\r\n" % (len(COMPLETION), COMPLETION) + b"".join(b"x-%d: yyyyyyyyy\r\n" % i for i in range(10_000)) + b"\r\n",
    "E5 half the body": unary()[:-30],
    "E5 chunked without its end": head(200, GOOD + b"transfer-encoding: chunked\r\n") + b"%x\r\n%s\r\n" % (len(COMPLETION), COMPLETION),
}  # fmt: skip


def test_e7_to_e12_what_is_no_answer_is_a_502_and_the_connection_is_done(playback):
    """E7-E12: garbage, 1xx floods, monstrous heads, two framings, wrong lengths and chunks: 502 upstream_*, never used again."""
    for end in ("keep", "fin"):
        outcomes, again = playback.play([(data, end) for data in BAD.values()])
        for i, (name, outcome) in enumerate(zip(BAD, outcomes)):
            reply = is_honest(outcome, False)
            assert reply.status in ((502, 504) if end == "keep" else (502,)), (name, end, reply)
            assert json.loads(reply.body)["error"]["code"].startswith(("upstream_", "timeout")), (name, reply)
            assert reply.get("x-weir-error-source") == "upstream" and i not in again, name


def test_e11_bytes_behind_an_answer_are_never_the_next_answer(playback):
    """E11: extra bytes after the body (a whole next response) discard the connection: queue poisoning."""
    poison = unary(COMPLETION.replace(b"hello", b"POISON"))
    outcomes, again = playback.play([(unary() + poison, "keep")] * 30, parallel=4)
    for outcome in outcomes:
        reply = is_honest(outcome, False)
        assert reply.status == 200 and b"POISON" not in reply.body
    assert again == set()
    for _ in range(5):  # while the connection is idle; once a request is on it, nobody could tell
        [late], _ = playback.play([([unary(), 0.02, poison], "keep")])
        assert b"POISON" not in late.data and late.replies[0].status == 200
        time.sleep(0.3)


def test_e12_trailers_are_dropped_and_forbidden_ones_change_nothing(playback):
    """E12: trailer fields, forbidden ones too, never reach the client."""
    body = b"%x\r\n%s\r\n0\r\n" % (len(COMPLETION), COMPLETION)
    trailers = [b"x-after: 1\r\n", b"content-type: text/html\r\n", b"set-cookie: a=b\r\n", b"x-weir-cost-usd: 9\r\n", b"authorization: x\r\n"]
    said = [(head(200, GOOD + b"transfer-encoding: chunked\r\n") + body + t + b"\r\n", "keep") for t in trailers]
    outcomes, _ = playback.play(said, parallel=1)
    for outcome, trailer in zip(outcomes, trailers):
        reply = is_honest(outcome, False)
        assert reply.status == 200 and reply.body == COMPLETION, reply
        assert trailer.strip() not in outcome.data


def test_e17_connection_close_and_http_1_0(playback):
    """E17: `Connection: close` and HTTP/1.0 are honoured: the connection is not used again; the answer is whole."""
    said = [(unary(more=b"connection: close\r\n"), "keep"), (unary().replace(b"HTTP/1.1", b"HTTP/1.0"), "keep"),
            (unary(more=b"Connection: Close, x\r\n"), "keep"), (unary(more=b"keep-alive: timeout=5, max=1\r\n"), "keep")]
    outcomes, again = playback.play(said, parallel=1)
    assert [is_honest(o, False).status for o in outcomes] == [200] * 4
    assert again <= {3}


# ---- streams ----

def chunk(choice, **more):
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "large", "choices": choice, **more}).encode() + b"\n\n"


def delta(text=None, finish=None, **more):
    return chunk([{"index": 0, "delta": {"content": text} if text is not None else {}, "finish_reason": finish}], **more)


OPEN = delta("first ")
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
CLOSE = delta(finish="stop") + chunk([], usage=USAGE) + b"data: [DONE]\n\n"
STREAM = head(200, b"content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces if p)


def split_stream(body, *cuts):
    """The body in chunks cut at these places, each in a write of its own."""
    told, at = [], 0
    for cut in [*cuts, len(body)]:
        if cut > at:
            told += [chunked(body[at:cut]), 0.0]
            at = cut
    return [STREAM, *told, b"0\r\n\r\n"]


def vectors():
    with open(need("sse-wpt", "vectors.json"), encoding="utf-8") as f:
        return [(v["name"], v["raw_latin1"].encode("latin-1")) for v in json.load(f)]


def test_e13_sse_vectors_pass_at_every_split(playback):
    """E13: EventSource vectors inside a stream, split at every byte: the same bytes for the client and the same account, however it is cut."""
    total, calls = 0, 0
    for name, vector in vectors():
        whole = OPEN + vector + b"\n\n" + CLOSE
        places = range(len(OPEN) + 1, len(OPEN) + len(vector) + 2)
        if len(vector) > 120 and not os.environ.get("WEIR_STRESS"):
            places = places[:: len(vector) // 60]
        said = [(split_stream(whole), "keep")] + [(split_stream(whole, at), "keep") for at in places]
        outcomes, _ = playback.play(said, stream=True, stream_options={"include_usage": True})
        for o in outcomes:
            reply = is_honest(o, True)
            assert reply.complete and reply.body == whole, (name, reply.body)
        total += len(said)
        print(f"{name}: {len(said)} splits")
    [row] = [r for r in playback.weir.settled_usage(total) if r["model"] == "large"]
    assert (row["calls"], row["input"], row["output"]) == (total, 9 * total, 4 * total), row
    print(f"SSE: {total} streams")


ODD = {
    "no JSON": b"data: {nonsense\n\n",
    "JSON that is no object": b"data: [1]\n\ndata: 7\n\ndata: null\n\n",
    "invalid UTF-8": b"data: \xff\xfe\x80\n\n",
    "invalid UTF-8 in a text": b'data: {"choices":[{"index":0,"delta":{"content":"\xc3\x28"}}]}\n\n',
    "NUL": b"data: \0\0\0\n\n: \0\n\n",
    "CR only": b"data: x\r\rdata: y\r\r",
    "a line that is no field": b"nothing of the kind\n\n",
    "another dialect": b'event: ping\ndata: {"type":"ping"}\n\n',
    "another choice": b'data: {"choices":[{"index":7,"delta":{"content":"x"}}]}\n\n',
    "deep": b'data: {"x":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n",
    "3 MiB event": b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * (3 << 20) + b'"}}]}\n\n',
    "9 MiB comment": b":" + b"c" * (9 << 20) + b"\n\n",
}


def test_e13_odd_events_pass_unchanged_after_content(playback):
    """E13: invalid JSON, invalid UTF-8, NUL, CR only, huge events after content pass unchanged; the usage that follows still counts."""
    outcomes, _ = playback.play([(split_stream(OPEN + odd + CLOSE), "keep") for odd in ODD.values()], stream=True, parallel=3,
                                stream_options={"include_usage": True})
    for (name, odd), o in zip(ODD.items(), outcomes):
        reply = is_honest(o, True)
        assert reply.complete and reply.body == OPEN + odd + CLOSE, (name, len(reply.body), reply)
    [row] = [r for r in playback.weir.settled_usage(len(ODD)) if r["model"] == "large"]
    assert (row["input"], row["output"]) == (9 * len(ODD), 4 * len(ODD)), row


def test_e13_a_50_mib_line_does_not_fill_memory(playback):
    """E13: a 50 MiB line passes; memory stays bounded."""
    pids = playback.weir.pids()["workers"]
    playback.play([(split_stream(OPEN + CLOSE), "keep")] * 4, stream=True)
    before = sum(processes.rss_kib(p) for p in pids)
    lump = b"x" * (1 << 20)
    first, last = b'data: {"choices":[{"index":0,"delta":{"content":"', b'"}}]}\n\n'
    said = [STREAM, chunked(OPEN), *[chunked(p) for p in (first, *[lump] * 50, last, CLOSE)], b"0\r\n\r\n"]
    playback.said.append((said, "keep"))
    seen, tail, most = 0, b"", 0
    with client.Connection(playback.weir.address, timeout=30) as c:
        c.send(call(chat(f"play {len(playback.said) - 1}", stream=True)))
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            data = c.socket.recv(1 << 18)
            assert data, (seen, tail[-300:])
            seen, tail = seen + len(data), (tail + data)[-400:]
            most = max(most, sum(processes.rss_kib(p) for p in pids))
    assert seen > 50 << 20 and b"data: [DONE]" in tail
    assert most - before < 32 * 1024, f"{most - before} KiB"  # ASan's quarantine included
    print(f"50 MiB line: {most - before} KiB more at the most")


GUESS = "an estimate"
USAGES = {  # what stands in "usage": the tokens that are booked, or an estimate
    "missing": (None, GUESS),
    "null": ("null", GUESS),
    "negative": ('{"prompt_tokens":-5,"completion_tokens":-1}', GUESS),
    "1e308": ('{"prompt_tokens":1e308,"completion_tokens":4}', GUESS),
    "2^63": ('{"prompt_tokens":9223372036854775808,"completion_tokens":4}', GUESS),
    "2^63 - 1": ('{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}', GUESS),
    "999 million": ('{"prompt_tokens":999999999,"completion_tokens":999999999}', GUESS),
    "a text": ('{"prompt_tokens":"9","completion_tokens":"4"}', GUESS),
    "a list": ("[9, 4]", GUESS),
    "deep": ('{"prompt_tokens":9,"completion_tokens":4,"x":' + "[" * 40 + "]" * 40 + "}", (9, 4)),
    "cached more than all": ('{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":500}}', GUESS),
    "twice": ('{"prompt_tokens":8,"completion_tokens":4,"prompt_tokens":9}', None),
    "good": ('{"prompt_tokens":9,"completion_tokens":4}', (9, 4)),
}


@pytest.mark.parametrize("stream", [False, True])
def test_e14_absurd_usage_is_never_negative_and_never_overflows(playback, stream):
    """E14: usage missing, negative, 1e308, a string, deep: never negative, never overflow; what cannot be is flagged as an estimate."""
    weir, said = playback.weir, []
    for text, _ in USAGES.values():
        usage = "" if text is None else f',"usage":{text}'
        if stream:
            last = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"large","choices":[]%s}\n\n' % usage.encode()
            body = OPEN + delta(finish="stop") + (last if usage else b"") + b"data: [DONE]\n\n"
            said.append((split_stream(body), "keep"))
        else:
            said.append((unary(re.sub(rb', "usage": .*', usage.encode() + b"}", COMPLETION)), "keep"))
    outcomes, _ = playback.play(said, stream=stream, parallel=1)
    processes.wait_until(lambda: len(weir.log_lines()) >= len(said), 5, "the request lines")
    lines = {e["request_id"]: e for e in weir.log_lines()}
    for (name, (_, tokens)), o in zip(USAGES.items(), outcomes):
        reply = is_honest(o, stream)
        assert reply.status == 200, (name, reply)
        line = lines[reply.get("x-request-id")]
        told = line["gen_ai.usage.input_tokens"], line["gen_ai.usage.output_tokens"]
        assert min(told) >= 0 and 0 <= float(line["cost_usd"]) < 0.01, (name, line)
        if tokens == GUESS:
            assert line["cost_basis"] == "estimated" and told[0] > 0, (name, line)
        elif tokens:
            assert told == tokens and line["cost_basis"] == "computed", (name, line)


def test_e14_the_last_usage_counts(playback):
    """E14: usage twice, and in the middle of a stream: the last valid one is booked, once."""
    early = chunk([{"index": 0, "delta": {"content": "x"}, "finish_reason": None}], usage={"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10})
    body = OPEN + early + delta(finish="stop") + chunk([], usage={**USAGE, "completion_tokens": 2}) + chunk([], usage=USAGE) + b"data: [DONE]\n\n"
    [o], _ = playback.play([(split_stream(body), "keep")], stream=True)
    assert is_honest(o, True).complete
    [row] = playback.weir.settled_usage(1)
    assert (row["input"], row["output"]) == (9, 4), row
