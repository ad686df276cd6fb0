"""Counts the published cases of each file and how many pass: hooks, of the process that gathers the reports."""

import re
from collections import Counter

import pytest

RAN: Counter[str] = Counter()
PASSED: Counter[str] = Counter()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count one case under the file that its identifier begins with."""
    found = re.search(r"\[(\w+\.json) ", report.nodeid)
    if found and report.when == "call":
        RAN[found[1]] += 1
        PASSED[found[1]] += report.passed


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the counts: published file, cases, passed."""
    if RAN:
        terminalreporter.section("published figures")
    for name in sorted(RAN):
        terminalreporter.write_line(f"{name}: {RAN[name]} cases, {PASSED[name]} passed")
