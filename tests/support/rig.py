"""One worker alone (tests/support/rig.c) and an origin that says exactly the bytes a story wants: for the journey's edges.

    with Origin(answer) as a, Rig(tmp_path, [a.provider("a"), "target a/m 2.5 10", "route chat ordered a/m"]) as rig:
        rig.call({"model": "chat", …})

`answer` is a function (conn, request) -> None that writes to conn (a socket); request has .head (bytes), .body (bytes), .json. It may
return False to close the connection. Configuration lines: see rig.c.
"""
import glob
import json
import os
import resource
import socket
import subprocess
import threading
import time

import ports
import processes

USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
CHAT = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}
COST = 75000  # of USAGE at 2.50 and 10.00 USD per million, in nano-dollars


def whole(body, status=200, headers="", kind="application/json"):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{headers}content-length: {len(body)}\r\n\r\n".encode() + body


def completion(text="hello", model="m"):
    return {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def message(text="hello"):
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }


def error_body(text="boom", kind="server_error", code=None):
    return {"error": {"message": text, "type": kind, "param": None, "code": code}}


def openai_events(words=("one ", "two ", "three"), usage=True, model="m"):
    base = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": model}

    def chunk(delta, finish=None):
        return {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    events = [chunk({"role": "assistant", "content": ""})]
    events += [chunk({"content": w}) for w in words] + [chunk({}, "stop")]
    if usage:
        events.append({**base, "choices": [], "usage": USAGE})
    return [b"data: " + json.dumps(e).encode() + b"\n\n" for e in events] + [b"data: [DONE]\n\n"]


def anthropic_events(words=("one ", "two ", "three")):
    start = {**message(""), "content": [], "stop_reason": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    events = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *[{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in words],
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 5}},
        {"type": "message_stop"},
    ]
    return [b"event: " + e["type"].encode() + b"\ndata: " + json.dumps(e).encode() + b"\n\n" for e in events]


STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data):
    return b"%x\r\n" % len(data) + data + b"\r\n"


def stream_bytes(events):
    return STREAM_HEAD + b"".join(chunk(e) for e in events) + b"0\r\n\r\n"


def good(conn, request):
    """An OpenAI provider that answers well."""
    if request.json.get("stream"):
        conn.sendall(stream_bytes(openai_events()))
    else:
        conn.sendall(whole(completion()))


class Request:
    def __init__(self, head, body):
        self.head, self.body = head, body
        self.line = head.split(b"\r\n")[0].decode()
        self.headers = {}
        for line in head.split(b"\r\n")[1:]:
            if line:
                name, value = line.split(b":", 1)
                self.headers.setdefault(name.decode().lower(), value.strip().decode())

    @property
    def json(self):
        return json.loads(self.body) if self.body else {}


class Origin:
    def __init__(self, answer=good, tls=None):
        self.answer, self.tls = answer, tls
        self.requests, self.connections, self.ended = [], 0, 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = ports.free_port()
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(200)
        self.open = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def provider(self, name, kind="openai", host="127.0.0.1", ca=None):
        base = "/v1" if kind in ("openai", "responses") else "/"
        transport = f"tls {base} sk-up-{name} {ca}" if self.tls else f"plain {base} sk-up-{name}"
        return f"provider {name} {kind} {host} {self.port} {transport}"

    def _accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        self.connections += 1
        self.open.add(conn)
        try:
            if self.tls:
                conn = self.tls.wrap_socket(conn, server_side=True)
            rest = b""
            while True:
                while b"\r\n\r\n" not in rest:
                    piece = conn.recv(65536)
                    if not piece:
                        return
                    rest += piece
                head, rest = rest.split(b"\r\n\r\n", 1)
                request = Request(head, b"")
                length = int(request.headers.get("content-length", 0))
                while len(rest) < length:
                    piece = conn.recv(65536)
                    if not piece:
                        return
                    rest += piece
                request.body, rest = rest[:length], rest[length:]
                self.requests.append(request)
                if self.answer(conn, request) is False:
                    return
        except OSError:
            pass
        finally:
            self.ended += 1
            conn.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # a thread waits in accept() and would keep it open
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Answer:
    """status, headers, body; `whole` tells if the message ended as HTTP says, `events` are an event stream's data."""

    def __init__(self, raw):
        self.raw, self.status, self.headers, self.body, self.whole = raw, None, {}, b"", False
        if b"\r\n\r\n" not in raw:
            return
        head, rest = raw.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.headers[name.lower()] = value.strip()
        if self.headers.get("transfer-encoding") == "chunked":
            while rest:
                if b"\r\n" not in rest:
                    return
                size, rest = rest.split(b"\r\n", 1)
                n = int(size, 16)
                if n == 0:
                    self.whole, self.after = rest.startswith(b"\r\n"), rest[2:]
                    return
                self.body += rest[:n]
                if len(rest) < n + 2:
                    return
                rest = rest[n + 2 :]
        elif "content-length" in self.headers:
            n = int(self.headers["content-length"])
            self.body, self.whole, self.after = rest[:n], len(rest) >= n, rest[n:]
        else:
            self.body = rest

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def events(self):
        found = []
        for event in self.body.decode("utf-8", "replace").split("\n\n"):
            data = [line[5:].strip() for line in event.split("\n") if line.startswith("data:")]
            found += data
        return found

    @property
    def text(self):
        """What an OpenAI or Anthropic client would show of a stream."""
        text = ""
        for data in self.events:
            if data == "[DONE]":
                continue
            event = json.loads(data)
            for choice in event.get("choices", []):
                text += choice.get("delta", {}).get("content") or ""
            text += event.get("delta", {}).get("text") or "" if isinstance(event.get("delta"), dict) else ""
        return text


