"""The tree of figures: measures add, classes combine, products add, add-ons never lower."""

import math

import pytest

from features.errors import SettingError
from serving.margin.sensitivity.margin import Addons, Margin, aggregate
from serving.margin.sensitivity.records import Measure, Sensitivity
from tests.serving.margin.sensitivity.portfolios import calibration


def _one(risk_class: str, measure: Measure, amount: float, product: str = "", name: str = "x") -> Sensitivity:
    return Sensitivity(
        risk_class=risk_class, measure=measure, bucket="a", qualifier=name, amount=amount, label1="1y", product=product
    )


def _portfolio() -> list[Sensitivity]:
    return [
        _one("one", "delta", 9.0, "p"),
        _one("one", "vega", -4.0, "p"),
        _one("one", "curvature", 2.0, "p"),
        _one("one", "base", 1.0, "p"),
        _one("two", "delta", 6.0, "p"),
        _one("two", "delta", -5.0, "q", "z"),
    ]


def test_every_level_follows_from_the_one_below() -> None:
    tree = aggregate(_portfolio(), calibration())
    assert [part.name for part in tree.parts] == ["p", "q"]
    one, two = tree.part("p").parts
    assert [m.name for m in one.parts] == ["delta", "vega", "curvature", "base"]
    assert one.amount == pytest.approx(sum(m.amount for m in one.parts))
    together = one.amount**2 + two.amount**2 + 2 * 0.3 * one.amount * two.amount
    assert tree.part("p").amount == pytest.approx(math.sqrt(together))
    assert tree.amount == pytest.approx(tree.part("p").amount + tree.part("q").amount)
    assert tree.part("p", "one", "delta").amount == pytest.approx(1.1 * tree.part("p", "one", "delta", "a").amount)
    factor = tree.part("p", "one", "delta", "a", "x 1y")
    assert factor.amount == pytest.approx(2.0 * 9.0 * factor.figures["concentration"])


def test_products_do_not_net() -> None:
    long, short = _one("one", "delta", 5.0, "p"), _one("one", "delta", -5.0, "q")
    alone = aggregate([long], calibration()).amount
    assert aggregate([long, short], calibration()).amount == pytest.approx(2 * alone)
    same = Sensitivity(
        risk_class="one", measure="delta", bucket="a", qualifier="x", amount=-5.0, label1="1y", product="p"
    )
    assert aggregate([long, same], calibration()).amount == 0.0


def test_no_sensitivities_no_margin() -> None:
    assert aggregate([], calibration()).amount == 0.0


def test_addons_add_and_multiply() -> None:
    plain = aggregate(_portfolio(), calibration())
    added = aggregate(
        _portfolio(), calibration(), Addons(fixed_usd=(10.0,), notional=((0.1, -200.0),), multipliers={"p": 1.5})
    )
    assert added.amount == pytest.approx(plain.amount + 0.5 * plain.part("p").amount + 10.0 + 20.0)
    assert (added.part("fixed").amount, added.part("notional").amount) == (10.0, 20.0)


@pytest.mark.parametrize(
    "options",
    [
        {"fixed_usd": (-1.0,)},
        {"fixed_usd": (math.nan,)},
        {"notional": ((-0.1, 1.0),)},
        {"notional": ((0.1, math.inf),)},
        {"multipliers": {"p": 0.9}},
        {"multipliers": {"p": math.inf}},
    ],
)
def test_addon_that_could_lower_a_margin_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(SettingError, match="addons"):
        Addons(**options)  # type: ignore[arg-type]


def test_unknown_class_stops_the_margin() -> None:
    with pytest.raises(SettingError, match=r"calibration test: no rules for three delta; known: one delta"):
        aggregate([_one("three", "delta", 1.0)], calibration())


def test_part_that_is_not_there_names_those_that_are() -> None:
    with pytest.raises(SettingError, match=r"total has no part 'z'; it has 'p', 'q'"):
        aggregate(_portfolio(), calibration()).part("z")
    with pytest.raises(SettingError, match="it has none"):
        Margin(level="total", name="", amount=0.0).part("z")
