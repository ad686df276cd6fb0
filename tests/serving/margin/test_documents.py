"""JSON in and out: nothing is lost, nothing unknown is taken, the schema says what is read."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from features.errors import DataError, SchemaError, SettingError
from serving.margin.objects import (
    Account,
    Collateral,
    Debt,
    ForecastSet,
    MarginResult,
    MarketSnapshot,
    OpenOrder,
    Position,
    Quote,
    Residuals,
    SettlementAverage,
    Smile,
)
from serving.margin.objects.documents import read, schema, write
from serving.margin.policy import MarginPolicy, policy_of
from serving.margin_files import DOCUMENTS
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

EXAMPLES = Path(__file__).parents[3] / "docs" / "margin"
KINDS = ("account", "market", "forecast")
ISOLATED = Position(instrument="BTC-PERP", quantity=Decimal(1), mode="isolated")
TABLES = ("quotes", "underlyings", "assets", "loss_quantiles", "shortfall")  # whose keys are anybody's
NAMES = st.text("ABCXYZ-0189 é", min_size=1, max_size=12).filter(lambda s: s == s.strip())
AMOUNTS = st.decimals("-1e12", "1e12", allow_nan=False, places=9) | st.sampled_from(
    [Decimal("1E+9"), Decimal("1E-30"), Decimal("-0"), Decimal("0.10"), Decimal(10**12)]
)
POSITIVE = st.decimals("1e-9", "1e12", places=9)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Any account that is accepted."""
    names = draw(st.lists(NAMES, unique=True, max_size=5))
    positions = tuple(
        Position(
            instrument=name,
            quantity=draw(AMOUNTS),
            entry_price=draw(st.none() | POSITIVE),
            mode="isolated" if i % 2 else "cross",
            isolated_collateral=draw(POSITIVE) if i % 2 else Decimal(0),
        )
        for i, name in enumerate(names)
    )
    orders = tuple(
        OpenOrder(instrument=name, side="sell", quantity=draw(POSITIVE), price=draw(POSITIVE)) for name in names[:2]
    )
    return Account(
        account_id=draw(NAMES),
        positions=positions,
        orders=orders,
        collateral=tuple(Collateral(asset=name, quantity=draw(POSITIVE)) for name in names[:3]),
        debts=tuple(Debt(asset=name, quantity=draw(POSITIVE)) for name in names[3:]),
    )


def full_market() -> MarketSnapshot:
    """A market with every field of every object in use."""
    near = markets.AS_OF_NS + 600 * 10**9
    settled = (SettlementAverage(expiry_ns=near, fixed_frac=0.5, average=Decimal("58000.5")),)
    flat = (Smile(expiry_ns=near, strikes=(1e-7, 7e4), vols=(0.5, 0.6), half_spread_vol=1e-9, confidence=0.9),)
    return changed.with_underlying("SOL", settled=settled, smiles=flat, age_s=1e-3)


def full_forecast() -> ForecastSet:
    found = markets.forecasts(paths=3)
    tails = (replace(found.tails[0], published=0.1, published_ns=markets.AS_OF_NS), *found.tails[1:])
    return replace(found, tails=tails, residuals=Residuals(names=("BTC",), rows=((0.1,),), vol_moves=((1e-17,),)))


@settings(max_examples=100)
@given(accounts())
def test_an_account_is_read_back_as_it_was_written(account: Account) -> None:
    text = write(account)
    assert read(text, Account, "a.json") == account
    assert validator("account").is_valid(json.loads(text))


@pytest.mark.parametrize(
    "document",
    [
        markets.market(),
        full_market(),
        markets.forecasts(),
        full_forecast(),
        changed.everything(),
        changed.quoted(changed.everything()),
        changed.quoted(replace(changed.holding(), positions=(ISOLATED,))),
    ],
    ids=["market", "full market", "forecast", "full forecast", "account", "result", "isolated"],
)
def test_documents_are_read_back_as_they_were_written(document: Any) -> None:
    text = write(document)
    again = read(text, type(document), "x.json")
    assert again == document
    assert write(again) == text
    name = next(name for name, kind in DOCUMENTS.items() if kind is type(document))
    assert validator(name).is_valid(json.loads(text))
    no_exponent(text)


def no_exponent(text: str) -> None:
    """Decimals are plain strings of digits."""
    assert not re.search(r'"-?\d+(\.\d+)?[eE][+-]?\d+"', text)


@given(AMOUNTS)
def test_decimals_are_plain_strings(amount: Decimal) -> None:
    text = write(Position(instrument="X", quantity=amount))
    found = json.loads(text)["quantity"]
    assert isinstance(found, str)
    assert re.fullmatch(r"-?\d+(\.\d+)?", found)
    assert Decimal(found) == amount
    no_exponent(text)


def validator(name: str) -> jsonschema_rs.Draft202012Validator:
    """A validator of a document's published schema, by another library."""
    return jsonschema_rs.Draft202012Validator(schema(DOCUMENTS[name]))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_schema_is_one_and_forbids_what_is_unknown(name: str) -> None:
    found = schema(DOCUMENTS[name])
    jsonschema_rs.meta.validate(found)
    assert found["$schema"].endswith("2020-12/schema")
    objects = [d for d in found["$defs"].values() if d.get("type") == "object" and "properties" in d]
    assert objects
    assert all(d["additionalProperties"] is False for d in objects)


