"""The supervisor alone: where state lives, what it refuses, signals, sockets. A stand-in answers for the control plane."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import client
import ports
import processes


class Stand:
    """The supervisor's program beside tests/support/fake_controlplane.c, whose script is a file."""

    def __init__(self, folder):
        self.folder = folder
        self.bin, self.state, self.script = (os.path.join(folder, n) for n in ("bin", "state", "script"))
        self.out, self.err = os.path.join(folder, "out"), os.path.join(folder, "err")
        os.makedirs(self.bin)
        shutil.copy(processes.program("weir-dataplane"), self.bin)
        shutil.copy(processes.program("tests/fake-controlplane"), os.path.join(self.bin, "weir-controlplane"))
        self.port = ports.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.process = None
        self.write(f"listen {self.address}")

    def write(self, *lines):
        with open(self.script + ".new", "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
        os.rename(self.script + ".new", self.script)

    def command(self, *options):
        return [os.path.join(self.bin, "weir-dataplane"), "--config", self.script, *options]

    def run(self, *options, **kw):
        """Where it is expected to end by itself."""
        return subprocess.run(self.command(*options), capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL, **kw)

    def start(self, *options, wait=True, **kw):
        with open(self.out, "ab") as out, open(self.err, "ab") as err:
            self.process = subprocess.Popen(
                self.command(*(options or ("--state", self.state))), stdout=out, stderr=err, stdin=subprocess.DEVNULL, **kw
            )
        if wait:
            processes.wait_until(self.workers, 10, lambda: f"a worker\n{self.said()}")
        return self

    def workers(self):
        return [p for p in processes.children(self.process.pid) if "--worker" in processes.command_line(p)]

    def said(self):
        with open(self.err, encoding="utf-8", errors="replace") as f:
            return f.read()

    def told(self):
        """What the control plane was told, in order."""
        with open(self.out, encoding="utf-8") as f:
            return [json.loads(line)["control"] for line in f]

    def end(self, seconds=15):
        return self.process.wait(seconds)


@pytest.fixture
def stand(tmp_path):
    made = Stand(str(tmp_path / "stand"))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


# ---- the state directory ----


def test_state_directory_is_made_for_its_owner_alone(stand):
    state = os.path.join(stand.folder, "a", "b", "state")
    stand.start("--state", state + "/")
    assert oct(os.stat(state).st_mode & 0o7777) == "0o700"
    for name in ("lock", "journal.0"):
        assert oct(os.stat(os.path.join(state, name)).st_mode & 0o7777) == "0o600"
    stand.process.terminate()
    assert stand.end() == 0


@pytest.mark.parametrize("case", ["link", "file", "writable", "foreign", "readonly"])
def test_state_directory_that_is_not_ours_alone_is_refused_with_78(stand, case):
    real = os.path.join(stand.folder, "real")
    os.makedirs(real, mode=0o700)
    if case == "link":
        os.symlink(real, stand.state)
    elif case == "file":
        open(stand.state, "w").close()
    elif case == "writable":
        os.mkdir(stand.state)
        os.chmod(stand.state, 0o777)
    elif case == "foreign":
        if os.getuid() != 0:
            pytest.skip("needs root to give a directory away")
        os.mkdir(stand.state, 0o700)
        os.chown(stand.state, 12345, 12345)
    elif case == "readonly":
        if os.getuid() == 0:
            pytest.skip("root may write anywhere")
        os.mkdir(stand.state, 0o500)
    options = ("--state", stand.state + "/") if case == "link" else ("--state", stand.state)
    done = stand.run(*options)
    assert done.returncode == 78 and stand.state in done.stderr, done
    assert os.listdir(real) == []


def test_state_directory_comes_from_option_then_environment_then_home(stand):
    places = {name: os.path.join(stand.folder, name) for name in ("option", "variable", "xdg", "home")}
    env = {"PATH": os.environ["PATH"], "WEIR_STATE": places["variable"], "XDG_STATE_HOME": places["xdg"], "HOME": places["home"]}
    stand.write("exit 3")
    for options, removed, want in [
        (("--state", places["option"]), None, places["option"]),
        ((), None, places["variable"]),
        ((), "WEIR_STATE", places["xdg"] + "/weir"),
        ((), "XDG_STATE_HOME", places["home"] + "/.local/state/weir"),
    ]:
        env.pop(removed, None)
        assert stand.run(*options, env=env).returncode == 1
        assert os.path.exists(want + "/lock"), want
    env.pop("HOME")
    done = stand.run(env=env)
    assert done.returncode == 78 and "--state" in done.stderr


def test_bad_options_are_usage(stand):
    for options in (["--stat", "x"], ["--state"], ["--workers", "0"], ["--workers", "33"], ["--worker", "0"], ["--workers", "x"]):
        assert stand.run(*options).returncode == 2, options
    assert re.match(r"weir-dataplane \d+\.\d+\.\d+\n$", subprocess.run([stand.bin + "/weir-dataplane", "--version"], capture_output=True, text=True).stdout)


# ---- sockets ----


def test_taken_port_is_refused_and_names_the_holder(stand):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", stand.port))
        holder.listen()
        done = stand.run("--state", stand.state)
        assert done.returncode == 1
        assert f"{stand.address}: the port is taken by pid {os.getpid()} (" in done.stderr, done.stderr


def test_port_shared_by_reuseport_counts_as_taken(stand):
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", stand.port))
        holder.listen()
        assert stand.run("--state", stand.state).returncode == 1


def test_addresses_that_are_none_are_refused(stand):
    for address in ("8490", "host.example:8490", "127.0.0.1:99999", "unix:relative", "unix:/" + "x" * 107):
        stand.write(f"listen {address}")
        done = stand.run("--state", stand.state)
        assert done.returncode == 1 and address in done.stderr, done


def test_unix_socket_replaces_only_what_a_killed_weir_left(stand):
    path = os.path.join(stand.folder, "data.sock")
    stand.write(f"listen unix:{path}", "workers 2")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)  # nobody listens: as after a SIGKILL
    stand.start()
    assert oct(os.stat(path).st_mode & 0o777) == "0o660"
    with socket.socket(socket.AF_UNIX) as c:
        c.connect(path)
    second = stand.run("--state", stand.state + "2")
    assert second.returncode == 1 and "somebody listens there" in second.stderr
    stand.process.terminate()
    assert stand.end() == 0 and not os.path.exists(path)
    with open(path, "w") as f:
        f.write("precious")
    done = stand.run("--state", stand.state)
    assert done.returncode == 1 and "not a socket of ours" in done.stderr and open(path).read() == "precious"


