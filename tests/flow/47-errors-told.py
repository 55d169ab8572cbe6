"""What a client is told of each class of failure: status, words, headers, the label in the metrics; whole and streamed, in its own dialect."""
import processes
import pytest
from client import Connection
from gateway import configuration

MESSAGES = [{"role": "user", "content": "hi"}]
CLIENTS = {  # path, body, where the class stands
    "openai": ("/v1/chat/completions", {"messages": MESSAGES}),
    "responses": ("/v1/responses", {"input": "hi"}),
    "anthropic": ("/v1/messages", {"messages": MESSAGES, "max_tokens": 9}),
    "gemini": ("/v1beta/models/{route}:{verb}", {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}),
    "converse": ("/model/{route}/{verb}", {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}),
}


def said(text, kind="invalid_request_error", code=None):
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


# word: (provider's status, body, headers), what each client sees: status (openai and responses, anthropic, gemini, converse), retry-after, x-should-retry
CLASSES = {
    "up_rate_limit": ((429, said("slow", "requests", "rate_limit_exceeded"), {"retry-after": "7"}), (429, 429, 429, 429), "7", None),
    "up_quota": ((429, said("no money", "insufficient_quota", "insufficient_quota"), {}), (429, 402, 429, 400), None, "false"),
    "up_overloaded": ((503, said("busy", "service_unavailable_error", "server_is_overloaded"), {"retry-after": "3"}), (503, 529, 503, 503), "3", None),
    "up_timeout": ((504, said("late"), {}), (504, 504, 504, 504), None, None),
    "up_server": ((500, said("broke", "server_error"), {}), (500, 500, 500, 500), None, None),
    "up_context_length": ((400, said("long", code="context_length_exceeded"), {}), (400, 400, 400, 400), None, None),
    "up_content_policy": ((400, said("bad", code="content_policy_violation"), {}), (400, 400, 400, 400), None, None),
    "up_auth": ((401, said("Incorrect API key sk-abc", code="invalid_api_key"), {}), (502, 502, 502, 502), None, None),
    "up_permission": ((403, said("not you"), {}), (502, 502, 502, 502), None, None),
    "up_not_found": ((404, said("no", code="model_not_found"), {}), (404, 404, 404, 404), None, None),
    "up_capability": ((400, said("no", code="unsupported_parameter"), {}), (400, 400, 400, 400), None, None),
    "up_bad_request": ((422, said("no"), {}), (422, 400, 400, 400), None, None),
    "up_too_large": ((413, said("big"), {}), (413, 413, 400, 413), None, None),
    "up_conflict": ((409, said("locked"), {}), (409, 409, 409, 409), None, None),
}
WORDS = {"up_context_length": {"anthropic": "prompt is too long", "converse": "Input is too long for requested model", "responses": "context_length_exceeded"}}


@pytest.fixture
def world(start_fakes, start_weir):
    """Each call has a target of its own, so that none rests because of another."""
    fake = start_fakes("fake-a")["fake-a"]
    targets = {f"{name}-{client}-{stream}": name for name in CLASSES for client in CLIENTS for stream in (False, True)}
    config = configuration({name: ("openai", fake) for name in CLASSES}, {target: {"targets": [{"model": f"{name}/{target}"}]} for target, name in targets.items()})
    config["models"] = {f"{name}/{target}": {"price": {"input": 1, "output": 1}} for target, name in targets.items()}
    return start_weir(config), fake


def ask(weir, client, name, stream):
    route = f"{name}-{client}-{stream}"
    path, body = CLIENTS[client]
    verb = {"gemini": ("generateContent", "streamGenerateContent?alt=sse"), "converse": ("converse", "converse-stream")}.get(client)
    if verb is None:
        body = {"model": route, "stream": stream, **body}
    with Connection(weir.address) as c:
        return c.request("POST", path.format(route=route, verb=verb and verb[stream]), body, {"authorization": "Bearer k", "anthropic-version": "2023-06-01"})


def test_every_class_to_every_client(world):
    weir, fake = world
    wrong = []
    for name, ((status, body, headers), told, after, should) in CLASSES.items():
        fake.fault(model=name + "-*", status=status, body=body, headers=headers)
        for client in CLIENTS:
            expected = 400 if (client, status) == ("responses", 422) else told[max(0, list(CLIENTS).index(client) - 1)]
            for stream in (False, True):
                answer = ask(weir, client, name, stream)
                got = (answer.status, answer.header("x-weir-error"), answer.header("x-weir-error-source"), answer.header("retry-after"), answer.header("x-should-retry"))
                if got != (expected, name, "upstream", after, should) or "sk-abc" in answer.body.decode():
                    wrong.append((name, client, stream, got, answer.body[:200]))
                if WORDS.get(name, {}).get(client, "") not in answer.body.decode():
                    wrong.append((name, client, answer.body))
                if name == "up_rate_limit" and client == "gemini":
                    assert answer.json()["error"]["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
                if client == "openai" and answer.status == status and name != "up_quota":
                    assert answer.json() == body, "of the same dialect: unmodified"
    assert wrong == []

    def all_are_counted():
        labels = [(f'provider="{name}"', f'error_type="{name}"') for name in CLASSES]
        metrics = weir.metrics()
        return all(sum(value for key, value in metrics.items() if provider in key and word in key) >= 10 for provider, word in labels)

    processes.wait_until(all_are_counted, 5, "ten attempts of each class in the metrics")


def test_a_long_wait_is_not_slept_on(world):
    """Above a minute: the client is told 30 s at most and not to try by itself."""
    weir, fake = world
    fake.fault(model="up_rate_limit-*", status=429, body=said("later", "tokens", "rate_limit_exceeded"), headers={"retry-after": "3600"})
    for client in CLIENTS:
        answer = ask(weir, client, "up_rate_limit", False)
        assert (answer.status, answer.header("retry-after"), answer.header("x-should-retry")) == (429, "30", "false"), (client, answer)
