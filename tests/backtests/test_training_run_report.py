"""Pieces of a training run's page and card."""

from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from backtests.training_report import importance_section, loss_section, skill_tiles
from backtests.training_report_figures import skill_dots
from backtests.training_report_tables import skill_table
from features.errors import SettingError
from models.neural.importance import Importances
from training.model_card import filled, markdown_table


def test_loss_curves_are_the_histories() -> None:
    one = [{"train_loss": 2.0}, {"train_loss": 1.0, "validation_qlike_net": 0.5}]
    two = [{"train_loss": 3.0, "validation_qlike_net": 0.7}]
    section = loss_section([one, two], [7, 8])
    assert section is not None
    [picture] = section.blocks
    assert isinstance(picture, go.Figure)
    lines = {(line.name, line.xaxis): (list(line.x), list(line.y)) for line in picture.data}
    assert lines["seed 7", "x"] == ([1, 2], [2.0, 1.0])
    assert lines["seed 8", "x"] == ([1], [3.0])
    assert lines["seed 7", "x2"][1][1] == pytest.approx(0.5)
    assert np.isnan(lines["seed 7", "x2"][1][0])


def test_a_network_without_a_history_has_no_curves() -> None:
    assert loss_section([[], []], [0, 1]) is None


def test_importances_are_shown_from_the_largest_on() -> None:
    values = np.array([[0.1, 0.0], [0.0, 4.0], [-1.0, 0.4]])
    found = Importances("permutation", ("a", "b", "c"), (3_600, 86_400), values, 0 * values)
    section = importance_section(found, shown=2)
    [picture] = section.blocks
    assert isinstance(picture, go.Figure)
    heat = picture.data[0]
    assert list(heat.y) == ["b", "c"]
    assert list(heat.x) == ["1 h", "24 h"]
    np.testing.assert_allclose(heat.z, [[-2, 0], [-2, -1]], atol=1e-6)
    assert "2 inputs" in section.text


def test_dots_are_the_skills_and_blue_where_the_interval_is_above_zero() -> None:
    def told(skill: float, low: float, high: float) -> dict[str, object]:
        return {"detail": {"vs": {"qlike": {"skill": skill, "low": low, "high": high}}}}

    picture = skill_dots({3_600: {"har": told(0.02, 0.01, 0.03), "ewma": told(-0.01, -0.02, 0.005)}}, ["har", "ewma"])
    points = {y: (x, mark.marker.color) for mark in picture.data for y, x in zip(mark.y, mark.x, strict=True)}
    assert points["har"][0] == pytest.approx(2.0)
    assert points["ewma"][0] == pytest.approx(-1.0)
    assert points["har"][1] != points["ewma"][1]


def test_tiles_have_the_signs_of_the_table_and_name_the_best_classical_model() -> None:
    def told(skill: float | None) -> dict[str, object]:
        return {"detail": {"vs": {"qlike": {"skill": skill}}}}

    day = {"har_log": told(0.004), "pool": told(-0.13), "garch": told(0.2), "absent": told(None)}
    assert skill_tiles({3_600: {"har_log": told(0.01), "garch": told(0.3)}, 86_400: day}) == [
        ("1 h QLIKE saved over har_log, the best classical model (more is better)", "+1.0 %"),
        ("24 h QLIKE saved over har_log (more is better)", "+0.4 %"),
        ("24 h QLIKE saved over pool, the best classical model (more is better)", "-13.0 %"),
    ]
    shown = [[cell.text for cell in row] for row in skill_table({86_400: day}).rows]
    assert [row[1].split()[0] for row in shown[:2]] == ["+0.4", "-13.0"]


def test_a_card_needs_every_fact_and_no_other() -> None:
    assert filled("a $b\n\n\n\nc $d\n", {"b": "1", "d": "2"}) == "a 1\n\nc 2\n"
    with pytest.raises(SettingError, match="lacks d and has no place for e"):
        filled("$b $d", {"b": "1", "e": "2"})


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert markdown_table(["a", "b"], [["x|y", "1"]]).splitlines()[2] == "| x/y | 1 |"


def test_the_template_is_in_the_package() -> None:
    from training.model_card import TEMPLATE

    assert TEMPLATE.is_relative_to(Path(__file__).parents[2] / "training")
    assert "$files" in TEMPLATE.read_text(encoding="utf-8")
