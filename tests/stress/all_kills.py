"""Every process killed at once under load, started again on the same state directory, again and again: nothing lost, nothing twice."""
import time

import processes
import scene


def run(folder, times=20, rate=300, start_s=2.0):
    with scene.World(folder, event_delay_ms=2) as world:
        weir, whole, starts = world.gateway, 0, []
        ledger, under_way = scene.Ledger(weir), 0
        for turn in range(times):
            load = world.load(rate=rate, seconds=30, connections=48, streams=50)
            time.sleep(0.6 + turn % 7 * 0.11)
            weir.kill_all()
            load.end()
            begin = time.monotonic()
            weir.start()
            starts.append(time.monotonic() - begin)
            world.drained()
            lines = ledger.look(expect=0)
            missing = [i for i in load.ids if i not in lines]
            assert missing == [], f"turn {turn}: {len(missing)} whole answers of {len(load.ids)} are not in the ledger"
            wrong = [i for i in load.ids if lines[i]["outcome"] not in ("ok", "cancelled") or lines[i]["cost_basis"] != "computed"]
            assert wrong == [], f"turn {turn}: {lines[wrong[0]]}"
            whole += len(load.ids)
            under_way += sum(1 for c in load.failed if c.why in ("reset", "closed"))
            assert len(load.ids) > 20, f"turn {turn}: {load.sum}"
        assert ledger.twice == [], ledger.twice[:5]
        # what was under way is booked as an estimate a moment after the start
        processes.wait_until(lambda: sum(r["calls"] for r in weir.usage()) == len(ledger.look(expect=0)), 10, "usage and tail to agree", step=0.5)
        estimates = [line for line in lines.values() if line["outcome"] == "worker_died" or line["cost_basis"] != "computed"]
        assert len(estimates) <= under_way, f"{len(estimates)} estimates, {under_way} calls were under way"
        assert max(starts) < start_s, starts
        weir.check(None)
        return (f"{times} kills of everything, {whole} whole answers each once in the ledger, {len(estimates)} estimates for {under_way} calls under way; "
                f"start at most {max(starts):.3f} s")
