"""Providers for tests: weir-fake as a process, and a raw upstream for what no HTTP server would ever send."""
import base64
import json
import os
import socket
import subprocess
import threading
import time

import client
import processes


class Fake:
    """One of the fake providers of a Fakes process."""

    def __init__(self, owner, said):
        self.owner, self.name, self.port, self.tls = owner, said["fake"], said["port"], said["tls"]
        self.address = ("127.0.0.1", self.port)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def _control(self, method, path, body=b""):
        query = "&" if "?" in path else "?"
        answer = self.owner.ask(method, f"/_fake/{path}{query}of={self.name}", body)
        if answer.status != 200:
            raise AssertionError(f"{method} /_fake/{path}: {answer.body.decode()}")
        return answer.json()

    def fault(self, **fault):
        """Adds a fault (tools/fake/README.md) and returns its id."""
        for key in ("raw", "extra", "body"):
            if isinstance(fault.get(key), bytes):
                fault[key + "_base64"] = base64.b64encode(fault.pop(key)).decode()
        return self._control("POST", "faults", fault)["id"]

    def clear(self, fault_id=None):
        self._control("DELETE", "faults" if fault_id is None else f"faults/{fault_id}")

    def faults(self):
        return self._control("GET", "faults")

    def calls(self, last=50):
        """The last calls, oldest first; `body` holds the exact bytes, `headers` a list of pairs."""
        found = self._control("GET", f"calls?last={last}")
        for call in found:
            call["body"] = base64.b64decode(call.pop("body_base64"))
        return found

    def stats(self):
        return self._control("GET", "stats")

    def reset(self):
        self._control("POST", "reset")

    def wait_for_calls(self, n, seconds=5.0):
        """Calls that are over, for better or worse."""
        processes.wait_until(lambda: len(self.calls(n)) >= n, seconds, f"{self.name} to have answered {n} calls")
        return self.calls(n)


class Fakes:
    """A weir-fake process with several fake providers. specs: {"fake-a": ["--event-delay-ms", "5"], …} or a list of names."""

    def __init__(self, folder, specs=("fake-a",), tls=None):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.log = os.path.join(self.folder, "calls.jsonl")
        specs = specs if isinstance(specs, dict) else {name: [] for name in specs}
        # The first listener is for control requests, plain whatever the others are.
        command = [processes.program("weir-fake"), "--log", self.log, "--exit-with-parent"]
        command += ["--listen", "127.0.0.1:0", "--name", "control"]
        for name, options in specs.items():
            suffix = f",tls:{tls[0]}:{tls[1]}" if tls else ""
            options = list(options)
            if options and options[0].startswith("tls"):
                suffix = "," + options.pop(0)
            command += ["--listen", "127.0.0.1:0" + suffix, "--name", name, *options]
        self.stderr_path = os.path.join(self.folder, "fake.stderr")
        with open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, stdin=subprocess.DEVNULL)
        said = [self.process.stdout.readline() for _ in range(len(specs) + 1)]
        if not all(said):
            raise AssertionError("weir-fake did not start: " + open(self.stderr_path).read())
        said = [json.loads(line) for line in said]
        self.control = ("127.0.0.1", said[0]["port"])
        self.fakes = {s["fake"]: Fake(self, s) for s in said[1:]}

    def ask(self, method, path, body=b""):
        with client.Connection(self.control) as c:
            return c.request(method, path, body)

    def __getitem__(self, name):
        return self.fakes[name]

    def __iter__(self):
        return iter(self.fakes.values())

    def bill(self):
        """Every call that was logged so far."""
        self.ask("GET", "/_fake/stats")  # flushes
        with open(self.log, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(10)
        self.process.stdout.close()
        assert code == 0, f"weir-fake ended with {code}: {open(self.stderr_path).read()[-2000:]}"


class RawProvider:
    """A scripted upstream: `script(connection, n)` is run in a thread for the n-th connection (from 0) and does what it likes.

    Helpers: read_request(connection) returns (head bytes, body bytes). `received` holds every byte that each connection sent.
    """

    def __init__(self, script):
        self.script = script
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.address = ("127.0.0.1", self.port)
        self.url = f"http://127.0.0.1:{self.port}"
        self.received = []
        self.errors = []
        self.stopping = False
        self.open = []
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.settimeout(30)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            n = len(self.received)
            self.received.append(bytearray())
            self.open.append(connection)
            threading.Thread(target=self._run, args=(connection, n), daemon=True).start()

    def _run(self, connection, n):
        recv = connection.recv

        class Seen:
            """The connection, noting what it reads."""

            def __getattr__(self, name):
                return getattr(connection, name)

            def recv(_, size):
                data = recv(size)
                self.received[n] += data
                return data

        try:
            self.script(Seen(), n)
        except OSError:
            pass  # the other side left: often the point
        except Exception as e:  # a script with a mistake must not look like a provider's fault
            self.errors.append(e)
        finally:
            connection.close()

    def stop(self):
        self.listener.close()
        for connection in self.open:
            connection.close()
        if self.errors:
            raise self.errors[0]


def read_request(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return data, b""
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        more = connection.recv(65536)
        if not more:
            break
        body += more
    return head, body


def reset(connection):
    """Closes with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def linger_until_closed(connection, seconds=10.0):
    """Reads until the other side closes; how long that took, or None."""
    begin = time.monotonic()
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except socket.timeout:
        return None
    except OSError:
        pass
    return time.monotonic() - begin
