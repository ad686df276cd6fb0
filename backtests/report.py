"""One self-contained HTML page: no address in it is fetched when it is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from features.files import write_text

STYLE = """
:root{color-scheme:light}
body{margin:0;background:#f4f6f9;color:#1b2a3a;font:16px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:30px;margin:0 0 4px}h2{font-size:20px;margin:0 0 6px}p{margin:0 0 12px;max-width:90ch}
.lead{color:#52667a;margin-bottom:24px}
section{background:#fff;border:1px solid #e1e7ee;border-radius:10px;padding:20px 22px;margin:0 0 20px}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:14px;margin:0 0 20px}
.tile{background:#fff;border:1px solid #e1e7ee;border-radius:10px;padding:14px 16px}
.tile b{display:block;font-size:24px}.tile span{color:#52667a;font-size:14px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:5px 7px;text-align:right;border-bottom:1px solid #e9eef3;white-space:nowrap}
th{color:#52667a;font-weight:600}th:first-child,td:first-child{text-align:left}
tr.group td{border-top:2px solid #c9d3de}.best{font-weight:700;color:#1765c1}
footer{color:#52667a;font-size:13px;word-break:break-all}
"""
BEST, GROUP = ' class="best"', ' class="group"'


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table; ``best`` marks the winner of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True, slots=True)
class TableBlock:
    """A table: headings, rows, and the rows at which a new group begins."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    groups: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence on how to read it, then tables and figures."""

    title: str
    text: str
    blocks: Sequence[TableBlock | go.Figure]


def table_html(table: TableBlock) -> str:
    """Format a table."""
    head = "".join(f"<th>{escape(h)}</th>" for h in table.headings)
    body = []
    for i, row in enumerate(table.rows):
        cells = "".join(f"<td{BEST if c.best else ''}>{escape(c.text)}</td>" for c in row)
        body.append(f"<tr{GROUP if i in table.groups else ''}>{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _block_html(block: TableBlock | go.Figure, name: str) -> str:
    if isinstance(block, TableBlock):
        return table_html(block)
    settings = {
        "displaylogo": False,
        "responsive": True,
        "modeBarButtonsToRemove": ["select2d", "lasso2d"],
    }
    html: str = block.to_html(full_html=False, include_plotlyjs=False, config=settings, div_id=name)
    return html


def write_report(
    path: Path,
    title: str,
    lead: str,
    tiles: Sequence[tuple[str, str]],
    sections: Sequence[Section],
    footer: str,
) -> None:
    """Write the page whole."""
    cards = "".join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in tiles)
    parts = []
    for i, section in enumerate(sections):
        blocks = "".join(_block_html(block, f"figure-{i}-{j}") for j, block in enumerate(section.blocks))
        parts.append(f"<section><h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>{blocks}</section>")
    write_text(
        path,
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style>'
        f"<script>{get_plotlyjs()}</script></head><body><main><h1>{escape(title)}</h1>"
        f'<p class="lead">{escape(lead)}</p><div class="tiles">{cards}</div>{"".join(parts)}'
        f"<footer>{escape(footer)}</footer></main></body></html>",
    )
