"""Hosts that are known by name: asked in OpenAI's chat completions with a bearer key, and in Responses only where they answer that themselves."""
import hashlib
import json

import processes
import pytest
import rig
import swarm
from client import Connection
from gateway import CANARY, configuration

CLIENTS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi [[fake:words=3]]"}]},
    "/v1/messages": {"messages": [{"role": "user", "content": "hi [[fake:words=3]]"}], "max_tokens": 64},
    "/v1/responses": {"input": "hi [[fake:words=3]]"},
}


@pytest.fixture
def world(start_fakes, start_weir):
    """weir before one fake that stands for all of them; a provider's name is its type, but for `told`: groq that answers Responses after all."""
    fake = start_fakes("fake-a")["fake-a"]
    names = ["groq", "deepseek", "xai", "mistral", "told"]
    config = configuration({name: ("groq" if name == "told" else name, fake) for name in names}, {n: {"targets": [{"model": f"{n}/large"}]} for n in names})
    for provider in config["providers"].values():
        provider["base_url"] = fake.url + "/openai/v1"  # whole, as groq's is
    config["providers"]["told"]["responses"] = "native"
    return start_weir(config), fake


def test_what_each_is_asked_in(world):
    weir, fake = world
    for route in ("groq", "deepseek", "xai", "mistral", "told"):
        for path, body in CLIENTS.items():
            with Connection(weir.address) as c:
                answer = c.request("POST", path, {"model": route, **body}, {"authorization": "Bearer k", "anthropic-version": "2023-06-01"})
            assert answer.status == 200, (route, path, answer.body)
            asked = fake.calls()[-1]
            native = path == "/v1/responses" and route in ("xai", "told")
            assert asked["path"] == "/openai/v1" + ("/responses" if native else "/chat/completions"), (route, path)
            assert json.loads(asked["body"])["model"] == "large"
            key = hashlib.sha256(f"{CANARY}-{route}".encode()).hexdigest()[:8]  # as weir-fake logs it
            assert ["Authorization", f"sha256:{key}"] in asked["headers"] and answer.header("x-weir-provider") == route


COHERE = {"id": "x", "message": {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}, "finish_reason": "COMPLETE",
          "usage": {"billed_units": {"input_tokens": 5, "output_tokens": 2}}}
