"""weir demo: the tour through the real programs, with sums that the independent checker agrees with."""
import json
import os
import re
import signal
import socket
import subprocess

import bill
import client
import ports
import processes
import pytest

PRICES = {
    "fake-a": {"provider": "fake-a", "models": {"large": {"input": "2.50", "output": "10.00"}}},
    "fake-b": {"provider": "fake-b", "models": {"large": {"input": "3.00", "output": "15.00"}}},
}
LAST_LINE = re.compile(r"^(\d+) calls · (\d+) answered · (\d+) rescued · \$([0-9.]+) · the app saw no provider error$", re.M)


@pytest.fixture
def demo_env(tmp_path):
    env = dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path), HOME=str(tmp_path), WEIR_DEMO_PORT=str(ports.free_port()))
    env.pop("WEIR_STATE", None)
    env.pop("TMPDIR", None)
    return env


def run(env, *words):
    return subprocess.run([processes.program("weir"), *words], capture_output=True, text=True, timeout=60, env=env, stdin=subprocess.DEVNULL)


def demo_dir(output):
    return os.path.dirname(re.search(r"config +(\S+weir\.yaml)", output).group(1))


def test_the_tour_ends_well_and_leaves_nothing(demo_env):
    done = run(demo_env, "demo", "--fast")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert LAST_LINE.search(done.stdout).groups() == ("7", "7", "2", "0.01599"), done.stdout
    assert done.stdout.count("fake-a ✗ 529 → fake-b/large") == 2
    assert "fake-a skipped, circuit open" in done.stdout and "half-open → closed" in done.stdout
    assert "\x1b" not in done.stdout
    assert not os.path.exists(demo_dir(done.stdout))
    assert not os.path.exists(os.path.join(demo_env["XDG_RUNTIME_DIR"], "weir-demo"))


@pytest.fixture
def kept(demo_env):
    process = subprocess.Popen(
        [processes.program("weir"), "demo", "--fast", "--keep"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=demo_env, stdin=subprocess.DEVNULL, start_new_session=True,
    )
    said = ""
    while "With a real key" not in said:
        line = process.stdout.readline()
        assert line, said + process.stderr.read()
        said += line
    yield process, said, demo_env
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    process.stdout.close()
    process.stderr.close()


def test_the_checker_agrees_and_other_verbs_find_the_demo(kept):
    process, said, env = kept
    folder = demo_dir(said)
    usage = json.loads(run(env, "usage", "--by", "provider,model", "-o", "json").stdout)
    with open(os.path.join(folder, "fakes.jsonl"), encoding="utf-8") as f:
        log = [json.loads(line) for line in f]
    sums, partial = bill.add_up(log, PRICES)
    assert partial == [] and bill.differences(sums, usage["rows"]) == []
    assert sum(row["cost_nanousd"] for row in sums.values()) == 15_988_000
    # what the tour says can be typed
    endpoint = re.search(r"endpoint +http://([\d.]+):(\d+)", said)
    address = (endpoint.group(1), int(endpoint.group(2)))
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
    with client.Connection(address) as c:
        answer = c.request("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    assert "answered by fake-a" in client.openai_text(answer)
    called = run(env, "call", "chat", "hi")
    assert called.returncode == 0 and "answered by fake-a" in called.stdout
    assert re.search(r"fake-a/large .* 5\+\d+ tok  \$0\.000\d+", called.stderr), called.stderr
    for words in (["explain", "last"], ["usage", "--by", "provider"], ["routes"], ["drain", "fake-a/large"]):
        done = run(env, *words)
        assert done.returncode == 0 and done.stdout + done.stderr, words
    # and Ctrl-C ends it, with all of its processes
    pids = processes.children(process.pid)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    assert not os.path.exists(folder)
    processes.wait_until(lambda: not any(processes.stat_of(p) for p in pids), 5, "the demo's processes to be gone")


def test_a_taken_port_is_said_and_passed_over(demo_env):
    with socket.create_server(("127.0.0.1", int(demo_env["WEIR_DEMO_PORT"]))):
        done = run(demo_env, "demo", "--fast")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"port {demo_env['WEIR_DEMO_PORT']} is taken" in done.stdout


def test_a_demo_that_is_killed_takes_its_processes_along(demo_env):
    process = subprocess.Popen(
        [processes.program("weir"), "demo"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=demo_env, stdin=subprocess.DEVNULL
    )
    said = ""
    while "1 A call" not in said:
        said += process.stdout.readline()
    pids = [p for child in processes.children(process.pid) for p in [child, *processes.children(child)]]
    assert len(pids) >= 4
    process.kill()
    process.wait(5)
    process.stdout.close()
    processes.wait_until(lambda: not any((processes.stat_of(p) or (0, "Z"))[1] != "Z" for p in pids), 10, "all its processes to be gone")
    subprocess.run(["rm", "-rf", demo_dir(said)], check=True)


@pytest.mark.parametrize("words", [["demo", "now"], ["demo", "--quick"], ["call"], ["call", "a", "b", "c"]])
def test_wrong_words_are_2(demo_env, words):
    assert run(demo_env, *words).returncode == 2


def test_call_without_a_weir_is_6(demo_env):
    done = run(demo_env, "call", "chat", "hi")
    assert done.returncode == 6 and "no weir is running" in done.stderr
