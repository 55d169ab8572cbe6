"""R16: a canary provider key and a canary client key: after calls, every kind of fault and crashes, 0 hits in whatever anybody can read."""
import base64
import glob
import hashlib
import json
import os
import signal
import time
import urllib.parse

import client
import gateway
import processes
import swarm
import rig

PROVIDER_KEY = "sk-provider-Q7vXc2LmNd84RtYpWz6KbFhJ3sGa"
TYPED_KEY = "sk-typed-M5nBv8CxZl2KjHgF7dSaPoIuYtRe9wQ"
CLIENT_KEY = "sk-client-T4gHnMkL9pOiUy2TrEwQaSdFgHj8ZxC"
VERBS = [["status"], ["usage", "--by", "model,provider,key,route"], ["tail"], ["providers"], ["routes"], ["explain", "last"], ["reload"],
         ["weight", "chat", "a/large=2"], ["drain", "b/large"], ["undrain", "b/large"], ["version"]]


def forms(key):
    """The key as it may stand somewhere: plain, base64 at each offset, hex, by URL, reversed, and any 16 bytes of it."""
    raw = key.encode()
    found = {raw, raw[::-1], raw.hex().encode(), raw.hex().upper().encode(), urllib.parse.quote(key, safe="").encode()}
    for pad in range(3):  # base64 of a text that holds the key: its inner part does not depend on what is around
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            found.add(encode(b"x" * pad + raw)[(0, 2, 3)[pad] + 1 : -4])
    found |= {raw[i : i + 16] for i in range(0, len(raw) - 16, 4)}
    return {f for f in found if len(f) >= 12}


def story(weir, fakes, upstream):
    """Calls that go well, every kind of fault, wrong keys, what is no HTTP, crashes of each process."""
    app = {"Authorization": f"Bearer {CLIENT_KEY}"}
    seen = []

    def call(ask, body, headers=None):
        try:
            answer = ask(body, headers={**app, **(headers or {})})
            seen.append(json.dumps(answer.headers).encode() + answer.body)
        except (OSError, client.Broken):
            pass

    faults = [{"status": s} for s in (400, 401, 403, 404, 413, 422, 429, 500, 503, 529)]
    faults += [{"keep_bytes": 30, "end": e} for e in ("fin", "rst", "stall")] + [{"raw": "garbage"}, {"on_accept": True, "end": "rst"}]
    faults += [{"error_after_events": 2, "error": {"message": "bad", "type": "server_error"}}, {"malformed_after_events": 1}]
    faults += [{"status": 401, "body": {"error": {"message": f"Incorrect API key provided: {PROVIDER_KEY}. x", "type": "invalid_request_error"}}}]
    faults += [{"status": 400, "headers": {"x-ratelimit-remaining-requests": PROVIDER_KEY},
                "body": {"error": {"message": f"bad key {PROVIDER_KEY}", "type": "invalid_request_error"}}}]
    for stream in (False, True):
        call(weir.openai, client.chat(stream=stream))
        call(weir.anthropic, client.messages(stream=stream))
        for fault in faults:
            for fake in fakes:
                fake.fault(**fault, times=1)
            call(weir.openai, client.chat(stream=stream))
            call(weir.anthropic, client.messages(stream=stream))
            for fake in fakes:
                fake.clear()
    call(weir.openai, client.chat(model="echo"))
    call(weir.openai, client.chat(model="nothing"))
    call(weir.openai, client.chat(), {"Authorization": f"Bearer {CLIENT_KEY}x", "x-api-key": CLIENT_KEY + "y"})
    for raw in (f"GET /v1/models?key={CLIENT_KEY} HTTP/1.1\r\nHost: localhost\r\n\r\n", f"POST /x{CLIENT_KEY}",
                f"POST /v1/nothing?key={CLIENT_KEY} HTTP/1.1\r\nHost: localhost\r\nX Y: {CLIENT_KEY}\r\n\r\n"):
        [outcome] = swarm.exchange_all(weir.address, [raw.encode()], hang=1.5)
        seen.append(outcome.data)
    for who, number in ((0, signal.SIGABRT), ("controlplane", signal.SIGKILL), (1, signal.SIGKILL), ("controlplane", signal.SIGABRT)):
        weir.kill(who, number)
        processes.wait_until(lambda: len(weir.pids()["workers"]) == 2 and weir.pids()["controlplane"] and weir.is_ready(), 10, "all to be back")
        call(weir.openai, client.chat())
    return seen


