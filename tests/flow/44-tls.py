"""Providers over TLS: always verified, resumed, and never sent a byte when they are not who they should be."""
import ssl
import time

import pytest

import certs
import rig as r


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return certs.Authority(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_calls_and_streams(tmp_path, authority, version):
    context = authority.context(f"good{version.value}", version=version)
    with r.Origin(tls=context) as a:
        lines = [a.provider("a", host="localhost", ca=authority.file), "target a/m 2.5 10", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines) as rig:
            for _ in range(3):
                assert rig.call().json == r.completion()
                assert rig.call(r.STREAM).text == "one two three"
            big = {**r.CHAT, "pad": "x" * 300000}
            assert rig.call(big).status == 200
            assert a.connections == 1, "kept alive"
            assert {x["cost"] for x in rig.records(7)} == {r.COST}


def test_sessions_are_resumed(tmp_path, authority):
    def once(conn, request):
        resumed.append(conn.session_reused)
        conn.sendall(r.whole(r.completion(), headers="connection: close\r\n"))
        conn.unwrap()
        return False

    resumed = []
    with r.Origin(once, tls=authority.context("resume")) as a:
        lines = [a.provider("a", host="localhost", ca=authority.file), "target a/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines) as rig:
            assert [rig.call().status for _ in range(5)] == [200] * 5
            assert resumed[0] is False and all(resumed[1:])


def bad_contexts(authority, folder):
    other = certs.Authority(folder, "other")
    return {
        "expired": authority.context("expired", days="-1"),
        "another name": authority.context("name", san="DNS:example.com"),
        "unknown authority": other.context("unknown"),
    }


@pytest.mark.parametrize("name", ["expired", "another name", "unknown authority"])
def test_a_wrong_certificate_is_a_502_and_not_one_byte_is_sent(tmp_path, authority, name):
    context = bad_contexts(authority, tmp_path / "other")[name]
    with r.Origin(tls=context) as a, r.Origin() as b:
        lines = [a.provider("a", host="localhost", ca=authority.file), b.provider("b"), "target a/m", "target b/m"]
        lines += ["route alone ordered a/m", "route chat ordered a/m | b/m"]
        with r.Rig(tmp_path, lines) as rig:
            for path, where in (("/v1/chat/completions", ("code", "upstream_tls")), ("/v1/messages", ("type", "api_error"))):
                got = rig.call({**r.CHAT, "model": "alone", "max_tokens": 5}, path)
                assert got.status in (502, 400, 501) if path == "/v1/messages" else got.status == 502, got.body
                if got.status == 502:
                    assert got.json["error"][where[0]] == where[1]
                    assert "certificate" in got.json["error"]["message"].lower()
            assert rig.call().headers["x-weir-provider"] == "b"
            assert a.requests == []
            record = rig.records(3)[0]
            assert record["err"] == "up_tls" and record["cost"] == 0


def test_a_handshake_that_stalls(tmp_path, authority):
    import socket

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(5)
    port = listener.getsockname()[1]
    lines = ["set connect_ms 300", f"provider a openai localhost {port} tls /v1 sk {authority.file}", "target a/m", "route chat ordered a/m"]
    with r.Rig(tmp_path, lines) as rig:
        start = time.monotonic()
        assert rig.call().status == 504 and time.monotonic() - start < 2
        rig.settled()


def test_an_end_without_close_notify_is_no_end(tmp_path, authority):
    def cut(conn, request):
        conn.sendall(b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + b'{"id":')
        conn.detach()
        return False

    with r.Origin(cut, tls=authority.context("cut")) as a:
        lines = [a.provider("a", host="localhost", ca=authority.file), "target a/m", "route chat ordered a/m", "set idle_ms 500"]
        with r.Rig(tmp_path, lines) as rig:
            assert rig.call().status in (502, 504)
