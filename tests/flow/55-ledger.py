"""Every call is in the ledger, once, whoever was killed when; and what is wrong with the ledger never reaches a caller."""
import glob
import json
import os
import subprocess
import time

import pytest

import bill
import client
import processes
from gateway import configuration, prices_of


def tail(gateway, n=1000):
    return [json.loads(line) for line in gateway.cli("tail", "-n", str(n), "-o", "json").stdout.splitlines()]


def post(number):
    stream = number % 3 == 0
    return "POST", "/v1/chat/completions", client.chat(f"call {number}", stream=stream), client.OPENAI_HEADERS


def assert_bill(gateway, fakes, calls):
    rows = gateway.settled_usage(calls)
    sums, partial = bill.add_up(fakes.bill(), prices_of(gateway.config))
    assert partial == []
    assert bill.differences(sums, rows) == []
    return rows


def test_a_call_is_billed_logged_and_explained(pair):
    gateway, fakes = pair
    first = gateway.openai()
    assert client.is_whole(first)
    with_fault = fakes["fake-a"].fault(status=529)
    rescued = gateway.openai(client.chat("again", stream=True))
    assert client.is_whole(rescued)
    fakes["fake-a"].clear(with_fault)
    refused = gateway.openai(client.chat(model="no-such-model"))
    assert refused.status == 404
    rows = gateway.settled_usage(3)
    sums, partial = bill.add_up(fakes.bill(), prices_of(gateway.config))
    assert partial == [] and bill.differences(sums, [r for r in rows if r["provider"]]) == []
    assert {r["provider"]: r["calls"] for r in rows} == {"fake-a": 1, "fake-b": 1, "": 1}
    by_key = gateway.json("usage", "--by", "route")
    assert by_key["total"]["calls"] == 3 and by_key["total"]["refused"] == 1 and by_key["total"]["rescued"] == 1
    processes.wait_until(lambda: len(gateway.log_lines()) == 3, 3, "three request lines")
    lines = {line["request_id"]: line for line in gateway.log_lines()}
    ok, saved, no = (lines[a.header("x-request-id")] for a in (first, rescued, refused))
    assert (ok["outcome"], saved["outcome"], no["outcome"]) == ("ok", "rescued", "refused")
    assert [a["target"] for a in saved["attempts"]] == ["fake-a/large", "fake-b/large"]
    assert saved["attempts"][0]["status"] == 529 and saved["stream"] and saved["ttft_ms"] is not None
    assert ok["cost_usd"] > 0 and ok["cost_basis"] == "computed" and no["attempts"] == []
    assert tail(gateway) == [ok, saved, no]
    assert gateway.json("explain", first.header("x-request-id"))["request_id"] == ok["request_id"]
    metrics = gateway.metrics()
    assert metrics['weir_requests_total{route="chat",dialect="openai",outcome="rescued"}'] == 1
    cost = sum(v for k, v in metrics.items() if k.startswith("weir_cost_usd_total"))
    assert abs(cost - sum(r["cost_nanousd"] for r in rows) / 1e9) < 1e-9
    gateway.check(secrets=("sk-canary",))


def test_the_ledger_survives_a_stop(start_fakes, start_weir):
    fakes = start_fakes("fake-a")
    gateway = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}))
    for _ in range(5):
        assert client.is_whole(gateway.openai())
    gateway.stop()
    verified = subprocess.run(
        [processes.program("weir-controlplane"), "--verify-store", os.path.join(gateway.state, "ledger")], capture_output=True, text=True
    )
    assert (verified.returncode, verified.stdout) == (0, "sound: 5 records\n")
    gateway.start()
    assert_bill(gateway, fakes, 5)
    assert client.is_whole(gateway.openai())
    assert_bill(gateway, fakes, 6)


@pytest.mark.serial
def test_control_plane_killed_under_load_loses_and_doubles_nothing(start_fakes, start_weir):
    fakes = start_fakes("fake-a")
    gateway = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}))
    load = client.Load(gateway.address, post, workers=8, seconds=6, rate=150).start()
    kills = 0
    end = time.monotonic() + 5.5
    while time.monotonic() < end:
        time.sleep(0.3 + kills % 5 * 0.11)
        kills += gateway.kill("controlplane") is not None
    load.join()
    assert load.failed == [] and kills >= 5 and load.whole > 200, load
    processes.wait_until(gateway.is_ready, 5, "the control plane to be back")
    assert_bill(gateway, fakes, load.whole)
    seen = [line["request_id"] for line in tail(gateway)]
    assert len(seen) == len(set(seen)) and set(load.ids[-500:]) <= set(seen)
    gateway.check(fakes)


