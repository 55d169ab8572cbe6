"""Fixtures of the flow stories: fakes, gateways and raw upstreams that are stopped, and looked at, when the story ends."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "support"))

import gateway as gateway_module  # noqa: E402
import provider as provider_module  # noqa: E402


@pytest.fixture
def start_fakes(tmp_path):
    """start_fakes("fake-a", "fake-b") or start_fakes({"fake-a": ["--event-delay-ms", "5"]}, tls=(cert, key)): a weir-fake process."""
    started = []

    def start(*names, tls=None):
        specs = names[0] if names and isinstance(names[0], dict) else names or ("fake-a",)
        started.append(provider_module.Fakes(tmp_path / f"fakes{len(started)}", specs, tls))
        return started[-1]

    yield start
    for fakes in started:
        fakes.stop()


@pytest.fixture
def start_weir(tmp_path):
    """start_weir(config, workers=2, env={}, wait=True): a running Gateway, stopped in order when the story ends."""
    started = []

    def start(config, wait=True, **options):
        weir = gateway_module.Gateway(tmp_path / f"weir{len(started)}", config, **options)
        started.append(weir)
        return weir.start(wait=wait)

    yield start
    for weir in started:
        weir.stop(expect=None)


@pytest.fixture
def raw_provider():
    """raw_provider(script): a RawProvider that is stopped when the story ends; a mistake in its script fails the story."""
    started = []

    def start(script):
        started.append(provider_module.RawProvider(script))
        return started[-1]

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def pair(start_fakes, start_weir):
    """The usual arrangement: fakes fake-a (OpenAI) and fake-b (Anthropic), weir with route chat: fake-a/large, then fake-b/large."""
    fakes = start_fakes("fake-a", "fake-b")
    config = gateway_module.configuration({"fake-a": ("openai", fakes["fake-a"]), "fake-b": ("anthropic", fakes["fake-b"])})
    return start_weir(config), fakes