def everything(weir):
    """Name and bytes of all that can be read: outputs, metrics, admin replies, the state directory, /proc."""
    for path in glob.glob(weir.folder + "/std*") + [p for p in glob.glob(weir.state + "/**", recursive=True) if os.path.isfile(p)]:
        with open(path, "rb") as f:
            yield path, f.read()
    for path in ("/metrics", "/readyz", "/livez", "/startupz", "/"):
        yield "admin HTTP " + path, client.get(weir.admin, path).body
    for verb in VERBS:
        for more in ([], ["-o", "json"]):
            done = weir.cli(*verb, *more, expect=None)
            yield "weir " + " ".join(verb + more), (done.stdout + done.stderr).encode()
    for words in (["config", "show"], ["config", "check"]):
        done = weir.cli(*words, "--config", weir.config_path, expect=None)
        yield "weir " + " ".join(words), (done.stdout + done.stderr).encode()
    pids = weir.pids()
    for pid in [pids["supervisor"], pids["controlplane"], *pids["workers"]]:
        for name in ("environ", "cmdline"):
            with open(f"/proc/{pid}/{name}", "rb") as f:
                yield f"/proc/{pid}/{name}", f.read()
    yield from ((path, open(path, "rb").read()) for path in glob.glob(weir.folder + "/core*"))


def test_r16_no_key_is_ever_seen(start_fakes, start_weir):
    """R16, T7: unique keys for a provider (by ${VAR} and typed into the file) and for a client, a workload with all faults and crashes."""
    fakes = start_fakes("a", "b")

    def echo(request):  # a provider that says the key it was sent
        sent = request.header(b"authorization").decode()
        body = rig.error_body(f"who is {sent}?", "invalid_request_error")
        return rig.whole(body, 400, f"x-request-id: {sent}\r\nopenai-organization: {sent}\r\nset-cookie: k={sent}\r\n")

    with swarm.Upstream(echo) as upstream:
        config = gateway.configuration({"a": ("openai", fakes["a"]), "b": ("anthropic", fakes["b"]), "echo": ("openai", upstream)}, {
            "chat": {"targets": [{"model": "a/large"}], "fallbacks": ["b/large"], "circuit_breaker": {"failures": 0},
                     "timeout": {"connect": "500ms", "first_token": "500ms", "idle": "300ms"}},
            "echo": {"targets": [{"model": "echo/large"}]},
        })  # fmt: skip
        for name in ("a", "echo"):
            config["providers"][name]["api_key"] = "${CANARY_KEY}"
        config["providers"]["b"]["api_key"] = TYPED_KEY
        config["auth"] = {"mode": "keys"}
        config["keys"] = {"app": {"hash": "sha256:" + hashlib.sha256(CLIENT_KEY.encode()).hexdigest()}}
        weir = start_weir(config, env={"CANARY_KEY": PROVIDER_KEY, "ASAN_OPTIONS": "disable_coredump=1"})
        time.sleep(0.2)
        seen = story(weir, fakes, upstream)
        assert len(seen) > 80 and any(PROVIDER_KEY in r.head.decode() for r in upstream.requests), "the story was told"
        time.sleep(0.5)
        places = list(everything(weir)) + [(f"answer {i}", data) for i, data in enumerate(seen)]
        hits = [(key[:9], where, form) for key in (PROVIDER_KEY, TYPED_KEY, CLIENT_KEY) for form in forms(key)
                for where, data in places if form in data]
        assert not hits, hits[:8]
        print(f"canary: {len(places)} places, {sum(len(d) for _, d in places)} bytes, 3 keys, 0 hits")
