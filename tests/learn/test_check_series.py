"""Planted faults of series are found, clean twins left in peace, and what only looks odd too."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import planted_series as planted
import pytest

from silmu import cli
from silmu.errors import UnknownNameError
from silmu.steps.collect import collect
from silmu.steps.collect.checks import Finding, check

SEEDS = (31, 32)  # others than those that thresholds were chosen by


def look(made: planted.Planted, folder: Path) -> list[Finding]:
    dataset = collect(made.rows, folder, kind="series", series=made.settings, **made.roles)
    return check(dataset, kind="series")


def kinds(found: Sequence[Finding], severity: str | None = None) -> set[str]:
    return {one.kind for one in found if severity in (None, one.severity)}


@pytest.mark.parametrize("fault", planted.FAULTS)
def test_a_planted_fault_is_found_where_it_is_and_nothing_else_is_wrong(
    fault: str, tmp_path: Path
) -> None:
    _, _, kind, severity = planted.FAULTS[fault]
    for seed in SEEDS:
        made = planted.make(fault, seed)
        found = look(made, tmp_path / str(seed))
        hits = [one for one in found if (one.kind, one.severity) == (kind, severity)]
        assert len(hits) == 1, (seed, [(one.kind, one.message) for one in found])
        if made.where:
            named = {*hits[0].rows}
            assert named <= made.where, hits[0]
            assert len(named) >= min(len(made.where), 20) * 0.8, hits[0]
        assert not kinds(found, "wrong") - {kind}, found


@pytest.mark.parametrize("base", planted.CLEAN)
def test_nothing_is_found_where_nothing_is(base: object, tmp_path: Path) -> None:
    assert callable(base)
    for seed in SEEDS:
        assert not look(base(seed), tmp_path / str(seed))


def test_a_zone_explains_the_night_without_an_hour(tmp_path: Path) -> None:
    made = planted.make("spring", 5)
    made.settings["timezone"] = "Europe/Berlin"
    assert not look(made, tmp_path / "d")
    wrong = planted.make("spring", 5)
    del wrong.rows[200]  # another hour of another night is a gap, and no change of clocks
    wrong.rows = [row for row in wrong.rows if row["time"] < "2024-03-20"]
    assert kinds(look(wrong, tmp_path / "e")) == {"gaps"}


def test_an_hour_that_no_clock_skips_is_to_be_written_otherwise(tmp_path: Path) -> None:
    made = planted.make("spring", 5)
    (finding,) = [one for one in look(made, tmp_path / "d") if one.kind == "daylight saving"]
    assert finding.cure.startswith("`--set timezone=Europe/Berlin`")
    for row in made.rows:  # 03:00 is missing then, where clocks lack 02:00
        if row["time"].startswith("2024-03-31 03"):
            row["time"] = row["time"].replace(" 03", " 02")
    (finding,) = [one for one in look(made, tmp_path / "e") if one.kind == "daylight saving"]
    assert finding.cure.startswith("write 02:00 of these nights as 03:00")
    assert "`--set timezone=Europe/Berlin`" in finding.cure


def test_a_covariate_that_is_known_is_told_from_its_values_after_the_end(tmp_path: Path) -> None:
    made = planted.make("same", 5)
    made.rows = [row for row in made.rows if row["shop"] == "north"]
    for row in made.rows[-10:]:
        row["sold"] = None
    assert "gives the target away" in kinds(look(made, tmp_path / "d"), "wrong")


def test_all_short_is_wrong(tmp_path: Path) -> None:
    made = planted.shops(0, count=20)
    assert kinds(look(made, tmp_path / "d"), "wrong") == {"short series"}


def test_the_verb_tells_what_is_wrong_and_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "shops.csv"
    pd.DataFrame(planted.shops(1).rows).to_csv(path, index=False)
    command = ["check", "time-series-forecasting", "--data", str(path), "--target", "sold", "-q"]
    assert cli.main(command) == 0
    assert "1,200 rows: nothing wrong, 0 notes" in capsys.readouterr().out
    made = planted.make("coded", 1)
    pd.DataFrame(made.rows).to_csv(path, index=False)
    assert cli.main([*command, "--json", "--set", "step=D"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 1200
    (wrong,) = [one for one in told["findings"] if one["severity"] == "wrong"]
    assert wrong["kind"] == "missing as a number"
    assert {*wrong["rows"]} == made.where
    assert "-999" in wrong["message"]
    assert cli.main([*command, "--set", "windows=3"]) == 2
    assert "there are query, step" in capsys.readouterr().err
    with pytest.raises(UnknownNameError):
        collect(path, tmp_path / "d", kind="series", target="sold", series={"windows": 3})