@pytest.mark.parametrize("name", KINDS)
def test_the_examples_are_valid_and_read(name: str) -> None:
    text = (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")
    assert validator(name).is_valid(json.loads(text))
    read(text, DOCUMENTS[name], name)
    no_exponent(text)


def test_the_example_account_is_margined_by_the_example_market() -> None:
    account, market, forecast = ((EXAMPLES / f"{name}.json").read_text(encoding="utf-8") for name in KINDS)
    result = changed.quoted(
        read(account, Account, "a"),
        read(market, MarketSnapshot, "m"),
        MarginPolicy(),
        [read(forecast, ForecastSet, "f")],
    )
    assert isinstance(result, MarginResult)
    assert result.initial > result.maintenance > 0
    assert len(result.isolated) == 1


def nested(document: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of all tables in a document that are objects of the engine, the first of every list."""
    found: list[tuple[str | int, ...]] = [path] if isinstance(document, dict) and len(document) > 1 else []
    items = document.items() if isinstance(document, dict) else list(enumerate(document))[:1]
    for key, value in items:
        if isinstance(value, dict | list) and key not in ("matrix", "rows", "vol_moves"):
            found += nested(value, (*path, key))
    return found


@pytest.mark.parametrize(
    ("name", "made", "least"),
    [("account", changed.everything(), 3), ("market", full_market(), 6), ("forecast", full_forecast(), 3)],
    ids=KINDS,
)
def test_an_unknown_field_is_refused_with_its_path(name: str, made: msgspec.Struct, least: int) -> None:
    plain = json.loads(write(made))
    paths = [path for path in nested(plain) if not path or path[-1] not in TABLES]
    assert len(paths) >= least
    for path in paths:
        spoilt = json.loads(json.dumps(plain))
        inner = spoilt
        for key in path:
            inner = inner[key]
        inner["levrage"] = 1
        with pytest.raises(SchemaError, match=r"x\.json: Object contains unknown field `levrage`") as refused:
            read(json.dumps(spoilt), type(made), "x.json")
        assert all(str(key) in str(refused.value) for key in path if not isinstance(key, int) and key.islower())
        assert not validator(name).is_valid(spoilt)


def in_position(fields: str) -> str:
    """An account of one position."""
    return f'{{"account_id": "a", "positions": [{{"instrument": "X"{fields}}}]}}'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[]", "Expected `object`, got `array`"),
        ("{}", "missing required field `account_id`"),
        ('{"account_id": 5}', r"Expected `str`, got `int` - at `\$.account_id`"),
        (in_position(""), r"missing required field `quantity` - at `\$.positions\[0\]`"),
        (in_position(', "quantity": "NaN"'), r"X: quantity is NaN.*at `\$.positions\[0\]`"),
        (in_position(', "quantity": "1e400"'), r"X: quantity is 1E\+400"),
        (in_position(', "quantity": "1e13"'), "slip of units"),
        (in_position(', "quantity": NaN'), "NaN is not a number of JSON"),
        (in_position(', "quantity": "one"'), "Invalid decimal string"),
        (in_position(', "quantity": true'), "got `bool`"),
        (in_position(', "quantity": "1", "mode": "both"'), "Invalid enum value 'both'"),
        ('{"account_id": "a", "collateral": [{"asset": "USDC", "quantity": "-1"}]}', "give what is owed as a debt"),
        ('{"account_id": " a"}', "printable"),
        ('{"account_id": "a\\u0000"}', "printable"),
        ('{"account_id": ""}', "printable"),
    ],
)
def test_a_bad_document_is_refused_with_its_name_and_path(text: str, said: str) -> None:
    with pytest.raises(SchemaError, match=said) as refused:
        read(text, Account, "a.json")
    assert str(refused.value).startswith("a.json: ")


def test_numbers_are_read_to_every_digit() -> None:
    text = '{"instrument": "X", "quantity": 0.1234567890123456789}'
    assert read(text, Position, "p").quantity == Decimal("0.1234567890123456789")


def test_the_policy_is_read_back_from_its_own_document_and_refuses_unknown_keys() -> None:
    policy = MarginPolicy()
    assert policy_of(msgspec.to_builtins(policy)) == policy
    assert policy_of({}) == policy
    assert policy_of({"scan": {"mpor_s": 3_600}}).hash != policy.hash
    for document, path in (
        ({"scann": {}}, "scann"),
        ({"scan": {"mpor": 1}}, "mpor"),
        ({"scenarios": {"step": 1}}, r"\$\.scenarios"),
        ({"paths": {"es_levle": 1}}, r"\$\.paths"),
        ({"collateral": 5}, "collateral"),
        ({"missing": "ignore"}, "missing"),
    ):
        with pytest.raises(SettingError, match=path):
            policy_of(document)


def test_objects_are_frozen() -> None:
    quote = Quote(mark=Decimal(1))
    with pytest.raises(AttributeError):
        quote.mark = Decimal(2)  # type: ignore[misc]
    with pytest.raises(AttributeError):
        changed.holding().positions = ()  # type: ignore[misc]
    with pytest.raises((DataError, AttributeError)):
        MarginPolicy().version = ""  # type: ignore[misc]
