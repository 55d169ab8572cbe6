"""Rows E1 to E6, E22, E23 of the fault list through the whole program: what the client sees, what the ledger says."""
import json
import time

import pytest

import ports
import processes
import rig
import swarm
from client import chat
from gateway import configuration

QUIET = {"circuit_breaker": {"failures": 0}, "timeout": {"connect": "500ms", "first_token": "400ms", "idle": "400ms", "total": "20s"}}


class Refusing:
    """An address where nobody listens."""

    def __init__(self):
        self.url = f"http://127.0.0.1:{ports.free_port()}"


def answers_well(request):
    if json.loads(request.body).get("stream"):
        return rig.stream_bytes(rig.openai_events(model="large"))
    return rig.whole(rig.completion(model="large"))


@pytest.fixture
def world(start_weir):
    """start(said): weir with routes chat (well), bad (upstream that says `said`), rescued (the same, then well), refused."""
    opened = []

    def start(said):
        bad, well = swarm.Upstream(lambda request: said), swarm.Upstream(answers_well)
        opened.extend((bad, well))
        named = {"well": ("openai", well), "bad": ("openai", bad), "refused": ("openai", Refusing())}
        routes = {"chat": {"targets": [{"model": "well/large"}]}}
        for name in ("bad", "refused"):
            routes[name] = {"targets": [{"model": f"{name}/large"}], **QUIET}
            routes[f"{name}-rescued"] = {**routes[name], "fallbacks": ["well/large"]}
        return start_weir(configuration(named, routes)), bad

    yield start
    for upstream in opened:
        upstream.stop()


def line_of(weir, answer):
    def found():
        return [e for e in weir.log_lines() if e["request_id"] == answer.header("x-request-id")]

    return processes.wait_until(found, 5, "the request line")[0]


def test_e1_refused(world):
    """E1: refuses: next provider at once; alone 502 upstream_connect, no charge."""
    weir, _ = world(b"")
    answer = weir.openai(chat(model="refused"))
    assert answer.status == 502 and answer.json()["error"]["code"] == "upstream_connect"
    assert float(line_of(weir, answer)["cost_usd"]) == 0
    begin = time.monotonic()
    assert weir.openai(chat(model="refused-rescued")).header("x-weir-provider") == "well" and time.monotonic() - begin < 1
    weir.check()


@pytest.mark.parametrize("end", ["fin", "rst"])
def test_e2_reset_after_the_request(world, end):
    """E2: closes or resets after the request: 502 when alone, charged as an estimate; another target answers when there is one."""
    weir, bad = world((b"", end))
    answer = weir.openai(chat(model="bad"))
    assert answer.status == 502 and answer.json()["error"]["code"] == "upstream_reset" and len(bad.requests) == 1
    line = line_of(weir, answer)
    assert line["cost_basis"] == "estimated" and float(line["cost_usd"]) > 0
    assert weir.openai(chat(model="bad-rescued")).header("x-weir-provider") == "well"
    weir.check()


def test_e3_silent_before_headers(world):
    """E3: hangs before headers: 504 after first_token, upstream closed, an estimate is charged."""
    weir, bad = world((b"", "stall"))
    for stream in (False, True):
        begin = time.monotonic()
        answer = weir.openai(chat(model="bad", stream=stream))
        assert answer.status == 504 and 0.3 < time.monotonic() - begin < 3
        assert line_of(weir, answer)["cost_basis"] == "estimated"
        assert weir.openai(chat(model="bad-rescued", stream=stream)).status == 200
    weir.check()


def test_e4_silent_between_chunks(world):
    """E4: hangs between chunks: the in-stream error, then the end without a last chunk; what was seen is charged."""
    events = rig.openai_events(model="large")
    weir, _ = world((rig.STREAM_HEAD + b"".join(rig.chunk(e) for e in events[:3]), "stall"))
    answer = weir.openai(chat(model="bad-rescued", stream=True))
    assert answer.status == 200 and not answer.complete and b"[DONE]" not in answer.body
    assert "timeout" in json.dumps(json.loads(answer.events()[-1][1])["error"])
    assert line_of(weir, answer)["outcome"] == "failed" and float(line_of(weir, answer)["cost_usd"]) > 0
    weir.check()


def test_e6_a_trickle_is_progress(world):
    """E6: trickles byte by byte for longer than the idle time: allowed, whole."""
    data = rig.stream_bytes(rig.openai_events(model="large"))
    pieces = [data[:-60]] + [piece for i in range(len(data) - 60, len(data)) for piece in (data[i : i + 1], 0.03)]
    weir, _ = world((pieces, "keep"))
    begin = time.monotonic()
    answer = weir.openai(chat(model="bad", stream=True))
    assert answer.complete and answer.events()[-1][1] == b"[DONE]" and time.monotonic() - begin < 6
    weir.check()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_e22_refused_calls_are_not_repeated_there(world, status):
    """E22: 401, 403, 400, 404, 422: never asked twice; ours alone (401, 403) is a 502, the client's own passes."""
    weir, bad = world((rig.whole(rig.error_body("no", "invalid_request_error"), status), "keep"))
    answer = weir.openai(chat(model="bad"))
    assert answer.status == (502 if status in (401, 403) else status) and len(bad.requests) == 1
    assert float(line_of(weir, answer)["cost_usd"]) == 0
    weir.check()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_e23_redirects_are_not_followed(world, status):
    """E23: a redirect to another host or a metadata address: not followed, 502 upstream_redirect, no connection to its target."""
    with swarm.Upstream(lambda request: b"") as target:
        for to in (f"{target.url}/v1/chat/completions", f"//127.0.0.1:{target.port}/", "http://169.254.169.254/latest/meta-data"):
            weir, bad = world((b"HTTP/1.1 %d X\r\nlocation: %s\r\ncontent-length: 0\r\n\r\n" % (status, to.encode()), "keep"))
            answer = weir.openai(chat(model="bad"))
            assert answer.status == 502 and answer.json()["error"]["code"] == "upstream_redirect", answer
            assert answer.header("location") is None and len(bad.requests) == 1
            assert weir.openai(chat(model="bad-rescued")).header("x-weir-provider") == "well"
            if to != "http://169.254.169.254/latest/meta-data":
                continue
            weir.check()
        assert target.raw == [], "nobody came"
