"""Plain, self-contained HTML pages: one style, tables and tiles; nothing is fetched when a page is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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
.wide{overflow-x:auto;margin:0 0 18px}
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


def table_html(table: TableBlock) -> str:
    """Format a table."""
    head = "".join(f"<th>{escape(h)}</th>" for h in table.headings)
    body = []
    for i, row in enumerate(table.rows):
        cells = "".join(f"<td{BEST if c.best else ''}>{escape(c.text)}</td>" for c in row)
        body.append(f"<tr{GROUP if i in table.groups else ''}>{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def tiles_html(tiles: Sequence[tuple[str, str]]) -> str:
    """Format headline figures: name and value of each."""
    cards = "".join(f'<div class="tile"><b>{escape(v)}</b><span>{escape(k)}</span></div>' for k, v in tiles)
    return f'<div class="tiles">{cards}</div>'


def page_html(title: str, lead: str, body: str, footer: str, head: str = "") -> str:
    """A whole page around ``body``, which is HTML already."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style>{head}</head>'
        f'<body><main><h1>{escape(title)}</h1><p class="lead">{escape(lead)}</p>{body}'
        f"<footer>{escape(footer)}</footer></main></body></html>"
    )
