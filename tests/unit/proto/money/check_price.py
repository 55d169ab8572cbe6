"""Prices each case of standard input again, with exact fractions and no code of proto/money.

A line: 9 base rates, 9 tier rates, tier_above, per request, search, second, unit, factor, batch, flex, priority,
the 14 usage figures, the service tier, then what C said: known, cost, bound known, bound (of all input and output tokens).
"""
import math
import sys
from fractions import Fraction as F

MAX = 2**63 - 1
INPUT, READ, W5, W1, OUTPUT, IA, II, OA, OI = range(9)


def resolve(rates, base):
    known = [None if r < 0 else F(r) for r in rates]
    fallback_in = None if base[INPUT] < 0 else F(base[INPUT])
    fallback_out = None if base[OUTPUT] < 0 else F(base[OUTPUT])
    out = list(known)
    out[INPUT] = known[INPUT] if known[INPUT] is not None else fallback_in
    out[OUTPUT] = known[OUTPUT] if known[OUTPUT] is not None else fallback_out
    for i in (READ, W5, IA, II):
        out[i] = known[i] if known[i] is not None else out[INPUT]
    if known[W1] is None:
        out[W1] = None if out[W5] is None else out[W5] * F(8, 5)
    for i in (OA, OI):
        out[i] = known[i] if known[i] is not None else out[OUTPUT]
    return out


def half_up(x):
    return min(MAX, math.floor(x + F(1, 2)))


def factor(ppm):
    return F(1) if ppm <= 0 else F(ppm, 10**6)


def cost(base, tier, above, per, factors, usage, service):
    (un, read, w5, w1, ia, ii, out, _reasoning, oa, oi, web, requests, ms, units) = usage
    tiered = above > 0 and un + read + w5 + w1 > above and any(r >= 0 for r in tier)
    r = resolve(tier if tiered else base, base)
    counts = [0] * 9
    counts[IA] = min(ia, un)
    counts[II] = min(ii, un - counts[IA])
    counts[INPUT] = un - counts[IA] - counts[II]
    counts[READ], counts[W5], counts[W1] = read, w5, w1
    counts[OA] = min(oa, out)
    counts[OI] = min(oi, out - counts[OA])
    counts[OUTPUT] = out - counts[OA] - counts[OI]
    request, search, second, unit = per
    otherwise = all(b < 0 for b in base) and (request > 0 or second > 0 or unit > 0)
    pico = F(0)
    for count, rate in zip(counts, r):
        if count and not otherwise:
            if rate is None:
                return None
            pico += count * rate
    if web:
        if search < 0:
            return None
        pico += web * search
    pico += requests * max(0, request) + units * max(0, unit) + F(ms, 1000) * max(0, second)
    by_service = [F(1), factor(factors[1]), factor(factors[2]), factor(factors[3])][service]
    return half_up(pico * factor(factors[0]) * by_service / 1000)


def main():
    n = 0
    for line in sys.stdin:
        v = [int(x) for x in line.split()]
        base, tier, above, per, factors = v[:9], v[9:18], v[18], v[19:23], v[23:27]
        usage, service, (known, c_cost, bound_known, bound) = v[27:41], v[41], v[42:46]
        exact = cost(base, tier, above, per, factors, usage, service)
        if (exact is not None) != bool(known) or (known and exact != c_cost):
            sys.exit(f"case {n}: exact {exact}, C {known} {c_cost}: {line}")
        if known and bound_known and usage[10] == 0 and usage[11] <= 1 and bound < c_cost:
            sys.exit(f"case {n}: bound {bound} is below the cost {c_cost}: {line}")
        n += 1
    print(f"# {n} cases agree", file=sys.stderr)
    sys.exit(0 if n > 1000 else f"only {n} cases")


main()
