"""The reference of features, made of the tables that they are computed from."""

from features.families.book import BOOK_FAMILIES, BOOK_FAMILIES_OF_N
from features.families.calendar import CALENDAR_FAMILIES
from features.families.carry import CARRY_FAMILIES
from features.families.cross import CROSS_FAMILIES
from features.families.family import Family
from features.families.flow import FLOW_FAMILIES
from features.families.measured import MEASURED_FAMILIES
from features.families.variance import VARIANCE_FAMILIES
from features.measures import MEASURES
from features.orderflow import BOOK_COLUMNS

ANY_NUMBER = 5
Entry = tuple[str, str, str, str]  # name, formula, unit, cost
HEAD = "| name | formula | unit | cost |\n|---|---|---|---|\n"


def _name(stem: str, family: Family, front: str = "", number: str = "") -> str:
    return f"{front}{stem}{number}{'_…' if family.looks_back else ''}"


def _rows(families: dict[str, Family], front: str = "", number: str = "") -> list[Entry]:
    return [(_name(stem, f, front, number), f.formula, f.unit, f.cost) for stem, f in families.items()]


def entries() -> dict[str, list[Entry]]:
    """Every family by subject: name, formula, unit, cost."""
    of_n = {stem: make(ANY_NUMBER) for stem, make in BOOK_FAMILIES_OF_N.items()}
    return {
        "Variance and moves": _rows(VARIANCE_FAMILIES),
        "Measures of the whole window": _rows(MEASURED_FAMILIES),
        "Trades": _rows(FLOW_FAMILIES),
        "Order book": [*_rows(BOOK_FAMILIES), *_rows(of_n, number="_N")],
        "Funding, basis, open interest": _rows(CARRY_FAMILIES),
        "Another instrument that leads": _rows(CROSS_FAMILIES, front="LEADER."),
        "The clock": _rows(CALENDAR_FAMILIES),
    }


def markdown() -> str:
    """The reference as tables in Markdown."""
    parts = [f"### {title}\n\n{HEAD}{''.join(map(_line, map(_coded, rows)))}" for title, rows in entries().items()]
    measures = "".join(_line((f"`{n}`", m.formula, m.unit, m.estimates)) for n, m in MEASURES.items())
    columns = "".join(_line((f"`{n}`", c.formula, c.unit, c.source)) for n, c in BOOK_COLUMNS.items())
    parts += [
        f"### Realised measures\n\n{HEAD.replace('cost', 'estimates')}{measures}",
        f"### Columns of a book\n\n{HEAD.replace('cost', 'source')}{columns}",
    ]
    return "\n".join(parts)


def _coded(row: Entry) -> Entry:
    return (f"`{row[0]}`", *row[1:])


def _line(row: Entry) -> str:
    cells = " | ".join(cell.replace("|", "\\|") for cell in row)
    return f"| {cells} |\n"
