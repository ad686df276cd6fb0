"""Feature specs that come with the package, as TOML beside this file."""

from pathlib import Path

from features.errors import MissingFileError, SettingError
from features.plan import Plan
from features.spec import FeatureSpec

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """Names of the packaged specs.

    Examples
    --------
    >>> names()
    ('book', 'fifteen_minutes', 'five_minutes', 'referee', 'seconds', 'short_windows')
    """
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def find_spec(name: str) -> FeatureSpec:
    """A packaged spec by its name, or any other by the path of its TOML file.

    Raises
    ------
    MissingFileError, SettingError
        If there is neither; if the file is no spec.

    Examples
    --------
    >>> find_spec("book").horizons_s
    (60, 300)
    """
    path = FOLDER / f"{name}.toml" if name in names() else Path(name)
    if not path.is_file():
        raise MissingFileError(f"{name}: no such feature spec; give a TOML file, or one of {', '.join(names())}")
    spec = FeatureSpec.from_toml(path)
    try:
        Plan(spec).windows  # noqa: B018 - every name is read
    except SettingError as error:
        raise SettingError(f"{name}: {error}") from None
    return spec
