"""``margincast margin``: quote, explain, compare, ask what if, record and verify; thin."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from features.errors import DataError, SettingError, lookup
from serving.margin.objects import Account, ForecastSet, MarginResult, MarketSnapshot
from serving.margin.objects.documents import NUMBER, schema, write

if TYPE_CHECKING:
    from serving.margin_job import MarginJob

app = typer.Typer(no_args_is_help=True, help="Margin of one account: any rule, explained to the cent, verifiable.")
console = Console()

AccountFile = Annotated[Path, typer.Option("--account", help="Account, JSON.")]
MarketFile = Annotated[Path, typer.Option("--market", help="Market snapshot, JSON.")]
ForecastFiles = Annotated[
    list[Path] | None,
    typer.Option("--forecast", help="Forecasts, JSON; several in order of preference.", show_default="static ranges"),
]
PolicyFile = Annotated[Path | None, typer.Option("--policy", help="Policy, TOML.", show_default="the default policy")]
RuleName = Annotated[str | None, typer.Option("--rule", help="A venue's rule book instead of the policy.")]
ParameterFile = Annotated[
    Path | None, typer.Option("--parameters", help="Parameters of the rule, TOML.", show_default="as published")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(
    epilog="Examples:  [bold]margincast margin quote --account a.json --market m.json --forecast f.json[/]   |   "
    "[bold]margincast margin quote --account a.json --market m.json --rule derive_portfolio --json[/]   |   "
    "[bold]margincast margin quote --account a.json --market m.json --record log.jsonl --key key.pem[/]"
)
def quote(
    account: AccountFile,
    market: MarketFile,
    forecast: ForecastFiles = None,
    policy: PolicyFile = None,
    rule: RuleName = None,
    parameters: ParameterFile = None,
    as_json: AsJson = False,
    record: Annotated[Path | None, typer.Option(help="Append the result to this log of records.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key (PEM) that signs the record.")] = None,
) -> None:
    """What an account must hold, by component and by position."""
    from serving.margin_tables import show

    job = _job(account, market, forecast, policy, rule, parameters)
    result = job.result()
    if key is not None and record is None:
        raise SettingError("--key signs the record of --record; give both or none")
    if record is not None:
        entry = job.recorded(result, record, key)
        Console(stderr=True).print(f"record {entry.head.sequence} of {record}: {entry.sha256}", highlight=False)
    if as_json:
        typer.echo(write(result))
    else:
        show(result, console)


@app.command(
    epilog="Examples:  [bold]margincast margin what-if --account a.json --market m.json --trade BTC-PERP=-0.5[/]   |   "
    "[bold]margincast margin what-if --account a.json --market m.json --trade A=1 --trade B=-2 --json[/]"
)
def what_if(
    account: AccountFile,
    market: MarketFile,
    trade: Annotated[list[str], typer.Option(help="INSTRUMENT=CONTRACTS, signed; may be given several times.")],
    forecast: ForecastFiles = None,
    policy: PolicyFile = None,
    rule: RuleName = None,
    parameters: ParameterFile = None,
    as_json: AsJson = False,
) -> None:
    """What trades would change: the requirement before, after and the difference."""
    import msgspec

    from serving.margin.what_if import changes, traded
    from serving.margin_tables import changes_table

    job = _job(account, market, forecast, policy, rule, parameters)
    lines = changes(job.result(), job.result(traded(job.account, _trades(trade), job.prepared.market)))
    if as_json:
        rows = [{"name": c.name, "before": c.before, "after": c.after, "difference": c.difference} for c in lines]
        typer.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
    else:
        console.print(changes_table(lines))


@app.command(
    epilog="Examples:  [bold]margincast margin explain --account a.json --market m.json --forecast f.json[/]   |   "
    "[bold]margincast margin explain --account a.json --market m.json --rule span --json[/]"
)
def explain(
    account: AccountFile,
    market: MarketFile,
    forecast: ForecastFiles = None,
    policy: PolicyFile = None,
    rule: RuleName = None,
    parameters: ParameterFile = None,
    as_json: AsJson = False,
) -> None:
    """Where every cent comes from: ranges, worst scenarios, each position's part, liquidation prices, challenger."""
    from serving.margin_explanation import explained
    from serving.margin_explanation_tables import explanation_blocks
    from serving.margin_tables import show

    found = explained(_job(account, market, forecast, policy, rule, parameters))
    if as_json:
        typer.echo(write(found))
        return
    show(found.result, console, whole=True)
    for block in explanation_blocks(found):
        console.print(block)


