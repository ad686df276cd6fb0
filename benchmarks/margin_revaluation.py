"""How many options are revalued per second? Against NumPy with SciPy and QuantLib's Python binding in the same run.

Run:  python benchmarks/margin_revaluation.py
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import QuantLib as ql  # noqa: N813
from scipy.special import ndtr

from benchmarks.events import Floats, on_one_core
from benchmarks.feature_table import medians_s, ratio, show
from serving.margin.pricing.black import BoolArray, black_value, revalue_options
from serving.margin.pricing.implied import implied_vol

SIZES = ((50, 80), (50, 1_000), (500, 80))  # options, scenarios
IMPLIED, EQUAL = 20_000, 1e-10  # of the forward
SHORT = 400_000  # values: what takes less is repeated
DAYS = np.array([1, 2, 7, 14, 30, 60, 120, 240])


@dataclass(frozen=True)
class Portfolio:
    """Options on one forward of 100 and scenarios of it; arrays of options, and of scenarios by options."""

    forward: Floats
    strike: Floats
    years: Floats
    is_call: BoolArray
    discount: Floats
    factor: Floats
    log_factor: Floats
    vol: Floats

    @classmethod
    def drawn(cls, options: int, scenarios: int) -> "Portfolio":
        """Expiries of a day to eight months, strikes within two standard deviations, moves of 20 %."""
        rng = np.random.default_rng(0)
        years = rng.choice(DAYS, options) / 365
        strike = 100 * np.exp(0.7 * np.sqrt(years) * rng.normal(0, 1, options))
        log_factor = np.repeat(rng.normal(0, 0.2, (scenarios, 1)), options, axis=1)
        vol = rng.uniform(0.4, 1.2, (scenarios, options))
        calls, discount = rng.random(options) < 0.5, np.exp(-0.04 * years)
        return cls(np.full(options, 100.0), strike, years, calls, discount, np.exp(log_factor), log_factor, vol)

    def ours(self) -> Floats:
        """By the engine's kernel, with its checks."""
        return revalue_options(
            self.forward, self.strike, self.years, self.is_call, self.discount, self.factor, self.log_factor, self.vol
        )

    def by_numpy(self) -> Floats:
        """By the textbook's formula, whole arrays at once; the logarithm of the factor is given here too."""
        sign = np.where(self.is_call, 1.0, -1.0)
        shocked, stdev = self.forward * self.factor, self.vol * np.sqrt(self.years)
        upper = (np.log(self.forward / self.strike) + self.log_factor) / stdev + stdev / 2
        value: Floats = shocked * ndtr(sign * upper) - self.strike * ndtr(sign * (upper - stdev))
        return self.discount * sign * value

    def by_formula(self) -> Floats:
        """By QuantLib's blackFormula, called once per value."""
        kinds = [ql.Option.Call if call else ql.Option.Put for call in self.is_call]
        strikes, discounts = self.strike.tolist(), self.discount.tolist()
        shocked, stdev = (self.forward * self.factor).tolist(), (self.vol * np.sqrt(self.years)).tolist()
        formula, columns = ql.blackFormula, range(len(kinds))
        return np.array([
            [formula(kinds[p], strikes[p], forwards[p], stdevs[p], discounts[p]) for p in columns]
            for forwards, stdevs in zip(shocked, stdev, strict=True)
        ])  # fmt: skip


class Instruments:
    """The options as QuantLib's own objects, built beforehand: a scenario sets their quotes and asks for their NPV."""

    def __init__(self, portfolio: Portfolio) -> None:
        today, self.counter = ql.Date(1, 1, 2026), ql.Actual365Fixed()
        ql.Settings.instance().evaluationDate = today
        flat = ql.YieldTermStructureHandle(ql.FlatForward(today, 0.04, self.counter))
        self.portfolio, self.forward = portfolio, ql.SimpleQuote(100.0)
        self.vols = [ql.SimpleQuote(0.5) for _ in portfolio.strike]
        self.options = [self.built(p, today, flat) for p in range(len(portfolio.strike))]

    def built(self, p: int, today: ql.Date, flat: ql.YieldTermStructureHandle) -> ql.VanillaOption:
        """One option on the common forward."""
        kind = ql.Option.Call if self.portfolio.is_call[p] else ql.Option.Put
        expiry = today + round(365 * self.portfolio.years[p])
        constant = ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(self.vols[p]), self.counter)
        surface = ql.BlackVolTermStructureHandle(constant)
        payoff = ql.PlainVanillaPayoff(kind, self.portfolio.strike[p])
        option = ql.VanillaOption(payoff, ql.EuropeanExercise(expiry))
        process = ql.BlackProcess(ql.QuoteHandle(self.forward), flat, surface)
        option.setPricingEngine(ql.AnalyticEuropeanEngine(process))
        return option

    def values(self) -> Floats:
        """Every scenario, one after another."""
        shocked, vols = 100 * self.portfolio.factor[:, 0], self.portfolio.vol.tolist()
        out = np.empty_like(self.portfolio.vol)
        for s, row in enumerate(vols):
            self.forward.setValue(shocked[s])
            for quote, vol in zip(self.vols, row, strict=True):
                quote.setValue(vol)
            out[s] = [option.NPV() for option in self.options]
        return out


