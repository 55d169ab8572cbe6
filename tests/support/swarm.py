"""Many raw exchanges at a time in one process: hostile requests at a port, hostile answers from an upstream, all bytes kept."""
import asyncio
import os
import re
import socket
import threading

SHARED = os.environ.get("WEIR_SHARED", os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "shared"))


def corpora(*parts):
    """The path of a file of the corpora, or None where they are not."""
    for base in (SHARED, "/work/shared"):
        path = os.path.join(base, "corpora", *parts)
        if os.path.exists(path):
            return path
    return None


# ---- a strict reader of answers ----

class NotHttp(AssertionError):
    """What weir sent is not a sequence of well-formed answers."""


STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [\x20-\x7e]*")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\x09\x20-\x7e\x80-\xff]*)")


class Reply:
    def __init__(self, status, headers):
        self.status, self.headers = status, headers
        self.body = b""
        self.complete = False

    def get(self, name, default=None):
        return self.headers.get(name, default)

    @property
    def error(self):
        """weir's own word for what went wrong, or None."""
        return self.headers.get("x-weir-error")

    def __repr__(self):
        return f"<{self.status} {self.error or ''}{'' if self.complete else ' cut'} {self.body[:160]!r}>"


def _chunked(data, reply):
    """The rest behind a chunked body; reply.complete tells whether it was there whole."""
    while True:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return b""
        if not re.fullmatch(rb"[0-9a-f]+", line):
            raise NotHttp(f"chunk size {line[:40]!r}")
        size = int(line, 16)
        if size == 0:
            if rest[:2] == b"\r\n":
                reply.complete = True
                return rest[2:]
            if b"\r\n".startswith(rest[:2]):
                return b""
            raise NotHttp(f"behind the last chunk: {rest[:40]!r}")
        reply.body += rest[:size]
        if len(rest) < size + 2:
            return b""
        if rest[size : size + 2] != b"\r\n":
            raise NotHttp("a chunk without its end")
        data = rest[size + 2 :]


def replies(data, heads=()):
    """Every answer in the bytes that weir sent on one connection, in order; 1xx are left out. Only the last may be cut."""
    found = []
    while data:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            raise NotHttp(f"an unfinished head: {data[:200]!r}")
        lines = head.split(b"\r\n")
        status = STATUS_LINE.fullmatch(lines[0])
        if not status:
            raise NotHttp(f"status line {lines[0][:100]!r}")
        headers = {}
        for line in lines[1:]:
            field = FIELD.fullmatch(line)
            if not field:
                raise NotHttp(f"header {line[:100]!r}")
            name = field[1].decode().lower()
            if name in headers and name in ("content-length", "transfer-encoding", "content-type", "connection"):
                raise NotHttp(f"two {name}")
            headers[name] = field[2].decode("latin-1")
        reply = Reply(int(status[1]), headers)
        data = rest
        if reply.status < 200:
            continue
        found.append(reply)
        if "content-length" in headers and "transfer-encoding" in headers:
            raise NotHttp("two framings")
        if reply.status in (204, 304) or len(found) in heads:
            reply.complete = True
        elif "transfer-encoding" in headers:
            data = _chunked(rest, reply)
        elif "content-length" in headers:
            n = int(headers["content-length"])
            reply.body, data = rest[:n], rest[n:]
            reply.complete = len(reply.body) == n
        else:
            reply.body, data, reply.complete = rest, b"", headers.get("connection") == "close"
        if data and not reply.complete:
            raise NotHttp(f"bytes behind a cut answer: {data[:100]!r}")
    return found


# ---- many clients ----

class Outcome:
    """What came back on one connection. ended: "fin", "rst", "quiet" (nothing more for `quiet` seconds after a whole answer), "hang"."""

    def __init__(self, data, ended):
        self.data, self.ended = data, ended

    @property
    def replies(self):
        return replies(self.data)


class _Client(asyncio.Protocol):
    def __init__(self, done):
        self.data, self.done, self.ended = bytearray(), done, None
        self.seen = asyncio.Event()

    def data_received(self, data):
        self.data += data
        self.seen.set()

    def eof_received(self):
        self.ended = "fin"

    def connection_lost(self, error):
        self.ended = self.ended or ("rst" if error else "fin")
        self.seen.set()
        if not self.done.done():
            self.done.set_result(None)


def _answers(data):
    if len(data) > 200_000 and not data.endswith((b"\r\n\r\n", b"}", b"}\n")):
        return 0  # cheaply: reading all of it again for each piece would be slow
    try:
        found = replies(bytes(data))
    except NotHttp:
        return 0
    return len(found) if found and found[-1].complete else 0


