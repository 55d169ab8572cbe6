"""Reload: by `weir reload`, SIGHUP and saving the file; all or nothing; keys from files; what a restarted control plane goes on with."""
import fcntl
import json
import os
import re
import signal
import time

import client
import processes
import pytest
from client import chat
from gateway import CANARY, Gateway, configuration


def target_of(weir, **kw):
    answer = weir.openai(chat("hi", **kw))
    assert client.is_whole(answer), answer
    return answer.header("x-weir-provider")


def wait_for_target(weir, name, seconds=5.0, **kw):
    processes.wait_until(lambda: target_of(weir, **kw) == name, seconds, f"calls to reach {name}")


@pytest.fixture
def two(start_fakes, start_weir):
    fakes = start_fakes("fake-a", "fake-b")
    kinds = {"fake-a": ("openai", fakes["fake-a"]), "fake-b": ("openai", fakes["fake-b"])}

    def config(first="fake-a", second="fake-b", **top):
        return configuration(kinds, routes={"chat": {"targets": [{"model": f"{first}/large", "weight": 100},
                                                                 {"model": f"{second}/large", "weight": 0}]}}, **top)

    return fakes, config, start_weir(config())


def test_reload_tells_what_changed_and_applies_it(two):
    _, config, weir = two
    assert target_of(weir) == "fake-a"
    weir.configure(config("fake-b", "fake-a"))
    told = weir.cli("reload").stdout
    assert "routes.chat: weight of fake-a/large 100 → 0" in told and "weight of fake-b/large 0 → 100" in told
    wait_for_target(weir, "fake-b")


def test_saving_the_file_is_enough_and_sighup_is_too(two):
    _, config, weir = two
    weir.configure(config("fake-b", "fake-a"))
    wait_for_target(weir, "fake-b")
    weir.configure(config())
    weir.process.send_signal(signal.SIGHUP)
    wait_for_target(weir, "fake-a")
    weir.check()


def test_what_needs_a_restart_is_said(two):
    _, config, weir = two
    weir.configure(config(server={"drain_timeout": "7s", "max_body": "1MiB"}))
    told = weir.cli("reload").stdout
    assert "server.drain_timeout: 25s → 7s (needs a restart)" in told
    assert "server.max_body: 32MiB → 1MiB\n" in told
    processes.wait_until(lambda: weir.openai(chat("x" * (2 << 20))).status == 413, 5, "the new limit")


BAD = {
    "syntax": "version: 1\nproviders: {a: {\n",
    "unknown key": "version: 1\nprovider: {}\n",
    "duplicate": "version: 1\nroutes: {a: {match: \"*/*\"}, a: {match: \"*/*\"}}\n",
    "negative price": "version: 1\nmodels: {fake-a/large: {price: {input: -1}}}\n",
    "missing key file": "version: 1\nproviders: {a: {type: openai, api_key_file: /nonexistent/key}}\nroutes: {p: {match: \"*/*\"}}\n",
    "10 MiB": "# " + "x" * (10 << 20) + "\n",
    "empty": "",
    "not UTF-8": b"version: 1\nserver: {hosts: [\"\xff\"]}\n",
}


