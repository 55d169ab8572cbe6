"""Workers killed at random under load: only their own calls break; slots become estimates; nothing lost, twice, or held for ever."""
import os
import random
import signal
import time

import processes
import scene


def idle(weir):
    status = weir.json("status")
    return status["in_flight"] == 0 and all(t["in_flight"] == 0 for t in status["targets"])


def grown_up(weir, born):
    """Workers that have lived for over a second: what dies younger is started again later and later, which is another story."""
    now, workers = time.monotonic(), weir.pids()["workers"]
    for pid in workers:
        born.setdefault(pid, now)
    return [pid for pid in workers if now - born[pid] > 1.1]


def run(folder, times=200, rate=300, every=0.25, workers=4):
    dice, born = random.Random(7), {}
    with scene.World(folder, workers=workers, event_delay_ms=1) as world:
        weir = world.gateway
        ledger = scene.Ledger(weir).watch()
        load = world.load(rate=rate, seconds=int(times * (every + 0.5)) + 60, connections=48, streams=60)
        kills = 0
        while kills < times:
            time.sleep(every * (0.2 + 1.6 * dice.random()))
            old = grown_up(weir, born)
            if old:
                os.kill(dice.choice(old), signal.SIGKILL)
                kills += 1
        load.end()
        world.drained()
        ledger.end()
        lines = ledger.lines
        missing = [i for i in load.ids if i not in lines]
        assert missing == [], f"{len(missing)} whole answers are not in the ledger ({ledger.gaps} gaps)"
        assert ledger.twice == [], ledger.twice[:5]
        strange = [c for c in load.failed if c.why not in ("reset", "closed")]
        assert strange == [], load.why()
        estimates = [line for line in lines.values() if line["outcome"] == "worker_died" or line["cost_basis"] != "computed"]
        assert len(estimates) <= len(load.failed), (len(estimates), len(load.failed))
        processes.wait_until(lambda: sum(r["calls"] for r in weir.usage()) == len(ledger.look(expect=0)), 10, "usage and tail to agree", step=0.5)
        processes.wait_until(lambda: idle(weir), 5, f"nothing in flight: {weir.json('status')}", step=0.2)
        metrics = weir.metrics()
        for name in ("weir_in_flight_requests", "weir_buffer_bytes", "weir_upstream_connections"):
            assert metrics[name] < (1 if name != "weir_upstream_connections" else 200), (name, metrics[name])
        weir.check(None)
        return (f"{kills} kills, {len(load.calls)} calls, {len(load.ids)} whole and each once in the ledger, {len(load.failed)} cut, "
                f"{len(estimates)} estimates; in flight 0, buffers 0")
