"""Every recording over real sockets to a provider of its own dialect: what weir sends on and what it hands back, byte for byte.

  wire  at the client's own path, the model named by a route: only the model, and OpenAI's wish for usage, may change
  raw   at /p/PROVIDER/…: nothing may
"""
import csv
import json
import os
import re
import sys
import tempfile
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import client as client_module  # noqa: E402
import swarm  # noqa: E402

OPENAI_TAILS = ("/chat/completions", "/completions", "/embeddings", "/responses/compact", "/responses", "/moderations", "/rerank")
MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
OPTIONS = re.compile(rb',?"stream_options":\{[^{}]*\}')
USAGE_WISH = re.compile(rb'"include_usage"\s*:\s*true')
PROVIDERS_MOST = 125


class Exchange:
    def __init__(self, row, folder):
        self.id, self.dialect = row["id"], row["dialect"]
        with open(os.path.join(folder, "request.json"), encoding="utf-8") as f:
            request = json.load(f)
        with open(os.path.join(folder, "response.json"), encoding="utf-8") as f:
            response = json.load(f)
        self.method, self.path, self.query = request["method"], request["path"], request["query"]
        self.request = self._read(folder, "request.body") if request["body_file"] else b""
        self.answer = self._read(folder, "body")
        self.status, self.streaming = response["status"], response["streaming"]
        self.type = next((v for k, v in response["headers"] if k.lower() == "content-type"), "application/json")
        self.fields = [(k, v) for k, v in request["headers"] if k.lower() in ("content-type", "anthropic-version", "anthropic-beta", "accept")]

    @staticmethod
    def _read(folder, name):
        with open(os.path.join(folder, name), "rb") as f:
            return f.read()

    def model(self):
        """The model's name: in the path, or in the body."""
        inside = re.search(r"/models?/([^/:]+(?::\d+)?)(?=[:/])", self.path)
        if self.dialect.startswith(("bedrock-", "gemini-")) and inside:
            return urllib.parse.unquote(inside.group(1))
        at = MODEL.search(self.request)
        return json.loads(at.group(1)) if at else None

    def provider(self):
        """(type, what stands between host and path in base_url), or None: weir has no way of its own there."""
        if self.dialect.startswith("anthropic-"):
            return ("anthropic", "") if self.path.startswith("/v1/") else None
        if self.dialect.startswith("gemini-") and self.path.startswith("/v1beta/models/"):
            return "gemini", "/v1beta"
        if self.dialect.startswith("bedrock-converse"):
            return "bedrock", ""
        if self.dialect == "cohere-chat":
            return "cohere", ""
        if self.dialect == "ollama-chat":
            return "ollama", ""
        tail = next((t for t in OPENAI_TAILS if self.path.endswith(t)), None)
        return ("openai", self.path.removesuffix(tail)) if tail and self.dialect.startswith(("openai-", "rerank")) else None

    def own_path(self, route):
        if self.dialect.startswith(("gemini-", "bedrock-")):
            action = re.search(r"(:[A-Za-z]+|/converse(-stream)?)$", self.path).group(1)
            path = f"/v1beta/models/{route}{action}" if self.dialect.startswith("gemini-") else f"/model/{route}{action}"
            return path + (f"?{self.query}" if self.query else "")
        tail = next((t for t in OPENAI_TAILS if self.path.endswith(t)), None)
        path = "/v1" + tail if tail and self.dialect.startswith("openai-") else self.path
        return path + (f"?{self.query}" if self.query else "")


def load(data, pattern):
    with open(os.path.join(data, "index-dev.tsv"), encoding="utf-8") as f:
        rows = [row for row in csv.DictReader(f, delimiter="\t") if pattern in row["id"]]
    return [Exchange(row, os.path.join(data, "dev", row["id"])) for row in rows]


def played(e):
    """The recorded answer; a stream in writes of seven bytes."""
    reason = b"HTTP/1.1 %d Recorded\r\ncontent-type: %s\r\n" % (e.status, e.type.encode())
    if not e.streaming:
        return reason + b"content-length: %d\r\n\r\n" % len(e.answer) + e.answer
    pieces = [reason + b"transfer-encoding: chunked\r\n\r\n"]
    pieces += [b"%x\r\n%s\r\n" % (len(p), p) for p in (e.answer[i : i + 7] for i in range(0, len(e.answer), 7))]
    return pieces + [b"0\r\n\r\n"]


def check(condition, text):
    if not condition:
        raise AssertionError(text)


def without_wish(e, sent):
    """weir asks OpenAI hosts for the usage of a stream whose client does not."""
    root = json.loads(e.request) if e.request else {}
    if e.dialect != "openai-chat" or not root.get("stream") or USAGE_WISH.search(e.request):
        return sent
    return OPTIONS.sub(b"", sent, count=1)


def without_usage(e, body):
    """What weir takes out again of an answer whose usage the client did not ask for; white space aside."""
    lines = []
    for line in body.replace(b"\r\n", b"\n").split(b"\n"):
        if line.startswith(b"data:") and b'"usage"' in line:
            try:
                root = json.loads(line[5:])
            except ValueError:
                root = None
            if isinstance(root, dict) and "usage" in root:
                if not root.get("choices") and root["usage"] is not None:
                    continue
                del root["usage"]
                line = b"data:" + json.dumps(root).encode()
        elif line.startswith(b"data: {"):
            line = b"data:" + json.dumps(json.loads(line[5:])).encode()
        if line.strip():
            lines.append(line)
    return b"\n".join(lines)


