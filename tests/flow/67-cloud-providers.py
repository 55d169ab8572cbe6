"""Providers behind a cloud's own access: URLs, bodies and credentials of Azure OpenAI and Vertex; several keys of one provider."""
import calendar
import email.utils
import hashlib
import hmac
import json
import re
import time
import urllib.parse

import pytest

import rig
import swarm
from client import Connection, chat, is_whole, messages
from processes import wait_until
from token_server import Issuer, TokenServer

SECRETS = ("sk-azure-canary-0123456789", "t1-canary", "s-entra-canary")
GEMINI = {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}],
          "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}, "modelVersion": "gemini-x"}


def header(request, name):
    found = re.search(rf"\r\n{name}: ([^\r]*)".encode(), request.head, re.I)
    return found and found.group(1).decode()


def path(request):
    return request.head.split(b" ", 2)[1].decode()


def config(provider, model="m", fallback=None, **more):
    found = {"version": 1, "providers": {"cloud": provider}, "routes": {"chat": {"targets": [{"model": f"cloud/{model}"}]}}, **more}
    if fallback is not None:
        found["providers"]["spare"] = fallback
        found["routes"]["chat"]["fallbacks"] = ["spare/m"]
    return found


def answers(request):
    if "/google/" in path(request):
        return rig.whole(GEMINI)
    if "/anthropic/" in path(request):
        return rig.whole(rig.message())
    return rig.whole(rig.completion(model="m"))


# ---- Azure ----


def test_azure_in_both_forms_of_its_urls(start_weir):
    with swarm.Upstream(answers) as upstream:
        both = config({"type": "azure", "base_url": upstream.url, "api_key": SECRETS[0], "deployments": {"m": "my-m"}})
        both["providers"]["dated"] = {"type": "azure", "base_url": upstream.url, "api_key": SECRETS[0], "api_version": "2024-10-21"}
        both["routes"]["old"] = {"targets": [{"model": "dated/gpt@x"}]}
        weir = start_weir(both)
        assert weir.openai(chat()).status == 200
        request = upstream.requests[-1]
        assert path(request) == "/openai/v1/chat/completions" and json.loads(request.body)["model"] == "my-m"
        assert header(request, "api-key") == SECRETS[0] and header(request, "authorization") is None
        assert weir.anthropic(messages(model="m")).status == 200, "by the name that people use"
        assert weir.openai(chat(model="old")).status == 200
        assert path(upstream.requests[-1]) == "/openai/deployments/gpt@x/chat/completions?api-version=2024-10-21"
        with Connection(weir.address) as client:
            for model, wanted in (("m", "/openai/v1/responses"), ("old", "/openai/responses?api-version=2024-10-21")):
                client.request("POST", "/v1/responses", json.dumps({"model": model, "input": "hi", "store": False}).encode())
                assert path(upstream.requests[-1]) == wanted
            for model, wanted in (("m", "/openai/v1/embeddings"), ("old", "/openai/deployments/gpt@x/embeddings?api-version=2024-10-21")):
                client.request("POST", "/v1/embeddings", json.dumps({"model": model, "input": "hi"}).encode())
                assert path(upstream.requests[-1]) == wanted
        both["routes"]["claude"] = {"targets": [{"model": "cloud/claude-x"}]}
        weir.configure(both)
        weir.cli("reload")
        assert weir.anthropic(messages(model="claude")).status == 200
        request = upstream.requests[-1]
        assert path(request) == "/anthropic/v1/messages" and json.loads(request.body)["model"] == "claude-x"
        assert header(request, "api-key") == SECRETS[0] and header(request, "anthropic-version") is not None
        weir.check(secrets=SECRETS)


