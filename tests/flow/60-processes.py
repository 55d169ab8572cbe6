"""Processes die, hang and are born: one story per row A1-A19 of the list of faults. Counts are small; WEIR_KILLS multiplies them."""
import glob
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import bill
import client
import ports
import processes
from gateway import Gateway, configuration, prices_of

TIMES = int(os.environ.get("WEIR_KILLS", "1"))
RESPAWN_S = 0.1  # the row's bound; every other wait here allows for a loaded machine with sanitizers


# ---- helpers ----


def said(gateway):
    with open(gateway.stderr_path, encoding="utf-8", errors="replace") as f:
        return f.read()


def workers_of(gateway):
    """{number: pid} of the running ones."""
    found = {}
    for pid in processes.children(gateway.process.pid):
        line = processes.command_line(pid)
        if "--worker" in line:
            found[int(line[line.index("--worker") + 1])] = pid
    return found


def wait_all(gateway, seconds=10):
    """Every process there again, and the loops running: readyz answers, and each worker has told READY once more."""
    processes.wait_until(
        lambda: len(workers_of(gateway)) == gateway.workers and gateway.pids()["controlplane"] and gateway.is_ready(),
        seconds,
        f"all processes to be there\n{gateway.output()}",
    )


def serving_workers(gateway, connections):
    """The pids of the workers that hold the other ends of clients' connections. One look: the table is long on a busy machine."""
    here, inode_of = ":%04X" % gateway.port, {}
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1].endswith(here):
                inode_of[fields[2]] = fields[9]
    pid_of = {}
    for pid in workers_of(gateway).values():
        for fd in glob.glob(f"/proc/{pid}/fd/*"):
            try:
                pid_of[os.readlink(fd)] = pid
            except OSError:
                pass
    theirs = ["0100007F:%04X" % c.socket.getsockname()[1] for c in connections]
    return [pid_of.get(f"socket:[{inode_of.get(address)}]") for address in theirs]


def one_fake(start_fakes, start_weir, options=(), **weir):
    fakes = start_fakes({"fake-a": list(options)})
    return start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}), **weir), fakes


def tail(gateway, n=1000):  # the most it gives
    return [json.loads(line) for line in gateway.cli("tail", "-n", str(n), "-o", "json").stdout.splitlines()]


def requests_in_ledger(gateway, ids, seconds=10):
    """The lines of the ledger for these request ids, once they are all there; each exactly once."""
    def found():
        lines = [line for line in tail(gateway) if line["request_id"] in wanted]
        return lines if {line["request_id"] for line in lines} == wanted else None

    wanted = set(ids)
    lines = processes.wait_until(found, seconds, f"{len(wanted)} requests in the ledger", step=0.2)
    assert len(lines) == len(wanted), "a request is in the ledger twice"
    return lines


def stream_call(words=120):
    return client.chat(f"[[fake:words={words}]] go on", stream=True)


def unary(number):
    return "POST", "/v1/chat/completions", client.chat(f"call {number}"), client.OPENAI_HEADERS


