"""weir as real processes with a configuration and a state directory of its own, and the oracle that follows every fault."""
import ctypes
import glob
import json
import os
import shutil
import signal
import subprocess
import threading
import time

import client
import ports
import processes

LARGE = {"input": "2.50", "cached_input": "0.25", "cache_write": "3.125", "cache_write_1h": "5.00", "output": "10.00"}
SMALL = {"input": "3.00", "cached_input": "0.30", "cache_write": "3.75", "cache_write_1h": "6.00", "output": "15.00"}
CANARY = "sk-canary-Zq7-must-never-be-seen-in-any-output"


PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


def end_with_the_tests():
    """Runs in the child: a test run that is killed leaves no weir behind."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def configuration(fakes, routes=None, **top):
    """A configuration over fakes: {"fake-a": ("openai", fake), "fake-b": ("anthropic", fake)}; models large and small with prices.

    Without `routes` there is one, "chat": the first provider's model large, the others as fallbacks in order.
    """
    providers, models = {}, {}
    for name, (kind, fake) in fakes.items():
        providers[name] = {
            "type": kind,
            "base_url": fake.url + ("/v1" if kind == "openai" else ""),
            "api_key": f"{CANARY}-{name}",
            "allow_private": True,
        }
        if kind == "bedrock":
            providers[name]["region"] = "us-east-1"
        models[f"{name}/large"] = {"price": LARGE, "context_window": 1000000}
        models[f"{name}/small"] = {"price": SMALL, "context_window": 1000000}
    first, *others = fakes
    if routes is None:
        routes = {"chat": {"targets": [{"model": f"{first}/large"}]}}
        if others:
            routes["chat"]["fallbacks"] = [f"{name}/large" for name in others]
    config = {"version": 1, "providers": providers, "models": models, "routes": routes, **top}
    return config


def prices_of(config):
    """For bill.py, where a fake and the provider that leads to it have the same name."""
    found = {}
    for name, entry in config.get("models", {}).items():
        provider, model = name.split("/", 1)
        found.setdefault(provider, {"provider": provider, "models": {}})["models"][model] = entry["price"]
    return found


class Gateway:
    """One weir. config is a dict (listen addresses are filled in) or the text of a weir.yaml with {port} and {admin} in it."""

    def __init__(self, folder, config, workers=2, env=None, environment_only=False):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.state = os.path.join(self.folder, "state")
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        self.port, self.admin_port = ports.free_port(), ports.free_port()
        self.address, self.admin = ("127.0.0.1", self.port), ("127.0.0.1", self.admin_port)
        self.url = f"http://127.0.0.1:{self.port}"
        self.workers = workers
        self.environment_only = environment_only
        self.config_path = os.path.join(self.folder, "weir.yaml")
        self.report = os.path.join(self.folder, "sanitizer")
        self.starts = 0
        self.process = None
        self.baseline = None
        self.env = {**os.environ, **(env or {})}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            kept = [o for o in self.env.get(name, "").split(":") if o and not o.startswith("log_path=")]
            self.env[name] = ":".join(kept + ["abort_on_error=1", "halt_on_error=1", "print_stacktrace=1", f"log_path={self.report}"])
        self.configure(config)

    # ---- configuration ----

    def configure(self, config):
        """Writes weir.yaml anew (as a rename, so that a watcher never sees half of it). Does not reload."""
        if isinstance(config, dict):
            server = {
                "listen": [f"127.0.0.1:{self.port}"],
                "workers": self.workers,
                **config.get("server", {}),
            }
            server["admin"] = {"http": f"127.0.0.1:{self.admin_port}", **server.get("admin", {})}
            config = {**config, "server": server}
            text = json.dumps(config, indent=1)  # JSON is YAML
        else:
            text = config.replace("{port}", str(self.port)).replace("{admin}", str(self.admin_port))
        self.config = config
        with open(self.config_path + ".new", "w", encoding="utf-8") as f:
            f.write(text + "\n")
        os.rename(self.config_path + ".new", self.config_path)

    # ---- life ----

    def start(self, wait=True, program="weir", stderr=None):
        """stderr: a descriptor of the caller's in place of the file."""
        command = [processes.program(program)]
        if program == "weir":
            command.append("run")
        command += ["--state", self.state]
        if not self.environment_only:
            command += ["--config", self.config_path]
        self.stdout_path = os.path.join(self.folder, f"stdout.{self.starts}")
        self.stderr_path = os.path.join(self.folder, f"stderr.{self.starts}")
        self.starts += 1
        with open(self.stdout_path, "wb") as out, open(self.stderr_path, "wb") as err:
            # The signal comes when the thread that started it ends, so only the main one may ask for it.
            main = threading.current_thread() is threading.main_thread()
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err if stderr is None else stderr, stdin=subprocess.DEVNULL, env=self.env, start_new_session=True,
                preexec_fn=end_with_the_tests if main else None,
            )
        if wait:
            self.wait_ready()
        return self

    def is_ready(self):
        try:
            return client.get(self.admin, "/readyz", timeout=2).status == 200
        except (OSError, client.Broken):
            return False

    def wait_ready(self, seconds=20.0):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"weir ended with {self.process.returncode} at its start\n{self.output()}")
            return self.is_ready()

        processes.wait_until(ready, seconds, lambda: f"weir to be ready\n{self.output()}")
        self.baseline = self.snapshot()
        return self

    def output(self):
        texts = []
        for path in (self.stdout_path, self.stderr_path):
            with open(path, "rb") as f:
                texts.append(f.read().decode(errors="replace")[-4000:])
        return "\n".join(texts)

    def stop(self, seconds=30.0, expect=0):
        """SIGTERM and the orderly end; a report of a sanitizer fails."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill_all()
            raise AssertionError(f"weir did not end within {seconds} s after SIGTERM\n{self.output()}") from None
        self.process = None
        self.check_reports()
        assert expect is None or code == expect, f"weir ended with {code}\n{self.output()}"

    def pids(self):
        """{"supervisor": pid, "controlplane": pid or None, "workers": [pids]} as /proc shows them."""
        found = {"supervisor": self.process.pid, "controlplane": None, "workers": []}
        for pid in processes.children(self.process.pid):
            line = processes.command_line(pid)
            if line and os.path.basename(line[0]) == "weir-controlplane":
                found["controlplane"] = pid
            elif line and "--worker" in line:
                found["workers"].append(pid)
        return found

    def kill(self, who, number=signal.SIGKILL):
        """who: "controlplane", "supervisor", or the index of a worker. Returns the pid, or None when there was none."""
        pids = self.pids()
        pid = pids["workers"][who] if isinstance(who, int) and who < len(pids["workers"]) else pids.get(who)
        if pid is not None:
            os.kill(pid, number)
        return pid

    def kill_all(self):
        """Every process of this weir at once."""
        pids = self.pids()
        for pid in [pids["supervisor"], pids["controlplane"], *pids["workers"]]:
            try:
                if pid is not None:
                    os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(10)
        processes.wait_until(
            lambda: not any((processes.stat_of(p) or ("", "Z", 0))[1] != "Z" for p in pids["workers"] if p),
            10,
            "killed workers to be gone",
        )
        self.process = None

    # ---- asking ----

    def openai(self, body=None, **kw):
        return client.call_openai(self.address, body, **kw)

    def anthropic(self, body=None, **kw):
        return client.call_anthropic(self.address, body, **kw)

    def cli(self, *words, expect=0):
        done = subprocess.run(
            [processes.program("weir"), *words, *([] if words[0] in ("config", "version", "help") else ["--state", self.state])],
            capture_output=True,
            text=True,
            timeout=30,
            env=self.env,
            stdin=subprocess.DEVNULL,
        )
        assert expect is None or done.returncode == expect, f"weir {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words):
        return json.loads(self.cli(*words, "-o", "json").stdout)

    def usage(self, by="provider,model"):
        return self.json("usage", "--by", by)["rows"]

    def log_lines(self):
        """The request lines on standard output, of this start."""
        lines = []
        with open(self.stdout_path, "rb") as f:
            for line in f.read().decode(errors="replace").splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict) and entry.get("msg") == "request":
                    lines.append(entry)
        return lines

    def metrics(self):
        """{"name{labels}": value} of /metrics."""
        found = {}
        for line in client.get(self.admin, "/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    # ---- the oracle ----

    def snapshot(self):
        pids = self.pids()
        everyone = [pids["supervisor"], pids["controlplane"], *pids["workers"]]
        return {
            "workers": len(pids["workers"]),
            "fds": sum(processes.fd_count(p) or 0 for p in everyone if p),
        }

    def check_reports(self):
        reports = glob.glob(self.report + ".*")
        for path in reports:
            with open(path, encoding="utf-8", errors="replace") as f:
                text = f.read()
            shared = os.environ.get("ASAN_OPTIONS", "").split("log_path=")
            if len(shared) > 1:  # tools/test counts it, too
                shutil.copy(path, f"{shared[1].split(':')[0]}.{os.path.basename(path)}")
            raise AssertionError(f"{path}\n{text[:6000]}")

    def settled_usage(self, calls=None, seconds=10.0):
        """The usage rows once the ledger has them all: `calls` in sum, or unchanged for half a second."""
        last, since = None, time.monotonic()
        end = since + seconds
        while time.monotonic() < end:
            rows = self.usage()
            if calls is not None and sum(r["calls"] for r in rows) >= calls:
                return rows
            if rows != last:
                last, since = rows, time.monotonic()
            elif calls is None and time.monotonic() - since > 0.5:
                return rows
            time.sleep(0.05)
        if calls is None:
            return last
        raise AssertionError(f"the ledger has {last}, expected {calls} calls")

    def check(self, fakes=None, next_call=True, secrets=(CANARY,)):
        """The invariants after a fault, as far as they can be seen from outside: processes, descriptors, the next call, the bill, secrets."""
        import bill

        def alive():
            now = self.snapshot()
            return now["workers"] == self.baseline["workers"] and self.pids()["controlplane"] is not None

        processes.wait_until(alive, 5, f"all processes to be there again: {self.pids()}")
        for pid in processes.children(self.process.pid):
            assert processes.stat_of(pid) is None or processes.stat_of(pid)[1] != "Z", f"zombie {pid}"
        if next_call:
            processes.wait_until(lambda: self._calls_well(), 1.0, "an ordinary call to succeed")
        if fakes is not None:
            sums, partial = bill.add_up(fakes.bill(), prices_of(self.config))
            processes.wait_until(lambda: not bill.differences(sums, self._exact_rows(partial)), 5, "the ledger to agree with the bill: "
                                 + "; ".join(bill.differences(sums, self._exact_rows(partial))))
        self.check_secrets(secrets)
        self.check_reports()

    def _calls_well(self):
        try:
            model = next(iter(self.config["routes"])) if isinstance(self.config, dict) else "chat"
            return client.is_whole(self.openai(client.chat(model=model)))
        except (OSError, client.Broken):
            return False

    def _exact_rows(self, partial):
        rows = self.usage()
        if partial or any(r.get("estimated") for r in rows):
            raise AssertionError("calls were cut, so sums hold estimates: compare with weir tail -o json instead")
        return rows

    def check_secrets(self, secrets):
        """None of the texts in any output, in the state directory, or in what /proc tells everyone."""
        paths = [self.stdout_path, self.stderr_path]
        paths += [p for p in glob.glob(self.state + "/**/*", recursive=True) if os.path.isfile(p)]
        if self.process is not None:
            pids = self.pids()
            for pid in [pids["supervisor"], pids["controlplane"], *pids["workers"]]:
                paths += [f"/proc/{pid}/environ", f"/proc/{pid}/cmdline"] if pid else []
        for path in paths:
            try:
                with open(path, "rb") as f:
                    data = f.read()
            except OSError:
                continue
            for secret in secrets:
                assert secret.encode() not in data, f"{secret} stands in {path}"
