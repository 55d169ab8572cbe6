"""A provider's stream cut at every event boundary and every 7th byte, each client dialect with each provider dialect, through the whole
program: never a clean end; before the first content only the fallback's answer is seen."""
import json

import client
import pytest
from client import ANTHROPIC_HEADERS, OPENAI_HEADERS, Connection, chat, messages
from gateway import configuration

PROMPT = "cut [[fake:words=12]]"  # 12 words: a short stream, as every byte position is a call
PATHS = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Fakes a-openai, a-anthropic (which are cut) and b (the fallback); routes alone-KIND and rescued-KIND."""
    import gateway
    import provider

    folder = tmp_path_factory.mktemp("cuts")
    fakes = provider.Fakes(folder / "fakes", ["a-openai", "a-anthropic", "b"])
    kinds = {"a-openai": "openai", "a-anthropic": "anthropic", "b": "openai"}
    quiet = {"circuit_breaker": {"failures": 0}}
    routes = {}
    for kind in ("openai", "anthropic"):
        targets = [{"model": f"a-{kind}/large"}]
        routes[f"alone-{kind}"] = {"targets": targets, **quiet}
        routes[f"rescued-{kind}"] = {"targets": targets, "fallbacks": ["b/large"], **quiet}
    weir = gateway.Gateway(folder / "weir", configuration({n: (k, fakes[n]) for n, k in kinds.items()}, routes)).start()
    yield weir, fakes
    try:
        weir.check()
    finally:
        weir.stop()
        fakes.stop()


def ask(connection, dialect, model):
    body = (chat if dialect == "openai" else messages)(PROMPT, model=model, stream=True)
    return connection.request("POST", PATHS[dialect], body, OPENAI_HEADERS if dialect == "openai" else ANTHROPIC_HEADERS)


def points(fake, kind):
    """Where the provider's own stream can be cut before its terminal event: (bytes, "told so far holds content")."""
    body = (chat if kind == "openai" else messages)(PROMPT, model="large", stream=True)
    if kind == "openai":
        body["stream_options"] = {"include_usage": True}
    with Connection(fake.address) as c:
        whole = c.request("POST", PATHS[kind], body, OPENAI_HEADERS if kind == "openai" else ANTHROPIC_HEADERS).body
    ends = [i + 2 for i in range(len(whole) - 1) if whole[i : i + 2] == b"\n\n"]
    first = next(e for e in ends if b"answered" in whole[:e])
    terminal = ends[-2]
    return sorted(set(ends[:-1]) | set(range(0, terminal, 7))), first


def has_honest_error(answer, dialect):
    events = answer.events()
    if dialect == "anthropic":
        return bool(events) and events[-1][0] == "error" and json.loads(events[-1][1])["type"] == "error"
    return bool(events) and "error" in json.loads(events[-1][1])


def text(answer, dialect):
    return (client.openai_text if dialect == "openai" else client.anthropic_text)(answer)


def is_clean(answer, dialect):
    return any(data == b"[DONE]" or name == "message_stop" for name, data in answer.events())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_never_a_clean_end_without_a_fallback(world, dialect, kind):
    weir, fakes = world
    fake = fakes[f"a-{kind}"]
    cuts, first = points(fake, kind)
    assert len(cuts) > 200
    for at in cuts:
        fault = fake.fault(keep_bytes=at, end="fin")
        with Connection(weir.address) as c:
            answer = ask(c, dialect, f"alone-{kind}")
        fake.clear(fault)
        assert not is_clean(answer, dialect), (at, answer)
        if at >= first:
            assert answer.status == 200 and has_honest_error(answer, dialect), (at, answer)
        else:
            assert answer.status in (502, 200), (at, answer)
            if answer.status == 502:
                assert "error" in answer.json()
            else:
                assert has_honest_error(answer, dialect), (at, answer)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["openai", "anthropic"])
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_before_the_first_content_only_the_fallback_is_seen(world, dialect, kind):
    weir, fakes = world
    fake = fakes[f"a-{kind}"]
    cuts, first = points(fake, kind)
    rescued = 0
    for at in cuts:
        fault = fake.fault(keep_bytes=at, end="fin")
        with Connection(weir.address) as c:
            answer = ask(c, dialect, f"rescued-{kind}")
        fake.clear(fault)
        said = text(answer, dialect)
        if at < first:
            assert client.is_whole(answer) and "answered by b," in said and "a-" not in said, (at, answer)
            rescued += 1
        else:
            assert has_honest_error(answer, dialect) and "answered by b," not in said, (at, answer)
    assert rescued > 20
