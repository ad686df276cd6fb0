"""The engine's own objects go through a record and come back equal, and as the same text."""

from decimal import Decimal

import msgspec
import pytest

from serving.margin.audit import MarginRecord, as_recorded, canonical, parse
from serving.margin.objects import (
    Account,
    AssetPrice,
    Collateral,
    Component,
    Correlation,
    ForecastSet,
    Forward,
    Instrument,
    Levels,
    MarginResult,
    MarketSnapshot,
    Position,
    Quote,
    Smile,
    Svi,
    Tail,
    Underlying,
)
from tests.serving.margin.audit.records import AS_OF_NS, CODE, draft

EXPIRY_NS = AS_OF_NS + 86_400 * 10**9
ACCOUNT = Account(
    account_id="a-1",
    positions=(Position(instrument="BTC-30000-C", quantity=Decimal("-2.50"), entry_price=Decimal("1E+3")),),
    collateral=(Collateral(asset="USDC", quantity=Decimal("250000.00")),),
)
MARKET = MarketSnapshot(
    as_of_ns=AS_OF_NS,
    instruments=(
        Instrument(
            symbol="BTC-30000-C",
            kind="option",
            underlying="BTC",
            settlement="USDC",
            expiry_ns=EXPIRY_NS,
            strike=Decimal(30000),
            option="call",
            tick=Decimal("0.10"),
        ),
    ),
    quotes={"BTC-30000-C": Quote(mark=Decimal("1010.50"), vol=0.1 + 0.2)},
    underlyings={
        "BTC": Underlying(
            spot=Decimal("30000.010"),
            forwards=(Forward(expiry_ns=EXPIRY_NS, price=Decimal(30010)),),
            smiles=(Smile(expiry_ns=EXPIRY_NS, svi=Svi(a=1e-7, b=0.01, rho=-0.3, m=0.0, sigma=0.1)),),
        )
    },
    assets={"USDC": AssetPrice(price_usd=Decimal("1.0"), stable=True)},
)
FORECAST = ForecastSet(
    model="har",
    model_hash="ab" * 32,
    as_of_ns=AS_OF_NS,
    expires_ns=EXPIRY_NS,
    tails=(
        Tail(
            underlying="BTC",
            side="down",
            horizon_s=3600,
            variance=1e-5,
            loss_quantiles={"0.99": 0.01, "0.995": 0.012},
            shortfall={"0.99": 0.015},
        ),
    ),
    correlation=Correlation(names=("BTC", "ETH"), matrix=((1.0, 0.8), (0.8, 1.0))),
)
MONEY = Decimal("12.30")
RESULT = MarginResult(
    account_id="a-1",
    rule="scan",
    as_of_ns=AS_OF_NS,
    initial=MONEY,
    maintenance=MONEY,
    levels=Levels(
        maintenance=MONEY,
        call=MONEY,
        initial=MONEY,
        release=MONEY,
        equity=MONEY,
        top_up=Decimal("0.00"),
        excess=MONEY,
        state="released",
    ),
    components=(Component(name="scan", initial=MONEY, maintenance=MONEY),),
    positions=(),
    collateral=(),
    worst_scenario="down 1",
)


@pytest.mark.parametrize("document", [ACCOUNT, MARKET, FORECAST, RESULT], ids=lambda d: type(d).__name__)
def test_a_document_comes_back_equal(document: msgspec.Struct) -> None:
    text = canonical(document)
    assert as_recorded(document) == document
    assert canonical(as_recorded(document)) == text
    assert canonical(msgspec.json.decode(msgspec.json.encode(as_recorded(document)))) == text
    assert canonical(parse(text)) == text


def test_a_record_of_the_engine_is_decoded_from_its_texts() -> None:
    record = MarginRecord.of(
        msgspec.structs.replace(draft(), account=ACCOUNT, market=MARKET, forecast=FORECAST, result=RESULT, code=CODE)
    )
    assert msgspec.json.decode(record.text("account"), type=Account) == ACCOUNT
    assert msgspec.json.decode(record.text("market"), type=MarketSnapshot) == MARKET
    assert msgspec.json.decode(record.text("forecast"), type=ForecastSet) == FORECAST
    assert msgspec.json.decode(record.text("result"), type=MarginResult) == RESULT