def check_answer(e, got, own):
    if e.status in (401, 403) or b"API_KEY_INVALID" in e.answer:  # about weir's key: not the app's business
        check(got.status == 502, f"status {got.status} for a refused key")
        return
    check(got.status == e.status, f"status {got.status} for {e.status}: {got.body[:200]!r}")
    if e.streaming and own and e.status == 200:
        wished = e.dialect != "openai-chat" or USAGE_WISH.search(e.request)
        mine, theirs = (got.body, e.answer) if wished else (without_usage(e, got.body), without_usage(e, e.answer))
        mine, theirs = mine.strip(), theirs.strip()
        if b'"error"' in theirs and mine != theirs:
            return  # an error inside a 200 is weir's to tell; the other checks look at it
        check(mine == theirs or re.sub(rb"\n+data: ?\[DONE\]$", b"", mine) == theirs, f"the stream is not as received: {len(mine)} bytes for {len(theirs)}")
        return
    check(got.body == e.answer, f"the answer is not as received: {got.body[:200]!r}")


def check_sent(e, request, base, own):
    target = request.head.split(b" ", 2)[1].decode()
    want = base + e.path + (f"?{e.query}" if e.query else "")
    same = lambda path: urllib.parse.unquote(path.replace("key=REDACTED", "").rstrip("?&"))  # noqa: E731
    check(same(target) == same(want), f"asked at {target} instead of {want}")
    sent = without_wish(e, request.body) if own else request.body
    check(sent == e.request, f"the request is not the client's: {sent[:300]!r}")


def call(address, e, path, body):
    with client_module.Connection(address, timeout=30) as c:
        fields = [*e.fields, ("authorization", "Bearer sk-app")]
        return c.request(e.method, path, body, fields)


def run_batch(exchanges):
    import gateway

    by_base = {f"/r/{n}": e for n, e in enumerate(exchanges)}
    seen = {}

    def answer(request):
        # Under /p/ the path is the host's: the key tells which provider it was.
        at = re.match(rb"\S+ /r/(\d+)", request.head) or re.search(rb"sk-raw-(\d+)", request.head)
        base = f"/r/{int(at.group(1))}"
        seen.setdefault(base, []).append(request)
        return played(by_base[base])

    with swarm.Upstream(answer) as upstream, tempfile.TemporaryDirectory(prefix="weir-wire-") as folder:
        providers, models, routes = {}, {}, {"any": {"match": "*/*"}}
        for n, e in enumerate(exchanges):
            kind, prefix = e.provider() or ("openai", "")
            providers[f"p{n}"] = {"type": kind, "base_url": f"{upstream.url}/r/{n}{prefix}", "api_key": "sk-test", "allow_private": True}
            providers[f"raw{n}"] = {"type": "openai", "base_url": upstream.url, "api_key": f"sk-raw-{n}", "allow_private": True}
            if kind == "openai":
                providers[f"p{n}"]["responses"] = "native"
            if kind == "bedrock":
                providers[f"p{n}"]["region"] = "us-east-1"
            model = f"p{n}/{e.model() or 'none'}"
            models[model] = {"price": {"input": "1", "output": "1"}, "context_window": 1000000}
            routes[f"r{n}"] = {"targets": [{"model": model}], "circuit_breaker": {"failures": 0}}
        weir = gateway.Gateway(os.path.join(folder, "weir"), {"version": 1, "providers": providers, "models": models, "routes": routes}).start()
        try:
            for n, e in enumerate(exchanges):
                for kind in ("wire", "raw"):
                    own = kind == "wire"
                    if own and (e.provider() is None or e.model() is None):
                        continue
                    yield kind, e, one(weir.address, e, n, own, seen)
        finally:
            weir.stop(expect=None)


def one(address, e, n, own, seen):
    path = e.own_path(f"r{n}") if own else f"/p/raw{n}{e.path}" + (f"?{e.query}" if e.query else "")
    body, at = e.request, MODEL.search(e.request)
    if own and at and not e.dialect.startswith(("gemini-", "bedrock-")):
        body = body[: at.start(1)] + b'"r%d"' % n + body[at.end(1) :]
    seen.pop(f"/r/{n}", None)
    try:
        got = call(address, e, path, body)
        asked = seen.get(f"/r/{n}", [])
        check(len(asked) == 1, f"{len(asked)} calls upstream; {got.status} {got.body[:200]!r}")
        check_sent(e, asked[0], f"/r/{n}" if own else "", own)
        check_answer(e, got, own)
    except (AssertionError, client_module.Broken, OSError) as fault:
        return f"{type(fault).__name__}: {fault}"
    return ""


def run(data, pattern=""):
    """Yields (kind, exchange, fault): "" where all is as it was."""
    exchanges = load(data, pattern)
    for at in range(0, len(exchanges), PROVIDERS_MOST):
        yield from run_batch(exchanges[at : at + PROVIDERS_MOST])


if __name__ == "__main__":
    for kind, e, fault in run(os.path.join(os.environ.get("WEIR_SHARED", "../shared"), "recordings"), sys.argv[1] if len(sys.argv) > 1 else ""):
        print(kind, e.id, fault[:400] or "ok")
