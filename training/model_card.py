"""The model card: what a trained model is for, what it was made of, what it is worth and where it ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from features.errors import SettingError
from features.files import sha256_of_file, write_text

TEMPLATE = Path(__file__).parent / "configs" / "model_card.md"


def write_model_card(path: Path, facts: Mapping[str, str]) -> None:
    """Write the packaged template with its places filled in.

    Raises
    ------
    SettingError
        If a place of the template has no fact, or a fact no place.
    """
    write_text(path, filled(TEMPLATE.read_text(encoding="utf-8"), facts))


def filled(template: str, facts: Mapping[str, str]) -> str:
    """A text with ``$name`` replaced by facts; lines that are empty then follow one another once at most.

    Raises
    ------
    SettingError
        If a name has no fact, or a fact no name.

    Examples
    --------
    >>> filled("Trained on $symbols.", {"symbols": "BTCUSDT"})
    'Trained on BTCUSDT.'
    """
    wanted = set(Template(template).get_identifiers())
    if wanted != set(facts):
        absent, idle = sorted(wanted - set(facts)), sorted(set(facts) - wanted)
        raise SettingError(
            f"the model card lacks {', '.join(absent) or 'nothing'} and has no place for {', '.join(idle) or 'nothing'}"
            "; correct the template or the facts"
        )
    lines = Template(template).substitute(facts).splitlines()
    kept = [line for i, line in enumerate(lines) if line.strip() or i == 0 or lines[i - 1].strip()]
    return "\n".join(kept) + ("\n" if template.endswith("\n") else "")


def markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, numbers to the right.

    Examples
    --------
    >>> print(markdown_table(["model", "QLIKE"], [["har|log", "0.5"]]))
    | model | QLIKE |
    |---|---:|
    | har/log | 0.5 |
    """
    lines = [headings, *rows]
    told = ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines]
    return "\n".join([told[0], "|---|" + "---:|" * (len(headings) - 1), *told[1:]])


def file_hashes(folder: Path) -> str:
    """Rows of a table: each file of an artefact with its SHA-256."""
    return "\n".join(f"| `{path.name}` | `{sha256_of_file(path)}` |" for path in sorted(folder.iterdir()))
