"""weir doctor: what would go wrong is said before it does, with what to do; nothing that costs is asked."""
import email.utils
import json
import os
import socket
import subprocess
import time

import certs
import ports
import processes
import rig
from token_server import Issuer, TokenServer


def run(folder, config=None, *words, env=None):
    if config is not None:
        with open(folder / "weir.yaml", "w", encoding="utf-8") as f:
            json.dump(config, f)
    return subprocess.run([processes.program("weir"), "doctor", "--state", str(folder / "state"), *words], cwd=folder, text=True,
                          capture_output=True, timeout=30, stdin=subprocess.DEVNULL, env={**os.environ, "KEY": "sk-0123456789abcdef", **(env or {})})


def config(providers, **top):
    server = {"listen": [f"127.0.0.1:{ports.free_port()}"], "admin": {"http": f"127.0.0.1:{ports.free_port()}"}}
    models = {f"{name}/m": {"price": {"input": 1, "output": 2}} for name in providers}
    providers = {name: {"type": "openai", "api_key": "${KEY}", **p} for name, p in providers.items()}
    return {"version": 1, "server": server, "providers": providers, "models": models,
            "routes": {"chat": {"targets": [{"model": name} for name in models]}}, **top}


def findings(done):
    """{(section, what): (state, text + hint)}; the worst of each."""
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    rank, found = {"ok": 0, "look": 1, "bad": 2}, {}
    for f in json.loads(done.stdout)["findings"]:
        at = f["section"], f["what"]
        if at not in found or rank[f["state"]] > rank[found[at][0]]:
            found[at] = f["state"], f["text"] + " | " + f["hint"]
    return found


def answers(status, body=b"{}", *lines):
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n" + "".join(line + "\r\n" for line in lines) + "\r\n"
    return lambda conn, request: conn.sendall(head.encode() + body)


def test_all_is_well(start_fakes, tmp_path):
    fakes = start_fakes("fake-a", "fake-b")
    done = run(tmp_path, config({"a": {"base_url": fakes["fake-a"].url + "/v1"}, "b": {"type": "anthropic", "base_url": fakes["fake-b"].url}}))
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "all 9 checks are fine", done.stdout + done.stderr
    assert "‼" not in done.stdout and "×" not in done.stdout and "\x1b" not in done.stdout
    assert done.stdout.count("accepted") == 2
    asked = [[(c["method"], c["path"]) for c in fakes[name].calls()] for name in ("fake-a", "fake-b")]
    assert asked == [[("GET", "/v1/models")]] * 2, "nothing that costs"


def test_each_thing_that_a_provider_may_say_or_not(tmp_path):
    refused = json.dumps({"error": {"message": "Incorrect API key provided", "type": "invalid_request_error", "code": "invalid_api_key"}}).encode()
    invalid = json.dumps({"error": {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}}).encode()
    with rig.Origin(answers(401, refused)) as bad, rig.Origin(answers(404)) as none, rig.Origin(answers(429, b"{}", "retry-after: 9")) as busy, \
            rig.Origin(answers(301, b"", "location: https://x.example/v1")) as moved, rig.Origin(answers(500, b"<html>oops</html>")) as broken, \
            rig.Origin(answers(400, invalid)) as google, rig.Origin(answers(402, b'{"error":{"message":"Insufficient Balance"}}')) as poor:
        providers = {name: {"base_url": f"http://127.0.0.1:{o.port}/v1"} for name, o in
                     {"bad": bad, "none": none, "busy": busy, "moved": moved, "broken": broken}.items()}
        providers["google"] = {"type": "gemini", "base_url": f"http://127.0.0.1:{google.port}/v1beta"}
        providers["poor"] = {"type": "deepseek", "base_url": f"http://127.0.0.1:{poor.port}"}
        providers["search"] = {"type": "perplexity"}
        providers["closed"] = {"base_url": f"http://127.0.0.1:{ports.free_port()}/v1"}
        providers["unnamed"] = {"base_url": "https://no-such-host.invalid/v1"}
        done = run(tmp_path, config(providers), "-o", "json")
        keys = [o.requests[0] for o in (bad, none, busy, moved, broken)]
    found = findings(done)
    want = {("google", "key"): ("bad", "refused: 400"), ("poor", "key"): ("bad", "account is used up: 402 Insufficient Balance"),
            ("search", "reach"): ("look", "nothing that is free to ask"), ("bad", "key"): ("bad", "refused: 401 invalid_api_key"), ("none", "key"): ("look", "no list of models"),
            ("busy", "key"): ("look", "limited now"), ("moved", "key"): ("look", "https://x.example/v1"), ("broken", "key"): ("look", "status 500"),
            ("closed", "reach"): ("bad", "connection refused"), ("unnamed", "reach"): ("bad", "is the name right")}
    for (name, what), (state, text) in want.items():
        got = found["provider " + name, what]
        assert got[0] == state and text in got[1], (name, got)
    assert done.returncode == 1 and json.loads(done.stdout)["ok"] is False
    assert "sk-0123" not in done.stdout + done.stderr
    assert {(k.line, k.headers["authorization"]) for k in keys} == {("GET /v1/models HTTP/1.1", "Bearer sk-0123456789abcdef")}


