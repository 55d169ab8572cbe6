"""What the stress runs share: a weir with two providers, the C load, and the comparison of ledger and bill record by record."""
import collections
import json
import os
import subprocess
import threading
import time

import bill
import gateway as gateway_module
import processes
import provider

NANO = 10**9


class World:
    """Fakes fake-a (OpenAI) and fake-b (Anthropic), each with two models; route chat spreads over both, half and half."""

    def __init__(self, folder, workers=2, event_delay_ms=0, **top):
        options = ["--event-delay-ms", str(event_delay_ms)] if event_delay_ms else []
        self.folder = str(folder)
        self.fakes = provider.Fakes(os.path.join(self.folder, "fakes"), {"fake-a": options, "fake-b": options})
        names = {"fake-a": ("openai", self.fakes["fake-a"]), "fake-b": ("anthropic", self.fakes["fake-b"])}
        routes = {"chat": {"targets": [{"model": "fake-a/large", "weight": 50}, {"model": "fake-b/large", "weight": 50}]}}
        self.config = gateway_module.configuration(names, routes, **top)
        self.gateway = gateway_module.Gateway(os.path.join(self.folder, "weir"), self.config, workers=workers)
        self.gateway.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.gateway.stop(expect=None)
        finally:
            self.fakes.stop()

    def load(self, **options):
        return Load(self.gateway.port, os.path.join(self.folder, "load.log"), **options)

    def drained(self, seconds=15):
        """Waits until the control plane has taken everything from the journals."""
        processes.wait_until(self.gateway.is_ready, seconds, "weir to be ready")
        processes.wait_until(
            lambda: self.gateway.metrics()["weir_journal_waiting_records"] == 0, seconds, "the journals to be drained", step=0.1
        )


class Call:
    def __init__(self, line):
        word, request_id, status, stream, us, self.why = line.split(" ", 5)
        self.whole, self.id, self.status, self.stream, self.us = word == "whole", request_id, int(status), stream == "1", int(us)


class Load:
    """tests/support/load.c as a process. One call's outcome is a Call; a failed one is never tried again."""

    def __init__(self, port, log, **options):
        self.log = log
        command = [processes.program("tests/load"), "--port", str(port), "--log", log]
        for name, value in options.items():
            command += ["--" + name.replace("_", "-"), str(value)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.calls = None

    def is_running(self):
        return self.process.poll() is None

    def end(self):
        """No new calls; waits for those under way."""
        if self.is_running():
            self.process.terminate()
        return self.join()

    def join(self, seconds=120):
        out, _ = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0, f"load ended with {self.process.returncode}"
        self.sum = json.loads(out)
        with open(self.log, encoding="utf-8") as f:
            self.calls = [Call(line.rstrip("\n")) for line in f]
        self.failed = [c for c in self.calls if not c.whole]
        self.ids = [c.id for c in self.calls if c.whole]
        return self

    def why(self):
        return dict(collections.Counter(f"{c.why} {c.status}" for c in self.failed))


def tail(gateway, n=1000, expect=0):
    done = gateway.cli("tail", "-n", str(n), "-o", "json", expect=expect)
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


class Ledger:
    """Every request of the ledger, gathered by asking for the last thousand often enough (tail gives no more)."""

    def __init__(self, gateway):
        self.gateway, self.lines, self.twice, self.gaps = gateway, {}, [], 0

    def look(self, expect=None):
        lines = tail(self.gateway, expect=expect)
        ids = [line["request_id"] for line in lines]
        self.twice += [i for i, n in collections.Counter(ids).items() if n > 1]
        if len(lines) == 1000 and self.lines and not any(i in self.lines for i in ids):
            self.gaps += 1
        self.lines.update((line["request_id"], line) for line in lines)
        return self.lines

    def watch(self, every=0.7):
        self.stop = threading.Event()

        def loop():
            while not self.stop.wait(every):
                self.look()

        self.thread = threading.Thread(target=loop, daemon=True)
        self.thread.start()
        return self

    def end(self):
        self.stop.set()
        self.thread.join(30)
        self.look(expect=0)
        return self


def as_bill(line):
    """What a line of the ledger says of its last attempt, in the words of the bill."""
    usage = {k.removeprefix("gen_ai.usage."): v for k, v in line.items() if k.startswith("gen_ai.usage.")}
    return (
        line["gen_ai.provider.name"],
        line["gen_ai.response.model"],
        line["stream"],
        usage["input_tokens"],
        usage["cache_read.input_tokens"],
        usage["output_tokens"],
        round(line["cost_usd"] * NANO),
    )


def bill_records(log, prices):
    """The same of the fakes' log, computed by bill.py: one tuple for each call that was told whole."""
    found = []
    for call in log:
        if call["fake"] in prices and bill.is_billed(call) and call["whole"] and call["usage_sent"]:
            tokens = call["tokens"]
            price = prices[call["fake"]]["models"][call["model"]]
            into = tokens["input"] + tokens["cache_read"] + tokens["cache_write"] + tokens["cache_write_1h"]
            found.append((call["fake"], call["model"], call["stream"], into, tokens["cache_read"], tokens["output"],
                          bill.cost_nanousd(call, price)))
    return found


def record_differences(lines, log, prices):
    """Multisets of ledger records and bill records that the other side lacks; empty when they agree record by record."""
    booked = collections.Counter(as_bill(line) for line in lines)
    billed = collections.Counter(bill_records(log, prices))
    return list((booked - billed).items())[:5], list((billed - booked).items())[:5]


class Memory:
    """Of all processes of a weir at one moment: descriptors, own memory (anonymous; pages of the mapped ledger are the page cache's), and what is
    resident of the journals."""

    def __init__(self, gateway):
        pids = gateway.pids()
        everyone = [p for p in [pids["supervisor"], pids["controlplane"], *pids["workers"]] if p]
        self.fds = {p: processes.fd_count(p) for p in everyone}
        self.rss_kib = {p: anonymous_kib(p) for p in everyone}
        self.journal_kib = {p: journal_pss_kib(p) for p in everyone}

    def grown(self, before):
        """(fds, own KiB, journal KiB) of the process that grew most, of those alive in both."""
        def most(name):
            now, then = getattr(self, name), getattr(before, name)
            return max((now[p] - then[p] for p in now if p in then), default=0)

        return most("fds"), most("rss_kib"), most("journal_kib")


def anonymous_kib(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as f:
            return next((int(line.split()[1]) for line in f if line.startswith("RssAnon:")), None)
    except (FileNotFoundError, ProcessLookupError):
        return None


def journal_pss_kib(pid):
    """What the mapped journals of a process occupy."""
    total, inside = 0, False
    try:
        with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as f:
            for line in f:
                first = line.split(" ", 1)[0]
                if "-" in first and not first.endswith(":"):
                    inside = "/journal" in line
                elif inside and first == "Pss:":
                    total += int(line.split()[1])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        pass
    return total


