"""Answers that no provider should give: curl's test replies, and what happens when descriptors and connections run out."""
import glob
import os
import time

import pytest

import processes
import rig as r

REPLIES = sorted(glob.glob(os.path.join(os.environ.get("WEIR_SHARED", "../shared"), "corpora/http-curl-replies/raw/*")))


@pytest.mark.slow
@pytest.mark.skipif(not REPLIES, reason="no corpora here")
def test_curls_replies_as_answers(tmp_path):
    """No hang, no crash, and never a byte of one answer in the next."""
    state = {}

    def answer(conn, request):
        if request.json["model"] == "good":
            return r.good(conn, request)
        conn.sendall(state["data"])
        return state["close"]

    with r.Origin(answer) as a:
        lines = ["set first_token_ms 150", "set idle_ms 150", a.provider("a"), "target a/bad", "target a/good 2.5 10"]
        with r.Rig(tmp_path, [*lines, "route bad ordered a/bad", "route good ordered a/good"]) as rig:
            statuses = {}
            for i, path in enumerate(REPLIES):
                with open(path, "rb") as f:
                    state["data"] = f.read()
                state["close"] = False if i % 10 else None  # now and then the connection stays open
                body = {**(r.STREAM if i % 2 else r.CHAT), "model": "bad"}
                got = rig.call(body, timeout=5)
                assert got.status is not None, path
                statuses[got.status] = statuses.get(got.status, 0) + 1
                if i % 3 == 0:
                    good = rig.call({**r.CHAT, "model": "good"})
                    assert good.status == 200 and good.json == r.completion(), path
            assert set(statuses) & {502} and 200 not in statuses, statuses
            rig.settled()


def test_descriptors_run_out(tmp_path):
    """G1: accepting fails; the worker neither spins nor dies, and is well again when they are given back."""
    with r.Origin() as a:
        with r.Rig(tmp_path, [a.provider("a"), "target a/m", "route chat ordered a/m"], descriptors=40) as rig:
            many = [rig.connect() for _ in range(60)]
            time.sleep(0.3)
            worker = processes.children(rig.process.pid)[0]

            def cpu():
                with open(f"/proc/{worker}/stat", encoding="utf-8") as f:
                    return sum(int(n) for n in f.read().rsplit(")", 1)[1].split()[11:13])

            before = cpu()
            time.sleep(0.6)
            assert cpu() - before < 20, "it does not spin"
            [s.close() for s in many]
            processes.wait_until(lambda: rig.call().status == 200, 3, "a call after the drought")
            rig.settled()


def test_too_many_connections(tmp_path):
    with r.Origin() as a:
        with r.Rig(tmp_path, ["set connections 5", a.provider("a"), "target a/m", "route chat ordered a/m"]) as rig:
            held = [rig.connect() for _ in range(5)]
            processes.wait_until(lambda: rig.gauges()["connections"] == 5, 3, "five connections")
            got = rig.raw(b"")
            assert got.status == 503 and got.whole and got.json["error"]["code"] == "overloaded"
            [s.close() for s in held]
            processes.wait_until(lambda: rig.call().status == 200, 3, "room again")


def test_no_socket_to_the_provider(tmp_path):
    """G7: it is our shortage, so the provider's circuit does not open."""
    with r.Origin() as a:
        lines = ["set failures 1", a.provider("a"), "target a/m", "route chat ordered a/m"]
        with r.Rig(tmp_path, lines, descriptors=32) as rig:
            held = []
            for _ in range(40):
                s = rig.connect()
                held.append(s)
            time.sleep(0.3)
            held[0].sendall(r.request_bytes(r.CHAT))
            got = rig.read(held[0])
            assert got.status in (200, 503), got.raw
            assert rig.gauges()["target0"]["circuit"] == 0
            [s.close() for s in held]
            processes.wait_until(lambda: rig.call().status == 200, 3, "a call afterwards")
