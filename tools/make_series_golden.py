"""Records what networks of transformers' own tell of series: tests/golden/series.json.

    python -m tools.make_series_golden

Run it where torch and transformers 4.57.6 are installed. Each network of tools/tiny_models/series
is given windows of random numbers, some of which were not observed. Kept are the parameters that it
tells; of the encoder-decoder those for a future that is given, and how the trajectories that
`generate` draws are distributed: each step, their sum, and how far the last is from the first.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

import numpy as np
import torch
import transformers
from transformers import AutoConfig, PatchTSTForPrediction, TimeSeriesTransformerForPrediction

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
TARGET = ROOT / "tests" / "golden" / "series.json"

ROWS, DRAWN = 3, 20_000
LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def main() -> None:
    torch.set_num_threads(1)
    recorders = {"patchtst": patched, "time_series_transformer": continued}
    cases: list[dict[str, Any]] = []
    for folder in sorted(MODELS.iterdir()):
        path = folder / "config.json"
        kind = json.loads(path.read_text())["model_type"] if path.is_file() else ""
        if kind in recorders:
            with torch.no_grad():
                found = recorders[kind](folder, AutoConfig.from_pretrained(folder))
            cases.append({"model": folder.name, **found})
    recorded = {
        "command": "python -m tools.make_series_golden",
        "transformers": transformers.__version__,
        "drawn": DRAWN,
        "levels": LEVELS,
        "cases": cases,
    }
    text = json.dumps(recorded, separators=(",", ":")).replace('{"model"', '\n{"model"')
    TARGET.write_text(text + "\n", encoding="utf-8")
    print(f"{TARGET.relative_to(ROOT)}: {len(text.encode()) / 1000:.0f} KB")


def patched(folder: Path, config: Any) -> dict[str, Any]:
    model = PatchTSTForPrediction.from_pretrained(folder, dtype=torch.float32).eval()
    feeds = windows(config.context_length)
    out = model(**{name: value.unsqueeze(2) for name, value in feeds.items()})
    df, loc, width = (part.squeeze(2) for part in out.prediction_outputs)
    middle, scale = out.loc.squeeze(2), out.scale.squeeze(2)
    told = torch.stack([df, loc * scale + middle, width * scale], dim=2)
    return {"feeds": given(feeds), "parameters": plain(told)}


def continued(folder: Path, config: Any) -> dict[str, Any]:
    model = TimeSeriesTransformerForPrediction.from_pretrained(folder, dtype=torch.float32).eval()
    past = config.context_length + max(config.lags_sequence)
    feeds = windows(past)
    future = numbers(9, ROWS, config.prediction_length) * 2
    features = covariates(config, past)
    out = model(**feeds, **features, future_values=future)
    told = {
        "parameters": plain(torch.stack(out.params, dim=2)),
        "loc": plain(out.loc),
        "scale": plain(out.scale),
    }
    model.config.num_parallel_samples = DRAWN
    torch.manual_seed(0)
    drawn = model.generate(**feeds, **features).sequences
    seen = torch.cat([drawn, drawn.sum(2, True), drawn[:, :, -1:] - drawn[:, :, :1]], dim=2)
    levels = torch.quantile(seen, torch.tensor(LEVELS), dim=1).permute(1, 2, 0)
    # What is after the end of covariates of the past is zero, and silmu is not given it.
    ahead = {"future_time_features": features["future_time_features"]}
    ahead["future_time_features"] = ahead["future_time_features"][:, :, : config.num_time_features]
    kept = given(feeds | features | ahead)
    return {
        "feeds": {name: value for name, value in kept.items() if np.size(value)},
        "future": plain(future),
        **told,
        "mean": plain(seen.mean(1)),
        "deviation": plain(seen.std(1)),
        "quantiles": plain(levels),
    }


def windows(length: int) -> dict[str, torch.Tensor]:
    """Values and which of them were observed: all, most, and only the last few."""
    mask = torch.ones(ROWS, length)
    mask[1, numbers(5, length) > 0.8] = 0
    mask[2, : length - 4] = 0
    values = 3 * numbers(1, ROWS, length).cumsum(1) + torch.tensor([[0.0], [50.0], [-7.0]])
    return {"past_values": values * mask, "past_observed_mask": mask}


def covariates(config: Any, past: int) -> dict[str, torch.Tensor]:
    known, others = config.num_time_features, config.num_dynamic_real_features
    ahead = numbers(3, ROWS, config.prediction_length, known + others)
    ahead[:, :, known:] = 0
    found = {
        "past_time_features": numbers(2, ROWS, past, known + others),
        "future_time_features": ahead,
    }
    if config.num_static_real_features:
        found["static_real_features"] = numbers(4, ROWS, config.num_static_real_features)
    if config.num_static_categorical_features:
        random = np.random.default_rng(6)
        columns = [random.integers(0, levels, ROWS) for levels in config.cardinality]
        found["static_categorical_features"] = torch.from_numpy(np.stack(columns, axis=1))
    return found


def numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def given(feeds: dict[str, torch.Tensor]) -> dict[str, Any]:
    return {name: value.tolist() for name, value in feeds.items()}


def plain(value: torch.Tensor) -> Any:
    if value.ndim == 0:
        return float(f"{value.item():.7g}")
    return [plain(row) for row in value]


if __name__ == "__main__":
    main()
