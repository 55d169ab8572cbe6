"""Hostile requests at the port of the whole program: what others wrote to break parsers, and rows F5 to F15 of the fault list.

A counting upstream sees no request that was not meant, every answer is well-formed HTTP with an error in the client's dialect, and
after each story the oracle passes.
"""
import base64
import json
import os
import re

import pytest

import swarm
from client import chat
from gateway import configuration

COMPLETION = {
    "id": "c1", "object": "chat.completion", "created": 1, "model": "large",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}  # fmt: skip
PATH = "/v1/chat/completions"


def ok(request):
    body = json.dumps(COMPLETION).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body)


@pytest.fixture
def world(start_weir):
    """A counting upstream and weir with short waits for what does not arrive."""
    with swarm.Upstream(ok) as upstream:
        server = {"header_timeout": "250ms", "body_idle": "250ms", "keepalive": "2s"}
        weir = start_weir(configuration({"up": ("openai", upstream)}, {"chat": {"targets": [{"model": "up/large"}]}}, server=server))
        yield weir, upstream
        assert upstream.strays == [], "bytes upstream that are no request"
        for raw in upstream.raw:  # nothing rode along inside a request
            assert raw.count(b" HTTP/1.1\r\n") == raw.count(b"POST /v1/chat/completions HTTP/1.1\r\nhost: "), bytes(raw[:500])
        weir.check()


def need(*parts):
    path = swarm.corpora(*parts)
    if path is None:
        pytest.skip(f"no corpora/{'/'.join(parts)}")
    return path


