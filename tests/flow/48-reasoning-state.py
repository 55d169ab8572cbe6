"""A conversation brings back thoughts that the provider will not take: of another account, of another provider before weir stood there, or
half of an item. The same target is asked once more without them, and the client is told what was left out."""
import json

import pytest
from client import Connection
from gateway import configuration

TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "get_temp", "arguments": '{"city":"Oslo"}'}
RESULT = {"type": "function_call_output", "call_id": "call_1", "output": "minus three"}
RESPONSES = {"store": False, "tools": [{"type": "function", "name": "get_temp", "parameters": TOOL, "strict": True}], "include": ["reasoning.encrypted_content"]}
THINKING = {"max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}, "tools": [{"name": "get_temp", "input_schema": TOOL}]}
USED, ANSWERED = {"type": "tool_use", "id": "toolu_1", "name": "get_temp", "input": {"city": "Oslo"}}, {"type": "tool_result", "tool_use_id": "toolu_1", "content": "minus three"}

CASES = {
    "another account's": ("/v1/responses", "re", {**RESPONSES, "input": [
        {"role": "user", "content": "Weather?"}, {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAABOther"}, CALL, RESULT]}),
    "an item that was not stored": ("/v1/responses", "re", {**RESPONSES, "input": [
        {"role": "user", "content": "Weather?"}, {"type": "reasoning", "id": "rs_1", "summary": []}, CALL, RESULT]}),
    "a signature of nobody's": ("/v1/messages", "an", {**THINKING, "messages": [
        {"role": "user", "content": "Weather?"}, {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "AAAA"}, USED]},
        {"role": "user", "content": [ANSWERED]}]}),
    "Gemini's, spoilt": ("/v1beta/models/ge:generateContent", "ge", {"tools": [{"functionDeclarations": [{"name": "get_temp", "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}}}]}], "contents": [
        {"role": "user", "parts": [{"text": "Weather?"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "get_temp", "args": {"city": "Oslo"}}, "thoughtSignature": "c3BvaWx0"}]},
        {"role": "user", "parts": [{"functionResponse": {"name": "get_temp", "response": {"output": "minus three"}}}]}]}),
    "carried through another dialect": ("/v1/chat/completions", "an", {"reasoning_effort": "low", "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "signature": "AAAA", "id": "weir-foreign", "format": "anthropic-claude-v1"}],
         "tool_calls": [{"id": "toolu_1", "type": "function", "function": {"name": "get_temp", "arguments": '{"city":"Oslo"}'}}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "minus three"}], "tools": [{"type": "function", "function": {"name": "get_temp", "parameters": TOOL}}]}),
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    import gateway
    import provider

    folder = tmp_path_factory.mktemp("state")
    fakes = provider.Fakes(folder / "fakes", ["re", "an", "ge"])
    models = {"re": "openai/gpt-5", "an": "anthropic/claude-sonnet-4-6", "ge": "gemini/gemini-3-flash"}
    kinds = {n: (m.split("/")[0], fakes[n]) for n, m in models.items()}
    config = configuration(kinds, {n: {"targets": [{"model": f"{n}/{m.split('/')[1]}"}]} for n, m in models.items()})
    config["providers"]["re"]["responses"] = "native"
    config["providers"]["ge"]["base_url"] = fakes["ge"].url + "/v1beta"
    weir = gateway.Gateway(folder / "weir", config).start()
    yield weir, fakes
    weir.stop()
    fakes.stop()


def ask(weir, path, body):
    with Connection(weir.address) as c:
        return c.request("POST", path, json.dumps(body).encode(), [("content-type", "application/json")])


@pytest.mark.parametrize("name", CASES)
def test_once_more_without(world, name):
    weir, fakes = world
    path, provider, body = CASES[name]
    before = len(fakes[provider].calls())
    answer = ask(weir, path, {**body, **({} if provider == "ge" else {"model": provider})})
    assert answer.status == 200, answer.body
    assert b"minus three" in answer.body
    assert answer.header("x-weir-loss")
    assert answer.header("x-weir-attempts") == "2"
    assert len(fakes[provider].calls()) == before + 2


def test_only_once(world):
    weir, fakes = world
    refusal = {"error": {"message": "The encrypted content could not be verified.", "type": "invalid_request_error", "param": None, "code": "invalid_encrypted_content"}}
    fakes["re"].fault(status=400, body=refusal, times=5)
    before = len(fakes["re"].calls())
    answer = ask(weir, "/v1/responses", {"model": "re", "input": "x", "store": False})
    assert answer.status == 400 and json.loads(answer.body) == refusal
    assert len(fakes["re"].calls()) == before + 2
