"""Cohere and Ollama on both sides: what Ollama's clients ask before they chat, endpoints that are no chat, what answers rest on."""
import json

import pytest
from client import Connection, call_openai


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    import gateway
    import provider

    folder = tmp_path_factory.mktemp("small")
    fakes = provider.Fakes(folder / "fakes", ["co", "ol", "ge", "oa"])
    kinds = {"co": ("cohere", fakes["co"]), "ol": ("ollama", fakes["ol"]), "ge": ("gemini", fakes["ge"]), "oa": ("openai", fakes["oa"])}
    routes = {name: {"targets": [{"model": f"{name}/large"}]} for name in kinds}
    config = gateway.configuration(kinds, routes)
    config["providers"]["co"]["base_url"] = fakes["co"].url + "/compatibility/v1"
    weir = gateway.Gateway(folder / "weir", config).start()
    yield weir, fakes
    weir.stop()
    fakes.stop()


def ask(weir, path, body=None, method="POST"):
    data = b"" if body is None else json.dumps(body).encode()
    with Connection(weir.address) as conn:
        return conn.request(method, path, data, {"content-type": "application/json"})


def last_call(fake):
    return fake.calls()[-1]


def test_an_ollama_client_finds_the_models(world):
    weir, _ = world
    tags = ask(weir, "/api/tags", method="GET").json()["models"]
    assert {"co", "ol", "ge", "oa"} == {m["name"] for m in tags} == {m["model"] for m in tags}
    assert ask(weir, "/api/version", method="GET").json()["version"]
    for body in ({"model": "oa"}, {"model": "oa:latest"}, {"name": "oa"}):
        assert "completion" in ask(weir, "/api/show", body).json()["capabilities"]
    for body in ({"model": "nobody"}, {}, {"model": 5}):
        missing = ask(weir, "/api/show", body)
        assert missing.status == 404 and "no such model" in missing.json()["error"]


def test_embeddings_of_three_vendors(world):
    weir, fakes = world
    got = ask(weir, "/api/embed", {"model": "ol", "input": ["one", "two two"]})
    assert got.status == 200 and len(got.json()["embeddings"]) == 2 and got.json()["prompt_eval_count"] == 3
    assert last_call(fakes["ol"])["path"] == "/api/embed"
    got = ask(weir, "/v2/embed", {"model": "co", "texts": ["one"], "input_type": "search_query", "embedding_types": ["float"]})
    assert got.status == 200 and len(got.json()["embeddings"]["float"]) == 1
    assert last_call(fakes["co"])["path"] == "/v2/embed"
    refused = ask(weir, "/v2/embed", {"model": "co", "texts": ["one"]})
    assert refused.status == 400 and "input_type" in refused.json()["message"]
    got = ask(weir, "/v1/embeddings", {"model": "ge", "input": ["one", "two two"], "dimensions": 3})
    assert got.status == 200 and [len(v["embedding"]) for v in got.json()["data"]] == [3, 3] and got.json()["usage"]["prompt_tokens"] == 3
    assert last_call(fakes["ge"])["path"].endswith("/models/large:batchEmbedContents")
    weir.check(fakes)


def test_rerank_at_cohere_has_its_own_path(world):
    weir, fakes = world
    asked = {"model": "co", "query": "q", "documents": ["a", "b"], "top_n": 1}
    for path in ("/v1/rerank", "/v2/rerank"):
        got = ask(weir, path, asked)
        assert got.status == 200 and len(got.json()["results"]) == 1
        assert last_call(fakes["co"])["path"] == "/v2/rerank"
    elsewhere = ask(weir, "/v1/rerank", {**asked, "model": "oa"})
    assert elsewhere.status == 200 and last_call(fakes["oa"])["path"] == "/v1/rerank"


def test_what_has_no_form_for_a_citation_says_so(world):
    weir, fakes = world
    cited = {"type": "url_citation", "url_citation": {"url": "https://a.example/", "title": "A", "start_index": 0, "end_index": 2}}
    message = {"role": "assistant", "content": "So.", "annotations": [cited]}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
              "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    fakes["oa"].fault(text="cite", times=2, body=answer)
    turn = [{"role": "user", "content": "cite"}]
    lost = ask(weir, "/api/chat", {"model": "oa", "stream": False, "messages": turn})
    assert lost.json()["message"]["content"] == "So." and lost.header("x-weir-loss") == "citations"
    kept = ask(weir, "/v2/chat", {"model": "oa", "messages": turn})
    assert kept.json()["message"]["citations"][0]["sources"][0]["document"]["url"] == "https://a.example/"
    assert kept.header("x-weir-loss") is None
    assert call_openai(weir.address, {"model": "oa", "messages": turn}).status == 200
