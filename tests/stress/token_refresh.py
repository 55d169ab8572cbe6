"""Credentials that live for seconds, fetched from every kind of issuer while calls go on: none is ever shown after its end, no call fails."""
import json
import os
import re
import subprocess
import time

import gateway as gateway_module
import processes
import provider
import scene

# name: how the fake checks what it is shown, the type of provider in front of it, what that is configured with. {url}: the fake's own.
FLOWS = {
    "entra-secret": ("bearer", "azure", {"tenant_id": "t", "client_id": "c", "client_secret": "${SECRET}", "token_url": "{url}"}),
    "entra-workload": ("bearer", "azure", {"credentials": "azure-workload", "tenant_id": "t", "client_id": "c", "web_identity_token_file": "{jwt}", "token_url": "{url}"}),
    "azure-managed": ("bearer", "azure", {"credentials": "azure-managed", "metadata_url": "{url}"}),
    "google-account": ("bearer", "vertex", {"credentials": "google-file", "credentials_file": "{account}", "token_url": "{url}/google/token"}),
    "google-user": ("bearer", "vertex", {"credentials": "google-file", "credentials_file": "{user}", "token_url": "{url}/google/token"}),
    "google-federation": ("bearer", "vertex", {"credentials": "google-file", "credentials_file": "{federation}"}),
    "google-metadata": ("bearer", "vertex", {"credentials": "google-metadata", "metadata_url": "{url}"}),
    "aws-web-identity": ("sigv4", "bedrock", {"credentials": "aws-web-identity", "role_arn": "arn:aws:iam::1:role/r", "web_identity_token_file": "{jwt}", "token_url": "{url}"}),
    "aws-role": ("sigv4", "bedrock", {"credentials": "aws-keys", "access_key_id": "AKIA1", "secret_access_key": "${SECRET}", "role_arn": "arn:aws:iam::1:role/r", "token_url": "{url}"}),
    "aws-container": ("sigv4", "bedrock", {"credentials": "aws-container", "container_url": "{url}"}),
    "aws-instance": ("sigv4", "bedrock", {"credentials": "aws-metadata", "metadata_url": "{url}"}),
}
MORE = {"azure": {}, "vertex": {"project": "p", "location": "europe-west4"}, "bedrock": {"region": "eu-west-1"}}
MODEL = {"azure": "large", "vertex": "claude-large", "bedrock": "anthropic.claude-large-v1:0"}
ENV = {"SECRET": "s-canary", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/container/credentials"}


def write(path, text):
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


def user_file(folder):
    user = {"type": "authorized_user", "client_id": "id", "client_secret": "s", "refresh_token": "1//r"}
    return write(os.path.join(folder, "user.json"), json.dumps(user))


def federation_file(folder, url, subject):
    federation = {"type": "external_account", "audience": "//iam.googleapis.com/pool", "token_url": url + "/google/token",
                  "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "credential_source": {"file": subject}}
    return write(os.path.join(folder, "federation.json"), json.dumps(federation))


def account_file(folder):
    key = os.path.join(folder, "rsa.pem")
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", key], check=True, capture_output=True)
    with open(key, encoding="utf-8") as f:
        account = {"type": "service_account", "client_email": "a@p.example", "private_key_id": "k", "private_key": f.read()}
    return write(os.path.join(folder, "account.json"), json.dumps(account))


def configuration(folder, fakes):
    texts = {"jwt": write(os.path.join(folder, "jwt"), "e30.e30.c2ln"), "account": account_file(folder), "user": user_file(folder)}
    texts["federation"] = federation_file(folder, fakes["google-federation"].url, texts["jwt"])
    config = {"version": 1, "providers": {}, "models": {}, "routes": {"chat": {"targets": []}}}
    for name, (_, kind, keys) in FLOWS.items():
        url = fakes[name].url
        filled = {k: re.sub(r"(?<!\$)\{(\w+)\}", lambda m: url if m[1] == "url" else texts[m[1]], v) for k, v in keys.items()}
        model = MODEL[kind]
        config["providers"][name] = {"type": kind, "base_url": url, **MORE[kind], **filled}
        config["models"][f"{name}/{model}"] = {"price": gateway_module.LARGE}
        config["routes"]["chat"]["targets"].append({"model": f"{name}/{model}"})
    return config


def rotations(weir):
    found = weir.metrics()
    return {name: found.get(f'weir_provider_credential_refreshes_total{{provider="{name}",result="ok"}}', 0) for name in FLOWS}


def run(folder, turns=20, rate=500, life_s=3, kill=True):
    specs = {name: ["--guard", guard, "--token-life-s", str(life_s)] for name, (guard, _, _) in FLOWS.items()}
    fakes = provider.Fakes(os.path.join(folder, "fakes"), specs)
    weir = gateway_module.Gateway(os.path.join(folder, "weir"), configuration(folder, fakes), workers=2, env=ENV)
    try:
        weir.start()
        load = scene.Load(weir.port, os.path.join(folder, "load.log"), rate=rate, seconds=600, connections=64, streams=40)
        end, fewest, before = time.monotonic() + turns * life_s * 2 + 20, 0, 0
        while fewest < turns:
            assert load.is_running() and time.monotonic() < end, rotations(weir)
            if kill and before == 0 and fewest >= turns // 2:  # a control plane that comes back fetches all of them again
                before = fewest
                weir.kill("controlplane")
                processes.wait_until(weir.is_ready, 10, "the next control plane")
            time.sleep(0.1)
            fewest = before + min(rotations(weir).values())
        load.end()
        assert load.failed == [], f"{len(load.failed)} of {len(load.calls)} failed: {load.why()}"
        stats = {fake.name: fake.stats() for fake in fakes if fake.name in FLOWS}
        assert all(s["expired_tokens"] == 0 and s["unauthorized"] == 0 for s in stats.values()), stats
        assert all(s["calls"] > 0 and s["tokens"] >= turns for s in stats.values()), stats
        assert all(row["failed"] == 0 for row in weir.json("providers")["rows"])
        weir.check(None, secrets=("s-canary", "fake-token-"))
        return f"{len(load.calls)} calls, {sum(s['tokens'] for s in stats.values())} credentials of {len(FLOWS)} issuers, none shown after its end, no call failed"
    finally:
        weir.stop(expect=None)
        fakes.stop()
