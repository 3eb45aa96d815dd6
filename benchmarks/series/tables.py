"""What compare.py measured, as Markdown."""

from __future__ import annotations

from statistics import mean
from typing import Any

BASELINES = ("naive", "seasonal_naive", "ets")
TITLES = {"naive": "naive", "seasonal_naive": "seasonal naive", "ets": "ETS"}


def tables(result: dict[str, Any]) -> str:
    """Both libraries by data set and network, and silmu's networks beside the baselines."""
    return f"{beside(result)}\n\n{networks(result)}"


def beside(result: dict[str, Any]) -> str:
    """A line for each network of each data set: silmu, then NeuralForecast."""
    lines = [
        "| series | network | MAE, silmu | NeuralForecast | silmu is | CRPS | | 80 % holds | "
        "| training | |",
        f"|{' --- |' * 11}",
    ]
    for name, data in result["data"].items():
        for network, seeds in data["networks"].items():
            runs = [one for one in seeds.values() if "neuralforecast" in one and "silmu" in one]
            if not runs:
                continue
            cells = [name, network, *_pair(runs, "mae"), _verdicts(runs), *_pair(runs, "crps")]
            cells += [f"{100 * _mean(runs, lib, 'coverage'):.0f} %" for lib in LIBRARIES]
            cells += [f"{_mean(runs, lib, 'processor_seconds'):.0f} s" for lib in LIBRARIES]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def networks(result: dict[str, Any]) -> str:
    """The mean absolute error of silmu's networks, a line a data set."""
    names = [*dict.fromkeys(one for data in result["data"].values() for one in data["networks"])]
    head = ["series", "steps told", *(TITLES[one] for one in BASELINES), *names]
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for name, data in result["data"].items():
        cells = [name, str(data["prediction_length"])]
        for one in BASELINES:
            found = data["baselines"].get(one)
            cells.append(number(found["mae"]) if found else "")
        for network in names:
            runs = [one for one in data["networks"].get(network, {}).values() if "silmu" in one]
            cells.append(number(_mean(runs, "silmu", "mae")) if runs else "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


LIBRARIES = ("silmu", "neuralforecast")


def _mean(runs: list[dict[str, Any]], library: str, key: str) -> float:
    return mean(run[library][key] for run in runs)


def _pair(runs: list[dict[str, Any]], key: str) -> list[str]:
    return [number(_mean(runs, library, key)) for library in LIBRARIES]


def _verdicts(runs: list[dict[str, Any]]) -> str:
    told = [run["difference"]["verdict"] for run in runs]
    if len(told) == 1:
        return told[0]
    return ", ".join(f"{one} {told.count(one)}/{len(told)}" for one in dict.fromkeys(told))


def number(value: float) -> str:
    """Three digits or more.

    >>> number(0.43439), number(12.3456)
    ('0.434', '12.3')
    """
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"
