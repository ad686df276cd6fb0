"""How fast is a requirement, an answer to "what if", a batch of accounts? And the scenarios' share of it, beside peers.

Run:  python benchmarks/margin_engine.py [--accounts 10000]
"""

import argparse
import resource
import time
from collections.abc import Callable

import msgspec
import numpy as np
import QuantLib as ql  # noqa: N813
from scipy.special import ndtr

from benchmarks.events import Floats, on_one_core
from serving.margin.batch import batch
from serving.margin.objects import Account
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.priced_market import BoolArray, price_market
from serving.margin.quote import quote
from serving.margin.running import running
from serving.margin.scenarios.scenario_set import ScenarioSet
from serving.margin.scenarios.vol import term_scale
from serving.margin.units import unit_pnl
from tests.serving.margin.markets import forecasts, market, mixed

PATHS, EQUAL = 1_000, 1e-9
REPEATS = 40


def median_ms(job: Callable[[], object], repeats: int = REPEATS) -> float:
    """Median CPU time of a job, milliseconds, after one that warms up."""
    job()
    taken = []
    for _ in range(repeats):
        started = time.process_time_ns()
        job()
        taken.append(time.process_time_ns() - started)
    return float(np.median(taken)) / 1e6


def single(prepared: Prepared, account: Account, name: str) -> None:
    """One account of 50 options and 10 perpetuals and futures: statement, fast figure, what if."""
    kept = running(account, prepared)
    print(f"{name}: {prepared.initial.scenarios.size} scenarios, both margins")
    print(f"  statement to the cent   {median_ms(lambda: quote(account, prepared)):6.2f} ms")
    print(f"  figures, from scratch   {median_ms(lambda: running(account, prepared).figures()):6.2f} ms")
    print(f"  what if, incremental    {median_ms(lambda: kept.after('BTC-PERP', -0.5).figures()):6.2f} ms")


def many(prepared: Prepared, count: int, name: str) -> None:
    """A batch of accounts of 20 positions, half as many first: linear?"""
    accounts = [mixed(seed, options=14, perpetuals=6) for seed in range(count)]
    for size in (count // 2, count):
        started = time.process_time()
        faults = sum(line.fault is not None for line in batch(accounts[:size], prepared))
        taken = time.process_time() - started
        each = 1e3 * taken / size
        print(f"{name}: {size:,} accounts of 20 positions  {taken:5.2f} s, {each:.3f} ms each, {faults} faults")
    print(f"  memory held at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def revalued(account: Account, prepared: Prepared) -> None:
    """The account's options in every scenario of the initial margin, three ways."""
    wanted = {p.instrument for p in account.positions}
    snapshot = market()
    own = msgspec.structs.replace(
        snapshot, instruments=tuple(i for i in snapshot.instruments if i.symbol in wanted and i.is_option), quotes={
            symbol: q for symbol, q in snapshot.quotes.items() if symbol in wanted
            and any(i.symbol == symbol and i.is_option for i in snapshot.instruments)
        },
    )  # fmt: skip
    priced, policy = price_market(own), prepared.policy.scenarios
    plain = [s for s in range(prepared.initial.scenarios.size) if not _shaped(prepared.initial.scenarios, s)]
    scenarios = _taken(prepared.initial.scenarios, plain)
    terms, u = priced.options, priced.underlying
    factor = 1 + scenarios.move[:, u]
    vol = np.maximum(
        terms.vol * (1 + scenarios.vol[:, u] * term_scale(terms.years, policy)), np.minimum(terms.vol, policy.vol_floor)
    )
    discount = terms.discount
    usd = priced.usd_per_point * scenarios.weight[:, u]

    def by_numpy() -> Floats:
        now, then = (
            _black(terms.forward * f, terms.strike, v, terms.years, terms.is_call)
            for f, v in ((1.0, terms.vol), (factor, vol))
        )
        found: Floats = (then - now) * discount * usd
        return found

    def by_quantlib() -> Floats:
        root = np.sqrt(terms.years)
        kinds = [ql.Option.Call if c else ql.Option.Put for c in terms.is_call]
        out = np.empty(factor.shape)
        for p, kind in enumerate(kinds):
            k, f, d = float(terms.strike[p]), float(terms.forward[p]), float(discount[p])
            now = ql.blackFormula(kind, k, f, float(terms.vol[p] * root[p]), d)
            for s in range(len(out)):
                out[s, p] = ql.blackFormula(kind, k, f * float(factor[s, p]), float(vol[s, p] * root[p]), d) - now
        return out * usd

    jobs = {"margincast": lambda: unit_pnl(priced, scenarios, policy), "NumPy": by_numpy, "QuantLib": by_quantlib}
    results = {name: job() for name, job in jobs.items()}
    size = float(priced.spot.max())
    for name, found in results.items():
        assert np.abs(found - results["margincast"]).max() < EQUAL * size, name
    count = factor.size
    taken = {name: median_ms(job, 8) for name, job in jobs.items()}
    print(f"{factor.shape[1]} options x {factor.shape[0]} scenarios, shocks and weights included; all three agree:")
    for name, ms in taken.items():
        print(f"  {name:<11} {count / ms / 1e3:7.2f} M values/s  {ms / taken['margincast']:6.1f} x")


def _shaped(scenarios: ScenarioSet, s: int) -> bool:
    return bool(scenarios.tilt[s] or scenarios.wing[s])


def _taken(scenarios: ScenarioSet, rows: list[int]) -> ScenarioSet:
    arrays = (getattr(scenarios, name)[rows] for name in ("move", "vol", "tilt", "wing", "weight"))
    return ScenarioSet(tuple(scenarios.names[s] for s in rows), *arrays)


def _black(forward: Floats, strike: Floats, vol: Floats, years: Floats, call: BoolArray) -> Floats:
    sign, stdev = np.where(call, 1.0, -1.0), vol * np.sqrt(years)
    upper = np.log(forward / strike) / stdev + stdev / 2
    value: Floats = sign * (forward * ndtr(sign * upper) - strike * ndtr(sign * (upper - stdev)))
    return value


def main() -> None:
    """Print all figures; one core, CPU time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    count = parser.parse_args().accounts
    on_one_core()
    account, snapshot = mixed(1), market()
    with_paths = forecasts(paths=PATHS)
    without = msgspec.structs.replace(with_paths, residuals=None)
    for name, given in (("grid, tails, skew, SPAN, named days", without), (f"and {PATHS:,} joint paths", with_paths)):
        prepared = prepare(snapshot, MarginPolicy(), [given])
        print(f"a market of {len(snapshot.instruments)} instruments, anew: "
              f"{median_ms(lambda given=given: prepare(snapshot, MarginPolicy(), [given]), 10):.1f} ms")  # type: ignore[misc]  # fmt: skip
        single(prepared, account, name)
        many(prepared, count, name)
        if given is without:
            revalued(account, prepared)


if __name__ == "__main__":
    main()
