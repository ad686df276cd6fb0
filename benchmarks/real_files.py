"""Does every real vendor file come in? Import them all into one store, check it, and tell what each brought.

Run:  python benchmarks/real_files.py [DATA] [--store DIR]   (DATA: the folder with raw/ and books/, ../shared/data)

Prints a Markdown table; the store with its check.html stays if --store names a folder.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from features.importing import ImportReport, Request, import_file
from features.intake.batch import Options
from features.quality import inspect
from features.quality_page import write_page

SILENCE_S = 60.0
FILES: dict[str, tuple[str, str | None, str | None]] = {
    "raw/binance_diffdepth_csv/*.csv": ("binance", "binance-usdm", None),
    "raw/binance_test_data/*.csv": ("binance", "binance-usdm", None),
    "raw/binance_test_data/btcusdt-quotes.parquet": ("table", "binance-spot", None),
    "raw/binance_test_data/btcusdt-trades.parquet": ("table", "binance-spot", "BTC/USDT"),
    "raw/binance_vision_klines/BTCUSDT-15m-*": ("binance", "binance-spot", None),
    "raw/binance_vision_klines/*_um.csv": ("binance", "binance-usdm", None),
    "raw/bitstamp_l3_log/*.log.xz": ("bitstamp", None, "BTCUSD"),
    "raw/bitstamp_l3_log/orders.csv.xz": ("bitstamp", "bitstamp-csv", "BTCUSD"),
    "raw/bybit_ob500/*": ("bybit", None, None),
    "raw/cryptochassis_csv/*": ("cryptochassis", None, None),
    "raw/cryptofeed_raw_ws/BINANCE.*": ("binance", "binance-spot", None),
    "raw/cryptofeed_raw_ws/BINANCE_FUTURES.*": ("binance", "binance-usdm", None),
    "raw/cryptofeed_raw_ws/BITFINEX.*": ("bitfinex", None, None),
    "raw/cryptofeed_raw_ws/BITMEX.*": ("bitmex", None, None),
    "raw/cryptofeed_raw_ws/BYBIT.*": ("bybit", None, None),
    "raw/cryptofeed_raw_ws/COINBASE.*": ("coinbase", None, None),
    "raw/cryptofeed_raw_ws/DERIBIT.*": ("deribit", None, None),
    "raw/cryptofeed_raw_ws/KRAKEN.*": ("kraken", None, None),
    "raw/cryptofeed_raw_ws/KRAKEN_FUTURES.*": ("kraken", "kraken-futures", None),
    "raw/cryptofeed_raw_ws/OKX.*": ("okx", None, None),
    "raw/freqtrade_feather/*": ("freqtrade", "binance-usdm", None),
    "raw/gdax_l2update_csv/l2update*": ("gdax", None, "BTC-USD"),
    "raw/hftbacktest_raw_ws/cm_*": ("binance", "binance-coinm", None),
    "raw/hftbacktest_raw_ws/hyperliquid_*": ("hyperliquid", None, None),
    "raw/hftbacktest_raw_ws/spot_*": ("binance", "binance-spot", None),
    "raw/hftbacktest_raw_ws/usdm_*": ("binance", "binance-usdm", None),
    "raw/lobster/*": ("lobster", None, "AAPL"),
    "raw/tardis_csv/*_first5.csv": ("binance", "binance-spot", "BTCUSDT"),
    "raw/tardis_csv/*tardis*": ("tardis", None, None),
    "raw/tardis_csv/nautilus_deltas_1.csv": ("tardis", "deribit-ns", None),
    "raw/tardis_csv/nautilus_[!d]*": ("tardis", None, None),
    "raw/tardis_csv/nautilus_deltas_with*": ("tardis", None, None),
    "raw/tardis_csv/nautilus_der*": ("tardis", None, None),
    "raw/tardis_machine_json/*": ("tardis-json", None, None),
    "books/binance_windows_*": ("table", None, None),
    "books/bitstamp_spot_btcusd_*": ("table", "bitstamp-recorded", "BTCUSD"),
    "books/gemini_spot_ethusd_*": ("table", "gemini-recorded", "ETHUSD"),
}
"""Which source, venue and symbol each real file needs; two recordings of the same rows get venues of their own."""
ASIDE = ("LICENSE.txt", "snapshot_asks.csv", "snapshot_bids.csv")
"""Licences, and files that another one takes along."""


def imported(data: Path, store: Path) -> Iterator[tuple[Path, str, ImportReport]]:
    """Import file after file, strictly."""
    for pattern, (source, venue, symbol) in FILES.items():
        for path in sorted(data.glob(pattern)):
            request = Request(source, venue=venue, options=Options(symbol=symbol))
            yield path, source, import_file(path, store, request, lambda _: None)


def main() -> None:
    """Print the table and what the check finds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path, nargs="?", default=Path(__file__).parents[2] / "shared/data")
    parser.add_argument("--store", type=Path)
    asked = parser.parse_args()
    out = Console(soft_wrap=True, highlight=False)
    if not (asked.data / "raw").is_dir():
        out.print(f"{asked.data}: no vendor files here; nothing to import")
        return
    with tempfile.TemporaryDirectory() as scratch:
        store = asked.store or Path(scratch)
        out.print("| file | source | rows | streams | tables | |\n|---|---|---:|---:|---|---|", markup=False)
        total = 0
        for path, source, report in imported(asked.data, store):
            tables = sorted({s.folder.split("/")[0].removeprefix("kind=") for s in report.streams})
            cells = (f"`{path.relative_to(asked.data)}`", source, f"{report.rows:,}", str(len(report.streams)))
            out.print("| " + " | ".join((*cells, ", ".join(tables), "; ".join(report.notes))) + " |", markup=False)
            total += report.rows
        found = sorted(inspect(store, lambda _: True, SILENCE_S, lambda *_: None), key=lambda q: q.folder)
        write_page(store / "check.html", store, found, SILENCE_S)
        sound = sum(quality.sound for quality in found)
        out.print(f"\n{total:,} rows in {len(found)} streams, {sound} of them sound; not sound:", markup=False)
        for quality in found:
            if not quality.sound:
                told = f"duplicates {quality.duplicates}, breaks {quality.breaks}, void {quality.void_share:.1%}"
                out.print(
                    f"* {quality.folder}: {told}, crossed {quality.crossed_share:.2%} {quality.fault}", markup=False
                )


if __name__ == "__main__":
    main()
