"""Images and files by URL for a provider that takes only bytes: fetched where the configuration says so, and only from where it may be."""
import base64
import json
import re

import client
import gateway
import processes
import swarm

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 300
SAID = {"output": {"message": {"role": "assistant", "content": [{"text": "seen"}]}}, "stopReason": "end_turn",
        "usage": {"inputTokens": 5, "outputTokens": 1, "totalTokens": 6}}


def http(body, status=200, kind="image/png", more=b""):
    head = b"HTTP/1.1 %d X\r\ncontent-type: %s\r\n" % (status, kind.encode()) + more
    return head + b"content-length: %d\r\n\r\n" % len(body) + body


class World:
    """Bedrock, which keeps what it was asked, and a server of pictures."""

    def __init__(self, start_weir, pages, **provider):
        self.pages, self.asked = pages, []
        self.bedrock = swarm.Upstream(lambda request: http(json.dumps(SAID).encode(), kind="application/json"))
        self.web = swarm.Upstream(self._page)
        config = gateway.configuration({"fake-a": ("openai", self.web)})
        config["providers"] = {"aws": {"type": "bedrock", "base_url": self.bedrock.url, "api_key": "k", "region": "us-east-1", "allow_private": True, **provider}}
        config["models"] = {"aws/m": {"price": gateway.LARGE}}
        config["routes"] = {"chat": {"targets": [{"model": "aws/m"}], "timeout": {"total": "4s"}}}
        self.weir = start_weir(config, workers=1)

    def _page(self, request):
        self.asked.append(request)
        path = request.head.split(b" ")[1].decode().split("?")[0]
        return self.pages.get(path, http(b"no", 404))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.web.stop()
        self.bedrock.stop()

    def ask(self, *urls):
        content = [{"type": "text", "text": "What is it?"}] + [{"type": "image_url", "image_url": {"url": u}} for u in urls]
        return self.weir.openai({"model": "chat", "messages": [{"role": "user", "content": content}]})

    def images(self):
        [message] = json.loads(self.bedrock.requests[-1].body)["messages"]
        return [(part["image"]["format"], base64.b64decode(part["image"]["source"]["bytes"])) for part in message["content"] if "image" in part]


def refused(answer, words):
    assert answer.status == 400, answer
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error" and re.search(words, error["message"]), error
    assert "secret" not in error["message"]  # what stands behind a "?" is nobody's


def test_pictures_are_fetched_once_and_sent_as_bytes(start_weir):
    pages = {"/a.png": http(PNG), "/moved": http(b"", 302, more=b"location: /a.png\r\n"), "/chunked": [
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"] + [b"%x\r\n%s\r\n" % (len(p), p) for p in (PNG[i : i + 1000] for i in range(0, len(PNG), 1000))] + [b"0\r\n\r\n"]}
    with World(start_weir, pages, fetch_media=True, fetch_media_private=True) as world:
        answer = world.ask(f"{world.web.url}/a.png?sig=secret", f"{world.web.url}/moved#x", f"{world.web.url}/chunked", f"{world.web.url}/a.png?sig=secret")
        assert answer.status == 200 and answer.json()["choices"][0]["message"]["content"] == "seen"
        assert world.images() == [("png", PNG)] * 4
        assert [r.head.split(b" ")[1] for r in world.asked] == [b"/a.png?sig=secret", b"/moved", b"/a.png", b"/chunked"]
        for request in world.asked:
            assert request.header(b"authorization") is None and request.header(b"cookie") is None
        assert answer.header("x-weir-loss") is None


def test_without_the_key_nothing_is_fetched(start_weir):
    with World(start_weir, {"/a.png": http(PNG)}) as world:
        answer = world.ask(f"{world.web.url}/a.png")
        assert answer.status == 400 and "an image by URL" in answer.json()["error"]["message"]
        assert world.asked == [] and world.bedrock.requests == []


PLACES = ["http://localhost/x", "http://127.0.0.1/x", "https://127.0.0.1/x", "http://[::1]/x", "http://[::ffff:127.0.0.1]/x", "http://10.1.2.3/x",
          "http://169.254.169.254/latest/meta-data", "http://[64:ff9b::7f00:1]/x", "http://100.64.0.1/x", "http://0.0.0.0/x"]
SPELLINGS = ["http://2130706433/x", "http://0x7f.1/x", "http://127.1/x", "http://user:pass@example.com/x", "http://exa mple.com/x", "http://example.com:8080/x",
             "http://example.com\\@127.0.0.1/x"]


def test_no_private_place_is_asked(start_weir):
    with World(start_weir, {}, fetch_media=True) as world:
        for url in PLACES:
            refused(world.ask(url + "?k=secret"), "^weir: the image at .* cannot be fetched: its address is not a public one")
        for url in SPELLINGS:
            refused(world.ask(url), "cannot be fetched")
        assert world.asked == [] and world.bedrock.requests == []
        world.weir.check(None)


def test_what_cannot_be_had_is_told(start_weir):
    pages = {
        "/to-metadata": http(b"", 307, more=b"location: http://169.254.169.254/latest/meta-data?secret\r\n"),
        "/round": http(b"", 301, more=b"location: /round\r\n"),
        "/page": http(b"<html>a page</html>", kind="image/png"),
        "/packed": http(PNG, more=b"content-encoding: gzip\r\n"),
        "/cut": (http(PNG)[:-10], "fin"),
        "/500": http(b"", 500),
        "/empty": http(b""),
        "/large": [b"HTTP/1.1 200 OK\r\ncontent-length: 30000000\r\n\r\n" + PNG] + [bytes(1 << 20)] * 28,
        "/never": (b"", "stall"),
    }
    told = {"/to-metadata": "not a public one", "/round": "too many redirects", "/page": "no PNG, JPEG, GIF or WebP", "/packed": "compressed",
            "/cut": "broke the answer off", "/500": "fails", "/empty": "no PNG", "/large": "larger than 20 MiB|no room", "/missing": "404"}
    with World(start_weir, pages, fetch_media=True, fetch_media_private=True) as world:
        for path, words in told.items():
            refused(world.ask(f"{world.web.url}{path}"), words)
        assert world.bedrock.requests == []
        late = world.ask(f"{world.web.url}/never")  # the call's own limit comes before that of one picture
        assert late.status == 504 and "by URL" in late.json()["error"]["message"], late
        world.weir.check(None)


def test_a_client_that_leaves_ends_the_fetch(start_weir):
    with World(start_weir, {"/never": (b"", "stall")}, fetch_media=True, fetch_media_private=True) as world:
        content = [{"type": "image_url", "image_url": {"url": f"{world.web.url}/never"}}]
        body = json.dumps({"model": "chat", "messages": [{"role": "user", "content": content}]}).encode()
        with client.Connection(world.weir.address) as c:
            c.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
            processes.wait_until(lambda: world.asked, 5, "the picture to be asked for")
            assert world.weir.metrics()["weir_upstream_connections"] == 1
        processes.wait_until(lambda: world.weir.metrics()["weir_upstream_connections"] == 0, 5, "the fetch to end")
        assert world.ask(f"{world.web.url}/missing").status == 400  # the worker lives
