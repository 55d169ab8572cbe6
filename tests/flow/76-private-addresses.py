"""D5, T12: a name that leads to a private address is not dialled unless the provider says allow_private; the key is never sent."""
import ipaddress
import socket

import pytest

import rig
import swarm
from client import chat, messages
from gateway import CANARY, LARGE


def private_names():
    """Names of this machine, other than localhost, that lead to addresses nobody outside has."""
    found = []
    with open("/etc/hosts", encoding="utf-8") as f:
        names = [n for line in f for n in line.split("#")[0].split()[1:]]
    for name in {*names, socket.gethostname()}:
        try:
            addresses = {a[4][0].split("%")[0] for a in socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)}
        except OSError:
            continue
        if name != "localhost" and all(ipaddress.ip_address(a).is_private for a in addresses):
            found.append(name)
    return sorted(found)[:4]


def test_d5_a_name_that_leads_to_a_private_address_is_blocked(start_weir):
    """D5: the answer becomes a loopback, private or link-local address: 502 ssrf_blocked, 0 connections, the key is never sent."""
    names = private_names()
    if not names:
        pytest.skip("no name of this machine leads to a private address only")
    with swarm.Upstream(lambda request: rig.whole(rig.completion(model="large"))) as upstream:
        config = {"version": 1, "providers": {"well": {"type": "openai", "base_url": upstream.url + "/v1", "api_key": CANARY}},
                  "models": {"well/large": {"price": LARGE}}, "routes": {"chat": {"targets": [{"model": "well/large"}]}}}
        for i, name in enumerate(names):
            config["providers"][f"p{i}"] = {"type": "openai", "base_url": f"https://{name}:{upstream.port}/v1", "api_key": CANARY}
            config["models"][f"p{i}/large"] = {"price": LARGE}
            config["routes"][f"r{i}"] = {"targets": [{"model": f"p{i}/large"}], "circuit_breaker": {"failures": 0}}
        weir = start_weir(config)
        connections = len(upstream.raw)
        for i, name in enumerate(names):
            answer = weir.openai(chat(model=f"r{i}"))
            assert answer.status == 502 and answer.json()["error"]["code"] == "ssrf_blocked", (name, answer)
            assert weir.anthropic(messages(model=f"r{i}")).status == 502, name
        assert len(upstream.raw) == connections and upstream.requests == []
        weir.check()
