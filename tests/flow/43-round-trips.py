"""A conversation begun at one provider, continued at another when the first one fails, and taken back again: each client dialect, each
ordered pair of provider dialects, with tools and with thinking. No provider ever refuses what another one's turn became."""
import itertools
import json

import pytest
from client import Connection

MODELS = {
    "oa": ("openai", "gpt-5"), "re": ("openai", "gpt-5"), "an": ("anthropic", "claude-sonnet-4-6"), "ge": ("gemini", "gemini-3-flash"),
    "be": ("bedrock", "us.amazon.nova-2-lite-v1:0"), "cl": ("bedrock", "us.anthropic.claude-sonnet-4-6-v1:0"),
}
PAIRS = list(itertools.permutations(MODELS, 2))
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
FIRST, THEN = "Weather? [[fake:reasoning]]", "And what do you make of it? [[fake:no-tool]]"
RESULT = "minus three"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    import gateway
    import provider

    folder = tmp_path_factory.mktemp("trips")
    fakes = provider.Fakes(folder / "fakes", list(MODELS))
    routes = {
        f"{a}-{b}": {
            "targets": [{"model": f"{a}/{MODELS[a][1]}"}], "fallbacks": [f"{b}/{MODELS[b][1]}"], "circuit_breaker": {"failures": 0},
        }
        for a, b in PAIRS
    }
    config = gateway.configuration({n: (kind, fakes[n]) for n, (kind, _) in MODELS.items()}, routes)
    config["providers"]["oa"]["responses"], config["providers"]["re"]["responses"] = "translated", "native"
    config["providers"]["ge"]["base_url"] = fakes["ge"].url + "/v1beta"
    weir = gateway.Gateway(folder / "weir", config).start()
    yield weir, fakes
    weir.stop()
    fakes.stop()


class OpenAI:
    def __init__(self, model, thinks):
        self.body = {"model": model, "messages": [], "tools": [{"type": "function", "function": {"name": "get_temp", "parameters": SCHEMA}}]}
        if thinks:
            self.body["reasoning_effort"] = "medium"

    def path(self):
        return "/v1/chat/completions"

    def say(self, text):
        self.body["messages"].append({"role": "user", "content": text})

    def take(self, answer):
        """Keeps the assistant's turn as it came; the ids of its calls, and its text."""
        message = answer["choices"][0]["message"]
        self.body["messages"].append({k: v for k, v in message.items() if v is not None and k not in ("refusal", "annotations")})
        return [c["id"] for c in message.get("tool_calls") or []], message.get("content") or ""

    def results(self, ids):
        self.body["messages"] += [{"role": "tool", "tool_call_id": i, "content": RESULT} for i in ids]


class Responses(OpenAI):
    def __init__(self, model, thinks):
        self.body = {"model": model, "input": [], "store": False, "include": ["reasoning.encrypted_content"]}
        self.body["tools"] = [{"type": "function", "name": "get_temp", "parameters": SCHEMA, "strict": False}]
        if thinks:
            self.body["reasoning"] = {"effort": "medium", "summary": "auto"}

    def path(self):
        return "/v1/responses"

    def say(self, text):
        self.body["input"].append({"role": "user", "content": text})

    def take(self, answer):
        self.body["input"] += answer["output"]
        text = "".join(c.get("text", "") for o in answer["output"] if o["type"] == "message" for c in o["content"])
        return [o["call_id"] for o in answer["output"] if o["type"] == "function_call"], text

    def results(self, ids):
        self.body["input"] += [{"type": "function_call_output", "call_id": i, "output": RESULT} for i in ids]


