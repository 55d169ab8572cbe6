"""A provider's stream cut at every event boundary and every 7th byte before its terminal event, by FIN and by RST, for each client dialect
with each provider dialect: never a clean end; before the first content only the fallback's answer is seen; each attempt in the ledger."""
import json
import re

import pytest

import processes
import rig
import swarm
from client import chat, messages
from gateway import configuration

PATHS = {"openai": b"/v1/chat/completions", "anthropic": b"/v1/messages"}
WORDS = ("one ", "two ", "three")
QUIET = {"circuit_breaker": {"failures": 0}, "timeout": {"first_token": "5s", "idle": "5s"}}


def events_of(kind, words=WORDS):
    return rig.openai_events(words, model="large") if kind == "openai" else rig.anthropic_events(words)


def wire(kind):
    """The provider's bytes, the places to cut them at (all before its terminal event is whole), and where its first content ends."""
    events = events_of(kind)
    data, ends = rig.STREAM_HEAD, [len(rig.STREAM_HEAD)]
    first = None
    for event in events:
        data += rig.chunk(event)
        ends.append(len(data))
        if first is None and WORDS[0].encode() in event:
            first = len(data) - 2  # the chunk's own line end need not be there
    terminal = ends[-2]
    return data, sorted({e for e in ends if e <= terminal} | set(range(0, terminal, 7))), first


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Upstreams a-openai and a-anthropic, cut as the call says, and b, which is well; routes alone-KIND and rescued-KIND."""
    import gateway

    cuts = {}

    def cut(request):
        _, kind, at, end = re.search(rb"cut (\w+) (\d+) (\w+)", request.body).group(0).decode().split()
        return cuts.setdefault(kind, wire(kind)[0])[: int(at)], end

    def well(request):
        return rig.stream_bytes(events_of("openai", ["RESCUED"]))

    with swarm.Upstream(cut) as a, swarm.Upstream(cut) as c, swarm.Upstream(well) as b:
        routes = {}
        for kind in PATHS:
            targets = [{"model": f"a-{kind}/large"}]
            routes[f"alone-{kind}"] = {"targets": targets, **QUIET}
            routes[f"rescued-{kind}"] = {"targets": targets, "fallbacks": ["b/large"], **QUIET}
        config = configuration({"a-openai": ("openai", a), "a-anthropic": ("anthropic", c), "b": ("openai", b)}, routes)
        weir = gateway.Gateway(tmp_path_factory.mktemp("cuts") / "weir", config).start()
        weir.seen = 0
        yield weir
        weir.check(next_call=False)
        weir.stop()


def text_of(body, dialect):
    """The text in a stream, its events' names, and its last event's data."""
    text, names, last = "", [], None
    for block in body.decode().split("\n\n"):
        data = "".join(line[6:] for line in block.split("\n") if line.startswith("data: "))
        if not data:
            continue
        last = data
        if data == "[DONE]":
            names.append("[DONE]")
            continue
        event = json.loads(data)
        names.append(event.get("type", "error" if "error" in event else "chunk"))
        if dialect == "openai":
            text += "".join(c["delta"].get("content") or "" for c in event.get("choices", []))
        elif event["type"] == "content_block_delta":
            text += event["delta"]["text"]
    return text, names, last


@pytest.mark.parametrize("end", ["fin", "rst"])
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_cut_everywhere(world, dialect, kind, end):
    """E5: the provider's side closes in the middle of the body: in-stream error, then the end without a last chunk; never a clean one."""
    weir = world
    _, places, first = wire(kind)
    asks, inputs = [], []
    for route in ("alone", "rescued"):
        for at in places:
            body = (chat if dialect == "openai" else messages)(f"cut {kind} {at} {end}", model=f"{route}-{kind}", stream=True)
            body = json.dumps(body).encode()
            inputs.append(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (PATHS[dialect], len(body), body))
            asks.append((route, at))
    seen = len(weir.log_lines())
    ids, rescued, broken, refused = {}, 0, 0, 0
    for (route, at), outcome in zip(asks, swarm.exchange_all(weir.address, inputs, quiet=0.05, hang=30)):
        [reply] = outcome.replies
        where = (route, at, reply, reply.body[-300:])
        ids[reply.get("x-request-id")] = (route, at, reply)
        assert outcome.ended != "hang", where
        if reply.status != 200:
            assert route == "alone" and reply.status == 502 and reply.complete and "error" in json.loads(reply.body), where
            assert end == "rst" or at < first, where
            refused += 1
            continue
        text, names, last = text_of(reply.body, dialect)
        if text == "RESCUED":
            assert route == "rescued" and reply.complete and reply.get("x-weir-provider") == "b", where
            assert names[-1] == ("[DONE]" if dialect == "openai" else "message_stop"), where
            rescued += 1
            continue
        broken += 1
        assert "RESCUED" not in text and text and "".join(WORDS).startswith(text), where
        assert not reply.complete and "[DONE]" not in names and "message_stop" not in names, where
        assert names[-1] == "error" and "error" in json.loads(last), where
        assert at >= first, where
    count = len([p for p in places if p < first])
    if end == "fin":
        assert (rescued, refused) == (count, count), (rescued, refused, count)
    assert rescued >= count and broken > 50

    processes.wait_until(lambda: len(weir.log_lines()) >= seen + len(asks), 10, "the request lines")
    lines = {e["request_id"]: e for e in weir.log_lines()[seen:]}
    assert set(ids) == set(lines), "each call once"
    for request_id, (route, at, reply) in ids.items():
        line = lines[request_id]
        attempts = line["attempts"]
        where = (route, at, line)
        assert attempts[0]["target"] == f"a-{kind}/large", where
        assert attempts[0]["why"] in ("up_truncated", "up_reset"), where
        if reply.complete and reply.status == 200:
            assert line["outcome"] == "rescued" and [a["target"] for a in attempts[1:]] == ["b/large"] and "why" not in attempts[1], where
        else:
            assert line["outcome"] == "failed" and len(attempts) == 1 and line["error"]["type"] == attempts[0]["why"], where
            told = at >= places[-1] - 2  # the usage came before the cut
            assert line["cost_basis"] == ("computed" if told else "estimated") and float(line["cost_usd"]) > 0, where
    print(f"{dialect} <- {kind}, {end}: {len(asks)} streams, {rescued} rescued, {broken} ended with an error, {refused} answered 502")
