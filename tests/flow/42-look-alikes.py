"""Hosts that are known by name: asked in OpenAI's chat completions with a bearer key, and in Responses only where they answer that themselves."""
import hashlib
import json

import pytest
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
    names = ["groq", "deepseek", "xai", "cohere", "told"]
    config = configuration({name: ("groq" if name == "told" else name, fake) for name in names}, {n: {"targets": [{"model": f"{n}/large"}]} for n in names})
    for provider in config["providers"].values():
        provider["base_url"] = fake.url + "/openai/v1"  # whole, as groq's is
    config["providers"]["told"]["responses"] = "native"
    return start_weir(config), fake


def test_what_each_is_asked_in(world):
    weir, fake = world
    for route in ("groq", "deepseek", "xai", "cohere", "told"):
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