def post(body, headers=b"", path=PATH.encode(), method=b"POST", host=b"localhost"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return b"%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n%s" % (method, path, host, headers, len(body), body)


def ask(weir, data, **kw):
    """The answers to one raw input, and how it ended."""
    [outcome] = swarm.exchange_all(weir.address, [data], **kw)
    return outcome.replies, outcome.ended


def is_openai_error(reply):
    error = json.loads(reply.body)["error"]
    return bool(error["message"]) and "type" in error and "code" in error and reply.get("x-request-id") is not None


# ---- smuggling ----

def smuggler_inputs():
    """Each template with a body that is two things: by chunks the wanted call and then a smuggled one, by length one of nonsense
    (CL.TE); and by chunks nonsense, by length a stub and then a smuggled call (TE.CL)."""
    with open(need("http-smuggler", "mutations.jsonl"), encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    smuggled = post(chat("SMUGGLED"))
    wanted = json.dumps(chat("wanted")).encode()
    cl_te = b"%x\r\n%s\r\n0\r\n\r\n%s" % (len(wanted), wanted, smuggled)
    te_cl_head = b"%x\r\n" % (len(smuggled))
    te_cl = te_cl_head + smuggled + b"\r\n0\r\n\r\n"
    for row in rows:
        head = row["header_template_latin1"].encode("latin-1")
        for mark, value in ((b"__METHOD__", b"POST"), (b"__ENDPOINT__", PATH.encode()), (b"__RANDOM__", b"1"), (b"__HOST__", b"localhost")):
            head = head.replace(mark, value)
        yield row["name"] + " CL.TE", head.replace(b"__REPLACE_CL__", b"%d" % len(cl_te)) + b"\r\n" + cl_te
        yield row["name"] + " TE.CL", head.replace(b"__REPLACE_CL__", b"%d" % len(te_cl_head)) + b"\r\n" + te_cl


def test_f7_smuggler_one_request_at_most(world):
    """F7: smuggling templates x {CL.TE, TE.CL}: 400 + close, or one unambiguous framing; the upstream sees 0 or exactly 1 request."""
    weir, upstream = world
    inputs = list(smuggler_inputs())
    refused = read = 0
    for name_input, outcome in zip(inputs, swarm.exchange_surely(weir.address, [data for _, data in inputs], quiet=0.05)):
        name = name_input[0]
        answers = outcome.replies
        assert answers, f"{name}: no answer, {outcome.ended}"
        assert outcome.ended != "hang", name
        if answers[0].error in ("bad_http", "http_version"):
            refused += 1
            assert len(answers) == 1 and outcome.ended in ("fin", "rst") and answers[0].get("connection") == "close", name
        else:
            read += 1
            assert sum(a.status == 200 for a in answers) <= 1, name
    bodies = [json.loads(r.body)["messages"][0]["content"] for r in upstream.requests]
    assert "wanted" not in bodies, "a coding was taken beside a length"
    print(f"smuggler: {len(inputs)} requests, {refused} refused, {read} read as one framing, {len(bodies)} reached the upstream")
    assert len(inputs) == 2 * 1703


# ---- llhttp's own cases ----

STRICTER = {  # accepted by llhttp, refused by weir for a rule that is meant (tests/unit/proto/wire/test_http1_corpora.c)
    "SOURCE request with ICE", "OPTIONS request with RTSP", "ANNOUNCE request with RTSP", "No HTTP version", "curl GET", "Firefox GET",
    "Tabs in `Content-Length` (surrounding)", "M-SEARCH request", "Should parse multiple events", "HTTP version 0.9", "`chunked` before other transfer-encoding",
    "multiple transfer-encoding where chunked is not the last one", "`chunkedchunked` transfer-encoding does not enable chunked enconding",
    "Fragment in URI", "Host terminated by a query string", "`host:port` terminated by a query string", "`host:port` and basic auth",
    "POST with `chunked` as last transfer-encoding", "POST with `chunked` as last transfer-encoding (multiple headers)",
}  # fmt: skip
METHODS = {"bad_http", "http_version"}


def complete_request(raw):
    """The cases have no Host and lost the line end behind their last line when they were taken out of their page."""
    lines = raw.split(b"\n")
    if b"\nhost:" not in raw.lower():
        done = []
        for line in lines:
            done.append(line)
            if line.endswith((b" HTTP/1.1\r", b" HTTP/1.0\r")):
                named = re.search(rb" https?://([^/? ]+)", line)
                done.append(b"Host: " + (named[1] if named else b"localhost") + b"\r")
        lines = done
    return b"\n".join(lines) + b"\r\n"


def test_f7_llhttp_cases_have_the_same_verdict_at_the_port(world):
    """F7, R4: what llhttp's strict mode refuses is refused here; what it reads is read, but for weir's own rules; lenient inputs, too."""
    weir, upstream = world
    with open(need("http-llhttp", "cases.jsonl"), encoding="utf-8") as f:
        cases = [json.loads(line) for line in f]
    cases = [c for c in cases if c["type"].startswith("request")]
    inputs = []
    for c in cases:
        raw = base64.b64decode(c["raw_b64"])
        bad = c["error_code"] not in (None, 0, 5, 22)  # 5: the connection is over, 22: paused for an upgrade; both are fine messages
        unfinished = "finish" in c["type"]
        inputs.append(raw if unfinished else raw + b"\r\n" if bad or c["lenient"] else complete_request(raw))
    agreed = stricter = 0
    for c, outcome in zip(cases, swarm.exchange_surely(weir.address, inputs, quiet=0.3)):
        title = c["title"]
        answers = outcome.replies
        assert outcome.ended != "hang", title
        codes = [a.error for a in answers]
        if c["error_code"] == 22:  # what follows is another protocol
            codes = codes[:1]
        if c["lenient"] or "finish" in c["type"]:  # refused, or its rest is waited for and missed
            assert all(a.status != 200 for a in answers), title
            agreed += 1
        elif c["error_code"] not in (None, 0, 5, 22):
            assert answers and answers[-1].status in (400, 405, 408, 413, 414, 426, 431, 505), (title, codes, outcome.ended)
            assert outcome.ended in ("fin", "rst"), (title, codes)
            agreed += 1
        elif METHODS & set(codes):
            assert title in STRICTER, (title, answers)
            stricter += 1
        else:
            agreed += 1
    print(f"llhttp requests: {len(cases)} cases, {agreed} same verdict, {stricter} refused by added rules")
    assert upstream.requests == []


# ---- JSON ----

def json_cases():
    folder = need("json", "test_parsing")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            yield name, f.read()
    folder = need("json", "test_transform")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as f:
            yield "i_" + name, f.read()


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_f11_json_bodies(world, dialect):
    """F11: JSONTestSuite as the body: invalid is 400 in the client's dialect, valid that is no call is 400, never a crash, 0 upstream."""
    weir, upstream = world
    path, more = (PATH, b"") if dialect == "openai" else ("/v1/messages", b"anthropic-version: 2023-06-01\r\n")
    cases = list(json_cases())
    outcomes = swarm.exchange_surely(weir.address, [post(text, more, path.encode()) for _, text in cases], quiet=0.05)
    for (name, _), outcome in zip(cases, outcomes):
        [answer] = outcome.replies
        assert answer.status == 400 and answer.complete, (name, answer)
        if dialect == "openai":
            assert is_openai_error(answer), name
        else:
            told = json.loads(answer.body)
            assert told["type"] == "error" and told["error"]["type"] == "invalid_request_error", name
    assert upstream.requests == [] and len(cases) == 340
    print(f"JSON bodies ({dialect}): {len(cases)} of {len(cases)} answered 400")


def test_f11_json_inside_a_call(world):
    """F11: each text as a value of a call: n_ is 400 with 0 upstream; what is passed on arrives byte for byte (but for the model)."""
    weir, upstream = world
    cases = [c for c in json_cases() if c[1]]
    inputs = []
    for i, (name, text) in enumerate(cases):
        body = b'{"model":"chat","messages":[{"role":"user","content":"case %d"}],"metadata":%s}' % (i, text)
        inputs.append(post(body))
    passed = refused = free = 0
    sent = {}
    for (name, _), outcome, data in zip(cases, swarm.exchange_surely(weir.address, inputs, quiet=0.05), inputs):
        [answer] = outcome.replies
        if name.startswith("n_") and name != "n_structure_open_object_comma.json":
            # some are not JSON only as a whole text: an unclosed one closed by what follows, a bare one followed by more
            if answer.status == 200:
                assert json.loads(data.split(b"\r\n\r\n", 1)[1]), name
                free += 1
            else:
                refused += 1
        elif name.startswith("y_"):
            assert answer.status == 200, (name, answer)
        if answer.status == 200:
            passed += 1
            sent[data.split(b"\r\n\r\n", 1)[1]] = name
        else:
            assert answer.status == 400 and is_openai_error(answer), (name, answer)
    assert len(upstream.requests) == passed
    for request in upstream.requests:
        assert request.body.replace(b'"model":"large"', b'"model":"chat"', 1) in sent
    print(f"JSON in a call: {len(cases)} texts, {passed} passed unchanged, {refused} of n_ refused, {free} of n_ valid in their place")


def test_f11_what_routing_reads_has_one_meaning(world):
    """F11: duplicate routing keys, depth 100 k, BOM, UTF-16, lone surrogate, NUL, 1e400: 400 or passed on unchanged, never two readings."""
    weir, upstream = world
    m = b'"messages":[{"role":"user","content":"x"}]'
    refused = {
        "dup model": b'{"model":"chat","model":"other",%s}' % m,
        "dup model escaped": b'{"model":"chat","\\u006dodel":"other",%s}' % m,
        "dup stream": b'{"model":"chat","stream":false,"stream":true,%s}' % m,
        "model is a number": b'{"model":5,%s}' % m,
        "stream is a text": b'{"model":"chat","stream":"yes",%s}' % m,
        "bom": b'\xef\xbb\xbf{"model":"chat",%s}' % m,
        "utf-16": ('{"model":"chat"}').encode("utf-16"),
        "nul": b'{"model":"chat\x00",%s}' % m,
        "depth 100 k": b'{"model":"chat","x":' + b"[" * 100000 + b"]" * 100000 + b"," + m + b"}",
        "two texts": b'{"model":"chat",%s}{"model":"chat",%s}' % (m, m),
        "empty": b"",
    }
    for name, body in refused.items():
        answers, _ = ask(weir, post(body), quiet=0.05)
        assert answers[0].status in (400, 404) and is_openai_error(answers[0]), (name, answers)
    assert upstream.requests == []
    for name, value in {"1e400": b"1e400", "10 MB": b'"' + b"x" * 10_000_000 + b'"', "depth 60": b"[" * 60 + b"]" * 60}.items():
        body = b'{"model":"chat","y":%s,%s}' % (value, m)
        answers, _ = ask(weir, post(body), quiet=0.05, hang=20)
        assert answers[0].status in (200, 400), (name, answers)
        if answers[0].status == 200:
            assert upstream.requests[-1].body == body.replace(b'"chat"', b'"large"'), name


# ---- the gaps of llhttp, and sizes ----

GAPS = {
    "two hosts that differ": b"POST %s HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n",
    "two hosts alike": b"POST %s HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n",
    "host with userinfo": b"POST %s HTTP/1.1\r\nHost: user@localhost\r\n",
    "host with a path": b"POST %s HTTP/1.1\r\nHost: localhost/x\r\n",
    "empty host": b"POST %s HTTP/1.1\r\nHost:\r\n",
    "comma in the host": b"POST %s HTTP/1.1\r\nHost: localhost,other\r\n",
    "no host": b"POST %s HTTP/1.1\r\nX: y\r\n",
    "empty coding": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n",
    "TE and CL": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n",
    "xchunked": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n",
    "chunked twice": b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, chunked\r\n",
    "two lengths alike": b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n",
    "space before the colon": b"POST %s HTTP/1.1\r\nHost: localhost\r\nX-A : b\r\n",
    "obs-fold": b"POST %s HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n",
    "bare CR": b"POST %s HTTP/1.1\r\nHost: localhost\r\nX-A: b\rc\r\n",
    "bare LF": b"POST %s HTTP/1.1\nHost: localhost\n",
    "NUL in a value": b"POST %s HTTP/1.1\r\nHost: localhost\r\nX-A: b\0c\r\n",
    "underscore twin": b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent_Length: 3\r\n",
    "connection names the length": b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: content-length\r\n",
    "connection names the key": b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: authorization\r\nAuthorization: Bearer x\r\n",
    "length with a sign": b"POST %s HTTP/1.1\r\nHost: localhost\r\nX: y\r\n",
}


def test_f8_the_gaps_of_llhttp_are_closed(world):
    """F8: duplicate, userinfo, path, empty, comma Host, `GET *`, empty TE: 400 and close; 0 bytes upstream."""
    weir, upstream = world
    body = json.dumps(chat()).encode()
    inputs = {}
    for name, head in GAPS.items():
        head = head.replace(b"%s", PATH.encode()).replace(b"%d", b"%d" % len(body))
        length = b"+%d" % len(body) if name == "length with a sign" else b"%d" % len(body)
        inputs[name] = head + b"Content-Length: " + length + b"\r\n\r\n" + body
    inputs["GET *"] = b"GET * HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for name, outcome in zip(inputs, swarm.exchange_all(weir.address, list(inputs.values()))):
        answers = outcome.replies
        assert [a.status for a in answers] == [400] and outcome.ended in ("fin", "rst"), (name, answers, outcome.ended)
        assert is_openai_error(answers[0]), name
    assert upstream.requests == []


def test_f9_what_is_too_long_is_refused(world):
    """F9: request line 100 KB, 10 k headers, 1 MiB header, method 100 KB: 414 / 431 / 400 and the connection ends."""
    weir, upstream = world
    start = b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
    inputs = {
        (414,): b"POST /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        (431,): start + b"".join(b"x-%d: y\r\n" % i for i in range(10_000)) + b"\r\n",
        (431, 0): start + b"x: " + b"y" * (1 << 20) + b"\r\n\r\n",
        (400, 414): b"P" * 100_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    }
    for statuses, outcome in zip(inputs, swarm.exchange_all(weir.address, list(inputs.values()))):
        found = [a.status for a in outcome.replies]
        assert found and found[0] in statuses and len(found) == 1, (statuses, outcome.replies)
        assert outcome.ended in ("fin", "rst")


def test_f10_bodies_over_the_limit(start_weir):
    """F10: a body over max_body: by length 413 before it is read, by chunks 413 at the limit; closed after at most 64 KiB more."""
    with swarm.Upstream(ok) as upstream:
        server = {"max_body": "64KiB", "body_idle": "300ms"}
        weir = start_weir(configuration({"up": ("openai", upstream)}, server=server))
        head = b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
        [by_length], ended = ask(weir, head + b"Content-Length: 65537\r\n\r\n")
        assert by_length.status == 413 and ended in ("fin", "rst") and is_openai_error(by_length)
        [huge], ended = ask(weir, head + b"Content-Length: 34603008\r\n\r\n" + b"x" * 2_000_000)
        assert huge.status == 413 and ended in ("fin", "rst")
        chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
        chunked, ended = ask(weir, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40)
        assert [a.status for a in chunked] == [413] and ended in ("fin", "rst")
        [fits], _ = ask(weir, post({**chat(), "pad": "x" * 60000}))
        assert fits.status == 200
        one = b"".join(b"1\r\n%c\r\n" % c for c in json.dumps({**chat(), "pad": "x" * 50000}).encode()) + b"0\r\nx-trailer: y\r\n\r\n"
        small, _ = ask(weir, head + b"Transfer-Encoding: chunked\r\n\r\n" + one)
        assert [a.status for a in small] == [200] and upstream.requests[-1].header(b"transfer-encoding") is None
        assert upstream.requests[-1].header(b"x-trailer") is None
        assert len(upstream.requests) == 2
        weir.check()


# ---- other protocols, other methods ----

NOT_FOR_US = {
    "h2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\4\0\0\0\0\0", 400),
    "TLS ClientHello": (bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) * 2, 400),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", 400),
    "Redis": (b"*1\r\n$4\r\nPING\r\n", 400),
    "PROXY": (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
    "PROXY v2": (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12), 400),
    "CONNECT": (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n", 405),
    "TRACE": (b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    "HTTP/0.9": (b"GET /\r\n", 400),
    "HTTP/2.0 in a line": (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", 505),
    "nonsense": (b"\x80\x81\x82\xff\xfe\0\0\0", 400),
}


def test_f13_other_protocols_on_the_port(world):
    """F13: h2 preface, TLS ClientHello, SSH, Redis, PROXY: 400 and close within one round trip; CONNECT, TRACE 405."""
    weir, upstream = world
    names = list(NOT_FOR_US)
    for name, outcome in zip(names, swarm.exchange_all(weir.address, [NOT_FOR_US[n][0] for n in names])):
        answers = outcome.replies
        assert [a.status for a in answers] == [NOT_FOR_US[name][1]] and outcome.ended in ("fin", "rst"), (name, answers, outcome.ended)
        assert answers[0].get("connection") == "close" and is_openai_error(answers[0]), name
    assert upstream.requests == []


def test_f13_forms_and_methods(world):
    """F13: absolute-form (its host is Host's), `OPTIONS *`, unknown methods, websocket upgrade, other upgrades."""
    weir, upstream = world
    body = json.dumps(chat()).encode()
    def tail(more=b""):
        return b" HTTP/1.1\r\nHost: localhost\r\n%sContent-Length: %d\r\n\r\n%s" % (more, len(body), body)
    wanted = {
        b"POST http://localhost/v1/chat/completions" + tail(): 200,
        b"POST http://evil.example/v1/chat/completions" + tail(): 400,
        b"POST http://169.254.169.254/v1/chat/completions" + tail(): 400,
        b"GET /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n": 405,
        b"BREW /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n": 400,
        b"DELETE /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n": 405,
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n": 404,
        b"POST /v1/nothing" + tail(): 404,
        b"POST //v1/chat/completions" + tail(): 404,
        b"POST /v1/..%2fv1/chat/completions" + tail(): 404,
        b"POST /v1/chat/completions%00" + tail(): 404,
        b"POST /v1/chat/completions" + tail(b"Connection: upgrade\r\nUpgrade: websocket\r\n"): 426,
        b"POST /v1/chat/completions" + tail(b"Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n"): 200,
    }
    for (data, status), outcome in zip(wanted.items(), swarm.exchange_all(weir.address, list(wanted))):
        answers = outcome.replies
        assert [a.status for a in answers] == [status], (data[:80], answers, outcome.ended)
    assert len(upstream.requests) == 2


def test_e19_expect_is_answered_here_and_never_forwarded(world):
    """E19: Expect: 100-continue is answered by the gateway and never forwarded; any other expectation is 417."""
    weir, upstream = world
    body = json.dumps(chat()).encode()
    def head(value, n=None):
        return b"POST %s HTTP/1.1\r\nHost: localhost\r\nExpect: %s\r\nContent-Length: %d\r\n\r\n" % (PATH.encode(), value, len(body) if n is None else n)
    [outcome] = swarm.exchange_all(weir.address, [head(b"100-continue") + body], cuts=(len(head(b"100-continue")),))
    assert outcome.replies[0].status == 200
    assert upstream.requests[-1].header(b"expect") is None
    [outcome] = swarm.exchange_all(weir.address, [head(b"100-continue", 99_000_000)])
    assert [a.status for a in outcome.replies] == [413] and b"100 Continue" not in outcome.data, "a body that is refused is not asked for"
    before = len(upstream.requests)
    for value in (b"200-ok", b"100-continue, x", b"x"):
        answers, ended = ask(weir, head(value) + body)
        assert [a.status for a in answers] == [417] and is_openai_error(answers[0]), (value, answers)
    assert len(upstream.requests) == before


# ---- headers ----

def test_f14_hop_by_hop_games(world):
    """F14: hop-by-hop headers and the client's own credentials never reach the upstream; naming a protected header is 400."""
    weir, upstream = world
    for name in (b"host", b"content-length", b"transfer-encoding", b"content-type", b"authorization", b"x-api-key", b"api-key"):
        answers, _ = ask(weir, post(chat(), b"Connection: close, " + name + b"\r\nAuthorization: Bearer sk-app\r\n"))
        assert [a.status for a in answers] == [400], (name, answers)
    assert upstream.requests == []
    games = (
        b"Connection: x-stainless-lang, openai-beta\r\nX-Stainless-Lang: js\r\nOpenAI-Beta: b\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n"
        b"Proxy-Authorization: Basic c2stYXBw\r\nProxy-Connection: keep-alive\r\nAuthorization: Bearer sk-app\r\nX-Api-Key: sk-app\r\n"
        b"Api-Key: sk-app\r\nX-Goog-Api-Key: sk-app\r\nX_Api_Key: sk-app\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Host: evil\r\n"
        b"Forwarded: for=1.1.1.1\r\nVia: 1.1 x\r\nCookie: sk-app\r\nX-Weir-Tags: a=b\r\nTrailer: x\r\nX-Real-Ip: 1.1.1.1\r\n"
    )
    answers, _ = ask(weir, post(chat(), games))
    assert [a.status for a in answers] == [200]
    head = upstream.requests[-1].head.lower()
    for word in (b"sk-app", b"c2styxbw", b"x-stainless", b"openai-beta", b"keep-alive", b"\r\nte:", b"proxy", b"forwarded", b"via:", b"cookie",
                 b"x-weir", b"trailer", b"x_api", b"x-real"):
        assert word not in head, (word, head)


def test_f15_a_web_page_cannot_spend(start_weir):
    """F15: Host not ours: 421; any Origin not allowed: 403, text/plain too; nothing reaches the upstream. An allowed one passes."""
    with swarm.Upstream(ok) as upstream:
        server = {"hosts": ["weir.internal"], "origins": ["http://localhost:*"]}
        weir = start_weir(configuration({"up": ("openai", upstream)}, server=server))
        for host in (b"evil.com", b"evil.com:8490", b"localhost.evil.com", b"127.0.0.1.evil.com", b"weir.internal.evil"):
            answers, _ = ask(weir, post(chat(), host=host))
            assert [a.status for a in answers] == [421], (host, answers)
        for origin in (b"https://evil.com", b"null", b"http://localhost.evil.com", b"file://", b""):
            answers, _ = ask(weir, post(chat(), b"Origin: %s\r\nContent-Type: text/plain\r\n" % origin))
            assert [a.status for a in answers] == [403], (origin, answers)
            preflight = b"OPTIONS %s HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nAccess-Control-Request-Method: POST\r\n\r\n"
            answers, _ = ask(weir, preflight % (PATH.encode(), origin))
            assert [a.status for a in answers] == [403], (origin, answers)
        assert upstream.requests == []
        for host in (b"weir.internal", b"localhost", b"127.0.0.1:%d" % weir.port, b"[::1]:5"):
            assert ask(weir, post(chat(), host=host))[0][0].status == 200, host
        [allowed], _ = ask(weir, post(chat(), b"Origin: http://localhost:3000\r\n"))
        assert allowed.status == 200
        weir.check()


def test_f5_pipelined_calls_are_answered_in_order(world):
    """F5: 100 requests at once on one connection: answered strictly in order, one at a time; memory bounded by reading no further."""
    weir, upstream = world
    data = b"".join(post(chat(f"call {i}", user=f"u{i}")) for i in range(100))
    [outcome] = swarm.exchange_all(weir.address, [data], answers=100, quiet=0.3, hang=20)
    assert [a.status for a in outcome.replies] == [200] * 100
    told = [json.loads(r.body)["messages"][0]["content"] for r in upstream.requests]
    assert told == [f"call {i}" for i in range(100)], "in order"
    # a refused one in the middle that was read whole does not end the rest; one that is not HTTP does
    mixed = post(chat()) + post(b"{", b"") + post(chat()) + b"NOT HTTP\r\n\r\n" + post(chat())
    [outcome] = swarm.exchange_all(weir.address, [mixed], answers=5, quiet=0.3)
    assert [a.status for a in outcome.replies] == [200, 400, 200, 400] and outcome.ended in ("fin", "rst")
    cut = [c for c in range(7, len(data[:3000]), 211)]
    [outcome] = swarm.exchange_all(weir.address, [data[:3000]], answers=100, quiet=0.3, cuts=cut)
    whole = data[:3000].count(b"POST")
    assert [a.status for a in outcome.replies][: whole - 1] == [200] * (whole - 1)


@pytest.mark.parametrize("corpus", ["fuzz-h2o/http1-corpus", "fuzz-go/httpreq"])
def test_r4_fuzz_corpora_at_the_port(world, corpus):
    """R4: a sample of the inputs that fuzzers of other servers found: an honest answer or end, nothing unasked for upstream."""
    weir, upstream = world
    folder = need(*corpus.split("/"))
    names = sorted(os.listdir(folder))
    step = 1 if os.environ.get("WEIR_STRESS") else max(1, len(names) // 250)
    inputs = []
    for name in names[::step]:
        with open(os.path.join(folder, name), "rb") as f:
            inputs.append(f.read())
    inputs = [i for i in inputs if i]
    hung = [o for o in swarm.exchange_all(weir.address, inputs, quiet=0.05) if o.replies is None or o.ended == "hang"]
    assert hung == []
    print(f"{corpus}: {len(inputs)} inputs, all ended well; {len(upstream.requests)} upstream")