@app.command(
    epilog="Examples:  [bold]margincast margin compare --account a.json --market m.json --forecast f.json[/]   |   "
    "[bold]margincast margin compare --account a.json --market m.json --json[/]"
)
def compare(
    account: AccountFile,
    market: MarketFile,
    forecast: ForecastFiles = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """One account under the policy and under every venue's rule book."""
    import msgspec

    from serving.margin.rules import RULES
    from serving.margin_tables import compared_table

    job = _job(account, market, forecast, policy, None, None)
    found: dict[str, MarginResult | str] = {"policy": job.result()}
    for name in RULES:
        try:
            found[name] = job.under(name).result()
        except DataError as error:
            found[name] = str(error)
    if as_json:
        rows = {name: _compared(result) for name, result in found.items()}
        typer.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2).decode())
    else:
        console.print(compared_table(found))


@app.command(
    epilog="Examples:  [bold]margincast margin verify log.jsonl[/]   |   "
    "[bold]margincast margin verify log.jsonl --public-key key.pem.pub[/]"
)
def verify(
    record: Annotated[Path, typer.Argument(help="A record, or a log of records.")],
    public_key: Annotated[
        list[Path] | None, typer.Option(help="Public key (PEM) that may have signed.", show_default="not checked")
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="LENGTH:SHA256 of the log as once seen: finds one cut shorter.", show_default="none"),
    ] = None,
) -> None:
    """Check hashes, chain and signatures, compute every requirement again and name the first difference."""
    from serving.margin_records import verified

    lines, sound = verified(record, public_key or [], checkpoint)
    for line in lines:
        console.print(line, highlight=False)
    if not sound:
        raise typer.Exit(1)


@app.command(epilog="Example:  [bold]margincast margin keygen --out keys/margin[/]")
def keygen(
    out: Annotated[Path, typer.Option(help="Files OUT.pem (private, mode 600) and OUT.pem.pub.")],
) -> None:
    """Make a key pair that signs records; a passphrase is taken from MARGINCAST_KEY_PASSPHRASE."""
    from serving.margin_records import make_keys

    for line in make_keys(out):
        console.print(line, highlight=False)


@app.command(name="schema", epilog="Example:  [bold]margincast margin schema account > account.schema.json[/]")
def schema_(name: Annotated[str, typer.Argument(help="account, market, forecast or result.")]) -> None:
    """JSON Schema of a document."""
    import json

    from serving.margin_files import DOCUMENTS

    typer.echo(json.dumps(schema(lookup(DOCUMENTS, name, "document")), indent=2))


@app.command(
    epilog="Example:  [bold]margincast margin surface --chain chain.parquet --out surface[/]  (a page with plots)"
)
def surface(
    chain: Annotated[Path, typer.Option(help="Option chain, Parquet.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("surface"),
    snapshot: Annotated[int, typer.Option(help="Which snapshot of the chain, from 0.", min=0)] = 0,
) -> None:
    """Fit a volatility surface to an option chain and report how well it fits."""
    from serving.surface_report import write_surface_report

    console.print(f"report   {write_surface_report(chain, out, snapshot)}")


def _compared(result: MarginResult | str) -> dict[str, object]:
    from serving.margin_tables import worst_state

    if isinstance(result, str):
        return {"not_covered": result}
    initial, maintenance = result.whole
    return {"initial": initial, "maintenance": maintenance, "state": worst_state(result), "notes": result.notes}


def _job(
    account: Path,
    market: Path,
    forecast: Sequence[Path] | None,
    policy: Path | None,
    rule: str | None,
    parameters: Path | None,
) -> "MarginJob":
    from serving.margin_files import read_document, read_parameters, read_policy
    from serving.margin_job import MarginJob

    if rule is None and parameters is not None:
        raise SettingError("--parameters are those of --rule; give both, or --policy")
    if rule is not None and policy is not None:
        raise SettingError("--rule and --policy are two ways to margin; give one")
    return MarginJob(
        read_document(account, Account),
        read_document(market, MarketSnapshot),
        tuple(read_document(path, ForecastSet) for path in forecast or ()),
        read_policy(policy),
        rule,
        None if rule is None else read_parameters(rule, parameters),
    )


def _trades(given: Sequence[str]) -> dict[str, Decimal]:
    trades: dict[str, Decimal] = {}
    for text in given:
        symbol, _, quantity = text.rpartition("=")
        try:
            if not NUMBER.fullmatch(quantity):
                raise InvalidOperation
            trades[symbol] = trades.get(symbol, Decimal(0)) + Decimal(quantity)
        except InvalidOperation:
            raise SettingError(f"--trade {text!r}: write INSTRUMENT=CONTRACTS, as BTC-PERP=-0.5") from None
        if not symbol:
            raise SettingError(f"--trade {text!r}: write INSTRUMENT=CONTRACTS, as BTC-PERP=-0.5")
    return trades
