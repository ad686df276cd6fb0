"""Vendor files to canonical tables: one family of formats, one file, one line in ``SOURCES``."""

from dataclasses import dataclass

from features.intake.batch import Reader
from features.sources import (
    barfile,
    binance,
    bitfinex,
    bitmex,
    bitstamp,
    bybit,
    coinbase,
    cryptochassis,
    deribit,
    freqtrade,
    gdax,
    hyperliquid,
    kraken,
    lobster,
    okx,
    table,
    tardis,
    tardis_json,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A reader, what it reads in a few words, and the venue where the format tells it."""

    read: Reader
    about: str
    venue: str | None = None


SOURCES: dict[str, Source] = {
    "bars": Source(barfile.read, "bars of any maker in CSV, Parquet or Feather"),
    "table": Source(table.read, "trades, books, orders of any maker in CSV or Parquet with the usual column names"),
    "binance": Source(binance.read, "public archive, T_DEPTH, sockets with REST snapshots, recorder CSV"),
    "bitfinex": Source(bitfinex.read, "recorded sockets", "bitfinex"),
    "bitmex": Source(bitmex.read, "recorded sockets", "bitmex"),
    "bitstamp": Source(bitstamp.read, "L3 logs, order CSV, recorded sockets", "bitstamp"),
    "bybit": Source(bybit.read, "ob500 archive and recorded sockets", "bybit"),
    "coinbase": Source(coinbase.read, "recorded sockets", "coinbase"),
    "cryptochassis": Source(cryptochassis.read, "market-depth and trade CSV"),
    "deribit": Source(deribit.read, "recorded sockets", "deribit"),
    "freqtrade": Source(freqtrade.read, "candles, mark and funding rates in Feather, Parquet or JSON"),
    "gdax": Source(gdax.read, "l2update CSV with snapshots beside it", "gdax"),
    "hyperliquid": Source(hyperliquid.read, "recorded sockets", "hyperliquid"),
    "kraken": Source(kraken.read, "recorded sockets of spot and futures", "kraken"),
    "lobster": Source(lobster.read, "message and orderbook CSV", "nasdaq"),
    "okx": Source(okx.read, "recorded sockets", "okx"),
    "tardis": Source(tardis.read, "CSV datasets"),
    "tardis-json": Source(tardis_json.read, "messages of the Tardis machine"),
}
