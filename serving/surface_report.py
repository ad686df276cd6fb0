"""The fit of an option chain as one offline page, and its parameters as a file."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from features.files import write_json, write_text
from features.page import Cell, TableBlock, page_html, table_html, tiles_html
from serving.margin.surface.quotes import usable
from serving.margin.surface.ssvi_fit import SsviFit, fit_ssvi
from serving.margin.surface.surface import SurfaceFit, fit_surface
from serving.option_chain import ChainExpiry, read_chain
from serving.surface_plots import FittedExpiry, densities, residuals, smiles, variances

PAGE, PARAMETERS = "surface.html", "surface.json"
HEADINGS = (
    "expiry", "days", "forward", "quotes", "vol %", "rmse", "weighted", "largest", "inside %", "lowest g", "least gap",
)  # fmt: skip


def write_surface_report(chain_path: Path, out: Path, snapshot: int = -1) -> Path:
    """Fit one snapshot of a recorded chain and write ``surface.html`` and ``surface.json`` into the folder ``out``.

    The file holds, for each expiry, its forward and raw SVI in total variance, as a market snapshot takes them.
    The page is the answer.

    Raises
    ------
    MissingFileError, SchemaError, UnknownInstrumentError
        As ``option_chain.read_chain``.
    MarketError
        If no expiry has a usable quote.
    """
    now_ns, chain = read_chain(chain_path, snapshot)
    quotes, years = [e.quotes for e in chain], [e.years for e in chain]
    fit, ssvi = fit_surface(quotes, years), fit_ssvi(quotes, years)
    out.mkdir(parents=True, exist_ok=True)
    write_json(out / PARAMETERS, _parameters(now_ns, chain, fit))
    write_text(out / PAGE, _page(chain_path.name, now_ns, chain, fit, ssvi))
    return out / PAGE


def _parameters(now_ns: int, chain: Sequence[ChainExpiry], fit: SurfaceFit) -> dict[str, object]:
    rows = [
        {
            "expiry_ns": expiry.expiry_ns,
            "forward": f"{expiry.forward:.2f}",
            "svi": {name: getattr(own.svi, name) for name in ("a", "b", "rho", "m", "sigma")},
            "notes": list(own.notes),
        }
        for expiry, own in zip(chain, fit.slices, strict=True)
    ]
    return {"as_of_ns": now_ns, "arbitrage_free": fit.check.free, "smiles": rows}


def _page(source: str, now_ns: int, chain: Sequence[ChainExpiry], fit: SurfaceFit, ssvi: SsviFit) -> str:
    expiries = [
        FittedExpiry(e.name, own, usable(e.quotes), other)
        for e, own, other in zip(chain, fit.slices, ssvi.slices, strict=True)
    ]
    when = datetime.fromtimestamp(now_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    parts = [
        tiles_html(_tiles(fit, ssvi)),
        _section("Smiles", "Volatility in per cent against log(strike / forward). Bars run from bid to ask; the line "
                 "is the fit.", smiles(expiries), "smiles"),
        _section("Total variance", "Volatility squared times years, a line an expiry, on a logarithmic scale. Lines "
                 "that crossed would be a calendar spread worth less than nothing.", variances(expiries), "variances"),
        _section("Butterflies", "Gatheral's g, the density of the price at expiry over that of a lognormal one. Below "
                 "0 a butterfly would be worth less than nothing.", densities(expiries), "densities"),
        _section("Residuals", "Fit less the middle of bid and ask, in half spreads: between the dotted lines the fit "
                 "is inside bid and ask.", residuals(expiries), "residuals"),
        f"<section><h2>Expiries</h2><p>Volatility is that at the money. Errors in vol points, over quotes with both "
        f"sides; the weighted one over all, with the weights of the fit, inverse to the spread. Least gap: of total "
        f"variance to the expiry before, at the worst strike.</p>{table_html(_table(chain, fit))}"
        f"{_notes(chain, fit)}</section>",
        f"<section><h2>Parameters</h2><p>Raw SVI in total variance.</p>{table_html(_svi_table(chain, fit))}</section>",
    ]  # fmt: skip
    lead = f"Raw SVI fitted to {source} at {when}, free of butterfly and calendar arbitrage: {_yes(fit.check.free)}."
    shape = ssvi.surface
    footer = f"SSVI for comparison: {shape.kind} law, rho {shape.rho:.4f}, eta {shape.eta:.4f}, gamma {shape.gamma:.4f}"
    script = f"<script>{get_plotlyjs()}</script>"
    return page_html("Volatility surface", lead, "".join(parts), footer, head=script)


def _section(title: str, text: str, figure: go.Figure, name: str) -> str:
    settings = {"displaylogo": False, "responsive": True, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, config=settings, div_id=name)
    return f"<section><h2>{escape(title)}</h2><p>{escape(text)}</p>{html}</section>"


def _yes(fact: bool) -> str:
    return "yes" if fact else "no"


def _tiles(fit: SurfaceFit, ssvi: SsviFit) -> list[tuple[str, str]]:
    check = fit.check
    known = [own for own in fit.slices if own.quotes]
    return [
        (f"quotes of {len(fit.slices)} expiries", str(sum(own.quotes for own in known))),
        ("weighted rmse, vol points", f"{np.mean([own.weighted_rmse_points for own in known]):.2f}"),
        ("inside bid and ask", f"{100 * np.mean([own.inside_share for own in known]):.1f} %"),
        ("butterflies", str(sum(not b.free for b in check.butterflies))),
        ("calendar violations", str(sum(not c.free for c in check.calendars))),
        ("weighted rmse of SSVI", f"{ssvi.weighted_rmse_points:.2f}"),
    ]


def _table(chain: Sequence[ChainExpiry], fit: SurfaceFit) -> TableBlock:
    rows = []
    for expiry, own in zip(chain, fit.slices, strict=True):
        at_money = 100 * float(own.svi.vol(np.array(0.0), own.years))
        gap = "" if own.calendar is None else f"{own.calendar.worst_gap:.2e}"
        texts = (
            expiry.name, f"{own.years * 365:.2f}", f"{expiry.forward:,.0f}", str(own.quotes), f"{at_money:.2f}",
            f"{own.rmse_points:.2f}", f"{own.weighted_rmse_points:.2f}", f"{own.max_error_points:.2f}",
            f"{100 * own.inside_share:.1f}", f"{own.butterfly.worst_g:.3f}", gap,
        )  # fmt: skip
        rows.append([Cell(text) for text in texts])
    return TableBlock(HEADINGS, rows)


def _svi_table(chain: Sequence[ChainExpiry], fit: SurfaceFit) -> TableBlock:
    rows = [
        [Cell(expiry.name), *(Cell(f"{value:.6f}") for value in own.svi.array), Cell(own.source)]
        for expiry, own in zip(chain, fit.slices, strict=True)
    ]
    return TableBlock(("expiry", "a", "b", "rho", "m", "sigma", "source"), rows)


def _notes(chain: Sequence[ChainExpiry], fit: SurfaceFit) -> str:
    items = [
        f"{expiry.name}: {'; '.join(own.notes)}" for expiry, own in zip(chain, fit.slices, strict=True) if own.notes
    ]
    return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in items)}</ul>" if items else ""