class Anthropic(OpenAI):
    def __init__(self, model, thinks):
        self.body = {"model": model, "max_tokens": 3000, "messages": [], "tools": [{"name": "get_temp", "input_schema": SCHEMA}]}
        if thinks:
            self.body["thinking"] = {"type": "adaptive", "display": "summarized"}

    def path(self):
        return "/v1/messages"

    def take(self, answer):
        self.body["messages"].append({"role": "assistant", "content": answer["content"]})
        of = lambda kind: [b for b in answer["content"] if b["type"] == kind]  # noqa: E731
        return [b["id"] for b in of("tool_use")], "".join(b["text"] for b in of("text"))

    def results(self, ids):
        content = [{"type": "tool_result", "tool_use_id": i, "content": RESULT} for i in ids]
        self.body["messages"].append({"role": "user", "content": content})


class Gemini(OpenAI):
    def __init__(self, model, thinks):
        self.model, self.body = model, {"contents": []}
        self.body["tools"] = [{"functionDeclarations": [{"name": "get_temp", "parametersJsonSchema": SCHEMA}]}]
        if thinks:
            self.body["generationConfig"] = {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "MEDIUM"}}

    def path(self):
        return f"/v1beta/models/{self.model}:generateContent"

    def say(self, text):
        self.body["contents"].append({"role": "user", "parts": [{"text": text}]})

    def take(self, answer):
        content = answer["candidates"][0]["content"]
        self.body["contents"].append(content)
        text = "".join(p.get("text", "") for p in content["parts"] if not p.get("thought"))
        return [p["functionCall"].get("id") for p in content["parts"] if "functionCall" in p], text

    def results(self, ids):
        parts = [{"functionResponse": {**({"id": i} if i else {}), "name": "get_temp", "response": {"output": RESULT}}} for i in ids]
        self.body["contents"].append({"role": "user", "parts": parts})


class Converse(OpenAI):
    def __init__(self, model, thinks):
        self.model, self.body = model, {"messages": []}
        self.body["toolConfig"] = {"tools": [{"toolSpec": {"name": "get_temp", "inputSchema": {"json": SCHEMA}}}]}
        if thinks:
            self.body["additionalModelRequestFields"] = {"thinking": {"type": "adaptive"}}

    def path(self):
        return f"/model/{self.model}/converse"

    def say(self, text):
        self.body["messages"].append({"role": "user", "content": [{"text": text}]})

    def take(self, answer):
        message = answer["output"]["message"]
        self.body["messages"].append(message)
        return [b["toolUse"]["toolUseId"] for b in message["content"] if "toolUse" in b], "".join(b.get("text", "") for b in message["content"])

    def results(self, ids):
        content = [{"toolResult": {"toolUseId": i, "content": [{"text": RESULT}]}} for i in ids]
        self.body["messages"].append({"role": "user", "content": content})


CLIENTS = {"openai": OpenAI, "responses": Responses, "anthropic": Anthropic, "gemini": Gemini, "converse": Converse}


def call(connection, talk, provider):
    headers = {"authorization": "Bearer k", "anthropic-version": "2023-06-01"}
    answer = connection.request("POST", talk.path(), talk.body, headers)
    assert answer.status == 200, f"{provider}: {answer.status} {answer.body.decode()[:400]} for {json.dumps(talk.body)[-1500:]}"
    assert answer.header("x-weir-provider") == provider
    return talk.take(answer.json())


@pytest.mark.parametrize("thinks", [False, True], ids=["tools", "thinking"])
@pytest.mark.parametrize("client", CLIENTS)
def test_a_conversation_goes_from_one_provider_to_another_and_back(world, client, thinks):
    weir, fakes = world
    with Connection(weir.address) as c:
        for a, b in PAIRS:
            talk = CLIENTS[client](f"{a}-{b}", thinks)
            talk.say(FIRST)
            ids, _ = call(c, talk, a)
            assert len(ids) == 1, f"{a}: no call"
            talk.results(ids)
            fault = fakes[a].fault(times=1, status=500)
            _, text = call(c, talk, b)
            fakes[a].clear(fault)
            assert f"The tool said: {RESULT}" in text, f"{a} -> {b}: {text}"
            talk.say(THEN)
            ids, text = call(c, talk, a)
            assert not ids and f"answered by {a}" in text, f"{b} -> {a}: {text}"
