"""A client that shows every byte: raw HTTP/1.1 with keep-alive, an SSE reader, and a load generator that counts honestly."""
import json
import re
import socket
import ssl
import threading
import time


class Broken(Exception):
    """The connection ended where no answer ends: reset, short body, no proper last chunk."""


class Answer:
    def __init__(self, status, reason, headers):
        self.status, self.reason = status, reason
        self.headers = headers  # list of (name, value) as sent
        self.body = b""
        self.complete = False  # the body ended as its framing says
        self.first_byte_s = self.total_s = None

    def header(self, name, default=None):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return default

    def json(self):
        return json.loads(self.body)

    def events(self):
        return list(sse_events(self.body))

    def __repr__(self):
        return f"<{self.status} {len(self.body)} bytes{'' if self.complete else ', cut'}: {self.body[:200]!r}>"


def sse_events(body):
    """(name, data) of each event, also of one without its blank line at the end of the body."""
    for block in re.split(rb"\r?\n\r?\n", body):
        name, data = "", []
        for line in re.split(rb"\r?\n", block):
            if line.startswith(b"event:"):
                name = line[6:].strip().decode()
            elif line.startswith(b"data:"):
                data.append(line[5:].lstrip(b" "))
        if data:
            yield name, b"\n".join(data)


class Connection:
    """One connection. address: (host, port) or the path of a Unix socket."""

    def __init__(self, address, timeout=10.0, tls=None, server_name=None):
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        else:
            self.socket = socket.create_connection(address, timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.buffer = b""
        self.chunks = []  # (seconds since the request, bytes) as the kernel gave them

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        try:
            data = self.socket.recv(65536)
        except (ConnectionError, ssl.SSLError) as e:
            raise Broken(f"reset: {e}") from e
        if data:
            self.chunks.append((time.monotonic(), data))
        self.buffer += data
        return bool(data)

    def read_head(self):
        while b"\r\n\r\n" not in self.buffer:
            if not self._more():
                raise Broken(f"closed before the end of the head: {self.buffer[:200]!r}")
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        lines = head.decode("latin-1").split("\r\n")
        version, status, *reason = lines[0].split(" ", 2)
        headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines[1:]]
        return Answer(int(status), reason[0] if reason else "", headers)

    def _take(self, n):
        while len(self.buffer) < n:
            if not self._more():
                return False
        return True

    def _read_chunked(self, answer):
        while True:
            while b"\r\n" not in self.buffer:
                if not self._more():
                    return
            line, self.buffer = self.buffer.split(b"\r\n", 1)
            size = int(line.split(b";")[0], 16)
            if size == 0:
                if self._take(2) and self.buffer[:2] == b"\r\n":
                    self.buffer = self.buffer[2:]
                    answer.complete = True
                return
            whole = self._take(size + 2)
            answer.body += self.buffer[:size]
            self.buffer = self.buffer[size + 2 :]
            if not whole:
                return

    def read_body(self, answer, head_request=False):
        """Fills answer.body; answer.complete tells whether it ended properly. A reset is a cut, not an exception."""
        try:
            length = answer.header("content-length")
            if head_request or answer.status in (204, 304) or answer.status < 200:
                answer.complete = True
            elif (answer.header("transfer-encoding") or "").lower() == "chunked":
                self._read_chunked(answer)
            elif length is not None:
                answer.complete = self._take(int(length))
                answer.body, self.buffer = self.buffer[: int(length)], self.buffer[int(length) :]
            else:
                while self._more():
                    pass
                answer.body, self.buffer = self.buffer, b""
                answer.complete = True
        except Broken:
            answer.body += self.buffer
            self.buffer = b""
        return answer

    def request(self, method, path, body=b"", headers=(), host="localhost"):
        """Sends a request and reads its whole answer. Raises Broken without a head, socket.timeout without an end."""
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}"] + [f"{k}: {v}" for k, v in dict(headers).items()]
        if body or method == "POST":
            lines.append(f"Content-Length: {len(body)}")
        started = time.monotonic()
        self.chunks = []
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        answer = self.read_head()
        while answer.status < 200:
            answer = self.read_head()
        self.read_body(answer, method == "HEAD")
        answer.first_byte_s = self.chunks[0][0] - started if self.chunks else None
        answer.total_s = time.monotonic() - started
        return answer


# ---- what an app sends ----

