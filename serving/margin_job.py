"""One question to the margin engine: an account, a market, what to margin it by; answered, recorded, answered again."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from serving.audit_code import code_now
from serving.audit_files import append
from serving.audit_keys import read_private_key
from serving.margin.audit import Draft, MarginRecord, canonical_sha256
from serving.margin.objects import Account, ForecastSet, MarginResult, MarketSnapshot
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.quote import POLICY, quote, quote_rule
from serving.margin.sensitivity.account import SensitivityMarket, sensitivity_margin
from serving.margin.sensitivity.challenger import Alarm
from serving.margin.sensitivity.crypto import calibrate
from serving.margin.sensitivity.revalued_parts import challenge_account


@dataclass(frozen=True)
class MarginJob:
    """Everything that a requirement follows from.

    ``rule``: name of a venue's rule book, None for the policy; ``parameters``: of the rule.
    """

    account: Account
    market: MarketSnapshot
    forecasts: tuple[ForecastSet, ...]
    policy: MarginPolicy
    rule: str | None
    parameters: Any

    @cached_property
    def prepared(self) -> Prepared:
        """The market, priced and stressed once."""
        return prepare(self.market, self.policy, self.forecasts)

    def under(self, rule: str) -> "MarginJob":
        """The same question under a venue's rule book as it is published."""
        other = replace(self, rule=rule, parameters=None)
        other.__dict__["prepared"] = self.prepared
        return other

    def result(self, account: Account | None = None) -> MarginResult:
        """The requirement, of this account or of another in the same market."""
        asked = self.account if account is None else account
        if self.rule is None:
            found = quote(asked, self.prepared)
            alarm = self.challenged(asked)[2]
            if alarm is not None:
                found = msgspec.structs.replace(found, notes=(*found.notes, f"challenger: {alarm.message}"))
        else:
            found = quote_rule(asked, self.prepared, self.rule, self.parameters)
        return msgspec.structs.replace(found, hashes=self.hashes(asked))

    def challenged(self, account: Account | None = None) -> tuple[float, float, Alarm | None]:
        """Sensitivity margin, scan by full revaluation and the alarm if they part; priced positions, no orders."""
        given, priced = self.account if account is None else account, self.prepared.market
        known = tuple(p for p in given.positions if priced.symbols.get(p.instrument) not in priced.faults)
        asked = msgspec.structs.replace(given, orders=(), positions=known)
        stress = self.prepared.initial
        correlation = next((f.correlation for f in self.forecasts if f.correlation is not None), None)
        calibration = calibrate(stress.ranges, self.policy.scenarios, correlation)
        market = SensitivityMarket(self.prepared.market, calibration)
        revaluation = _scan_usd(quote(asked, self.prepared))
        alarm = challenge_account(asked, market, revaluation)
        return float(sensitivity_margin(asked, market).amount), revaluation, alarm

    def hashes(self, account: Account) -> dict[str, str]:
        """SHA-256 of every canonical input."""
        return {"account": canonical_sha256(account), **self._shared_hashes}

    @cached_property
    def _shared_hashes(self) -> dict[str, str]:
        documents = {"market": self.market, "forecast": self._forecasts, "policy": self._policy}
        return {name: canonical_sha256(document) for name, document in documents.items() if document}

    def recorded(self, result: MarginResult, log: Path, key: Path | None) -> MarginRecord:
        """Append the result with all its inputs to a log of records."""
        draft = Draft(
            rule=self.rule or POLICY,
            as_of_ns=self.market.as_of_ns,
            account=self.account,
            market=self.market,
            forecast=self._forecasts or None,
            policy=self._policy,
            result=result,
            code=code_now(),
        )
        return append(log, draft, None if key is None else read_private_key(key))

    @property
    def _forecasts(self) -> list[ForecastSet]:
        return list(self.forecasts)

    @property
    def _policy(self) -> dict[str, Any]:
        """Policy, and the parameters of the rule."""
        policy: dict[str, Any] = msgspec.to_builtins(self.policy)
        return policy if self.rule is None else {"policy": policy, "parameters": msgspec.to_builtins(self.parameters)}


def _scan_usd(result: MarginResult) -> float:
    """What the scan asks for, without add-ons, isolated positions included."""
    parts = {"scan", "inter-underlying credit", "joint paths"}
    own = sum(float(c.initial) for c in result.components if c.name in parts)
    return own + sum(_scan_usd(alone) for alone in result.isolated)