def test_several_keys_and_a_credential_that_is_fetched(tmp_path):
    def by_key(conn, request):
        (answers(200) if request.headers.get("authorization", "").endswith(("good", "t1")) or request.headers.get("api-key") == "good" else answers(403))(conn, request)

    with rig.Origin(by_key) as origin, TokenServer(Issuer()) as issuer:
        url = f"http://127.0.0.1:{origin.port}"
        entra = {"type": "azure", "base_url": url, "api_key": None, "tenant_id": "ten", "client_id": "app", "client_secret": "s"}
        providers = {"two": {"base_url": url + "/v1", "api_keys": [{"key": "sk-good"}, {"key": "sk-poor"}]},
                     "entra": {**entra, "token_url": issuer.url}, "lost": {**entra, "token_url": f"http://127.0.0.1:{ports.free_port()}"}}
        c = config(providers)
        for name in providers:
            c["providers"][name] = {k: v for k, v in c["providers"][name].items() if v is not None and (name != "two" or k != "api_key")}
        done = run(tmp_path, c, "-o", "json")
    found = findings(done)
    assert found["provider two", "key 1"][0] == "ok" and found["provider two", "key 2"][0] == "bad", done.stdout
    assert found["provider entra", "credential"][0] == "ok", done.stdout
    assert found["provider lost", "credential"][0] == "bad" and "none: " in found["provider lost", "credential"][1], done.stdout


def test_certificates_and_the_clock(tmp_path):
    authority = certs.Authority(tmp_path / "ca")
    date = email.utils.formatdate(time.time() - 4000, usegmt=True)
    with rig.Origin(answers(200, b'{"data":[]}', "date: " + date), tls=authority.context("good")) as good:
        url = {"base_url": f"https://localhost:{good.port}/v1", "allow_private": True}
        done = run(tmp_path, config({"trusted": {**url, "ca_file": authority.file}, "untrusted": url}), "-o", "json")
    found = findings(done)
    assert found["provider trusted", "key"][0] == "ok"
    assert found["provider untrusted", "reach"][0] == "bad" and "give ca_file" in found["provider untrusted", "reach"][1]
    assert found["this machine", "clock"][0] == "bad" and "ahead of" in found["this machine", "clock"][1]


def test_this_machine(tmp_path, start_fakes, start_weir):
    (tmp_path / "state").mkdir(mode=0o755)
    (tmp_path / "key").write_text("sk-0123456789abcdef\n")
    (tmp_path / "key").chmod(0o644)
    fakes = start_fakes("fake-a")
    c = config({"a": {"base_url": fakes["fake-a"].url + "/v1"}})
    c["providers"]["a"] = {"type": "openai", "base_url": fakes["fake-a"].url + "/v1", "api_key_file": str(tmp_path / "key")}
    c["models"] = {}
    with socket.create_server(("127.0.0.1", int(c["server"]["listen"][0].split(":")[1]))):
        found = findings(run(tmp_path, c, "-o", "json"))
    assert found["this machine", "state"][0] == "bad" and "chmod 700" in found["this machine", "state"][1]
    assert found["this machine", "port"][0] == "bad" and c["server"]["listen"][0] in found["this machine", "port"][1]
    assert found["provider a", "key file"][0] == "look"
    assert found["configuration", "prices"][0] == "look" and "no price for a/m" in found["configuration", "prices"][1]


def test_a_running_weir_holds_its_own_ports(pair):
    weir, _ = pair
    done = subprocess.run([processes.program("weir"), "doctor", "--state", weir.state, "--config", weir.config_path], text=True, capture_output=True,
                          timeout=30, stdin=subprocess.DEVNULL)
    assert "a weir is running on it" in done.stdout and "× port" not in done.stdout, done.stdout


def test_a_broken_configuration_and_wrong_words(tmp_path):
    (tmp_path / "weir.yaml").write_text("version: 1\nproviders: {a: {typ: openai}}\n")
    done = run(tmp_path)
    assert done.returncode == 1 and "weir.yaml:2:17" in done.stdout and "did you mean" in done.stdout, done.stdout
    assert run(tmp_path, None, "--config", "nope.yaml").stdout.count("nope.yaml") == 1
    (tmp_path / "weir.yaml").unlink()
    assert "set OPENAI_API_KEY" in run(tmp_path, env={"OPENAI_API_KEY": "", "ANTHROPIC_API_KEY": "", "GEMINI_API_KEY": ""}).stdout
    for words in (["x"], ["--what"], ["-o", "csv"]):
        assert run(tmp_path, None, *words).returncode == 2
