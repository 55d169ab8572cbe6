"""The recordings through weir as it runs: replay.mjs is the provider, the vendors' SDKs are the clients."""
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
PRICE = {"input": "1", "output": "1"}
CLIENTS = ["openai", "responses", "anthropic", "converse"]
if os.path.isdir(os.path.join(ROOT, "tests", "clients", "node_modules", "@google", "genai")):
    CLIENTS.append("gemini")
TYPES = {"converse": "bedrock", "responses": "openai"}  # where a provider is not called as its dialect
BASES = {"openai": "/v1", "responses": "/v1", "gemini": "/v1beta"}
PROVIDERS_MOST = 250  # that one configuration may have


def node():
    ours = os.path.join(ROOT, ".deps", "bin", "node")
    return ours if os.access(ours, os.X_OK) else "node"


class Replay:
    """The corpus' own server, which plays each recording at a path of its own."""

    def __init__(self, data, port):
        self.port = port
        script = os.path.join(data, "tools", "replay.mjs")
        self.process = subprocess.Popen(
            [node(), script, str(port), data, "dev"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        line = self.process.stdout.readline()
        if "replay on" not in line:
            raise RuntimeError(f"replay.mjs did not start: {line}{self.process.stdout.read()}")

    def url(self, name, mode):
        return f"http://127.0.0.1:{self.port}/r/{urllib.parse.quote(name)}{mode}"

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=10)


def mode_of(recording):
    """How the replay cuts a stream: small ones into pieces of seven bytes, the others by event."""
    if not recording.streaming:
        return ""
    return "@7"


def configuration(replay, jobs):
    providers, models, routes = {}, {}, {}
    for n, (r, _) in enumerate(jobs):
        base = replay.url(r.id, mode_of(r)) + BASES.get(r.dialect, "")
        # Whoever is called once is nobody else's trouble: one provider and one route for each call.
        providers[f"p{n}"] = {"type": TYPES.get(r.dialect, r.dialect), "base_url": base, "api_key": "sk-test", "allow_private": True}
        if r.dialect == "responses":
            providers[f"p{n}"]["responses"] = "native"
        if r.dialect == "converse":
            providers[f"p{n}"]["region"] = "us-east-1"
        models[f"p{n}/m"] = {"price": PRICE, "context_window": 1000000}
        routes[f"r{n}"] = {"targets": [{"model": f"p{n}/m"}], "circuit_breaker": {"failures": 0}}
    return {"version": 1, "providers": providers, "models": models, "routes": routes}


def run(data, jobs):
    """jobs: [(recording, client dialect)]. Yields (recording, client, result of sdk.mjs)."""
    for at in range(0, len(jobs), PROVIDERS_MOST):
        yield from run_batch(data, jobs[at : at + PROVIDERS_MOST])


def run_batch(data, jobs):
    import gateway
    import ports

    replay = weir = None
    with tempfile.TemporaryDirectory(prefix="weir-recordings-") as folder:
        try:
            replay = Replay(data, ports.free_port())
            weir = gateway.Gateway(os.path.join(folder, "weir"), configuration(replay, jobs)).start()
            path = os.path.join(folder, "jobs.json")
            with open(path, "w", encoding="utf-8") as f:
                json.dump([{"route": f"r{n}", "client": c, "stream": r.streaming} for n, (r, c) in enumerate(jobs)], f)
            started = time.monotonic()
            done = subprocess.run([node(), os.path.join(HERE, "sdk.mjs"), weir.url, path], capture_output=True, text=True, timeout=900)
            if done.returncode != 0:
                raise RuntimeError(f"sdk.mjs ended with {done.returncode}: {done.stderr[-2000:]}")
            print(f"{len(jobs)} calls through weir and the vendors' SDKs in {time.monotonic() - started:.0f} s")
            for line in done.stdout.splitlines():
                result = json.loads(line)
                yield (*jobs[result["n"]], result)
        finally:
            if weir is not None:
                weir.stop(expect=None)
            if replay is not None:
                replay.stop()
