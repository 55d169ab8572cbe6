"""Several keys of one provider under load: each has its share, one that is refused, without money or limited rests alone, and nobody notices."""
import threading

import pytest
import rig
import swarm
from client import Load, chat
from gateway import configuration
from processes import wait_until

KEYS = [f"sk-key-{letter}-0123456789" for letter in "abcd"]
WEIGHTS = [4, 2, 1, 1]


def key_of(request):
    return next(line for line in request.head.decode().split("\r\n") if line.lower().startswith("authorization:")).split()[-1]


class Provider:
    """Counts calls by key; what stands in `bad` is answered so."""

    def __init__(self):
        self.seen, self.bad, self.lock = [], {}, threading.Lock()

    def __call__(self, request):
        key = key_of(request)
        with self.lock:
            self.seen.append(key)
        if key in self.bad:
            return rig.whole({"error": {"message": f"no {key}", "type": "x", "code": "x"}}, *self.bad[key])
        return rig.whole(rig.completion(model="m"))


def several(upstream, keys=KEYS):
    class At:
        url = upstream.url

    config = configuration({"a": ("openai", At)}, {"chat": {"targets": [{"model": "a/m"}]}})
    config["providers"]["a"].pop("api_key")
    config["providers"]["a"]["api_keys"] = [{"key": key, "weight": weight} for key, weight in zip(keys, WEIGHTS)]
    config["models"]["a/m"] = {"price": {"input": 1, "output": 1}}
    return config


@pytest.mark.parametrize("bad", [{0: (401,)}, {0: (403,), 1: (402,)}, {0: (429, "retry-after: 30\r\n"), 2: (401,), 3: (402,)}])
def test_keys_rest_alone_under_load(start_weir, bad):
    provider = Provider()
    with swarm.Upstream(provider) as upstream:
        weir = start_weir(several(upstream))
        load = Load(weir.address, lambda n: ("POST", "/v1/chat/completions", chat(model="chat"), {"authorization": "Bearer k"}), workers=6, calls=600, seconds=30)
        thread = threading.Thread(target=load.run)
        thread.start()
        wait_until(lambda: len(provider.seen) > 250, 20, "half of the calls")
        with provider.lock:
            shares = [provider.seen.count(key) / len(provider.seen) for key in KEYS]
            provider.bad.update({KEYS[i]: said for i, said in bad.items()})
            provider.seen.clear()
        thread.join(40)
        assert load.failed == [] and load.whole == 600, load.failed[:3]
        for share, weight in zip(shares, WEIGHTS):
            assert abs(share - weight / 8) < 0.13, shares
        for i in bad:  # those under way when it began, one each, and then nobody for as long as it rests
            assert 1 <= provider.seen.count(KEYS[i]) <= 8, (i, provider.seen.count(KEYS[i]))
        row = weir.json("providers")["rows"][0]
        assert row["state"] != "auth_error" and row["key"] == f"4 keys, {len(bad)} rest{'s' if len(bad) == 1 else ''}"
        assert [k["rests_ms"] > 0 for k in row["keys"]] == [i in bad for i in range(4)]
        weir.check(secrets=KEYS)


def test_all_refused_is_seen(start_weir):
    """All keys refused: the clients are told 502 and nothing of the keys, the provider is auth_error in `weir providers` and in the metrics."""
    provider = Provider()
    provider.bad.update({key: (401,) for key in KEYS})
    with swarm.Upstream(provider) as upstream:
        weir = start_weir(several(upstream))
        answers = [weir.openai(chat()) for _ in range(3)]
        assert {a.status for a in answers} <= {502, 503} and answers[0].json()["error"]["code"] == "upstream_auth_error", answers
        assert not any(key.encode() in a.body for key in KEYS for a in answers)
        row = weir.json("providers")["rows"][0]
        assert row["state"] == "auth_error" and row["why"] == "it refuses each of the keys", row
        assert weir.metrics()['weir_provider_credential_valid{provider="a"}'] == 0
        weir.check_secrets(KEYS)


def test_one_key_refused_is_seen(start_weir):
    provider = Provider()
    provider.bad[KEYS[0]] = (401,)
    with swarm.Upstream(provider) as upstream:
        config = several(upstream)
        config["providers"]["a"] = {"type": "openai", "base_url": upstream.url, "api_key": KEYS[0]}
        weir = start_weir(config)
        assert weir.metrics()['weir_provider_credential_valid{provider="a"}'] == 1
        assert weir.openai(chat()).status == 502
        row = weir.json("providers")["rows"][0]
        assert (row["state"], row["why"]) == ("auth_error", "it refuses the key"), row
        assert weir.metrics()['weir_provider_credential_valid{provider="a"}'] == 0


def test_a_probe_shows_each_key_to_what_is_free(start_weir):
    provider = Provider()
    provider.bad[KEYS[1]] = (401,)
    with swarm.Upstream(provider) as upstream:
        weir = start_weir(several(upstream, KEYS[:3]))
        said = weir.cli("providers", "probe", "a", expect=1).stdout
        assert said.splitlines()[0] == "a: up; key accepted; refused: 401 x; accepted" and "is it of this provider" in said, said
        assert provider.seen == KEYS[:3] and all(r.head.startswith(b"GET /v1/models ") for r in upstream.requests)
        del provider.bad[KEYS[1]]
        assert weir.cli("providers", "probe", "a").stdout == "a: up; key accepted; accepted; accepted\n"
        assert "weir providers lists them" in weir.cli("providers", "probe", "nobody", expect=4).stderr
        weir.check_secrets(KEYS)
