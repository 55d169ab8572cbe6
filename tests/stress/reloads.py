"""A hundred reloads under load with open streams: weights, a provider that leaves and comes back, a new key; a broken file changes nothing."""
import hashlib
import json
import os
import time

import bill
import gateway as gateway_module
import processes
import scene


def variants(world, key_path):
    """The configurations that take turns: other weights, without fake-b, as it was."""
    base = json.loads(json.dumps(world.config))
    base["providers"]["fake-a"].pop("api_key")
    base["providers"]["fake-a"]["api_key_file"] = key_path
    heavier = json.loads(json.dumps(base))
    heavier["routes"]["chat"]["targets"][0]["weight"] = 90
    without = json.loads(json.dumps(base))
    del without["providers"]["fake-b"]
    for name in ("fake-b/large", "fake-b/small"):
        del without["models"][name]
    del without["routes"]["chat"]["targets"][1]
    return base, heavier, without


def break_file(weir):
    """A file that is no configuration: exit 1 with file:line:column, and what is in force stays."""
    with open(weir.config_path, encoding="utf-8") as f:
        good = f.read()
    before = weir.json("status")["config_serial"]
    with open(weir.config_path + ".new", "w", encoding="utf-8") as f:
        f.write(good.replace('"version": 1,', '"version": 1, "provider": [,', 1))
    os.rename(weir.config_path + ".new", weir.config_path)
    done = weir.cli("reload", expect=1)
    assert f"{weir.config_path}:2:" in done.stdout + done.stderr, (done.stdout, done.stderr)
    assert weir.json("status")["config_serial"] == before


def write_key(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text + "\n")
    os.chmod(path + ".new", 0o600)
    os.rename(path + ".new", path)


def turn(weir, n, files, key_path):
    write_key(key_path, f"sk-key-number-{n}")
    weir.configure(files[n % 3])
    weir.cli("reload")
    if n % 10 == 5:
        break_file(weir)


def run(folder, times=100, rate=300, memory=True):
    with scene.World(folder, event_delay_ms=3) as world:
        weir, key_path = world.gateway, os.path.join(folder, "key")
        write_key(key_path, "sk-key-number-first")
        files = variants(world, key_path)
        load = world.load(rate=rate, seconds=600, connections=64, streams=60)
        for n in range(6):  # until every page that will be used is there
            turn(weir, n, files, key_path)
        before = scene.Memory(weir)
        for n in range(6, times):
            assert load.is_running()
            turn(weir, n, files, key_path)
            time.sleep(0.05)
        weir.configure(files[0])
        weir.cli("reload")
        load.end()
        assert load.failed == [], f"{len(load.failed)} of {len(load.calls)} failed: {load.why()}"
        world.drained()
        fds, own, _ = processes.wait_until(lambda: small(scene.Memory(weir).grown(before), memory), 8, "descriptors and memory to be what they were", step=0.5)
        sums, partial = bill.add_up(world.fakes.bill(), gateway_module.prices_of(world.config))
        assert partial == [], partial[:3]
        processes.wait_until(lambda: not bill.differences(sums, weir.usage()), 10, "the ledger to agree with the bill", step=0.3)
        key = world.fakes["fake-a"].calls(1)[-1]["key"]
        assert key == "sha256:" + hashlib.sha256(f"sk-key-number-{times - 1}".encode()).hexdigest()[:8], key
        weir.check(None)
        return (f"{times} reloads, {len(load.calls)} calls, 0 failed, ledger equals the bill; {len(range(5, times, 10))} broken files refused; "
                f"fds {fds:+d}, own memory {own:+d} KiB; the last key is used")


def small(grown, memory):
    """Descriptors: those of idle connections to providers come and go. Sanitizers keep what is freed: no word on memory then."""
    fds, own, _ = grown
    return grown if fds <= 64 and (own <= 1536 or not memory) else None