def chat(text="hi", model="chat", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def messages(text="hi", model="chat", **more):
    return {"model": model, "max_tokens": 1000, "messages": [{"role": "user", "content": text}], **more}


OPENAI_HEADERS = {"Content-Type": "application/json", "Authorization": "Bearer sk-app"}
ANTHROPIC_HEADERS = {"Content-Type": "application/json", "x-api-key": "sk-app", "anthropic-version": "2023-06-01"}


def call_openai(address, body=None, path="/v1/chat/completions", headers=(), **kw):
    with Connection(address, **kw) as c:
        return c.request("POST", path, chat() if body is None else body, {**OPENAI_HEADERS, **dict(headers)})


def call_anthropic(address, body=None, path="/v1/messages", headers=(), **kw):
    with Connection(address, **kw) as c:
        return c.request("POST", path, messages() if body is None else body, {**ANTHROPIC_HEADERS, **dict(headers)})


def get(address, path, **kw):
    with Connection(address, **kw) as c:
        return c.request("GET", path)


def openai_text(answer):
    """The text of an OpenAI answer, streamed or not."""
    if "event-stream" not in (answer.header("content-type") or ""):
        return answer.json()["choices"][0]["message"]["content"]
    text = ""
    for _, data in answer.events():
        if data != b"[DONE]":
            for choice in json.loads(data).get("choices", []):
                text += choice["delta"].get("content") or ""
    return text


def anthropic_text(answer):
    if "event-stream" not in (answer.header("content-type") or ""):
        return "".join(b.get("text", "") for b in answer.json()["content"])
    text = ""
    for name, data in answer.events():
        if name == "content_block_delta":
            text += json.loads(data)["delta"].get("text", "")
    return text


def is_whole(answer):
    """200, ended by its framing, and a stream also by its dialect's terminal event."""
    if answer.status != 200 or not answer.complete:
        return False
    if "event-stream" not in (answer.header("content-type") or ""):
        return True
    events = answer.events()
    return bool(events) and (events[-1][1] == b"[DONE]" or events[-1][0] == "message_stop")


class Load:
    """`workers` keep-alive connections make calls until `seconds` are over or `calls` are made, at most `rate` a second together.

    Every answer that is not whole counts as failed: not 200, reset, short, without its terminal event. There is no second try.
    """

    def __init__(self, address, make_call, workers=8, seconds=10.0, calls=None, rate=None, timeout=20.0):
        self.address, self.make_call, self.timeout = address, make_call, timeout
        self.workers, self.seconds, self.calls, self.rate = workers, seconds, calls, rate
        self.lock = threading.Lock()
        self.started = self.whole = 0
        self.failed = []  # (what, seconds since the start)
        self.times = []
        self.ids = []  # x-request-id of the whole ones
        self.stop = threading.Event()

    def _next(self, begin):
        """The number of the next call when its time has come; None: no more."""
        with self.lock:
            if self.stop.is_set() or (self.calls is not None and self.started >= self.calls):
                return None
            number = self.started
            self.started += 1
        due = begin + number / self.rate if self.rate else time.monotonic()
        while due > time.monotonic():
            if self.stop.wait(min(due - time.monotonic(), 0.5)):
                break
        if time.monotonic() - begin > self.seconds:
            with self.lock:
                self.started -= 1
            return None
        return number

    def _one(self, connection, number):
        method, path, body, headers = self.make_call(number)
        answer = connection.request(method, path, body, headers)
        with self.lock:
            if is_whole(answer):
                self.whole += 1
                self.times.append(answer.total_s)
                self.ids.append(answer.header("x-request-id"))
            else:
                self.failed.append((repr(answer), time.monotonic()))
        return answer.complete and (answer.header("connection") or "").lower() != "close"

    def _work(self, begin):
        connection = None
        while (number := self._next(begin)) is not None:
            try:
                if connection is None:
                    connection = Connection(self.address, self.timeout)
                keep = self._one(connection, number)
            except (Broken, OSError) as e:
                keep = False
                with self.lock:
                    self.failed.append((f"{type(e).__name__}: {e}", time.monotonic()))
            if not keep and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()

    def start(self):
        begin = time.monotonic()
        self.threads = [threading.Thread(target=self._work, args=(begin,), daemon=True) for _ in range(self.workers)]
        for t in self.threads:
            t.start()
        return self

    def join(self):
        for t in self.threads:
            t.join(self.seconds + self.timeout + 30)
        return self

    def run(self):
        return self.start().join()

    def percentile(self, p):
        times = sorted(self.times)
        return times[min(len(times) - 1, int(len(times) * p / 100))] if times else None

    def __repr__(self):
        return f"<{self.started} calls, {self.whole} whole, {len(self.failed)} failed: {self.failed[:3]}>"
