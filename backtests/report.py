"""One self-contained HTML page: no address in it is fetched when it is opened."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from features.files import write_text
from features.page import TableBlock, page_html, table_html, tiles_html


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, a sentence on how to read it, then tables and figures."""

    title: str
    text: str
    blocks: Sequence[TableBlock | go.Figure]


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
    parts = [tiles_html(tiles)]
    for i, section in enumerate(sections):
        blocks = "".join(_block_html(block, f"figure-{i}-{j}") for j, block in enumerate(section.blocks))
        parts.append(f"<section><h2>{escape(section.title)}</h2><p>{escape(section.text)}</p>{blocks}</section>")
    script = f"<script>{get_plotlyjs()}</script>"
    write_text(path, page_html(title, lead, "".join(parts), footer, head=script))