class Programs:
    """A directory with the supervisor's program and a stand-in for the control plane, whose script is a file (fake_controlplane.c)."""

    def __init__(self, folder):
        self.folder = folder
        self.bin = os.path.join(folder, "bin")
        self.state = os.path.join(folder, "state")
        self.script = os.path.join(folder, "script")
        self.stderr = os.path.join(folder, "stderr")
        self.stdout = os.path.join(folder, "stdout")
        os.makedirs(self.bin)
        shutil.copy(processes.program("weir-dataplane"), self.bin)
        shutil.copy(processes.program("tests/fake-controlplane"), os.path.join(self.bin, "weir-controlplane"))
        self.process = None

    def write(self, **lines):
        with open(self.script + ".new", "w", encoding="utf-8") as f:
            f.writelines(f"{name} {value}\n" for name, values in lines.items() for value in ([values] if not isinstance(values, list) else values))
        os.rename(self.script + ".new", self.script)

    def start(self, wrapper=(), **options):
        command = [*wrapper, os.path.join(self.bin, "weir-dataplane"), "--state", self.state, "--config", self.script]
        with open(self.stderr, "ab") as err, open(self.stdout, "ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, **options)
        return self

    def said(self, path=None):
        with open(path or self.stderr, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise


@pytest.fixture
def programs(tmp_path):
    made = Programs(str(tmp_path / "programs"))
    yield made
    made.stop()


# ---- the rows ----


@pytest.mark.serial
def test_a1_killed_idle_worker_is_back_at_once_and_no_connection_is_refused(start_fakes, start_weir):
    """kill -9 of an idle worker: replaced within 100 ms (0, 0.1, 0.2 … s for deaths in a row), 0 new connections fail, readiness stays."""
    gateway, _ = one_fake(start_fakes, start_weir)
    times = []
    for _ in range(3 * TIMES):
        time.sleep(1.1)  # older than a second: its death counts as the first
        killed = workers_of(gateway)[0]
        begin = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        for n in range(8):  # both sockets stay open meanwhile: these wait in them, none is refused or reset
            assert client.is_whole(gateway.openai(client.chat(str(n))))
            if len(times) == 0 and n == 0:
                assert gateway.is_ready()
        processes.wait_until(lambda: workers_of(gateway).get(0) not in (None, killed), 5, "a new worker")
    for _ in range(3):
        time.sleep(1.1)
        killed = workers_of(gateway)[0]
        begin = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        processes.wait_until(lambda: workers_of(gateway).get(0) not in (None, killed), 5, "a new worker", step=0.002)
        times.append(time.monotonic() - begin)
    assert min(times) < RESPAWN_S, times
    # Deaths in a row, each within a second of its start, are waited for longer and longer.
    for _ in range(4):
        pid = processes.wait_until(lambda: workers_of(gateway).get(0), 5, "worker 0", step=0.002)
        os.kill(pid, signal.SIGKILL)
        processes.wait_until(lambda: workers_of(gateway).get(0) != pid, 2, "it to be gone", step=0.002)
    waits = [int(ms) for ms in re.findall(r"worker 0 .*starting again in (\d+) ms", said(gateway))]
    assert waits == sorted(waits) and len(waits) >= 2 and 90 <= waits[0] <= 100 and waits[1] > 190, waits
    wait_all(gateway)
    gateway.check()


@pytest.mark.serial
def test_a2_worker_killed_in_a_stream_cuts_it_and_charges_an_estimate(start_fakes, start_weir):
    """kill -9 of a worker inside a stream: the client sees a cut, never a clean end; the provider's connection closes; the attempt is in
    the ledger as an estimate; streams of other workers end well."""
    gateway, fakes = one_fake(start_fakes, start_weir, ["--event-delay-ms", "20"])
    cut, whole = [], 0
    for turn in range(4 * TIMES):
        time.sleep(0.8)
        streams = []
        for _ in range(4):
            c = client.Connection(gateway.address)
            body = json.dumps(stream_call()).encode()
            c.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            streams.append((c, c.read_head()))
        serving = serving_workers(gateway, [c for c, _ in streams])
        victim = serving[0]
        time.sleep(0.02 + turn % 4 * 0.06)
        os.kill(victim, signal.SIGKILL)
        for (c, answer), was_killed in zip(streams, (pid == victim for pid in serving)):
            c.read_body(answer)
            c.close()
            if was_killed:
                assert not answer.complete and b"[DONE]" not in answer.body
                cut.append(answer.header("x-request-id"))
            else:
                assert client.is_whole(answer)
                whole += 1
    lines = requests_in_ledger(gateway, cut)
    for line in lines:
        assert [a["why"] for a in line["attempts"]] == ["worker_died"], line
        assert line["cost_basis"] == "estimated" and line["cost_usd"] > 0, line
    processes.wait_until(lambda: fakes["fake-a"].stats()["client_gone"] == len(cut), 3, "the provider to see each cut")
    assert whole > 0
    wait_all(gateway)
    gateway.check()


@pytest.mark.serial
def test_a3_worker_killed_around_the_last_byte_books_each_attempt_once(start_fakes, start_weir):
    """kill -9 of a worker between commit and the client's last byte: the event is kept and not doubled by recovery."""
    gateway, fakes = one_fake(start_fakes, start_weir, workers=4)
    seen = []
    for turn in range(15 * TIMES):
        time.sleep(0.3)  # one of four: mostly older than a second, so that the next is there at once
        with client.Connection(gateway.address) as c:
            body = json.dumps(client.chat(f"turn {turn}")).encode()
            c.send(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body))
            worker = processes.wait_until(lambda: serving_workers(gateway, [c])[0], 5, "a worker to take the connection", step=0.005)
            c.send(body)
            time.sleep(turn % 15 * 0.001)
            os.kill(worker, signal.SIGKILL)
            try:
                answer = c.read_body(c.read_head())
                if client.is_whole(answer):
                    seen.append(answer.header("x-request-id"))
            except (client.Broken, OSError):
                pass
    wait_all(gateway, 15)
    calls = fakes["fake-a"].stats()["calls"]
    lines = requests_in_ledger(gateway, seen)
    assert all(line["outcome"] == "ok" for line in lines)
    processes.wait_until(lambda: len(tail(gateway)) >= calls, 10, "all attempts", step=0.2)
    ids = [line["request_id"] for line in tail(gateway)]
    assert len(ids) == len(set(ids)) and len(seen) > 0
    gateway.check()


@pytest.mark.serial
def test_a4_worker_killed_while_it_writes_records_tears_none(start_fakes, start_weir):
    """kill -9 of a worker in the middle of a ring write: no torn record is ever seen, every whole answer is in the ledger (1,000 kills
    of the writer alone: tests/unit/shm/test_journal_kills)."""
    gateway, _ = one_fake(start_fakes, start_weir)
    load = client.Load(gateway.address, unary, workers=8, seconds=6 * TIMES, rate=150).start()
    for turn in range(5 * TIMES):
        time.sleep(1.0)
        gateway.kill(turn % 2)
    load.join()
    assert load.whole > 300, load
    wait_all(gateway)
    processes.wait_until(lambda: gateway.metrics()["weir_journal_waiting_records"] == 0, 10, "the rings to be drained", step=0.2)
    assert {name: v for name, v in gateway.metrics().items() if "torn" in name and v} == {}
    requests_in_ledger(gateway, load.ids[-600:])
    gateway.check()


@pytest.mark.serial
def test_a5_killed_control_plane_fails_no_request_and_is_back_soon(start_fakes, start_weir):
    """kill -9 of the control plane under load, again and again: 0 failed requests, back within 500 ms, weights and addresses still there."""
    gateway, _ = one_fake(start_fakes, start_weir)
    load = client.Load(gateway.address, unary, workers=8, seconds=7 * TIMES, rate=150).start()
    times = []
    for _ in range(5 * TIMES):
        time.sleep(1.15)
        killed = gateway.kill("controlplane")
        begin = time.monotonic()
        processes.wait_until(lambda: gateway.pids()["controlplane"] not in (None, killed), 5, "a new control plane", step=0.005)
        times.append(time.monotonic() - begin)
    load.join()
    assert load.failed == [] and load.whole > 400, load
    assert min(times) < 0.5, times
    wait_all(gateway)
    gateway.check()


@pytest.mark.serial
def test_a6_control_plane_killed_inside_a_publish_leaves_a_whole_table(start_fakes, start_weir):
    """kill -9 of the control plane in the middle of a publish: no reader waits, every call goes to a target of the old or the new table
    (200 kills of publishers alone: tests/unit/shm/test_tick)."""
    fakes = start_fakes("fake-a", "fake-b")
    config = configuration({"fake-a": ("openai", fakes["fake-a"]), "fake-b": ("openai", fakes["fake-b"])})
    config["routes"] = {"chat": {"strategy": "weighted", "targets": [{"model": "fake-a/large", "weight": 50}, {"model": "fake-b/large", "weight": 50}]}}
    gateway = start_weir(config)
    load = client.Load(gateway.address, unary, workers=6, seconds=6 * TIMES, rate=120).start()
    for turn in range(4 * TIMES):
        time.sleep(1.0)
        config["routes"]["chat"]["targets"][0]["weight"] = 10 + turn
        gateway.configure(config)
        gateway.process.send_signal(signal.SIGHUP)
        time.sleep(0.004 * turn)
        gateway.kill("controlplane")
    load.join()
    assert load.failed == [] and load.whole > 300, load
    wait_all(gateway)
    gateway.check()


@pytest.mark.serial
def test_a7_control_plane_killed_inside_a_commit_loses_and_doubles_nothing(start_fakes, start_weir):
    """kill -9 of the control plane inside a store transaction, or after it before the ring moves on: the ledger equals the bill."""
    gateway, fakes = one_fake(start_fakes, start_weir)
    load = client.Load(gateway.address, unary, workers=8, seconds=7 * TIMES, rate=200).start()
    for turn in range(5 * TIMES):
        time.sleep(1.0 + turn * 0.037)  # commits are every 100 ms: every phase of one is met
        gateway.kill("controlplane")
    load.join()
    assert load.failed == [], load
    rows = gateway.settled_usage(load.whole, 15)
    sums, partial = bill.add_up(fakes.bill(), prices_of(gateway.config))
    assert partial == [] and bill.differences(sums, rows) == []
    gateway.check()


@pytest.mark.serial
def test_a8_without_a_control_plane_the_ring_fills_and_then_calls_are_refused(tmp_path, start_fakes, start_weir, monkeypatch):
    """No control plane for long: calls go on until the ring is full; then 503 with retry-after, and nothing that was served is lost."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("weir", "weir-dataplane", "weir-controlplane"):
        shutil.copy(processes.program(name), programs)
    fakes = start_fakes("fake-a")
    monkeypatch.setattr(processes, "BIN", str(programs))
    gateway = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}), workers=1)
    os.rename(programs / "weir-controlplane", programs / "away")
    gateway.kill("controlplane")
    assert client.is_whole(gateway.openai())

    refused_body = json.dumps(client.chat("x", model="no-such-model")).encode()
    one = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(refused_body), refused_body)

    def flood(calls):  # calls that reach no target are records all the same
        with client.Connection(gateway.address, timeout=60) as c:
            for _ in range(calls // 20):
                c.send(one * 20)
                for _ in range(20):
                    c.read_body(c.read_head())

    threads = [threading.Thread(target=flood, args=(3800,)) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(100)
    answer = gateway.openai()
    assert answer.status == 503 and answer.header("retry-after") and b"accounting_unavailable" in answer.body, answer
    os.rename(programs / "away", programs / "weir-controlplane")
    processes.wait_until(lambda: client.is_whole(gateway.openai()), 20, "calls to be taken again", step=0.2)
    wait_all(gateway, 15)
    processes.wait_until(lambda: gateway.metrics()["weir_journal_waiting_records"] == 0, 20, "the ring to be drained", step=0.2)
    rows = gateway.settled_usage()
    assert sum(r["calls"] for r in rows if r["provider"] == "fake-a") == fakes["fake-a"].stats()["calls"]
    assert sum(r["calls"] for r in rows) >= 15200


@pytest.mark.serial
def test_a9_killed_supervisor_takes_everybody_with_it_and_the_next_start_works(start_fakes, start_weir):
    """kill -9 of the supervisor alone: all children gone within 100 ms; the next start adopts the journals."""
    gateway, fakes = one_fake(start_fakes, start_weir)
    times = []
    for _ in range(3 * TIMES):
        assert client.is_whole(gateway.openai())
        pids = gateway.pids()
        others = [pids["controlplane"], *pids["workers"]]
        os.kill(pids["supervisor"], signal.SIGKILL)
        begin = time.monotonic()
        alive = lambda: [p for p in others if (processes.stat_of(p) or ("", "Z", 0))[1] not in "ZX"]
        processes.wait_until(lambda: not alive(), 2, f"children to be gone: {alive()}", step=0.002)
        times.append(time.monotonic() - begin)
        gateway.process.wait(5)
        gateway.start()
    assert min(times) < 0.1, times
    assert sum(r["calls"] for r in gateway.settled_usage(3 * TIMES)) == 3 * TIMES
    gateway.check(fakes)


@pytest.mark.serial
def test_a10_everything_killed_at_once_keeps_every_answer_a_client_saw(start_fakes, start_weir):
    """kill -9 of all processes at once under load: after the restart every whole answer is in the ledger exactly once."""
    gateway, _ = one_fake(start_fakes, start_weir)
    ids = []
    for turn in range(3 * TIMES):
        load = client.Load(gateway.address, unary, workers=8, seconds=1.2, rate=200).start()
        time.sleep(0.7 + turn * 0.13)
        gateway.kill_all()
        load.join()
        assert load.whole > 20, load
        ids += load.ids
        gateway.start()
    lines = requests_in_ledger(gateway, ids)
    assert {line["outcome"] for line in lines} == {"ok"}
    gateway.check()


@pytest.mark.serial
def test_a11_stopped_worker_is_replaced_on_the_same_socket(start_fakes, start_weir):
    """A worker that hangs (SIGSTOP): after 2 s without a heartbeat SIGABRT, a second later SIGKILL; only its own connections suffer."""
    gateway, _ = one_fake(start_fakes, start_weir)
    hung = workers_of(gateway)[1]
    os.kill(hung, signal.SIGSTOP)
    begin = time.monotonic()
    processes.wait_until(lambda: workers_of(gateway).get(1) not in (None, hung), 8, f"a new worker 1\n{said(gateway)}")
    assert 2.0 < time.monotonic() - begin < 6
    assert f"worker 1 (pid {hung}) has no heartbeat; SIGABRT sent" in said(gateway)
    wait_all(gateway)
    gateway.check()


@pytest.mark.serial
def test_a12_stopped_control_plane_is_replaced_and_no_request_fails(start_fakes, start_weir):
    """The control plane hangs (SIGSTOP): killed after 5 s without a heartbeat; no request fails meanwhile."""
    gateway, _ = one_fake(start_fakes, start_weir)
    hung = gateway.pids()["controlplane"]
    load = client.Load(gateway.address, unary, workers=4, seconds=8, rate=50).start()
    os.kill(hung, signal.SIGSTOP)
    begin = time.monotonic()
    processes.wait_until(lambda: gateway.pids()["controlplane"] not in (None, hung), 10, "a new control plane")
    assert 5.0 < time.monotonic() - begin < 9
    load.join()
    assert load.failed == [] and load.whole > 250, load
    wait_all(gateway)
    gateway.check()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT])
def test_a13_crash_leaves_one_line_and_no_core(start_fakes, start_weir, number):
    """SIGSEGV, SIGBUS or SIGABRT in a worker or the control plane: as a kill, with one line that names it; no core, no secret."""
    options = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0:handle_sigbus=0:handle_abort=0"
    gateway, _ = one_fake(start_fakes, start_weir, env={"ASAN_OPTIONS": options})
    limit = resource.prlimit(gateway.process.pid, resource.RLIMIT_CORE)
    assert limit == (0, 0)
    for who in (0, "controlplane"):
        before = gateway.pids()
        pid = gateway.kill(who, number)
        processes.wait_until(lambda: pid not in str(gateway.pids()).replace("]", ",").split() and f"(pid {pid}) was ended by {number.name}" in said(gateway), 5, said(gateway))
        assert resource.prlimit(before["controlplane"] if who == 0 else before["workers"][1], resource.RLIMIT_CORE) == (0, 0)
        lines = [line for line in said(gateway).splitlines() if f"crashed: {number.name} at pc" in line]
        assert len(lines) == (1 if who == 0 else 2) and re.search(r"version \d", lines[-1]), said(gateway)
        wait_all(gateway)
    assert glob.glob(gateway.folder + "/**/core*", recursive=True) == []
    gateway.check()


def test_a14_a_pid_that_is_somebody_elses_now_is_never_signalled(start_fakes, start_weir):
    """The lock file and the sockets of a killed weir name a pid that another process has now: it is left alone, the start works."""
    gateway, _ = one_fake(start_fakes, start_weir)
    gateway.kill_all()
    other = subprocess.Popen(["sleep", "60"])
    try:
        with open(os.path.join(gateway.state, "lock"), "w", encoding="ascii") as f:
            f.write(f"{other.pid}\n")
        gateway.start()
        assert client.is_whole(gateway.openai())
        with open(os.path.join(gateway.state, "lock"), encoding="ascii") as f:
            assert int(f.read()) == gateway.process.pid
        gateway.stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.serial
def test_a15_crash_loop_is_slowed_down_and_workers_go_on(programs):
    """A control plane that dies at every start: waits of 0, 0.1, 0.2 … s, at most 5; the workers are not touched."""
    port = ports.free_port()
    programs.write(listen=f"127.0.0.1:{port}", workers=1)
    programs.start()
    worker = processes.wait_until(lambda: [p for p in processes.children(programs.process.pid) if "--worker" in processes.command_line(p)], 10, "a worker")
    programs.write(exit=3)
    time.sleep(1.0)
    control = [p for p in processes.children(programs.process.pid) if p not in worker]
    os.kill(control[0], signal.SIGKILL)
    time.sleep(3.5)
    starts = re.findall(r"control plane .*exit code 3(?:; starting again in (\d+) ms)?", programs.said())
    assert 4 <= len(starts) <= 8, programs.said()
    assert [int(ms) for ms in starts if ms] == sorted(int(ms) for ms in starts if ms)
    assert [p for p in processes.children(programs.process.pid) if "--worker" in processes.command_line(p)] == worker
    programs.write(listen=f"127.0.0.1:{port}", workers=1)
    programs.stop()
    assert programs.process.returncode == 0


def test_a15_a_control_plane_that_never_answers_ends_the_start(programs):
    """A control plane that dies before its first answer, or refuses: exit 1 with its words."""
    programs.write(exit=3)
    assert programs.start().process.wait(10) == 1
    programs.write(refuse="weir.yaml:3:5: no such key")
    assert programs.start().process.wait(10) == 1
    assert "control plane" in programs.said() and "weir.yaml:3:5: no such key\n" in programs.said()


@pytest.mark.serial
def test_a16_no_room_for_a_new_process_leaves_the_others_running(tmp_path, programs):
    """RLIMIT_NPROC is hit: running workers go on, the refusal is told once in 10 s, the worker comes when there is room again."""
    if os.getuid() == 0:
        user = processes.unused_user()
        os.chmod(programs.folder, 0o777)
        for folder in [tmp_path, *tmp_path.parents]:
            if str(folder) in ("/", "/tmp"):
                break
            os.chmod(folder, 0o755)
    else:
        pytest.skip("needs root, to have a user whose processes can be counted")
    if subprocess.run(["test", "-x", os.path.join(programs.bin, "weir-dataplane")], user=user, check=False).returncode != 0:
        pytest.skip("the programs stand in a folder that is closed to other users")
    programs.write(listen=f"127.0.0.1:{ports.free_port()}", workers=2)
    most = 4  # supervisor, control plane, two workers
    programs.start(user=user, group=user, extra_groups=[], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NPROC, (most, most)))
    find = lambda: [p for p in processes.children(programs.process.pid) if "--worker" in processes.command_line(p)]
    workers = processes.wait_until(lambda: len(find()) == 2 and find(), 10, lambda: f"two workers\n{programs.said()}")
    time.sleep(1.0)
    others = [subprocess.Popen(["sleep", "60"], user=user) for _ in range(2)]
    try:
        os.kill(workers[0], signal.SIGKILL)
        time.sleep(2.0)
        assert find() == [workers[1]]
        assert programs.said().count("cannot start worker 0: Resource temporarily unavailable") == 1, programs.said()
    finally:
        for other in others:
            other.kill()
            other.wait()
    processes.wait_until(lambda: len(find()) == 2, 5, "the worker to come back")
    programs.stop()
    assert programs.process.returncode == 0


def test_a17_children_have_the_descriptors_they_were_given_and_no_other(start_fakes, tmp_path):
    """Descriptors that whoever starts weir left open reach nobody; each child has what it was given, nothing of its brothers'."""
    fakes = start_fakes("fake-a")
    leaked = [os.open("/etc/hostname", os.O_RDONLY) for _ in range(3)]
    gateway = Gateway(tmp_path / "weir", configuration({"fake-a": ("openai", fakes["fake-a"])}))
    started = subprocess.Popen
    try:
        subprocess.Popen = lambda *a, **kw: started(*a, **{**kw, "pass_fds": leaked} if "stdout" in kw and kw["stdout"] != subprocess.PIPE else kw)
        gateway.start()
    finally:
        subprocess.Popen = started
        for fd in leaked:
            os.close(fd)
    try:
        pids = gateway.pids()
        owned = {}
        for pid in [pids["supervisor"], pids["controlplane"], *pids["workers"]]:
            links = {}
            for fd in glob.glob(f"/proc/{pid}/fd/*"):
                try:
                    links[int(os.path.basename(fd))] = os.readlink(fd)
                except FileNotFoundError:
                    pass
            assert "/etc/hostname" not in links.values(), (pid, links)
            owned[pid] = links
        assert "closed" not in said(gateway)  # no worker found one that it was not given
        a, b = ({v for k, v in owned[w].items() if k > 2 and v.startswith(("socket:", "/")) and not v.startswith(("/memfd:", "/dev/null"))} for w in pids["workers"])
        assert not a & b, a & b  # no socket and no file in common
        for worker in pids["workers"]:
            kinds = sorted({re.sub(r"[\d\[\]]+|\(deleted\)", "", v.split("/")[-1]).strip() for k, v in owned[worker].items() if k > 2})
            assert set(kinds) <= {"socket:", "journal.", "memfd:weir-live", "memfd:weir-tick", "memfd:weir-snapshot", "memfd:weir-secrets",
                                  "anon_inode:eventpoll", "eventpoll", "anon_inode:eventfd", "eventfd", "pipe:", "null", "io_uring", "anon_inode:io_uring"}, kinds
    finally:
        gateway.stop()


def test_a18_second_instance_is_refused_and_names_the_first(start_fakes, start_weir):
    """Two instances on one state directory: the second exits with 5 and the holder's pid; the first is unharmed."""
    gateway, _ = one_fake(start_fakes, start_weir)
    second = subprocess.run(
        [processes.program("weir-dataplane"), "--state", gateway.state, "--config", gateway.config_path],
        capture_output=True, text=True, timeout=20, env=gateway.env,
    )
    assert second.returncode == 5 and f"in use by weir, pid {gateway.process.pid}" in second.stderr
    gateway.check()


@pytest.mark.serial
def test_a19_process_one_reaps_orphans_and_drains_on_sigterm(programs):
    """As process 1 of a container: 1,000 orphans leave no zombie, SIGTERM ends it with 0."""
    inside = ["unshare", "--pid", "--mount-proc", "--fork", "--kill-child"]
    if subprocess.run([*inside, "true"], capture_output=True).returncode != 0:
        pytest.skip("needs the right to make a process namespace")
    programs.write(listen=f"127.0.0.1:{ports.free_port()}", workers=1)
    programs.start(wrapper=inside)
    first = processes.wait_until(lambda: processes.children(programs.process.pid), 10, "process 1")[0]
    processes.wait_until(lambda: len(processes.children(first)) == 2, 10, lambda: f"its children\n{programs.said()}")
    assert os.path.basename(processes.command_line(first)[0]) == "weir-dataplane"
    orphan = "import os\nfor _ in range(1000):\n    if os.fork() == 0: os._exit(0)\n"  # its parent ends without waiting
    subprocess.run(["nsenter", "-t", str(first), "-p", sys.executable, "-c", orphan], check=True, timeout=60)
    processes.wait_until(lambda: len(processes.children(first)) == 2, 10, "orphans to be reaped")
    os.kill(first, signal.SIGTERM)
    assert programs.process.wait(15) == 0
