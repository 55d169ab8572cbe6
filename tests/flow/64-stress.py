"""Short forms of tests/stress: kills and reloads under a load of the C program, the ledger compared record by record."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stress"))

import all_kills  # noqa: E402
import controlplane_kills  # noqa: E402
import reloads  # noqa: E402
import soak  # noqa: E402
import worker_kills  # noqa: E402

pytestmark = pytest.mark.serial


def test_control_plane_killed_every_second(tmp_path):
    controlplane_kills.run(str(tmp_path), seconds=4, rate=100)


def test_everything_killed_at_once(tmp_path):
    all_kills.run(str(tmp_path), times=2, rate=100, start_s=10)


def test_workers_killed_at_random(tmp_path):
    worker_kills.run(str(tmp_path), times=6, rate=80, every=0.6)


def test_reloads_under_load(tmp_path):
    reloads.run(str(tmp_path), times=12, rate=60, memory=False)


def test_journals_do_not_stay_in_memory(tmp_path):
    soak.run(str(tmp_path), seconds=8, rate=120, memory=False)
