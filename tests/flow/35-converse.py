"""Converse through the whole program: frames in every direction, what goes wrong inside them, Amazon's errors, its clients' keys, and what it costs."""
import base64
import hashlib
import json

import frames
import pytest
from client import Connection
from gateway import configuration

PROMPT = "frames [[fake:words=12]]"
EVENTS = "application/vnd.amazon.eventstream"
KEY = "AKIDEXAMPLE000000001"
SIGNED = f"AWS4-HMAC-SHA256 Credential={KEY}/20261127/us-east-1/bedrock/aws4_request, SignedHeaders=host, Signature=00"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Fakes a (asked in Converse), b (in OpenAI Chat); routes alone, rescued (a, then b), other (b), broken. No throttlingException here: it
    benches its target (golden/anthropic-converse has one)."""
    import gateway
    import provider

    folder = tmp_path_factory.mktemp("converse")
    fakes = provider.Fakes(folder / "fakes", ["a", "b"])
    quiet = {"circuit_breaker": {"failures": 0}}
    routes = {
        "alone": {"targets": [{"model": "a/large"}], "aliases": ["arn:aws:bedrock:*/x.y-v1:0"], **quiet},
        "rescued": {"targets": [{"model": "a/large"}], "fallbacks": ["b/large"], **quiet},
        "other": {"targets": [{"model": "b/large"}], **quiet},
        "broken": {"targets": [{"model": "a/status-429"}], **quiet},
    }
    weir = gateway.Gateway(folder / "weir", configuration({"a": ("bedrock", fakes["a"]), "b": ("openai", fakes["b"])}, routes)).start()
    yield weir, fakes
    try:
        weir.check()
    finally:
        weir.stop()
        fakes.stop()


def body(text=PROMPT):
    return {"messages": [{"role": "user", "content": [{"text": text}]}]}


def ask(weir, model, verb="converse-stream", headers=(), text=PROMPT):
    with Connection(weir.address) as c:
        return c.request("POST", f"/model/{model}/{verb}", body(text), {"authorization": SIGNED, **dict(headers)})


def text_of(answer):
    return "".join(json.loads(p)["delta"].get("text", "") for _, n, p in frames.read(answer.body) if n == "contentBlockDelta")


def test_frames_pass_unchanged_and_are_booked(world):
    weir, fakes = world
    answer = ask(weir, "alone")
    assert answer.status == 200 and answer.header("content-type") == EVENTS and answer.complete
    assert answer.header("x-amzn-requestid") == answer.header("x-request-id")
    names = [name for _, name, _ in frames.read(answer.body)]
    assert names[0] == "messageStart" and names[-2:] == ["messageStop", "metadata"]
    direct = fakes["a"].calls(1)[0]
    assert json.loads(direct["body"]) == body() and direct["path"] == "/model/large/converse-stream"
    with Connection(fakes["a"].address) as c:
        own = c.request("POST", "/model/large/converse-stream", body(), {"authorization": "Bearer k"})
    assert own.body == answer.body
    whole = ask(weir, "alone", "converse")
    assert whole.json()["output"]["message"]["content"][0]["text"] == text_of(answer)
    assert float(whole.header("x-weir-cost-usd")) > 0


def test_another_dialect_answers_in_frames(world):
    weir, _ = world
    answer = ask(weir, "other")
    assert answer.header("content-type") == EVENTS and text_of(answer).startswith("answered by b")
    usage = json.loads([p for _, n, p in frames.read(answer.body) if n == "metadata"][0])["usage"]
    assert usage["inputTokens"] > 0 and usage["outputTokens"] == len(text_of(answer).split())


def test_an_arn_may_stand_in_the_path_encoded_or_not(world):
    weir, _ = world
    for path in ("arn%3Aaws%3Abedrock%3Aeu-north-1%3A1%3Ainference-profile%2Fx.y-v1%3A0", "arn:aws:bedrock:eu-north-1:1:inference-profile/x.y-v1:0"):
        assert ask(weir, path, "converse").status == 200


@pytest.mark.parametrize(
    "fault",
    [
        {"keep_events": 1, "end": "fin"},  # before content
        {"spoil_event": 0},  # a wrong checksum
        {"error_after_events": 1, "error": {"message": "slow down", "exception": "internalServerException"}},
        {"keep_bytes": 60, "end": "rst"},  # inside the first frame
    ],
    ids=["cut", "checksum", "exception", "half a frame"],
)
def test_before_content_the_next_target_answers(world, fault):
    weir, fakes = world
    fakes["a"].fault(times=1, **fault)
    answer = ask(weir, "rescued")
    assert answer.complete and text_of(answer).startswith("answered by b"), answer
    assert [name for _, name, _ in frames.read(answer.body)].count("messageStart") == 1


@pytest.mark.parametrize(
    "fault, exception",
    [
        ({"keep_events": 5, "end": "fin"}, "modelStreamErrorException"),
        ({"spoil_event": 5}, "modelStreamErrorException"),
        ({"omit_events": 2}, "modelStreamErrorException"),  # cleanly closed, without messageStop
        ({"error_after_events": 5, "error": {"message": "sorry", "exception": "internalServerException"}}, "internalServerException"),
        ({"error_after_events": 5, "error": {"message": "x", "exception": "serviceUnavailableException"}}, "serviceUnavailableException"),
    ],
    ids=["cut", "checksum", "no end", "failed", "unavailable"],
)
def test_after_content_the_stream_ends_with_an_exception(world, fault, exception):
    weir, fakes = world
    fakes["a"].fault(times=1, delay_event_ms=20, **fault)  # what comes at one go with its end has not reached the client
    told = list(frames.read(ask(weir, "rescued").body))
    assert told[-1][:2] == ("exception", exception) and json.loads(told[-1][2])["message"]
    assert not any(name in ("messageStop", "metadata") for _, name, _ in told)


def test_errors_name_their_exception(world):
    weir, _ = world
    refused = ask(weir, "broken")
    assert refused.status == 429 and refused.header("x-amzn-errortype").startswith("ThrottlingException") and refused.json()["message"]
    unknown = ask(weir, "nothing-like-it", "converse")
    assert unknown.status == 404 and unknown.header("x-amzn-errortype") == "ResourceNotFoundException"
    with Connection(weir.address) as c:
        bad = c.request("POST", "/model/alone/converse", b"{", {"authorization": SIGNED})
        assert bad.status == 400 and bad.header("x-amzn-errortype") == "ValidationException" and "JSON" in bad.json()["message"]
        wrong = c.request("POST", "/model/alone/converse", {"messages": "x"}, {"authorization": SIGNED})
        assert wrong.status == 400 and "messages" in wrong.json()["message"]


def test_the_access_key_is_the_clients_key(tmp_path, world):
    import gateway

    _, fakes = world
    config = configuration({"a": ("bedrock", fakes["a"])})
    config["auth"], config["keys"] = {"mode": "keys"}, {"app": {"hash": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()}}
    weir = gateway.Gateway(tmp_path, config).start()
    try:
        assert ask(weir, "chat", "converse").status == 200
        with Connection(weir.address) as c:
            assert c.request("POST", "/model/chat/converse", body(), {"authorization": f"Bearer {KEY}"}).status == 200
            refused = c.request("POST", "/model/chat/converse", body(), {"authorization": SIGNED.replace(KEY, "AKIDOTHER")})
        assert refused.status == 403 and refused.header("x-amzn-errortype") == "UnrecognizedClientException"
        sent = json.dumps([fakes["a"].calls(2)[i]["headers"] for i in (0, 1)])
        assert KEY not in sent and base64.b64encode(KEY.encode()).decode() not in sent
    finally:
        weir.stop()
