"""What a verification found: steps with their outcomes, of one record and of a log."""

from collections.abc import Iterator
from typing import Literal

import msgspec

from serving.margin.audit.chain import ChainBreak

Outcome = Literal["passed", "failed", "differs", "not checked"]


class Step(msgspec.Struct, frozen=True):
    """One check, how it ended and why; ``differs`` is no failure: other code may give the same requirement."""

    name: str
    outcome: Outcome
    detail: str


class Verification(msgspec.Struct, frozen=True):
    """What was checked of one record: hashes, chain, signature, code, replay, in this order."""

    sequence: int
    sha256: str
    steps: tuple[Step, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed; what was not checked is not counted, see :attr:`complete`."""
        return all(step.outcome != "failed" for step in self.steps)

    @property
    def complete(self) -> bool:
        """Hashes, chain, signature and replay were checked and passed."""
        return all(step.outcome == "passed" for step in self.steps if step.name != "code")

    @property
    def failure(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.outcome == "failed"), None)

    def lines(self) -> Iterator[str]:
        """What was checked, a line each, for people."""
        yield f"record {self.sequence}, hash {self.sha256}"
        for step in self.steps:
            yield f"  {step.name:<10} {step.outcome:<12} {step.detail}"


class LogVerification(msgspec.Struct, frozen=True):
    """What was checked of a log; ``broken``: where it could not be followed further, its end cut off included."""

    records: tuple[Verification, ...]
    broken: ChainBreak | None

    @property
    def passed(self) -> bool:
        """No record failed and the chain is whole."""
        return self.broken is None and all(record.passed for record in self.records)

    @property
    def complete(self) -> bool:
        """As :attr:`passed`, and no step was left out."""
        return self.broken is None and all(record.complete for record in self.records)

    def lines(self) -> Iterator[str]:
        """What was checked of each record that did not pass in full, then the whole in a line."""
        for record in self.records:
            if not record.complete:
                yield from record.lines()
        if self.broken is not None:
            yield str(self.broken)
        failed = sum(not record.passed for record in self.records)
        count = f"{len(self.records)} record{'' if len(self.records) == 1 else 's'}"
        yield f"{count}, {failed} failed, chain {self._chain()}"

    def _chain(self) -> str:
        """Whether the records follow each other from the first on."""
        if self.broken is not None:
            return "broken"
        return "whole" if not self.records or self.records[0].sequence == 0 else "not checked: the record was taken out"
