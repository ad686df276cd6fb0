"""The challenger becomes champion when it wins by a test; whatever fails, the champion stays."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from backtests.promotion_verdict import FZ0, QLIKE, Contest, Verdict, judge
from features.clock import format_utc
from features.errors import SettingError
from features.files import sha256_of, write_json
from models import artefact
from training.tracking import CHALLENGER, CHAMPION, Registry, Version

NS_PER_MS = 1_000_000
LONGEST_TAG = 1_000  # characters of a tag that are kept; the artefact has all
FOLDER = "promotion"
Contend = Callable[[Path, Path | None], Contest]  # folders of the challenger and of the champion, if there is one


@dataclass(frozen=True)
class Decision:
    """What was decided of a challenger. ``verdict`` is None where there was no test."""

    version: int
    opponent: str
    is_promoted: bool
    verdict: Verdict | None
    former: int | None
    time_ms: int
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The decision and all its figures."""
        return {
            "version": self.version,
            "opponent": self.opponent,
            "decision": self.word,
            "former_champion": self.former,
            "decided_at": format_utc(self.time_ms * NS_PER_MS),
            "about": dict(self.about),
            "verdict": None if self.verdict is None else self.verdict.to_json(),
        }

    @property
    def word(self) -> str:
        """How it went: ``won``, ``lost``, or ``untested``; who is champion is told by the alias alone."""
        if self.verdict is None:
            return "untested"
        return "won" if self.is_promoted else "lost"

    def tags(self) -> dict[str, str]:
        """The decision in a few words, as the registry shows it."""
        told = {
            "decision": self.word,
            "decided_at": format_utc(self.time_ms * NS_PER_MS),
            "opponent": self.opponent,
            "former_champion": str(self.former or "none"),
            "evidence_sha256": sha256_of(self.to_json()),
        }
        if self.verdict is not None:
            told["reasons"] = "; ".join(self.verdict.reasons) or "none against it"
            for loss in (QLIKE, FZ0):
                line = self.verdict.line(loss)
                told[f"{loss}_difference"] = f"{line.difference:+.6f} ({line.low:+.6f} to {line.high:+.6f})"
            told["qlike_p"] = f"{self.verdict.line(QLIKE).p_better:.6f}"
        return {name: value[:LONGEST_TAG] for name, value in told.items()}


def promote(
    registry: Registry,
    contend: Contend,
    baseline: str,
    time_ms: int,
    *,
    untested: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Decision:
    """Test the challenger against the champion, or where there is none against a classical model, and act on it.

    The alias moves last, in one transaction: a fault or a kill before it leaves the champion, and one after it
    leaves nothing undone but the challenger's alias, which the next call takes away.

    Parameters
    ----------
    registry : where both are.
    contend : makes the contest of the challenger's folder and the champion's, or None's.
    baseline : name of what ``contend`` takes as the opponent where there is no champion.
    time_ms : now.
    untested : where there is no champion, take the challenger without a test.
    about : what the figures are of, to be kept with them.

    Raises
    ------
    MissingFileError, FormatError
        If there is no challenger, or an artefact is gone or damaged.
    SettingError
        If the challenger is champion already, or another one became champion meanwhile.
    """
    with registry.alone():
        challenger, champion = registry.version(CHALLENGER), registry.holder(CHAMPION)
        if champion is not None and champion.number == challenger.number:
            registry.drop(CHALLENGER)
            raise SettingError(f"version {champion.number} is champion already; register another challenger")
        ours = registry.folder(challenger.number)
        artefact.load(ours)
        if champion is None and untested:
            verdict, opponent = None, "none"
        else:
            theirs = None if champion is None else registry.folder(champion.number)
            verdict = judge(contend(ours, theirs))
            opponent = baseline if champion is None else f"version {champion.number}"
        wins = verdict is None or verdict.wins
        former = None if champion is None else champion.number
        decision = Decision(challenger.number, opponent, wins, verdict, former, time_ms, about or {})
        _keep(registry, decision)
        if wins:
            _move(registry, challenger.number, champion)
            registry.drop(CHALLENGER)
    return decision


def force(registry: Registry, number: int, reason: str, time_ms: int) -> Decision:
    """Make a version champion without a test, such as to roll back; the reason is kept.

    Raises
    ------
    SettingError
        If no reason is given, or it is champion already.
    MissingFileError, FormatError
        If there is no such version, or its artefact is gone or damaged.
    """
    if not reason.strip():
        raise SettingError("a version becomes champion without a test only for a reason; say it with --force")
    with registry.alone():
        chosen, champion = registry.version(number), registry.holder(CHAMPION)
        if champion is not None and champion.number == number:
            raise SettingError(f"version {number} is champion already; nothing was changed")
        former = None if champion is None else champion.number
        decision = Decision(number, "none", True, None, former, time_ms, {"forced": reason})
        _keep(registry, decision)
        registry.tag(number, {"forced": reason[:LONGEST_TAG]})
        _move(registry, number, champion)
        if CHALLENGER in chosen.aliases:
            registry.drop(CHALLENGER)
    return decision


def _keep(registry: Registry, decision: Decision) -> None:
    """The figures as an artefact, then the words as tags."""
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / f"version-{decision.version}-{decision.time_ms}.json"
        write_json(path, decision.to_json())
        registry.attach(decision.version, FOLDER, path)
    registry.tag(decision.version, decision.tags())


def _move(registry: Registry, number: int, champion: Version | None) -> None:
    """Point the champion's alias to a version, if its artefact is whole and nobody moved the alias meanwhile."""
    artefact.load(registry.folder(number))  # a contest takes long
    now = registry.holder(CHAMPION)
    found, expected = (None if v is None else v.number for v in (now, champion))
    if found != expected:
        raise SettingError(
            f"version {found or 'none'} became champion while version {expected or 'none'} was tested; promote again"
        )
    registry.move(CHAMPION, number)
