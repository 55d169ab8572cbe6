"""Which headers go on, which stay: credentials, what a proxy may not pass, who may call."""
import hashlib  # noqa: F401  (keys of the rig are hashed by it, not here)

import rig as r


def both(tmp_path, o, n, *more):
    return r.Rig(
        tmp_path,
        [o.provider("o"), n.provider("n", "anthropic"), "target o/m 2.5 10", "target n/m 3 15", *more]
        + ["route chat ordered o/m", "route claude ordered n/m"],
    )


def anthropic(conn, request):
    conn.sendall(r.whole(r.message(), headers="request-id: req_up\r\nset-cookie: a=b\r\nanthropic-ratelimit-requests-limit: 5\r\n"))


SENT = (
    "authorization: Bearer sk-client\r\nx-api-key: sk-client\r\nx-goog-api-key: sk-client\r\napi-key: sk-client\r\ncookie: c=d\r\n"
    "x-forwarded-for: 1.2.3.4\r\nforwarded: for=1.2.3.4\r\nproxy-authorization: x\r\nx_api_key: sk-client\r\nte: trailers\r\n"
    "x-weir-tags: a=b\r\nx-weir-session: s1\r\nopenai-organization: org-client\r\naccept-encoding: gzip\r\n"
    "user-agent: sdk/1.2 (x)\r\nanthropic-beta: b1\r\nanthropic-version: 2026-10-21\r\nanthropic-new-thing: yes\r\n"
)


def test_the_clients_credentials_never_go_up(tmp_path):
    with r.Origin() as o, r.Origin(anthropic) as n, both(tmp_path, o, n) as rig:
        assert rig.call(headers=SENT).status == 200
        body = {"model": "claude", "max_tokens": 5, "messages": r.CHAT["messages"]}
        assert rig.call(body, "/v1/messages?beta=true&key=sk-client", SENT).status == 200
        for origin, key in ((o, "sk-up-o"), (n, "sk-up-n")):
            [request] = origin.requests
            assert b"sk-client" not in request.head and b"org-client" not in request.head and b"x-weir" not in request.head
            for name in ("cookie", "x-forwarded-for", "forwarded", "proxy-authorization", "te", "x_api_key"):
                assert name not in request.headers
            assert request.headers["accept-encoding"] == "identity"
            assert request.headers["user-agent"] == "sdk/1.2 (x)"
            assert request.headers["host"] == f"127.0.0.1:{origin.port}"
            assert key in request.head.decode()
        assert o.requests[0].headers["authorization"] == "Bearer sk-up-o"
        assert n.requests[0].headers["x-api-key"] == "sk-up-n"
        assert n.requests[0].headers["anthropic-beta"] == "b1" and n.requests[0].headers["anthropic-new-thing"] == "yes"
        assert n.requests[0].headers["anthropic-version"] == "2026-10-21"
        assert n.requests[0].line == "POST /v1/messages?beta=true HTTP/1.1"
        assert rig.records(2)[0]["session"] == "s1"


def test_the_answers_headers(tmp_path):
    with r.Origin() as o, r.Origin(anthropic) as n, both(tmp_path, o, n) as rig:
        body = {"model": "claude", "max_tokens": 5, "messages": r.CHAT["messages"]}
        got = rig.call(body, "/v1/messages")
        assert n.requests[0].headers["anthropic-version"] == "2023-06-01"
        assert "set-cookie" not in got.headers
        assert got.headers["x-weir-upstream-request-id"] == "req_up"
        assert got.headers["request-id"] == got.headers["x-request-id"] != "req_up"
        assert got.headers["anthropic-ratelimit-requests-limit"] == "5"


def test_a_web_page_cannot_call(tmp_path):
    with r.Origin() as o, r.Origin(anthropic) as n, both(tmp_path, o, n) as rig:
        assert rig.call(host="evil.example:8490").status == 421
        for host in ("127.0.0.1:8490", "[::1]:8490", "localhost", "app.localhost:1", "10.1.2.3"):
            assert rig.call(host=host).status == 200, host
        assert rig.call(headers="origin: https://evil.example\r\n").status == 403
        assert rig.call(headers="origin: null\r\n").status == 403
        assert len(o.requests) == 5


def test_keys(tmp_path):
    with r.Origin() as o, r.Origin(anthropic) as n, both(tmp_path, o, n, "set auth 1", "key app sk-app-1") as rig:
        missing = rig.call()
        assert missing.status == 401 and missing.json["error"]["code"] == "invalid_api_key"
        assert rig.call(headers="authorization: Bearer sk-app-2\r\n").status == 401
        for place in ("authorization: Bearer sk-app-1", "x-api-key: sk-app-1", "x-goog-api-key: sk-app-1", "api-key: sk-app-1"):
            assert rig.call(headers=place + "\r\n").status == 200
        assert rig.call(path="/v1/chat/completions?key=sk-app-1").status == 200
        assert rig.call(headers="authorization: Bearer other\r\nx-api-key: sk-app-1\r\n").status == 200
        assert {x["key"] for x in rig.records(8) if x["kind"] == 1} == {"app"}
        assert all(b"sk-app-1" not in x.head for x in o.requests)


def test_what_is_not_http_is_refused_and_closed(tmp_path):
    with r.Origin() as o, r.Origin(anthropic) as n, both(tmp_path, o, n) as rig:
        ok = r.request_bytes(r.CHAT)
        for bad in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"SSH-2.0-OpenSSH_9\r\n",
            ok.replace(b"content-length:", b"transfer-encoding: chunked\r\ncontent-length:"),
            ok.replace(b"host: localhost", b"host: localhost\r\nhost: localhost"),
            ok.replace(b"host: localhost\r\n", b""),
            ok.replace(b"POST ", b"POST  "),
        ):
            got = rig.raw(bad + ok)
            assert got.status in (400, 505), (bad, got.raw)
            assert got.headers["connection"] == "close" and "error" in got.json
        assert rig.raw(ok.replace(b"/v1", b"/" + b"x" * 9000 + b"/v1")).status == 414
        assert rig.raw(ok.replace(b"host:", b"pad: " + b"x" * 40000 + b"\r\nhost:")).status == 431
        assert o.requests == []
        assert rig.call().status == 200
        rig.settled()