@pytest.mark.serial
@pytest.mark.slow
def test_everything_killed_at_once_keeps_every_whole_answer(start_fakes, start_weir):
    fakes = start_fakes("fake-a")
    gateway = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}))
    gateway.stop()
    ids = set()
    for round_ in range(6):
        gateway.start()
        load = client.Load(gateway.address, post, workers=6, seconds=20, rate=100).start()
        time.sleep(0.4 + round_ * 0.13)
        load.stop.set()
        gateway.kill_all()
        load.join()
        ids |= set(load.ids)
        assert load.whole > 5, load
    gateway.start()
    processes.wait_until(lambda: ids <= {line["request_id"] for line in tail(gateway)}, 5, "every whole answer in the ledger")
    lines = tail(gateway)
    assert len(lines) == len({line["request_id"] for line in lines}), "a call stands twice"
    # what was under way is there as an estimate, never as nothing
    whole = [c for c in fakes.bill() if c["whole"]]
    answered = [line for line in lines if line["cost_basis"] == "computed" and line["outcome"] in ("ok", "cancelled")]
    assert len(answered) >= len(ids) and len(lines) >= len(whole)
    gateway.check()


def test_worker_killed_in_a_stream_books_an_estimate(start_fakes, start_weir):
    fakes = start_fakes({"fake-a": ["--event-delay-ms", "50"]})
    gateway = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}), workers=1)
    assert client.is_whole(gateway.openai())
    with client.Connection(gateway.address) as c:
        body = json.dumps(client.chat("long", stream=True)).encode()
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        c.send(head.encode() + body)
        c.read_head()
        gateway.kill(0)
        answer = c.read_body(client.Answer(200, "", [("transfer-encoding", "chunked")]))
        assert not answer.complete
    gateway.settled_usage(2)
    rows = gateway.usage()
    assert sum(r["estimated"] for r in rows) == 1 and sum(r["calls"] for r in rows) == 2, rows
    line = tail(gateway)[-1]
    assert line["outcome"] == "failed" and line["cost_basis"] == "estimated" and line["cost_usd"] > 0
    assert line["attempts"][0]["why"] == "worker_died"
    gateway.check()


@pytest.mark.parametrize("harm", ["cut", "empty", "garbage"])
def test_a_broken_ledger_is_set_aside(start_fakes, start_weir, harm):
    fakes = start_fakes("fake-a")
    gateway = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}))
    for _ in range(3):
        gateway.openai()
    gateway.settled_usage(3)
    gateway.stop()
    data = os.path.join(gateway.state, "ledger", "data.mdb")
    size = os.path.getsize(data)
    if harm == "cut":
        os.truncate(data, size // 2)
    elif harm == "empty":
        os.truncate(data, 0)
    else:
        with open(data, "r+b") as f:
            f.write(os.urandom(size))
    gateway.start()
    assert len(glob.glob(os.path.join(gateway.state, "ledger.corrupt-*"))) == 1
    assert client.is_whole(gateway.openai())
    rows = gateway.settled_usage(1)
    assert sum(r["calls"] for r in rows) == 1
    assert gateway.metrics()["weir_store_corrupt"] == 1
    gateway.check()


@pytest.mark.slow
def test_a_full_disk_keeps_the_records_until_there_is_room(tmp_path, start_fakes, start_weir):
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1500k", "none", str(small)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("needs the right to mount")
    fakes = start_fakes("fake-a")
    gateway = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}, store={"path": str(small)}))
    try:
        assert client.is_whole(gateway.openai())
        gateway.settled_usage(1)
        with open(small / "ballast", "wb", buffering=0) as f:
            try:
                while True:
                    f.write(b"x" * 4096)
            except OSError:
                pass
        for _ in range(40):
            assert client.is_whole(gateway.openai())
        processes.wait_until(lambda: gateway.metrics()["weir_store_full"] == 1, 10, "the full disk to be noticed")
        os.truncate(small / "ballast", 0)
        assert_bill(gateway, fakes, 41)
        assert gateway.metrics()["weir_store_full"] == 0
        gateway.check(fakes)
    finally:
        gateway.stop()
        subprocess.run(["umount", str(small)], check=False)
