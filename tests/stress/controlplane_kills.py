"""500 calls a second, whole and streamed, while the control plane is killed every second: 0 failed, ledger = bill, weights still apply."""
import time

import bill
import gateway as gateway_module
import processes
import scene


def run(folder, seconds=20, rate=500):
    with scene.World(folder) as world:
        weir = world.gateway
        weir.cli("weight", "chat", "fake-a/large=80")
        weir.cli("weight", "chat", "fake-b/large=20")
        ledger = scene.Ledger(weir).watch()
        load = world.load(rate=rate, seconds=seconds, connections=96, streams=40)
        kills = 0
        while load.is_running():
            time.sleep(1.0)
            if load.is_running():
                kills += weir.kill("controlplane") is not None
        load.join()
        assert load.failed == [], f"{len(load.failed)} of {len(load.calls)} failed: {load.why()}"
        world.drained()
        ledger.end()
        log = world.fakes.bill()
        prices = gateway_module.prices_of(weir.config)
        sums, partial = bill.add_up(log, prices)
        assert partial == [], partial[:3]
        processes.wait_until(lambda: not bill.differences(sums, weir.usage()), 10, "the ledger to agree with the bill", step=0.3)
        assert ledger.twice == [], ledger.twice[:5]
        lines = {i: ledger.lines[i] for i in ledger.lines}
        assert set(load.ids) <= set(lines), f"{len(set(load.ids) - set(lines))} calls are not in the ledger ({ledger.gaps} gaps)"
        assert len(lines) == len(load.ids) == len(set(load.ids)), (len(lines), len(load.ids))
        booked, billed = scene.record_differences(lines.values(), log, prices)
        assert not booked and not billed, (booked, billed)
        share = sum(1 for c in log if c["fake"] == "fake-a") / len(log)
        assert 0.74 < share < 0.86, f"weights 80:20 gave {share:.3f}"
        weir.check_reports()
        return (f"{len(load.calls)} calls in {load.sum['ms'] / 1000:.1f} s, {kills} kills, 0 failed; {len(lines)} records and "
                f"{sum(r['cost_nanousd'] for r in sums.values()) / 1e9:.6f} USD equal the bill; share of fake-a {share:.3f}")
