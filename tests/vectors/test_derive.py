"""Derive's portfolio margin (PMRM2) and standard margin against the venue's own published cases."""

from typing import Any

import numpy as np
import pytest

from serving.margin.rules import derive_portfolio, derive_standard
from serving.margin.rules.derive_portfolio import (
    Expiry,
    Holding,
    Options,
    Perpetual,
    Portfolio,
    PortfolioMargin,
    Scenario,
    forward_parts,
    portfolio_margin,
)
from serving.margin.rules.derive_portfolio.shocks import static_discounts, volatility_factors
from serving.margin.rules.derive_standard import Market, StandardAccount, standard_margin
from tests.vectors.reading import cases, document

PORTFOLIO, STANDARD = "derive_pmrm2", "derive_srm"
PORTFOLIO_CASES = cases(PORTFOLIO, lambda d: [(case["id"], case) for case in d["cases"]])
STANDARD_CASES = cases(STANDARD, lambda d: d["cases"].items())
WEI = 1e18
TIGHT, FLOOR = 1e-6, 1.0  # MARGIN.md section 6: relative, absolute floor
LOOSE = 1e-3


def off(found: Any, stated: Any) -> float:
    """Largest error relative to what is stated, absolute below the floor."""
    got, want = np.asarray(found, np.float64).ravel(), np.asarray(stated, np.float64).ravel()
    assert got.shape == want.shape
    return float(np.max(np.abs(got - want) / np.maximum(np.abs(want), FLOOR), initial=0.0))


PARAMETERS = {
    "vol": ("VolShock", "VOLRANGEUP VOLRANGEDOWN SHORTTERMPOWER LONGTERMPOWER DTE_FLOOR MIN_VOL_EVAL_SHOCKED"),
    "skew": (
        "SkewShock",
        "LINEAR_SCALE_CAP LINEAR_CBASE ABS_SCALE_CAP ABS_CBASE MIN_K_STAR MIN_WIDTH_SCALE VOL_PARAM_STATIC "
        "VOL_PARAM_SCALE",
    ),
    "discount": (
        "Margin",
        "BASE_STATIC_DISCOUNT LONG_RATE_MULTSCALE LONG_RATE_ADDSCALE BASE_STATIC_DISCOUNT_NEG SHORT_RATE_MULTSCALE "
        "SHORT_RATE_ADDSCALE",
    ),
    "basis": (
        "BasisContingency",
        "SCENARIO_SPOT_UP SCENARIO_SPOT_DOWN BASIS_CONT_ADD_FACTOR BASIS_CONT_MULT_FACTOR",
    ),
    "contingency": (
        "OtherContingency",
        "MM_PERP_PERCENT IM_PERP_PERCENT MM_OPTION_PERCENT IM_OPTION_PERCENT CONF_THRESHOLD CONF_MARGIN "
        "PEG_LOSS_THRESHOLD PEG_LOSS_FACTOR",
    ),
}  # our parts, in the order of their fields, under the names of the file


def portfolio_parameters(case: Any) -> derive_portfolio.Parameters:
    given = case["Parameters"]
    given = document(PORTFOLIO)["parameters"][given["ref"]] if "ref" in given else given
    parts: dict[str, Any] = {}
    for part, (group, names) in PARAMETERS.items():
        fields = getattr(derive_portfolio.PUBLISHED, part).__struct_fields__
        parts[part] = {field: given[group][name] for field, name in zip(fields, names.split(), strict=True)}
    parts["vol"]["floor_s"] *= 86_400
    scenarios = [
        {"spot": row["SpotShock"], "vol": row["VolShockDirection"].lower(), "damping": row["DampeningFactor"]}
        for row in given["Scenarios"]
    ]
    factors = {"initial_factor": "IM_LOSS_FACTOR", "maintenance_factor": "MM_LOSS_FACTOR"}
    return derive_portfolio.read_parameters(
        {"scenarios": scenarios, **parts, **{ours: given["Margin"][name] for ours, name in factors.items()}}
    )


def expiry(feed: Any) -> Expiry:
    seconds = max(feed["FeedExpiry"], 0)
    confidence = min(feed["ForwardConfidence"], feed["RateConfidence"], feed["OptionVolConfidences"])
    return Expiry(seconds, *forward_parts(feed["Forward"], seconds), feed["Rate"], confidence)