def test_a_bad_file_changes_nothing_and_says_where(two):
    _, config, weir = two
    serial = weir.json("status").get("serial")
    for what, text in BAD.items():
        with open(weir.config_path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        done = weir.cli("reload", expect=1)
        said = done.stdout + done.stderr
        assert "weir.yaml" in said, (what, said)
        if what not in ("10 MiB",):
            assert "weir.yaml:" in said.replace("weir.yaml: ", ""), (what, said)  # with a line
        assert target_of(weir) == "fake-a", what
    assert weir.json("status").get("serial") == serial
    weir.configure(config("fake-b", "fake-a"))
    wait_for_target(weir, "fake-b")
    weir.check()


def test_a_key_file_is_read_again(start_fakes, start_weir, tmp_path):
    fakes = start_fakes("fake-a")
    key = tmp_path / "key"
    key.write_text(CANARY + "-1\n")
    config = configuration({"fake-a": ("openai", fakes["fake-a"])})
    del config["providers"]["fake-a"]["api_key"]
    config["providers"]["fake-a"]["api_key_file"] = str(key)
    weir = start_weir(config)

    def sent():
        assert client.is_whole(weir.openai())
        headers = fakes["fake-a"].calls(last=1)[0]["headers"]
        return dict(headers if isinstance(headers, list) else headers.items())

    first = sent()
    replaced = time.monotonic()
    (tmp_path / "key.new").write_text(CANARY + "-2\n")
    os.rename(tmp_path / "key.new", key)
    processes.wait_until(lambda: sent() != first, 3, "the new key to be sent")
    assert time.monotonic() - replaced < 2.0
    second = sent()
    key.write_text("")  # half written
    time.sleep(0.7)
    assert sent() == second
    weir.check()


def test_a_key_file_that_comes_later(start_fakes, start_weir, tmp_path):
    fakes = start_fakes("fake-a", "fake-b")
    kinds = {name: ("openai", fakes[name]) for name in ("fake-a", "fake-b")}
    route = {"chat": {"targets": [{"model": "fake-a/large"}]}}
    weir = start_weir(configuration(kinds, routes=route))
    config = configuration(kinds, routes={"chat": {"targets": [{"model": "fake-b/large"}]}})
    folder = tmp_path / "keys"
    folder.mkdir()
    del config["providers"]["fake-b"]["api_key"]
    config["providers"]["fake-b"]["api_key_file"] = str(folder / "key")
    weir.configure(config)
    assert "No such file" in weir.cli("reload", expect=1).stderr
    assert target_of(weir) == "fake-a"
    (folder / "key").write_text(CANARY + "\n")
    wait_for_target(weir, "fake-b")


def test_a_data_link_that_swaps(start_fakes, start_weir, tmp_path):
    """Kubernetes: weir.yaml -> ..data/weir.yaml, and an update swaps ..data."""
    fakes = start_fakes("fake-a", "fake-b")
    kinds = {name: ("openai", fakes[name]) for name in ("fake-a", "fake-b")}
    weir = start_weir(configuration(kinds, routes={"chat": {"targets": [{"model": "fake-a/large"}]}}))
    mount = tmp_path / "mount"
    mount.mkdir()

    def put(revision, text):
        (mount / f"..{revision}").mkdir()
        (mount / f"..{revision}" / "weir.yaml").write_text(text)
        os.symlink(f"..{revision}", mount / "..tmp")
        os.rename(mount / "..tmp", mount / "..data")

    with open(weir.config_path, encoding="utf-8") as f:
        text = f.read()
    put(1, text)
    os.symlink("..data/weir.yaml", mount / "weir.yaml")
    weir.stop()
    weir.config_path = str(mount / "weir.yaml")
    weir.start()
    assert target_of(weir) == "fake-a"
    put(2, text.replace("\"model\": \"fake-a/large\"", "\"model\": \"fake-b/large\""))
    wait_for_target(weir, "fake-b")


def test_a_control_plane_that_restarts_over_a_broken_file(two):
    _, config, weir = two
    weir.configure(config("fake-b", "fake-a"))
    weir.cli("reload")
    wait_for_target(weir, "fake-b")
    with open(weir.config_path, "w", encoding="utf-8") as f:
        f.write("version: 1\nbroken: [\n")
    time.sleep(0.3)  # the store has it on disk after about 50 ms
    before = weir.kill("controlplane")
    processes.wait_until(lambda: weir.pids()["controlplane"] not in (None, before), 5, "another control plane")
    processes.wait_until(weir.is_ready, 5, "weir to be ready again")
    for _ in range(5):
        assert target_of(weir) == "fake-b"
    status = weir.cli("status").stdout
    assert "weir.yaml:3:1" in status or "weir.yaml:2:" in status, status  # it is said, with the place
    weir.configure(config())
    weir.cli("reload")
    wait_for_target(weir, "fake-a")
    weir.check()  # the key that the file holds in plain is nowhere on disk


def test_run_time_weights_live_on_until_the_file_says_otherwise(two):
    _, config, weir = two
    weir.cli("weight", "chat", "fake-a/large=0")
    weir.cli("weight", "chat", "fake-b/large=100")
    wait_for_target(weir, "fake-b")
    time.sleep(0.3)
    before = weir.kill("controlplane")
    processes.wait_until(lambda: weir.pids()["controlplane"] not in (None, before) and weir.is_ready(), 5, "another control plane")
    time.sleep(0.3)
    assert [target_of(weir) for _ in range(5)] == ["fake-b"] * 5
    changed = config()
    changed["routes"]["chat"]["targets"][0]["weight"] = 70
    weir.configure(changed)
    told = weir.cli("reload").stdout
    assert "set at run time, is dropped: the file has a new one" in told
    wait_for_target(weir, "fake-a", seconds=5)


def test_fifty_reloads_leave_nothing_open(two):
    _, config, weir = two
    one, other = config(), config("fake-b", "fake-a")
    weir.configure(other)
    weir.cli("reload")
    before = {p: processes.fd_count(p) for p in (weir.pids()["controlplane"], weir.pids()["supervisor"], *weir.pids()["workers"])}
    for i in range(50):
        weir.configure(one if i % 2 == 0 else other)
        weir.cli("reload")
        assert client.is_whole(weir.openai())
    assert target_of(weir) == "fake-b"

    def settled():
        return all(processes.fd_count(p) <= n + 3 for p, n in before.items())

    processes.wait_until(settled, 5, f"descriptors as before: {before}")
    weir.check()


def test_a_provider_that_leaves_finishes_its_streams(two):
    fakes, config, weir = two
    with client.Connection(weir.address) as c:
        body = json.dumps(chat("slow [[fake:words=40]] [[fake:delay=50]]", stream=True)).encode()
        c.send(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
               b"content-length: %d\r\n\r\n%s" % (len(body), body))
        answer = c.read_head()
        assert answer.status == 200
        weir.configure(configuration({"fake-b": ("openai", fakes["fake-b"])}, routes={"chat": {"targets": [{"model": "fake-b/large"}]}}))
        assert "providers.fake-a: removed" in weir.cli("reload").stdout
        wait_for_target(weir, "fake-b")
        c.read_body(answer)
        assert client.is_whole(answer)


def test_a_key_from_the_environment_is_seen_by_nobody_and_outlives_a_reload(start_fakes, start_weir):
    """Whatever the variable is called."""
    fakes = start_fakes("fake-a")
    config = configuration({"fake-a": ("openai", fakes["fake-a"])})
    config["providers"]["fake-a"]["api_key"] = "${VENDOR_LOGIN:?set it}"
    weir = start_weir(config, env={"VENDOR_LOGIN": CANARY})

    def sent():
        assert client.is_whole(weir.openai())
        return [h for h in fakes["fake-a"].calls(last=1)[0]["headers"] if h[0].lower() == "authorization"]

    first = sent()
    assert first
    config["server"] = {"max_body": "2MiB"}
    weir.configure(config)
    assert "server.max_body" in weir.cli("reload").stdout
    before = weir.kill("controlplane")
    processes.wait_until(lambda: weir.pids()["controlplane"] not in (None, before) and weir.is_ready(), 5, "another control plane")
    assert sent() == first
    assert CANARY not in weir.cli("config", "show", weir.config_path).stdout
    weir.check()


def read(pipe):
    try:
        return os.read(pipe, 65536).decode()
    except BlockingIOError:
        return ""


def test_nobody_reads_standard_error_and_nobody_waits(start_fakes, tmp_path):
    """A log reader that hangs: calls, reloads and a restarted worker go on past a full pipe; read again, it says what is missing."""
    fakes = start_fakes("fake-a")
    gateway = Gateway(tmp_path / "weir", configuration({"fake-a": ("openai", fakes["fake-a"])}), workers=1)
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    try:
        gateway.start(stderr=writer)
        before = gateway.pids()
        for n in range(60):  # a line each; the pipe is full long before
            os.kill(gateway.process.pid, signal.SIGHUP)
            time.sleep(0.03)
        os.kill(before["workers"][0], signal.SIGKILL)
        processes.wait_until(lambda: gateway.pids()["workers"] not in ([], before["workers"]), 5, "a new worker")
        assert gateway.openai().status == 200
        time.sleep(5.5)  # a control plane that waits in a write misses its heartbeat for 5 s and is replaced
        assert gateway.pids()["controlplane"] == before["controlplane"] and gateway.is_ready()
        os.set_blocking(reader, False)
        said = read(reader)
        assert "starting again" not in said, said
        os.kill(gateway.process.pid, signal.SIGHUP)
        assert re.search(r"standard error was not read: \d+ notices are missing here", processes.wait_until(lambda: read(reader), 5, "a notice"))
    finally:
        gateway.stop()
        os.close(reader)
        os.close(writer)