async def _exchange(address, data, answers, quiet, hang, cuts):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    transport, client = await loop.create_connection(lambda: _Client(done), *address)
    try:
        at = 0
        for cut in [*cuts, len(data)]:
            transport.write(data[at:cut])
            at = cut
            if cuts:
                await asyncio.sleep(0.002)
        end = loop.time() + hang
        while not done.done():
            left = end - loop.time()
            if left <= 0:
                client.ended = "hang"
                break
            count = _answers(client.data)
            client.seen.clear()
            try:  # enough was answered: a moment for what should not come
                await asyncio.wait_for(client.seen.wait(), min(left, quiet) if count >= answers else left)
            except asyncio.TimeoutError:
                client.ended = "quiet" if count >= answers else "hang"
                break
            if client.ended:
                break
    finally:
        transport.abort()
    return Outcome(bytes(client.data), client.ended)


def exchange_surely(address, inputs, **options):
    """exchange_all(), and once more, few at a time, those that got not a byte: where waits are short, a busy machine lets them pass before
    a client has said its first word, and a connection without a word is closed without one."""
    outcomes = exchange_all(address, inputs, **options)
    silent = [n for n, outcome in enumerate(outcomes) if not outcome.data]
    for n, outcome in zip(silent, exchange_all(address, [inputs[n] for n in silent], **{**options, "parallel": 2})):
        outcomes[n] = outcome
    return outcomes


def exchange_all(address, inputs, parallel=48, answers=1, quiet=0.15, hang=10.0, cuts=()):
    """Each input on a connection of its own, up to `parallel` at a time; the outcomes in order. An end without answer is no error here.

    Waits until weir closes, or `quiet` seconds after `answers` whole answers, at most `hang` seconds.
    """

    async def run():
        gate = asyncio.Semaphore(parallel)

        async def one(data):
            async with gate:
                return await _exchange(address, data, answers, quiet, hang, cuts)

        return await asyncio.gather(*(one(d) for d in inputs))

    return asyncio.run(run())


# ---- an upstream that counts and plays back ----

class Request:
    def __init__(self, connection, number, head, body):
        self.connection, self.number, self.head, self.body = connection, number, head, body

    def header(self, name):
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name.lower():
                return value.strip()
        return None


class Upstream:
    """An asyncio upstream in a thread. `answer(request)` gives the bytes to write, or (bytes, "fin" | "rst" | "keep" | "stall").

    Reads requests by Content-Length only, which is how weir sends them, and keeps every byte: `requests`, `raw` (by connection), `strays`
    (bytes that are no request), `reused` (pairs of requests that came on one connection).
    """

    def __init__(self, answer, tls=None):
        self.answer = answer
        self.tls = tls
        self.requests, self.raw, self.strays, self.reused, self.errors = [], [], [], [], []
        self.open = 0
        self.loop = asyncio.new_event_loop()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.address, self.url = ("127.0.0.1", self.port), f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait(5)

    def _run(self, ready):
        asyncio.set_event_loop(self.loop)
        self.server = self.loop.run_until_complete(asyncio.start_server(self._serve, sock=self.listener, ssl=self.tls, limit=1 << 26))
        ready.set()
        self.loop.run_forever()

    async def _serve(self, reader, writer):
        number, raw, before = len(self.raw), bytearray(), None
        self.raw.append(raw)
        self.open += 1
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while True:
                request = await self._read(reader, number, raw)
                if request is None:
                    return
                self.requests.append(request)
                if before is not None:
                    self.reused.append((before, request))
                before = request
                if not await self._tell(writer, request):
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass
        except Exception as e:  # a mistake of the story, not of weir
            self.errors.append(e)
        finally:
            self.open -= 1
            writer.close()

    async def _read(self, reader, number, raw):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as e:
            raw += e.partial
            if e.partial:
                self.strays.append(e.partial)
            return None
        raw += head
        length = re.search(rb"\r\ncontent-length: ([0-9]+)\r\n", head, re.I)
        n = int(length[1]) if length else 0
        try:
            body = await reader.readexactly(n)
        except asyncio.IncompleteReadError as e:
            raw += e.partial
            self.strays.append(head + e.partial)
            return None
        raw += body
        return Request(number, len(self.requests), head[:-4], body)

    async def _tell(self, writer, request):
        told = self.answer(request)
        data, end = told if isinstance(told, tuple) else (told, "keep")
        for piece in data if isinstance(data, list) else [data]:
            if isinstance(piece, float):
                await writer.drain()
                await asyncio.sleep(piece)
            else:
                writer.write(piece)
                await writer.drain()
        if end == "rst":
            await asyncio.sleep(0.02)  # what was written first arrives first
            writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            writer.transport.abort()
        if end == "stall":
            await asyncio.sleep(30)
        return end == "keep"

    def stop(self):
        async def end():
            self.server.close()
            for task in asyncio.all_tasks(self.loop):
                if task is not asyncio.current_task():
                    task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(5)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
        if self.errors:
            raise self.errors[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
