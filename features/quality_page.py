"""The state of the store, as rows for a table and as a page."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from features.clock import format_utc
from features.files import write_text
from features.page import page_html, tiles_html
from features.quality import BINS, Quality

HEADINGS = ("kind", "venue", "symbol", "rows", "from", "to", "MB")
FINDINGS = ("gaps", "longest gap", "duplicates", "crossed", "breaks", "void", "longest stale", "tick")
STRIP_STYLE = """
<style>main{max-width:1640px}th:nth-child(-n+3),td:nth-child(-n+3){text-align:left}.strip{display:block;width:160px;height:14px;background:#fdecea;border-radius:3px}
td.bad{color:#b3261e;font-weight:700}td.warn{color:#8a5a00}tr.fault td{color:#b3261e;white-space:normal}</style>
"""


def names(quality: Quality) -> tuple[str, str, str]:
    """Kind, venue and symbol of a stream's folder."""
    kind, venue, symbol = (part.split("=", 1)[1] for part in quality.folder.split("/"))
    return kind, venue, symbol


def listing(quality: Quality) -> tuple[str, ...]:
    """What a stream is: the cells under ``HEADINGS``."""
    span = [format_utc(ns)[:16].replace("T", " ") if quality.rows else "" for ns in (quality.first_ns, quality.last_ns)]
    return (*names(quality), f"{quality.rows:,}", *span, f"{quality.bytes / 1e6:,.1f}")


def findings(quality: Quality) -> tuple[str, ...]:
    """What was found in a stream: the cells under ``FINDINGS``; empty where nothing was."""
    crossed = f"{quality.crossed:,} ({100 * quality.crossed_share:.2g} %)" if quality.crossed_share > 0 else ""
    return (
        _count(quality.gaps),
        duration(quality.longest_gap_s) if quality.gaps else "",
        _count(quality.duplicates),
        crossed,
        _count(quality.breaks),
        f"{100 * quality.void_share:.2g} %" if quality.void_share else "",
        duration(quality.longest_stale_s) if quality.longest_stale_s else "",
        " → ".join(f"{tick:g}" for tick in quality.ticks[:3]) + (" …" if len(quality.ticks) > 3 else ""),
    )


def span_text(first_ns: int, last_ns: int) -> str:
    """From when to when, UTC, to the second."""
    return f"{format_utc(first_ns)} to {format_utc(last_ns)}" if last_ns else "nothing new"


def told(quality: Quality) -> str:
    """What was found in a stream, as one line."""
    if quality.fault:
        return quality.fault
    words = [f"{heading} {cell}" for heading, cell in zip(FINDINGS, findings(quality), strict=True) if cell]
    return ", ".join(words)


def duration(seconds: float) -> str:
    """A length of time in the largest unit that leaves it at least one.

    Examples
    --------
    >>> duration(0.25), duration(90), duration(7200), duration(400000)
    ('0.25 s', '1.5 min', '2 h', '4.63 d')
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def write_page(path: Path, store: Path, qualities: Sequence[Quality], silence_s: float) -> None:
    """Write the page whole."""
    sound = sum(quality.sound for quality in qualities)
    tiles = [
        ("streams", f"{len(qualities):,}"),
        ("rows", f"{sum(q.rows for q in qualities):,}"),
        ("on disk", f"{sum(q.bytes for q in qualities) / 1e6:,.1f} MB"),
        ("sound", f"{sound} of {len(qualities)}"),
    ]
    lead = (
        "Every row was read. A stream is sound if nothing in it makes a number wrong: no duplicates, no break of the "
        "venue's numbering, books never unknown and crossed at most 1 % of the time. Gaps and stale stretches are "
        f"told for bars that are missing and for events after {duration(silence_s)} of silence. Streams that are not "
        "sound stand first."
    )
    head = "".join(f"<th>{escape(h)}</th>" for h in (*HEADINGS, "rows over time", *FINDINGS))
    body = "".join(_row(quality) for quality in sorted(qualities, key=lambda quality: quality.sound))
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
    content = f"{tiles_html(tiles)}<section>{table}</section>"
    write_text(path, page_html("Market data in the store", lead, content, str(store), head=STRIP_STYLE))


def _row(quality: Quality) -> str:
    cells = [f"<td>{escape(cell)}</td>" for cell in listing(quality)]
    if quality.fault:
        span = len(FINDINGS) + 1
        return f'<tr class="fault">{"".join(cells)}<td colspan="{span}">{escape(quality.fault)}</td></tr>'
    bad = {"duplicates", "breaks", "void"} | ({"crossed"} if quality.crossed_share > 0.01 else set())
    for heading, cell in zip(FINDINGS, findings(quality), strict=True):
        mark = (
            "bad"
            if cell and heading in bad
            else "warn"
            if cell and heading in ("gaps", "longest gap", "crossed")
            else ""
        )
        cells.append(f'<td class="{mark}">{escape(cell)}</td>')
    cells.insert(len(HEADINGS), f"<td>{_strip(quality.density)}</td>")
    return f"<tr>{''.join(cells)}</tr>"


def _strip(density: Sequence[int]) -> str:
    """Rows over time: a bar for each part of the span, as high as its rows; red shows where there are none."""
    highest = max(density, default=0)
    if sum(density) < 2:
        return ""
    bars = "".join(
        f'<rect x="{i}" y="{14 - height}" width="1.05" height="{height}"/>'
        for i, count in enumerate(density)
        if count
        for height in (max(3, round(14 * count / highest, 1)),)
    )
    return f'<svg class="strip" viewBox="0 0 {BINS} 14" preserveAspectRatio="none"><g fill="#1765c1">{bars}</g></svg>'


def _count(number: int) -> str:
    return f"{number:,}" if number else ""
