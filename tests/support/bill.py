"""The independent checker: prices weir-fake's log with exact fractions and compares with what weir says.

Shares nothing with proto/money. A price is USD per million tokens as text: {"input": "2.50", "cached_input": "0.25", "cache_write":
"3.125", "cache_write_1h": "5.00", "output": "10.00"}. cached_input and cache_write fall back to input, cache_write_1h to 1.6 times
cache_write. One call is rounded once, half up, to nano-dollars (1e-9 USD); sums are sums of rounded calls.

    python3 bill.py --log calls.jsonl --prices prices.json --usage usage.json      (usage.json: weir usage --by model -o json)
prices.json: {"fake-a": {"provider": "openai", "models": {"large": {…}}}}; fakes that are no provider of weir are left out.
"""
import argparse
import json
import sys
from fractions import Fraction

MILLION = 1000000
NANO = 10**9


def half_up(x):
    """The integer nearest to a non-negative fraction; exactly between two, the upper one."""
    return int((2 * x.numerator + x.denominator) // (2 * x.denominator))


def rate(price, name):
    """USD per token."""
    if name in price:
        return Fraction(str(price[name])) / MILLION
    fallback = {"cached_input": "input", "cache_write": "input"}
    if name in fallback:
        return rate(price, fallback[name])
    if name == "cache_write_1h":
        return rate(price, "cache_write") * Fraction(8, 5)
    raise KeyError(name)


def cost_nanousd(call, price):
    tokens = call["tokens"]
    write, write_1h = tokens["cache_write"], tokens["cache_write_1h"]
    if call["dialect"] == "openai":  # says one number for all cache writes
        write, write_1h = write + write_1h, 0
    usd = (
        tokens["input"] * rate(price, "input")
        + tokens["cache_read"] * rate(price, "cached_input")
        + write * rate(price, "cache_write")
        + write_1h * rate(price, "cache_write_1h")
        + tokens["output"] * rate(price, "output")
    )
    return half_up(usd * NANO)


def is_billed(call):
    """A provider bills what it worked for: a 200 whose tokens are counted, whether or not the client stayed to the end."""
    return call["status"] == 200 and sum(call["tokens"].values()) > 0


def add_up(log, prices, only_whole=True):
    """{(provider, model): {"calls", "input", "cached", "output", "reasoning", "cost_nanousd"}} of the log's billed calls.

    input counts everything that went in, cached and written tokens included. Calls that were not told whole are returned apart:
    weir never saw their usage and books an estimate.
    """
    sums, partial = {}, []
    for call in log:
        if call["fake"] not in prices or not is_billed(call):
            continue
        if only_whole and not (call["whole"] and call["usage_sent"]):
            partial.append(call)
            continue
        known = prices[call["fake"]]
        price = known["models"][call["model"]]
        tokens = call["tokens"]
        row = sums.setdefault(
            (known["provider"], call["model"]),
            {"calls": 0, "input": 0, "cached": 0, "output": 0, "reasoning": 0, "cost_nanousd": 0},
        )
        row["calls"] += 1
        row["input"] += tokens["input"] + tokens["cache_read"] + tokens["cache_write"] + tokens["cache_write_1h"]
        row["cached"] += tokens["cache_read"]
        row["output"] += tokens["output"]
        row["reasoning"] += tokens["reasoning"]
        row["cost_nanousd"] += cost_nanousd(call, price)
    return sums, partial


def differences(sums, usage_rows, fields=("input", "cached", "output", "reasoning", "cost_nanousd")):
    """Lines that say where weir's rows (weir usage --by provider,model -o json) differ from the bill. Empty: they agree exactly."""
    found = []
    said = {(row["provider"], row["model"]): row for row in usage_rows}
    for key in sorted(set(sums) | set(said)):
        bill = sums.get(key)
        row = said.get(key)
        if bill is None:
            if any(row.get(f) for f in fields):
                found.append(f"{key}: weir has a row, the provider billed nothing: {row}")
            continue
        if row is None:
            found.append(f"{key}: the provider billed {bill}, weir has no row")
            continue
        for field in fields:
            if (row.get(field) or 0) != bill[field]:
                found.append(f"{key}: {field}: weir says {row.get(field)}, the bill {bill[field]}")
    return found


def main():
    parser = argparse.ArgumentParser(description="Price weir-fake's log and compare it with weir's usage.")
    parser.add_argument("--log", required=True)
    parser.add_argument("--prices", required=True, help='{"fake-a": {"provider": …, "models": {model: price}}}')
    parser.add_argument("--usage", required=True, help="output of: weir usage --by provider,model -o json; - is standard input")
    options = parser.parse_args()
    with open(options.log, encoding="utf-8") as f:
        log = [json.loads(line) for line in f]
    with open(options.prices, encoding="utf-8") as f:
        prices = json.load(f)
    with sys.stdin if options.usage == "-" else open(options.usage, encoding="utf-8") as f:
        usage = json.load(f)
    sums, partial = add_up(log, prices)
    found = differences(sums, usage["rows"])
    for (provider, model), row in sorted(sums.items()):
        print(f"{provider}/{model}: {row['calls']} calls, {row['input']}+{row['output']} tokens, {row['cost_nanousd']} nano-dollars")
    print(f"{len(partial)} calls were not told whole and are not compared")
    for line in found:
        print("DIFFERS " + line)
    print("the bill agrees" if not found else f"{len(found)} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