def test_azures_filter_fields_pass_unharmed(start_weir):
    filters = {"hate": {"filtered": False, "severity": "safe"}}
    body = {**rig.completion(model="m"), "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": filters}]}
    body["choices"][0]["content_filter_results"] = filters
    first = {"id": "", "object": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": body["prompt_filter_results"]}
    stream = rig.stream_bytes([b"data: " + json.dumps(first).encode() + b"\n\n", *rig.openai_events()])
    refused = {"error": {"message": "triggering Azure OpenAI's content management policy", "type": None, "param": "prompt",
                         "code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}
    script = iter([rig.whole(body), stream, stream, rig.whole(refused, status=400)])
    with swarm.Upstream(lambda _: next(script)) as upstream:
        weir = start_weir(config({"type": "azure", "base_url": upstream.url, "api_key": SECRETS[0]}))
        assert weir.openai(chat()).json() == body
        events = weir.openai(chat(stream=True)).events()
        assert any(b"prompt_filter_results" in data for _, data in events)
        assert weir.anthropic(messages(stream=True)).status == 200
        answer = weir.openai(chat())
        assert answer.status == 400 and answer.json()["error"]["code"] == "content_filter"
        assert "innererror" in answer.json()["error"]


def test_azure_with_a_token_of_entra(start_weir):
    with TokenServer(Issuer(life_s=3600)) as issuer, swarm.Upstream(answers) as upstream:
        weir = start_weir(config({"type": "azure", "base_url": upstream.url, "tenant_id": "ten", "client_id": "app",
                                  "client_secret": SECRETS[2], "token_url": issuer.url}))
        assert weir.openai(chat()).status == 200, "the first call already finds the token"
        assert header(upstream.requests[-1], "authorization") == "Bearer t1" and header(upstream.requests[-1], "api-key") is None
        assert issuer.requests[0].form["scope"] == "https://ai.azure.com/.default"
        row = weir.json("providers")["rows"][0]
        assert row["state"] != "auth_error" and row["key"].startswith("client secret, 5")
        assert weir.metrics()['weir_provider_credential_valid{provider="cloud"}'] == 1
        weir.check(secrets=SECRETS)


# ---- Vertex ----


def vertex(upstream, **more):
    return {"type": "vertex", "base_url": upstream.url, "project": "p-1", "location": "europe-west4", **more}


def test_vertex_with_gemini_and_with_claude(start_weir):
    with TokenServer(lambda r: (*Issuer()(r), {"Metadata-Flavor": "Google"})) as issuer, swarm.Upstream(answers) as upstream:
        two = config(vertex(upstream, metadata_url=issuer.url), "gemini-x")
        two["routes"]["claude"] = {"targets": [{"model": "cloud/claude-x@20260101"}]}
        weir = start_weir(two)
        base = "/v1/projects/p-1/locations/europe-west4/publishers"
        assert weir.openai(chat()).status == 200
        request = upstream.requests[-1]
        assert path(request) == base + "/google/models/gemini-x:generateContent"
        assert header(request, "authorization") == "Bearer t1" and "contents" in json.loads(request.body)

        asked = {"max_tokens": 5, "model": "claude", "messages": [{"role": "user", "content": "hi"}]}
        beta = [("anthropic-beta", "context-1m-2025-08-07"), ("anthropic-version", "2023-06-01")]
        answer = weir.anthropic(asked, path="/v1/messages?beta=true", headers=beta)
        assert answer.status == 200 and answer.json() == rig.message()
        request = upstream.requests[-1]
        assert path(request) == base + "/anthropic/models/claude-x@20260101:rawPredict"
        assert json.loads(request.body) == {"max_tokens": 5, "messages": asked["messages"], "anthropic_version": "vertex-2023-10-16"}
        assert header(request, "anthropic-beta") == beta[0][1] and header(request, "anthropic-version") is None

        assert weir.openai(chat(model="claude")).status == 200
        body = json.loads(upstream.requests[-1].body)
        assert body["anthropic_version"] == "vertex-2023-10-16" and "model" not in body
        weir.openai(chat(model="claude", stream=True))
        assert path(upstream.requests[-1]).endswith(":streamRawPredict") and json.loads(upstream.requests[-1].body)["stream"] is True


# ---- Bedrock ----

HOST_COUNTS = {"count-tokens:rawPredict": {"input_tokens": 11}, "/count-tokens": {"inputTokens": 12}, ":countTokens": {"totalTokens": 13}}
KEYS = {"access_key_id": "AKIAFLOW", "secret_access_key": "aws-canary/secret+key", "region": "eu-west-1"}
CONVERSE = {"output": {"message": {"role": "assistant", "content": [{"text": "hello"}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 5, "outputTokens": 2, "totalTokens": 7}, "metrics": {"latencyMs": 1}}


def signature(request, secret, region, host):
    """AWS Signature Version 4 computed by the rules alone, over what arrived."""
    scheme, _, rest = header(request, "authorization").partition(" ")
    parts = dict(p.strip().split("=", 1) for p in rest.split(","))
    scope = parts["Credential"].split("/")
    assert scheme == "AWS4-HMAC-SHA256" and scope[2:] == [region, "bedrock", "aws4_request"]
    names = parts["SignedHeaders"].split(";")
    assert names == sorted(names) and {"host", "x-amz-date"} <= set(names) and header(request, "host") == host
    assert "content-type" in names or not request.body
    where, _, query = path(request).partition("?")
    canonical = "\n".join([request.head.split(b" ", 1)[0].decode(), urllib.parse.quote(where, safe="/-_.~"), query,
                           *(f"{n}:{header(request, n)}" for n in names), "", ";".join(names), hashlib.sha256(request.body).hexdigest()])
    date = header(request, "x-amz-date")
    to_sign = "\n".join([scheme, date, "/".join(scope[1:]), hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (date[:8], region, "bedrock", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    assert parts["Signature"] == hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    return scope[0]


def test_clouds_count_the_tokens_of_their_claude(start_weir):
    def answer(request):
        return rig.whole(next((said for end, said in HOST_COUNTS.items() if path(request).endswith(end)), rig.message()))

    def count(weir, model):
        body = {"model": model, "system": "Be brief.", "messages": [{"role": "user", "content": "hi"}]}
        with Connection(weir.address) as client:
            one = client.request("POST", "/v1/messages/count_tokens", json.dumps(body).encode()).json()
            inside = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
            other = client.request("POST", f"/v1beta/models/{model}:countTokens", json.dumps(inside).encode()).json()
        return one["input_tokens"], other["totalTokens"]

    with TokenServer(lambda r: (*Issuer()(r), {"Metadata-Flavor": "Google"})) as issuer, swarm.Upstream(answer) as upstream:
        both = config(vertex(upstream, metadata_url=issuer.url), "claude-x@20260101")
        both["providers"]["aws"] = {"type": "bedrock", "base_url": upstream.url, **KEYS}
        both["routes"]["aws"] = {"targets": [{"model": "aws/eu.anthropic.claude-x-v1:0"}]}
        both["routes"]["nova"] = {"targets": [{"model": "aws/amazon.nova-x-v1:0"}]}
        weir = start_weir(both)
        assert count(weir, "chat") == (11, 11)
        for request in upstream.requests:
            assert path(request) == "/v1/projects/p-1/locations/europe-west4/publishers/anthropic/models/count-tokens:rawPredict"
            body = json.loads(request.body)
            assert body["model"] == "claude-x@20260101" and body["anthropic_version"] == "vertex-2023-10-16" and "max_tokens" not in body
        upstream.requests.clear()
        assert count(weir, "aws") == (12, 12)
        for request in upstream.requests:
            assert path(request) == "/model/eu.anthropic.claude-x-v1%3A0/count-tokens"
            signature(request, KEYS["secret_access_key"], "eu-west-1", upstream.url.removeprefix("http://"))
            [inside] = json.loads(request.body)["input"].items()
            assert inside[0] == "converse" and set(inside[1]) <= {"messages", "system"} and inside[1]["messages"][0]["content"] == [{"text": "hi"}]
        upstream.requests.clear()
        assert min(count(weir, "nova")) > 0 and upstream.requests == [], "nobody counts for it: an estimate"
        weir.check(secrets=(*SECRETS, KEYS["secret_access_key"]))


def test_bedrock_signs_what_it_sends(start_weir):
    def answer(request):
        return rig.whole(CONVERSE if path(request).endswith("/converse") else rig.message())

    with swarm.Upstream(answer) as upstream:
        host = upstream.url.removeprefix("http://")
        two = config({"type": "bedrock", "base_url": upstream.url, **KEYS}, "amazon.nova-x-v1:0")
        two["routes"]["claude"] = {"targets": [{"model": "cloud/eu.anthropic.claude-x-v1:0"}]}
        two["providers"]["bearer"] = {"type": "bedrock", "base_url": upstream.url, "api_key": SECRETS[0], "region": "eu-west-1"}
        two["routes"]["any"] = {"match": "*/*"}
        two["routes"]["bearer"] = {"targets": [{"model": "bearer/amazon.nova-x-v1:0"}]}
        weir = start_weir(two)
        for n in range(3):
            assert weir.openai(chat(text="é" * n)).status == 200
            request = upstream.requests[-1]
            assert path(request) == "/model/amazon.nova-x-v1%3A0/converse"
            assert signature(request, KEYS["secret_access_key"], "eu-west-1", host) == "AKIAFLOW"

        asked = {"max_tokens": 5, "model": "claude", "messages": [{"role": "user", "content": "hi"}], "stream": False}
        answer = weir.anthropic(asked, headers=[("anthropic-beta", "a-1, b-2"), ("anthropic-version", "2023-06-01")])
        assert answer.status == 200 and answer.json() == rig.message()
        request = upstream.requests[-1]
        signature(request, KEYS["secret_access_key"], "eu-west-1", host)
        assert path(request) == "/model/eu.anthropic.claude-x-v1%3A0/invoke" and header(request, "anthropic-beta") is None
        assert json.loads(request.body) == {"max_tokens": 5, "messages": asked["messages"], "anthropic_version": "bedrock-2023-05-31",
                                            "anthropic_beta": ["a-1", "b-2"]}

        costs = [float(weir.anthropic(messages(model=f"cloud/{where}anthropic.claude-opus-5-20260401-v1:0")).header("x-weir-cost-usd"))
                 for where in ("global.", "eu.")]
        assert costs[1] == pytest.approx(1.1 * costs[0]) and costs[0] > 0, "priced as its maker does, a tenth more in one geography"

        with Connection(weir.address) as client:
            client.request("GET", "/p/cloud/model/x/thing?a=1&b=2%203")
        assert path(upstream.requests[-1]) == "/model/x/thing?a=1&b=2%203"
        signature(upstream.requests[-1], KEYS["secret_access_key"], "eu-west-1", host)

        assert weir.openai(chat(model="bearer")).status == 200
        assert header(upstream.requests[-1], "authorization") == "Bearer " + SECRETS[0] and header(upstream.requests[-1], "x-amz-date") is None
        weir.check(secrets=(*SECRETS, KEYS["secret_access_key"]))


def test_a_wrong_clock_is_corrected_by_the_providers(start_weir):
    """The provider's clock is an hour ahead: the first signature is refused, its Date is learnt, the same call goes through."""
    def answer(request):
        ahead = time.time() + 3600
        date = "date: " + email.utils.formatdate(ahead, usegmt=True) + "\r\n"
        signed = calendar.timegm(time.strptime(header(request, "x-amz-date"), "%Y%m%dT%H%M%SZ"))
        if abs(signed - ahead) > 300:
            refusal = {"message": "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z"}
            return rig.whole(refusal, 403, date + "x-amzn-ErrorType: InvalidSignatureException\r\n")
        return rig.whole(CONVERSE, headers=date)

    with swarm.Upstream(answer) as upstream:
        weir = start_weir(config({"type": "bedrock", "base_url": upstream.url, **KEYS}, "amazon.nova-x-v1:0"), workers=1)
        assert weir.openai(chat()).status == 200 and len(upstream.requests) == 2
        assert weir.openai(chat()).status == 200 and len(upstream.requests) == 3


def test_a_token_that_the_provider_repeats_is_hidden(start_weir):
    def answer(request):
        said = header(request, "authorization")
        return rig.whole({"error": {"code": "x", "type": "invalid_request_error", "message": f"bad {said}"}}, 400, f"x-ratelimit-echo: {said}\r\n")

    long_token = "ey-canary-token-0123456789"
    issuer = lambda r: (200, {"access_token": long_token, "expires_in": 3600, "token_type": "Bearer"})
    with TokenServer(issuer) as server, swarm.Upstream(answer) as upstream:
        weir = start_weir(config({"type": "azure", "base_url": upstream.url, "credentials": "azure-managed", "metadata_url": server.url}))
        answer = weir.openai(chat())
        assert answer.status == 400 and long_token.encode() not in answer.body and long_token not in str(answer.headers)
        weir.check(secrets=(long_token,), next_call=False)


def test_claude_behind_invokemodel_streams_to_every_client(start_fakes, start_weir):
    """weir-fake checks the signature of each call; its frames become Anthropic's events again, or another dialect's."""
    fakes = start_fakes({"aws": ["--guard", "sigv4"]})
    aws = {"type": "bedrock", "base_url": fakes["aws"].url, "region": "us-east-1", "container_url": fakes["aws"].url}
    weir = start_weir(config(aws, "anthropic.claude-x-v1:0"), env={"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/credentials"})
    answer = weir.anthropic(messages(stream=True))
    names = [name for name, _ in answer.events()]
    assert answer.status == 200 and answer.header("content-type").startswith("text/event-stream")
    assert names[0] == "message_start" and names[-1] == "message_stop" and is_whole(answer)
    assert is_whole(weir.openai(chat(stream=True))) and is_whole(weir.anthropic(messages())) and is_whole(weir.openai(chat()))
    fakes["aws"].fault(keep_events=8, end="fin", times=1)
    cut = weir.anthropic(messages(stream=True))
    assert not is_whole(cut) and [name for name, _ in cut.events()][-1] == "error"
    fakes["aws"].fault(status=429, times=1)
    assert weir.openai(chat()).status == 429
    stats = fakes["aws"].stats()
    assert stats["unauthorized"] == 0 and stats["tokens"] == 1
    call = fakes["aws"].calls(1)[-1]
    assert call["path"] == "/model/anthropic.claude-x-v1%3A0/invoke"
    weir.check(secrets=("fake-token-",), next_call=False)


# ---- Credentials that fail ----


def test_without_a_credential_the_next_target_answers(start_weir):
    issuer = Issuer(life_s=2)
    with TokenServer(issuer) as server, swarm.Upstream(answers) as upstream, swarm.Upstream(answers) as spare:
        entra = {"type": "azure", "base_url": upstream.url, "tenant_id": "ten", "client_id": "app", "client_secret": SECRETS[2],
                 "token_url": server.url}
        both = config(entra, fallback={"type": "openai", "base_url": spare.url + "/v1"})
        both["routes"]["only"] = {"targets": [{"model": "cloud/m"}]}
        weir = start_weir(both)
        assert weir.openai(chat()).header("x-weir-provider") == "cloud"
        issuer.failure = (503, "down")
        wait_until(lambda: weir.json("providers")["rows"][0]["state"] == "auth_error", 8, "the token ends")
        before = len(upstream.requests)
        answer = weir.openai(chat())
        assert answer.status == 200 and answer.header("x-weir-provider") == "spare"
        answer = weir.openai(chat(model="only"))
        assert answer.status == 502 and answer.json()["error"]["code"] == "upstream_auth_error"
        assert len(upstream.requests) == before, "nothing is sent with a token that has ended"
        assert weir.metrics()['weir_provider_credential_valid{provider="cloud"}'] == 0
        assert "status 503" in weir.json("providers")["rows"][0]["why"]
        issuer.failure = None
        wait_until(lambda: weir.openai(chat(model="only")).status == 200, 8, "the provider is back")
        weir.check(secrets=SECRETS)


def test_a_token_that_the_provider_refuses_is_fetched_anew(start_weir):
    good = {"token": "t1"}

    def answer(request):
        if header(request, "authorization") != "Bearer " + good["token"]:
            return rig.whole({"error": {"code": "401", "message": "expired"}}, status=401)
        return answers(request)

    with TokenServer(Issuer()) as server, swarm.Upstream(answer) as upstream:
        weir = start_weir(config({"type": "azure", "base_url": upstream.url, "tenant_id": "t", "client_id": "a",
                                  "client_secret": SECRETS[2], "token_url": server.url}))
        assert weir.openai(chat()).status == 200
        good["token"] = "t2"
        time.sleep(1.1)  # two refreshes of one credential are a second apart
        assert weir.openai(chat()).status == 502
        wait_until(lambda: weir.openai(chat()).status == 200, 6, "the second token", step=0.2)
        assert len(server.requests) == 2


def test_a_reload_brings_another_credential_without_a_gap(start_weir):
    """The old one holds until the new one is there; one for a host that was left is not shown to the next."""
    first, second = (TokenServer(lambda r, name=name: (200, {"access_token": f"{name}-token", "expires_in": 3600, "token_type": "Bearer"}))
                     for name in ("first", "second"))
    with first, second, swarm.Upstream(answers) as upstream, swarm.Upstream(answers) as other:
        entra = {"type": "azure", "base_url": upstream.url, "credentials": "azure-managed", "metadata_url": first.url}
        weir = start_weir(config(entra))
        assert weir.openai(chat()).status == 200
        weir.configure(config({**entra, "metadata_url": second.url}))
        weir.cli("reload")
        wait_until(lambda: weir.openai(chat()).status == 200 and header(upstream.requests[-1], "authorization") == "Bearer second-token",
                   5, "the second token")
        assert {header(r, "authorization") for r in upstream.requests} == {"Bearer first-token", "Bearer second-token"}
        weir.configure(config({**entra, "base_url": other.url}))
        weir.cli("reload")
        wait_until(lambda: weir.openai(chat()).status == 200, 5, "a token for the other host")
        assert {header(r, "authorization") for r in other.requests} == {"Bearer first-token"}, "fetched anew, not the one of before"


def test_a_control_plane_that_comes_back_to_a_silent_issuer(start_weir):
    """The workers go on with what the one before fetched: it still holds."""
    issuer = Issuer()
    with TokenServer(lambda r: issuer(r) if issuer.issued == 0 else None) as server, swarm.Upstream(answers) as upstream:
        weir = start_weir(config({"type": "azure", "base_url": upstream.url, "credentials": "azure-managed", "metadata_url": server.url}))
        assert weir.openai(chat()).status == 200
        weir.kill("controlplane")
        wait_until(lambda: len(server.requests) > 1, 10, "the next control plane asks")
        for _ in range(5):
            assert weir.openai(chat()).status == 200
        wait_until(weir.is_ready, 15, "the next control plane is ready, without a token")
        wait_until(lambda: weir.json("providers")["rows"][0]["state"] == "auth_error", 10, "it says so")
        for _ in range(5):
            assert weir.openai(chat()).status == 200
        assert {header(r, "authorization") for r in upstream.requests} == {"Bearer t1"}


# ---- Several keys ----


def test_a_key_that_is_refused_rests_alone(start_weir):
    seen, bad = [], {}

    def answer(request):
        key = header(request, "authorization").removeprefix("Bearer ")
        seen.append(key)
        if key in bad:
            return rig.whole({"error": {"message": "no", "type": "x", "code": "x"}}, *bad[key])
        return rig.whole(rig.completion(model="m"))

    keys = [f"sk-key-{letter}-0123456789" for letter in "abc"]
    with swarm.Upstream(answer) as upstream:
        entries = [{"key": keys[0], "weight": 6}, {"key": keys[1], "weight": 3}, {"key": keys[2]}, {"key": "${NOT_SET:-}"}]
        weir = start_weir(config({"type": "openai", "base_url": upstream.url + "/v1", "api_keys": entries}))
        for _ in range(60):
            assert weir.openai(chat()).status == 200
        shares = [seen.count(key) for key in keys]
        assert sum(shares) == 60 and shares[0] > shares[2] and shares[1] > 0, shares

        bad[keys[0]], bad[keys[1]] = (401,), (429, "retry-after: 5\r\n")
        seen.clear()
        while not (keys[0] in seen and keys[1] in seen and len(seen) > 10):
            assert weir.openai(chat()).status == 200
        assert seen.count(keys[0]) == 1 and seen.count(keys[1]) == 1 and seen[-1] == keys[2]
        row = weir.json("providers")["rows"][0]
        assert row["key"] == "3 keys, 2 rest"
        assert [k["key"] for k in row["keys"]] == ["…" + key[-4:] for key in keys]
        assert row["keys"][0]["last_error"] == "up_auth" and row["keys"][0]["rests_ms"] > 5000 and row["keys"][2]["rests_ms"] == 0
        assert 0 < row["keys"][1]["rests_ms"] <= 5000

        bad[keys[2]] = (402,)
        answer = weir.openai(chat())
        assert answer.status in (429, 502), answer
        seen.clear()
        assert weir.openai(chat()).status in (429, 502) and seen == [], "now the target itself rests"
        bad.clear()
        wait_until(lambda: weir.openai(chat()).status == 200, 12, "the second key is back", step=0.2)
        weir.check(secrets=keys)


@pytest.mark.parametrize("provider, said", [
    ({"type": "azure", "api_key": "k"}, 'providers.cloud: "base_url" is missing, which type azure wants'),
    ({"type": "vertex", "location": "eu"}, 'providers.cloud: "project" is missing, which type vertex wants'),
    ({"type": "bedrock", "api_key": "${A:-k}"}, 'providers.cloud: "region" is missing, which type bedrock wants'),
    ({"type": "bedrock", "region": "x", "access_key_id": "k"}, "wants access_key_id and secret_access_key, or neither"),
    ({"type": "vertex", "project": "a/b"}, "providers.cloud.project wants letters, digits"),
    ({"type": "openai", "api_keys": [{"key": "${NONE:-}"}]}, "all of providers.cloud.api_keys are empty"),
    ({"type": "openai", "api_key": "${A:-k}", "api_keys": [{"key": "${A:-k}"}]}, "has both api_key and api_keys"),
    ({"type": "openai", "api_key": "${A:-k}", "credentials": "azure"}, "nothing is fetched for providers of type openai"),
])
def test_what_is_missing_is_named(tmp_path, provider, said):
    import os
    import subprocess

    import processes

    file = tmp_path / "weir.yaml"
    file.write_text(json.dumps(config(provider)))
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GOOGLE_", "AWS_", "AZURE_"))}
    run = subprocess.run([processes.program("weir-controlplane"), "--check-config", str(file)], capture_output=True, text=True, env=env)
    assert run.returncode == 1 and said in run.stderr, run.stderr


# ---- Clients ----


def test_clients_of_both_ages_and_keys_in_any_place(start_weir):
    """Anthropic clients send x-api-key with 2023-06-01, or a bearer token with 2026-10-21; each place of a key is looked at."""
    key = "client-key-0123456789"
    with swarm.Upstream(lambda request: rig.whole(rig.message())) as upstream:
        one = config({"type": "anthropic", "base_url": upstream.url, "api_key": SECRETS[0]})
        one["auth"], one["keys"] = {"mode": "keys"}, {"app": {"hash": "sha256:" + hashlib.sha256(key.encode()).hexdigest()}}
        weir = start_weir(one)
        old, new = [("anthropic-version", "2023-06-01")], [("anthropic-version", "2026-10-21")]
        for headers, version in (([("x-api-key", key), *old], old), ([("authorization", f"Bearer {key}"), *new], new)):
            assert weir.anthropic(messages(), headers=headers).status == 200
            request = upstream.requests[-1]
            assert header(request, "anthropic-version") == version[0][1] and header(request, "x-api-key") == SECRETS[0]
            assert header(request, "authorization") is None and key.encode() not in request.head
        for place in ("x-goog-api-key", "api-key"):
            assert weir.openai(chat(), headers=[(place, key)]).status == 200
            assert key.encode() not in upstream.requests[-1].head
        assert weir.openai(chat(), path=f"/v1/chat/completions?key={key}").status == 200
        assert key.encode() not in upstream.requests[-1].head
        assert weir.openai(chat(), headers=[("authorization", "Bearer wrong"), ("x-api-key", key)]).status == 200, "the one that is known counts"
        for headers in ([], [("authorization", "Bearer wrong")], [("authorization", "Basic " + key)], [("x-api-key", key + "0")]):
            assert weir.openai(chat(), headers=headers).status == 401, headers
        weir.check(secrets=(*SECRETS, key), next_call=False)