OLLAMA = {"model": "large", "created_at": "2026-11-27T10:00:00Z", "message": {"role": "assistant", "content": "hello"}, "done": True,
          "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 2}


def post(weir, path, body):
    with Connection(weir.address) as c:
        return c.request("POST", path, body, {"authorization": "Bearer k", "anthropic-version": "2023-06-01"})


def test_cohere_and_ollama_in_their_own_words(start_fakes, start_weir):
    """Their clients reach an OpenAI provider; at their own hosts only who speaks neither is translated, and what was counted stands in the ledger."""
    def answer(request):
        path = request.head.split(b" ", 2)[1].decode()
        asked.append(path)
        return rig.whole({"/v2/chat": COHERE, "/api/chat": OLLAMA}.get(path) or rig.completion(model="large"))

    asked, fake = [], start_fakes("fake-a")["fake-a"]
    with swarm.Upstream(answer) as upstream:
        config = configuration({"fake-a": ("openai", fake)}, {n: {"targets": [{"model": f"{n}/large"}]} for n in ("fake-a", "cohere", "ollama")})
        for name, base in (("cohere", "/compatibility/v1"), ("ollama", "/v1")):
            config["providers"][name] = {"type": name, "base_url": upstream.url + base, "api_key": CANARY}
            config["models"][f"{name}/large"] = {"price": {"input": 1, "output": 1}}
        weir = start_weir(config)
        hi = {"model": "fake-a", "messages": [{"role": "user", "content": "hi"}]}
        assert "as openai" in post(weir, "/v2/chat", {**hi, "stream": False}).json()["message"]["content"][0]["text"]
        lines = [json.loads(line) for line in post(weir, "/api/chat", hi).body.splitlines()]
        assert len(lines) > 3 and [line["done"] for line in lines].count(True) == 1 and lines[-1]["eval_count"] > 0
        assert post(weir, "/api/chat", {"model": "nobody", "messages": []}).json()["error"].startswith("weir: ")
        for route, own in (("cohere", "/v2/chat"), ("ollama", "/api/chat")):
            assert post(weir, own, {**hi, "model": route, "stream": False}).json() == (COHERE if route == "cohere" else OLLAMA)
            assert post(weir, "/v1/messages", {**hi, "model": route, "max_tokens": 9}).json()["content"] == [{"type": "text", "text": "hello"}]
            assert post(weir, "/v1/chat/completions", {**hi, "model": route}).status == 200
            assert asked[-3:] == [own, own, "/compatibility/v1/chat/completions" if route == "cohere" else "/v1/chat/completions"]
            rows = processes.wait_until(lambda: len(found := [line for line in weir.log_lines() if line["route"] == route]) == 3 and found, 5, "three lines")
            assert sorted((r["gen_ai.usage.input_tokens"], r["gen_ai.usage.output_tokens"]) for r in rows) == [(5, 2), (5, 2), (10, 5)], rows


HOSTS = ["mistral", "groq", "deepseek", "xai", "cerebras", "moonshot", "zai", "nvidia", "together", "perplexity"]
TOOL = {"type": "function", "function": {"name": "look", "description": "d", "strict": True, "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}}
FULL = {"max_completion_tokens": 300, "temperature": 1.3, "store": False, "user": "u", "presence_penalty": 0, "frequency_penalty": 0, "seed": 7,
        "service_tier": "auto", "logit_bias": {"1": 1}, "reasoning_effort": "medium", "tools": [TOOL], "tool_choice": "required",
        "parallel_tool_calls": False, "messages": [
            {"role": "developer", "content": "be brief"}, {"role": "user", "name": "bo", "content": "look"},
            {"role": "assistant", "content": None, "refusal": None, "annotations": [], "reasoning_content": "hm",
             "tool_calls": [{"id": "call_0123456789abcdef", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "call_0123456789abcdef", "content": "seen"},
            {"role": "user", "content": "and? [[fake:words=4]] [[fake:reasoning]] [[fake:cached=5]] [[fake:no-tool]]"}]}
TEXT = {"/v1/chat/completions": lambda a: a["choices"][0]["message"]["content"], "/v1/messages": lambda a: a["content"][-1]["text"],
        "/v1/responses": lambda a: a["output"][-1]["content"][0]["text"]}


def test_strict_hosts_take_what_openai_takes(start_fakes, start_weir):
    """Each host as a strict fake of itself: what OpenAI's client sends with every field, and what other clients send, is never refused;
    thoughts and usage come whole, however the host spells them."""
    fakes = start_fakes({host: ["--as", host] for host in HOSTS})
    config = configuration({host: (host, fakes[host]) for host in HOSTS}, {host: {"targets": [{"model": f"{host}/{'kimi-k3' if host == 'moonshot' else 'large'}"}]} for host in HOSTS})
    config["models"]["moonshot/kimi-k3"] = config["models"]["moonshot/large"]
    for host in HOSTS:
        config["providers"][host]["base_url"] = fakes[host].url + ("" if host == "perplexity" else "/v1")
    weir, failed = start_weir(config), []
    prompt = "hi [[fake:words=4]] [[fake:reasoning]] [[fake:cached=5]]"
    asked = [("/v1/chat/completions", FULL), ("/v1/messages", {"max_tokens": 200, "messages": [{"role": "user", "content": prompt}]}),
             ("/v1/responses", {"input": prompt, "store": False})]
    for host in HOSTS:
        for path, body in asked:
            for stream in (False, True):
                answer = post(weir, path, {"model": host, "stream": stream, **body})
                if answer.status != 200 or not answer.complete:
                    failed.append((host, path, stream, answer.status, answer.body[:300]))
                elif path == "/v1/messages" and not stream:
                    kinds = [block["type"] for block in answer.json()["content"]]
                    if kinds != ["thinking", "text"]:
                        failed.append((host, kinds))
                elif not stream and path == "/v1/chat/completions" and host != "perplexity" and answer.header("x-weir-loss") is None and host != "deepseek":
                    failed.append((host, "nothing was named as lost"))
    assert failed == []
    weir.check(fakes)