def portfolio(case: Any) -> Portfolio:
    scene = case["Scenario"]
    dates = [feed["FeedExpiry"] for feed in scene["OptionFeeds"]]
    held = scene["Options"]

    def column(name: str) -> np.ndarray:
        return np.array([row[name] for row in held], dtype=np.float64)

    value = scene["UnrealisedPerpPNL"] + scene["UnrealisedFunding"]
    perpetual = Perpetual(scene["NumPerps"], scene["PerpPrice"], scene["PerpConfidence"], value)
    return Portfolio(
        cash=scene["Cash"],
        spot=scene["SpotPrice"],
        stable_price=scene["StablePrice"],
        spot_confidence=scene["SpotConfidence"],
        expiries=tuple(expiry(feed) for feed in scene["OptionFeeds"]),
        options=Options(
            np.array([dates.index(row["Expiry"]) for row in held], dtype=np.int64),
            column("Strike"),
            column("Amount"),
            column("MarkVol"),
            column("IsCall") > 0,
        ),
        perpetuals=(perpetual,) if scene["NumPerps"] else (),
        collateral=tuple(
            Holding(c["Amount"], c["Price"], c["IMHaircut"], c["MMHaircut"], c["IsRiskCancelling"], c["Confidence"])
            for c in scene["Collaterals"]
        ),
    )


def stated_pnl(case: Any) -> list[float]:
    """Published profit by scenario, in the order of the parameters: grid, tails, skews."""
    stated = case["Result"]
    return [float(row[-1]) for name in ("reg_losses", "tail_losses", "skew_losses") for row in stated[name]]


def judged(scenario: Scenario) -> bool:
    """Whether the venue has a meaning for a scenario: its contract refuses a skew that also moves spot.

    The file's one such scenario is not evaluated as a skew by the venue's own reference either.
    """
    return not scenario.is_skew or scenario.spot == 1


@pytest.mark.parametrize("case", PORTFOLIO_CASES)
def test_portfolio_margin(case: Any) -> None:
    held, parameters, stated = portfolio(case), portfolio_parameters(case), case["Result"]
    found = portfolio_margin(held, parameters)
    assert off(found.net_initial, stated["IM"]) <= TIGHT
    assert off(found.net_maintenance, stated["MM"]) <= TIGHT
    pairs = zip(found.outcome.pnl, stated_pnl(case), parameters.scenarios, strict=True)
    for got, want, scenario in pairs:
        assert not judged(scenario) or off(got, want) <= TIGHT, scenario.name
    for name, (got, want) in intermediate(held, parameters, found, stated).items():
        assert off(got, want) <= TIGHT, name


def intermediate(
    held: Portfolio, parameters: derive_portfolio.Parameters, found: PortfolioMargin, stated: Any
) -> dict[str, tuple[Any, Any]]:
    """Every other published figure of a result: found and stated, by name."""
    at, marks = held.options.expiry, found.outcome.marks
    values = [float(marks[at == index].sum()) for index in range(len(held.expiries))]
    out = {
        "ForwardContingency": found.outcome.basis.sum(),
        "PortfolioMTM": found.mark_to_market,
        "OptionMTM": marks.sum(),
        "OptionMTMPerExpiry": values,
        "CollateralMTM": held.collateral_value.sum(),
        "im_loss_factor": found.initial_factor,
        "OracleCont": -charge(found, "oracle contingency")[0],
    }
    rows = {"Perp": "perpetual contingency", "Option": "option contingency", "Base": "collateral haircut"}
    for name, ours in rows.items():
        initial, maintenance = charge(found, ours)
        out |= {f"IM{name}ContNormal": -initial, f"MM{name}Cont": -maintenance}
    out |= shocks(held, parameters, values)
    return {name: (value, stated[name]) for name, value in out.items()}


def shocks(held: Portfolio, parameters: derive_portfolio.Parameters, values: list[float]) -> dict[str, Any]:
    """Shocks of volatility and discounts, where the file shows what its margins use.

    At expiry it shows a discount of 1 that its margins do not use; a negative rate, and a fall of
    volatility by more than all of it, are clipped by the venue's contract and not compared here.
    """
    at, out = held.options.expiry, {}
    up, down = volatility_factors(np.array([e.seconds for e in held.expiries]), parameters.vol)
    out["VolShockUpMultiplier"] = up[at]
    out["VolShockUpEvaluated"] = np.maximum(held.options.vol * up[at], parameters.vol.lowest_after_rise)
    if (down > 0).all():
        out["VolShockDownMultiplier"] = down[at]
        out["VolShockDownEvaluated"] = held.options.vol * down[at]
    if all(e.seconds > 0 and e.rate >= 0 for e in held.expiries):
        years, rate = np.array([e.years for e in held.expiries]), np.array([e.rate for e in held.expiries])
        pairs = np.stack(static_discounts(years, rate, parameters.discount), axis=1)
        out["discount_factors"] = pairs
        out["OptionMTMPerExpiryDiscounted"] = np.array([v * p[int(v < 0)] for v, p in zip(values, pairs, strict=True)])
    return out


