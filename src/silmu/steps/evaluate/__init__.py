"""5: how good a model is, by figures that do not flatter.

The model folder is opened as anyone will open it, with `pipeline`, and scored on rows that nothing
was fitted on. Each figure has an interval and stands beside what a simpler model reaches; how often
the rows have been looked at is counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu import extras, registry
from silmu.steps.evaluate.report import Metric, Report
from silmu.steps.train.progress import Progress

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.collect.environments import Environment
    from silmu.steps.prepare.environments import PreparedEnvironment
    from silmu.steps.prepare.prepared import Prepared

__all__ = ["Metric", "Report", "evaluate", "evaluate_data"]


def evaluate(
    model: Path,
    prepared: Prepared | PreparedEnvironment,
    folder: Path,
    *,
    seconds: Mapping[str, float],
    settings: Mapping[str, Any],
    progress: Progress | None = None,
) -> Report:
    """Scores a model on the sealed test split, and writes what was found.

    What the rows are, such as texts or a table, is told by the model.

    Args:
        model: the model folder; its model card README.md is written.
        prepared: whose test split is read, and whose other splits the baselines are fitted on.
        folder: where metrics.json, report.html and the ledger of looks go.
        seconds: how long the steps before took.
        settings: of the run; `seed` is that of the resamples.
        progress: what shows how it goes; nothing is shown, if not given.

    Raises:
        UsageError: the model answers with other labels than the data has, or no test row is there.
        MissingExtraError: `silmu[report]` is not installed.
    """
    extras.require("report")
    from silmu.steps.evaluate import scoring

    pipe = scoring.opened(model)
    module = registry.evaluating_module(pipe.rows, "test_split")
    with progress or Progress(quiet=True) as shown:
        return module.evaluate(
            pipe, model, prepared, folder, seconds=seconds, settings=settings, progress=shown
        )


def evaluate_data(
    model: Path,
    dataset: Dataset | Environment,
    folder: Path | None,
    *,
    progress: Progress | None = None,
) -> Report:
    """Scores a model on rows that it was not prepared with, such as newer ones.

    Without a target column, or where no label is known to the model, there are no metrics, but what
    the rows show: how they differ from those of the training, and how many of them were in it.

    Args:
        model: the model folder; that of a run, for all that can be compared with its training.
        dataset: the new rows, or of a policy the environment.
        folder: where metrics.json and report.html go; nothing is written without it.
        progress: what shows how it goes; nothing is shown, if not given.

    Raises:
        UsageError: the data has not the columns that the model reads.
        MissingExtraError: `silmu[report]` is not installed.
    """
    extras.require("report")
    from silmu.steps.evaluate import scoring

    pipe = scoring.opened(model)
    module = registry.evaluating_module(pipe.rows, "new_data")
    with progress or Progress(quiet=True) as shown:
        return module.evaluate(pipe, model, dataset, folder, progress=shown)
