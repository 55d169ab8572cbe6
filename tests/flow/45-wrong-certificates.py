"""Wrong certificates through the whole program: 502 in the client's dialect (504 for a handshake that stalls), 0 application bytes sent."""
import json
import socket
import ssl
import threading
import time
import warnings

import pytest

import certs
import client
import gateway
import rig
import swarm

QUIET = {"circuit_breaker": {"failures": 0}, "timeout": {"connect": "700ms", "first_token": "5s", "idle": "5s"}}
LONG_AGO, PAST, FUTURE, FAR = "20200101000000Z", "20210101000000Z", "20980101000000Z", "20990101000000Z"


def well(request):
    return rig.whole(rig.completion(model="large"))


def answers_with(data):
    """A TCP server that says these bytes to whoever comes; what it was told."""
    listener, told = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            told.append(connection.recv(65536))
            if data:
                connection.sendall(data)
            threading.Timer(3, connection.close).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener, told


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """An upstream per certificate, a provider and a route of its own for each; the good one, too."""
    warnings.simplefilter("ignore", DeprecationWarning)
    folder = tmp_path_factory.mktemp("tls")
    ca, stranger = certs.Authority(folder), certs.Authority(folder / "stranger", "stranger")
    contexts = {
        "good": certs.server_context(ca.leaf("good")),
        "expired": certs.server_context(ca.leaf("expired", dates=(LONG_AGO, PAST))),
        "not yet valid": certs.server_context(ca.leaf("future", dates=(FUTURE, FAR))),
        "wrong host": certs.server_context(ca.leaf("other", san="DNS:example.com")),
        "wildcard of another level": certs.server_context(ca.leaf("wild", san="DNS:*.localhost")),
        "no SAN": certs.server_context(ca.leaf("localhost", san=None)),
        "unknown CA": certs.server_context(stranger.leaf("unknown")),
        "self-signed": certs.server_context(ca.leaf("own", own=True)),
        "RSA 1024": certs.server_context(ca.leaf("weak", key="1024"), ciphers="DEFAULT@SECLEVEL=0"),
        "SHA-1": certs.server_context(ca.leaf("sha1", digest="sha1"), ciphers="DEFAULT@SECLEVEL=0"),
        "TLS 1.1 only": certs.server_context(ca.leaf("old"), ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1, "DEFAULT@SECLEVEL=0"),
    }
    upstreams = {name: swarm.Upstream(well, tls=context) for name, context in contexts.items()}
    raw = {"garbage": answers_with(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "alert": answers_with(b"\x15\3\3\0\2\2\x28"),
           "a record of 18 KiB": answers_with(b"\x16\3\3\x48\0" + bytes(18432)), "stall": answers_with(b"")}
    config = {"version": 1, "providers": {}, "models": {}, "routes": {}}
    ports = {n: u.port for n, u in upstreams.items()} | {n: l.getsockname()[1] for n, (l, _) in raw.items()}
    for i, (name, port) in enumerate(ports.items()):
        config["providers"][f"p{i}"] = {"type": "openai", "base_url": f"https://localhost:{port}/v1", "api_key": gateway.CANARY,
                                        "allow_private": True, "ca_file": ca.file}
        config["models"][f"p{i}/large"] = {"price": gateway.LARGE}
        config["routes"][name.replace(" ", "-")] = {"targets": [{"model": f"p{i}/large"}], **QUIET}
    weir = gateway.Gateway(folder / "weir", config).start()
    yield weir, upstreams, raw
    weir.check()  # its next call goes to the good one, whose route is the first
    weir.stop()
    for upstream in upstreams.values():
        upstream.stop()
    for listener, _ in raw.values():
        listener.close()


WRONG = ["expired", "not yet valid", "wrong host", "wildcard of another level", "no SAN", "unknown CA", "self-signed", "RSA 1024", "SHA-1",
         "TLS 1.1 only"]


@pytest.mark.parametrize("name", WRONG)
def test_e24_a_wrong_certificate_is_a_502_and_nothing_is_sent(world, name):
    """E24: a certificate that must not be trusted: 502 upstream_tls in the client's dialect; the server has no application byte."""
    weir, upstreams, _ = world
    for stream in (False, True):
        answer = weir.openai(client.chat(model=name.replace(" ", "-"), stream=stream))
        assert answer.status == 502 and answer.json()["error"]["code"] == "upstream_tls", answer
        answer = weir.anthropic(client.messages(model=name.replace(" ", "-"), stream=stream))
        assert answer.status == 502 and answer.json()["type"] == "error", answer
        assert gateway.CANARY.encode() not in answer.body
    assert upstreams[name].requests == [] and all(len(raw) == 0 for raw in upstreams[name].raw)


@pytest.mark.parametrize("name", ["garbage", "alert", "a record of 18 KiB"])
def test_e24_what_is_no_tls_is_a_502(world, name):
    """E24: plain HTTP, an alert, a record that is too long in place of a handshake: 502, nothing but a ClientHello was sent."""
    weir, _, raw = world
    answer = weir.openai(client.chat(model=name.replace(" ", "-")))
    assert answer.status == 502 and answer.json()["error"]["code"] == "upstream_tls", answer
    answer = weir.anthropic(client.messages(model=name.replace(" ", "-")))
    assert answer.status == 502 and answer.json()["type"] == "error", answer
    assert all(t[:1] in (b"\x16", b"") and b"POST" not in t and gateway.CANARY.encode() not in t for t in raw[name][1])


def test_e24_a_handshake_that_stalls_is_a_504(world):
    """E24: a handshake that stalls: 504 after the connect deadline, in each dialect."""
    weir, _, raw = world
    for call, body in ((weir.openai, client.chat), (weir.anthropic, client.messages)):
        begin = time.monotonic()
        answer = call(body(model="stall"))
        assert answer.status == 504 and 0.5 < time.monotonic() - begin < 4, answer
        assert "timeout" in json.dumps(answer.json())
    assert all(b"POST" not in t for t in raw["stall"][1])


def test_a_good_certificate_works(world):
    """The same authority, the right name: the call passes, and one connection serves many calls."""
    weir, upstreams, _ = world
    for _ in range(10):
        assert weir.openai(client.chat(model="good")).status == 200
    assert len(upstreams["good"].raw) <= 4, "kept alive, one for each worker"
