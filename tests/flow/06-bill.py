"""The checker of bills finds what is wrong, to the nano-dollar. Sums worked out by hand."""
import bill

PRICES = {"fake-a": {"provider": "openai", "models": {"large": {"input": "2.50", "cached_input": "0.25", "output": "10.00"}}}}


def call(**tokens):
    counted = {"input": 0, "cache_read": 0, "cache_write": 0, "cache_write_1h": 0, "output": 0, "reasoning": 0, **tokens}
    return {"fake": "fake-a", "dialect": "anthropic", "model": "large", "status": 200, "whole": True, "usage_sent": True, "tokens": counted}


def row(**fields):
    return {"provider": "openai", "model": "large", "calls": 1, "input": 0, "cached": 0, "output": 0, "reasoning": 0, "cost_nanousd": 0, **fields}


def test_412_and_96_tokens_cost_1990_micro_dollars():
    assert bill.cost_nanousd(call(input=412, output=96), PRICES["fake-a"]["models"]["large"]) == 1_990_000


def test_cached_and_written_tokens():
    price = {"input": "3", "cached_input": "0.3", "cache_write": "3.75", "output": "15"}
    assert bill.cost_nanousd(call(input=1, cache_read=1, cache_write=1, cache_write_1h=1, output=1), price) == 3000 + 300 + 3750 + 6000 + 15000


def test_a_call_is_rounded_once_half_up():
    price = {"input": "0.0005", "output": "0"}  # half a nano-dollar a token
    assert [bill.cost_nanousd(call(input=n), price) for n in (1, 2, 3)] == [1, 1, 2]


def test_one_nano_dollar_is_found():
    sums, partial = bill.add_up([call(input=412, output=96)], PRICES)
    assert partial == []
    assert bill.differences(sums, [row(input=412, output=96, cost_nanousd=1_990_000)]) == []
    assert "cost_nanousd" in bill.differences(sums, [row(input=412, output=96, cost_nanousd=1_990_001)])[0]
    assert "has no row" in bill.differences(sums, [])[0]
    assert "billed nothing" in bill.differences({}, [row(input=1)])[0]


def test_errors_cost_nothing_and_cut_calls_stand_apart():
    cut = {**call(input=5, output=5), "whole": False}
    refused = {**call(), "status": 529}
    sums, partial = bill.add_up([cut, refused], PRICES)
    assert sums == {} and partial == [cut]
