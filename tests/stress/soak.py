"""Three minutes at a moderate rate: descriptors, own memory and the journals' resident pages stay what they were; upstreams are few."""
import os
import time

import bill
import gateway as gateway_module
import processes
import scene


def run(folder, seconds=int(os.environ.get("SOAK_SECONDS", "180")), rate=200, memory=True):
    with scene.World(folder) as world:
        weir = world.gateway
        load = world.load(rate=rate, seconds=seconds, connections=48, streams=50)
        time.sleep(min(20, seconds / 4))
        before, upstreams, worst = scene.Memory(weir), 0, (0, 0, 0)
        while load.is_running():
            time.sleep(2)
            upstreams = max(upstreams, weir.metrics()["weir_upstream_connections"])
            worst = tuple(max(a, b) for a, b in zip(worst, scene.Memory(weir).grown(before)))
        load.join()
        assert load.failed == [], f"{len(load.failed)} of {len(load.calls)} failed: {load.why()}"
        world.drained()
        fds, own, journal = scene.Memory(weir).grown(before)
        assert fds <= 16 and (own <= 1024 or not memory) and journal <= 256, (fds, own, journal)
        assert upstreams <= 2 * 48, upstreams
        sums, partial = bill.add_up(world.fakes.bill(), gateway_module.prices_of(weir.config))
        assert partial == [], partial[:3]
        processes.wait_until(lambda: not bill.differences(sums, weir.usage()), 10, "the ledger to agree with the bill", step=0.3)
        weir.check(None)
        return (f"{len(load.calls)} calls in {seconds} s, 0 failed, ledger equals the bill; at the end fds {fds:+d}, own memory {own:+d} KiB, "
                f"journals {journal:+d} KiB; at worst {worst}; upstream connections at most {upstreams:.0f}")