def request_bytes(body, path="/v1/chat/completions", headers="", method="POST", host="localhost"):
    data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {len(data)}\r\n\r\n".encode() + data


class Rig:
    def __init__(self, folder, lines, descriptors=None):
        self.folder = str(folder)
        self.state = os.path.join(self.folder, "rig")
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.port = ports.free_port()
        self.report = os.path.join(self.folder, "sanitizer")
        env = {**os.environ}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            kept = [o for o in env.get(name, "").split(":") if o and not o.startswith("log_path=")]
            env[name] = ":".join(kept + ["abort_on_error=1", "halt_on_error=1", "print_stacktrace=1", f"log_path={self.report}"])
        self.process = subprocess.Popen(
            [processes.program(os.path.join("tests", "rig")), self.state],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            preexec_fn=None if descriptors is None else lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors)),
        )
        for line in [f"listen {self.port}", *lines, "go"]:
            self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        first = self.process.stdout.readline()
        assert first.startswith("ready"), first + self.process.stderr.read()

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def records(self, at_least=0, seconds=5):
        """The records since the last time; waits for a number of them."""
        found, end = [], time.monotonic() + seconds
        while True:
            self.process.stdin.write("records\n")
            self.process.stdin.flush()
            while (line := self.process.stdout.readline()) != "end\n":
                assert line, "the rig has ended"
                found.append(json.loads(line))
            if len(found) >= at_least:
                return found
            assert time.monotonic() < end, f"{len(found)} records, expected {at_least}: {found}"
            time.sleep(0.01)

    def gauges(self):
        return json.loads(self.command("gauges"))

    def settled(self, seconds=5):
        """Nothing is under way any more."""

        def quiet():
            g = self.gauges()
            return g if g["in_flight"] == 0 and g["open_slots"] == 0 and g["buffer_bytes"] == 0 else None

        return processes.wait_until(quiet, seconds, f"an idle worker, is: {self.gauges()}")

    def connect(self, timeout=10):
        s = socket.create_connection(("127.0.0.1", self.port), timeout)
        return s

    def raw(self, data, timeout=10):
        """Sends bytes, reads to the end of the connection or of one whole answer."""
        with self.connect(timeout) as s:
            s.sendall(data)
            return self.read(s)

    def read(self, s):
        got = b""
        while True:
            answer = Answer(got)
            if answer.whole:
                return answer
            try:
                piece = s.recv(65536)
            except ConnectionResetError:
                piece = b""
            if not piece:
                return answer
            got += piece

    def call(self, body=None, path="/v1/chat/completions", headers="", timeout=10, **kw):
        return self.raw(request_bytes(CHAT if body is None else body, path, headers, **kw), timeout)

    def close(self):
        if self.process.poll() is None:
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.flush()
            except OSError:
                pass
        out, err = self.process.communicate(timeout=20)
        for path in glob.glob(self.report + ".*"):
            with open(path, encoding="utf-8", errors="replace") as f:
                raise AssertionError(f.read()[:6000])
        assert "exit 0" in out or getattr(self, "ended", False), out + err

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