def charge(found: PortfolioMargin, name: str) -> tuple[float, float]:
    one = next(c for c in found.charges if c.name == name)
    return float(one.initial.sum()), float(one.maintenance.sum())


def standard_parameters(given: Any) -> derive_standard.Parameters:
    names = {
        "perpetual_maintenance": "mmPerp",
        "perpetual_initial": "imPerp",
        "spot_most": "maxSpot",
        "spot_least": "minSpot",
        "call_maintenance": "mmCall",
        "put_maintenance": "mmPut",
        "put_maintenance_mark": "mmPutMtm",
        "offset": "mmOff",
        "unpaired_initial": "unpIM",
        "unpaired_maintenance": "unpMM",
        "perpetual_threshold": "thr",
        "option_threshold": "thr",
        "base_threshold": "thr",
        "confidence_scale": "OC",
        "peg_threshold": "depegThr",
        "peg_scale": "depegFac",
        "base_weight": "baseMF",
        "base_initial": "baseIM",
    }
    return derive_standard.read_parameters({ours: given[name] for ours, name in names.items()})


def market(case: Any, place: int, name: str) -> Market:
    """Holdings in one underlying; an expiry's forward is the settlement price in its last hour."""
    scene = case["Scenario"]
    rows = [i for i, underlying in enumerate(scene["OptionUnderlying"]) if underlying == name]
    dates = sorted({scene["OptionExpiries"][i] for i in rows})

    def feeds(seconds: int) -> Expiry:
        here = [i for i in rows if scene["OptionExpiries"][i] == seconds]
        forward = scene[f"SettlementPrice{name}"] if seconds < 3_600 else scene["Forwards"][here[0]]
        trusted = min(min(scene["ForwardConfidences"][i], scene["OptionVolConfidences"][i]) for i in here)
        return Expiry(seconds, 0.0, forward / WEI, 0.0, trusted / WEI)

    def column(field: str) -> np.ndarray:
        return np.array([scene[field][i] / WEI for i in rows], dtype=np.float64)

    options = Options(
        np.array([dates.index(scene["OptionExpiries"][i]) for i in rows], dtype=np.int64),
        column("OptionStrikes"),
        column("OptionAmounts"),
        column("OptionVols"),
        np.array([scene["OptionIsCall"][i] == 1 for i in rows], dtype=np.bool_),
    )
    spot_trusted, perpetual_trusted = (confidence / WEI for confidence in scene["SpotPerpConfidences"][place])
    size = scene[f"Perps_{name}"] / WEI
    perpetual = Perpetual(size, scene["PerpPrice"][place] / WEI, perpetual_trusted, settled(case, place, name))
    return Market(
        spot=scene[f"{name}SpotPrice"] / WEI,
        spot_confidence=spot_trusted,
        expiries=tuple(feeds(seconds) for seconds in dates),
        options=options,
        perpetuals=(perpetual,) if size else (),
        base=scene[f"w{name}"] / WEI,
    )


def settled(case: Any, place: int, name: str) -> float:
    """Profit since entry and funding of a perpetual that is not settled yet."""
    scene = case["Scenario"]
    price, entry = scene["PerpPrice"][place], scene[f"LastEntry{name}"]
    profit = (price - (price if entry is None else entry)) / WEI * (scene[f"Perps_{name}"] / WEI)
    return float(profit + (scene[f"Account{name}FundingIndex"] or 0) / WEI)


@pytest.mark.parametrize("case", STANDARD_CASES)
def test_standard_margin(case: Any) -> None:
    scene, stated = case["Scenario"], case["Result"]
    markets = tuple(market(case, place, name) for place, name in enumerate(("ETH", "BTC")))
    account = StandardAccount(scene["Cash"] / WEI, scene["USDCValue"] / WEI, markets)
    found = standard_margin(account, standard_parameters(document(STANDARD)["params"]))
    assert off(found.net_initial, stated["realIM"] / WEI) <= LOOSE
    assert off(found.net_maintenance, stated["realMM"] / WEI) <= LOOSE
    assert off(found.mark_to_market, stated["PortfolioMtM"] / WEI) <= LOOSE
    settling = any(seconds < 3_600 for seconds in scene["OptionExpiries"])
    for name, one in zip(("ETH", "BTC"), found.markets, strict=True):
        for level, options in (("IM", one.initial), ("MM", one.maintenance)):
            assert off(options.net.sum(), stated[f"{name}Option{level}"] / WEI) <= LOOSE
            assert off(options.isolated.sum(), stated[f"{name}OptionIsolated{level}"] / WEI) <= LOOSE
            # the published bound of a settling expiry is at the forward feed, its margin at the settlement price
            assert settling or off(options.bounded.sum(), stated[f"{name}OptionBounded{level}"] / WEI) <= LOOSE