def test_ipv6_and_several_addresses(stand):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 loopback here")
    stand.write(f"listen {stand.address}", f"listen [::1]:{stand.port}")
    stand.start()
    for host in ("127.0.0.1", "::1"):
        socket.create_connection((host, stand.port), 5).close()


# ---- signals ----


def test_sigterm_drains_then_stops_the_control_plane(stand):
    stand.start()
    stand.process.send_signal(signal.SIGHUP)
    processes.wait_until(lambda: "reload" in stand.told(), 5, "the reload to be passed on")
    assert len(stand.workers()) == 1
    stand.process.terminate()
    assert stand.end() == 0
    assert [w for w in stand.told() if w != "worker_died"] == ["reload", "drain", "stop"]


def test_second_sigterm_stops_at_once(stand):
    stand.write(f"listen {stand.address}", "drain_ms 60000")
    stand.start()
    time.sleep(0.3)
    os.kill(stand.workers()[0], signal.SIGSTOP)  # a worker that does not come to an end
    stand.process.terminate()
    time.sleep(0.5)
    assert stand.process.poll() is None
    begin = time.monotonic()
    stand.process.send_signal(signal.SIGINT)
    assert stand.end() == 0 and time.monotonic() - begin < 6
    assert stand.told()[-1] == "stop"


def test_worker_that_dies_is_told_and_replaced_also_while_draining(stand):
    stand.write(f"listen {stand.address}", "drain_ms 20000")
    stand.start()
    time.sleep(0.3)
    first = stand.workers()[0]
    os.kill(first, signal.SIGSTOP)
    stand.process.terminate()
    time.sleep(0.3)
    os.kill(first, signal.SIGKILL)
    assert stand.end() == 0  # the next one had nothing to wait for
    assert stand.told().count("worker_died") >= 1 and "starting again" in stand.said()


def test_a_worker_gets_what_was_published_while_the_control_plane_was_gone(stand):
    """Snapshots go on being published; a worker that is born later starts with the newest, and nobody leaks a descriptor."""
    stand.write(f"listen {stand.address}", "publish_every_ms 20")
    stand.start()
    time.sleep(0.5)
    before = processes.fd_count(stand.process.pid), processes.fd_count(stand.workers()[0])
    time.sleep(1.0)
    assert abs(processes.fd_count(stand.process.pid) - before[0]) <= 3
    assert abs(processes.fd_count(stand.workers()[0]) - before[1]) <= 4
    old = stand.workers()[0]
    os.kill(old, signal.SIGKILL)
    processes.wait_until(lambda: stand.workers() and stand.workers() != [old], 5, "the next worker")
    time.sleep(0.5)
    assert stand.workers() and "ended with exit code" not in stand.said()
    stand.process.terminate()
    assert stand.end() == 0


def test_service_manager_is_told_when_all_workers_listen(stand):
    path = os.path.join(stand.folder, "notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(10)
        stand.start(env={**os.environ, "NOTIFY_SOCKET": path})
        assert manager.recv(100) == b"READY=1"
        stand.process.terminate()
        assert manager.recv(100) == b"STOPPING=1"
    assert stand.end() == 0


def test_keys_of_the_environment_leave_proc_and_never_reach_a_worker(stand):
    stand.start(env={**os.environ, "OPENAI_API_KEY": "sk-canary-environment"})
    for pid in [stand.process.pid, *stand.workers()]:
        with open(f"/proc/{pid}/environ", "rb") as f:
            assert b"sk-canary-environment" not in f.read()
    time.sleep(1.0)
    control = [p for p in processes.children(stand.process.pid) if p not in stand.workers()]
    os.kill(control[0], signal.SIGKILL)  # and the next control plane is given them all the same
    again = processes.wait_until(lambda: [p for p in processes.children(stand.process.pid) if p not in stand.workers() + control], 5, "the next one")
    with open(f"/proc/{again[0]}/environ", "rb") as f:
        assert b"sk-canary-environment" in f.read()
