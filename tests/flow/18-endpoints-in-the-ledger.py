"""Calls that are no chat, in the ledger of a whole weir: the bill of the provider, path and units in the request log."""
import client


def test_embeddings_completions_and_raw_calls_are_on_the_bill(pair):
    weir, fakes = pair
    post = {"address": weir.address}
    assert client.call_openai(body={"model": "chat", "input": ["one", "two two"]}, path="/v1/embeddings", **post).status == 200
    assert client.call_openai(body={"model": "chat", "prompt": "count", "stream": True}, path="/v1/completions", **post).status == 200
    chat = {"model": "large", "messages": [{"role": "user", "content": "hello"}]}
    assert client.call_openai(body=chat, path="/p/fake-a/v1/chat/completions", **post).status == 200
    assert client.call_openai(body={"model": "chat", "input": "hello", "voice": "alloy"}, path="/v1/audio/speech", **post).status == 200
    weir.check(fakes)
    lines = {line["path"]: line for line in weir.log_lines() if "path" in line}
    assert lines["/v1/embeddings"]["gen_ai.usage.input_tokens"] == 3
    assert lines["/v1/audio/speech"]["usage.units"] == 5
