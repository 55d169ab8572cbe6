"""Short forms of tests/stress: kills and reloads under a load of the C program, the ledger compared record by record."""
import json
import os
import shutil
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stress"))

import all_kills  # noqa: E402
import client  # noqa: E402
import controlplane_kills  # noqa: E402
import processes  # noqa: E402
import reloads  # noqa: E402
import soak  # noqa: E402
import token_refresh  # noqa: E402
import worker_kills  # noqa: E402
from gateway import configuration  # noqa: E402

pytestmark = pytest.mark.serial


def test_control_plane_killed_every_second(tmp_path):
    controlplane_kills.run(str(tmp_path), seconds=4, rate=100)


def test_everything_killed_at_once(tmp_path):
    all_kills.run(str(tmp_path), times=2, rate=100, start_s=10)


def test_workers_killed_at_random(tmp_path):
    worker_kills.run(str(tmp_path), times=6, rate=80, every=0.6, workers=2)


def test_reloads_under_load(tmp_path):
    reloads.run(str(tmp_path), times=12, rate=60, memory=False)


def test_credentials_that_live_for_seconds(tmp_path):
    token_refresh.run(str(tmp_path), turns=4, rate=80)


def test_journals_do_not_stay_in_memory(tmp_path):
    soak.run(str(tmp_path), seconds=8, rate=120, memory=False)


def test_a_full_ring_under_best_effort_serves_and_counts_what_is_not_booked(tmp_path, start_fakes, start_weir, monkeypatch):
    """The control plane is away until the ring is full: calls are answered all the same, and the counter tells exactly how many have no record."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("weir", "weir-dataplane", "weir-controlplane"):
        shutil.copy(processes.program(name), programs)
    load_program = processes.program("tests/load")
    fakes = start_fakes("fake-a")
    monkeypatch.setattr(processes, "BIN", str(programs))
    weir = start_weir(configuration({"fake-a": ("openai", fakes["fake-a"])}, accounting="best_effort"), workers=1)
    os.rename(programs / "weir-controlplane", programs / "away")
    weir.kill("controlplane")
    flood = [load_program, "--port", str(weir.port), "--model", "no-such-model", "--rate", "100000", "--seconds", "60", "--calls", "17000"]
    told = json.loads(subprocess.run(flood, capture_output=True, timeout=70, check=True).stdout)  # refused: records that cost nothing
    assert told["calls"] == 17000 and told["whole"] == 0
    served = [client.is_whole(weir.openai()) for _ in range(20)]
    assert all(served)
    os.rename(programs / "away", programs / "weir-controlplane")
    processes.wait_until(weir.is_ready, 20, "the control plane to be back", step=0.2)
    processes.wait_until(lambda: weir.metrics()["weir_journal_waiting_records"] == 0, 20, "the ring to be drained", step=0.2)
    rows = weir.settled_usage()
    dropped = weir.metrics()["weir_journal_dropped_total"]
    assert dropped >= 20 and sum(r["calls"] for r in rows) + dropped == 17020, (rows, dropped)
    assert client.is_whole(weir.openai())