def repeated(work: Callable[[], object], times: int) -> Callable[[], None]:
    """A work that is long enough to be timed."""

    def several() -> None:
        for _ in range(times):
            work()

    return several


def revaluation(options: int, scenarios: int) -> tuple[str, ...]:
    """One row: millions of values per second by each, and the largest difference, over the forward."""
    portfolio, count = Portfolio.drawn(options, scenarios), options * scenarios
    works: dict[str, Callable[[], Floats]] = {
        "margincast": portfolio.ours,
        "numpy": portfolio.by_numpy,
        "ql_formula": portfolio.by_formula,
        "ql_instruments": Instruments(portfolio).values,
    }
    own = works["margincast"]()
    apart = {name: float(np.abs(work() - own).max() / 100) for name, work in works.items()}
    assert max(apart.values()) < EQUAL
    times = {"margincast": max(1, SHORT // count), "numpy": max(1, SHORT // count // 5), "ql_formula": 1}
    taken = medians_s({name: repeated(work, times.get(name, 1)) for name, work in works.items()})
    per_s = {name: count * times.get(name, 1) / seconds for name, seconds in taken.items()}
    ratios = {name: per_s["margincast"] / rate for name, rate in per_s.items() if name != "margincast"}
    print(json.dumps({
        "benchmark": "margin_revaluation", "options": options, "scenarios": scenarios,
        "values_per_s": {name: round(rate) for name, rate in per_s.items()},
        "ratio": {name: round(each, 1) for name, each in ratios.items()},
        "largest_difference": max(apart.values()),
    }))  # fmt: skip
    shown = [f"{per_s[name] / 1e6:.2f} M/s" for name in works]
    return (
        f"{options} x {scenarios:,}",
        *shown,
        ratio(per_s["margincast"], per_s["numpy"]),
        f"{max(apart.values()):.0e}",
    )


def implied() -> tuple[str, ...]:
    """One row: implied vols per second, and the largest relative error of ours and QuantLib's."""
    rng = np.random.default_rng(1)
    years, vol = rng.choice(DAYS, IMPLIED) / 365, rng.uniform(0.3, 1.5, IMPLIED)
    strike = np.exp(vol * np.sqrt(years) * rng.normal(0, 1, IMPLIED))
    calls = strike > 1
    price = black_value(1.0, strike, vol, years, calls)
    kinds = [ql.Option.Call if call else ql.Option.Put for call in calls]
    rows, roots = list(zip(kinds, strike.tolist(), price.tolist(), strict=True)), np.sqrt(years)

    solve, null = ql.blackFormulaImpliedStdDevLiRS, ql.nullDouble()

    def ours() -> Floats:
        return implied_vol(price, 1.0, strike, years, calls)

    def by_quantlib() -> Floats:
        stdevs = [solve(kind, k, 1.0, v, 1.0, 0.0, null, 1.0, 1e-11, 100) for kind, k, v in rows]
        return np.array(stdevs) / roots

    apart = [float(np.abs(each() / vol - 1).max()) for each in (ours, by_quantlib)]
    own, peer = (len(vol) / s for s in medians_s({"margincast": ours, "quantlib": by_quantlib}).values())
    print(json.dumps({
        "benchmark": "margin_implied_vol", "options": len(vol), "per_s": round(own), "quantlib_per_s": round(peer),
        "ratio": round(own / peer, 1), "largest_error": apart[0], "quantlib_largest_error": apart[1],
    }))  # fmt: skip
    error = f"{apart[0]:.0e} ({apart[1]:.0e})"
    return f"{len(vol):,} implied vols", f"{own / 1e6:.2f} M/s", "", f"{peer / 1e6:.2f} M/s", "", "", error


def main() -> None:
    """All agree; their rates."""
    rows = [revaluation(*size) for size in SIZES]
    headings = ("margincast", "NumPy", "blackFormula", "NPV", "margincast / NumPy", "apart")
    show("Options x scenarios revalued", headings, [*rows, implied()])


if __name__ == "__main__":
    on_one_core()
    main()
