"""One forecaster of Nixtla on series that compare.py wrote: learns them, and tells the same steps.

    python peer.py JOB.json SERIES.npz ANSWER.npz

Runs in an environment of its own, with neuralforecast and statsforecast. Networks keep their own
defaults but for the windows' two lengths, the deciles as what is learnt, and a stop after
`PATIENCE` validations, `BETWEEN` steps apart, without a better one, or after the seconds of the
job, of processor time and thread. Windows are normalised by their mean and deviation, as silmu's
are: the default of recurrent networks, by median and median deviation, divides by nothing where a
series stands still. PatchTST does it by itself. Those that can read what is known ahead are given
the same calendar as silmu's, but for columns that stand still in a window: they are normalised by
it too, and what comes after it would be divided by next to nothing. Series are told to them without
gaps: what was not observed is the value before it.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
PATIENCE, BETWEEN = 5, 20
NETWORKS = {
    "rnn": "RNN",
    "lstm": "LSTM",
    "gru": "GRU",
    "tcn": "TCN",
    "patchtst": "PatchTST",
    "transformer": "VanillaTransformer",
    "dlinear": "DLinear",
}
FITTED = 2000
"""So many of the newest steps of the training ETS is fitted to."""
SEEN = 4000
"""So many steps before an origin ETS runs over at most."""
SHORTEST = 16
LONGEST = 24
"""The longest season that ETS holds itself; a longer one is taken off by MSTL."""


def main() -> None:
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with np.load(sys.argv[2]) as file:
        given = dict(file)
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    values = [filled(one) for one in np.split(given["values"], given["starts"][1:-1])]
    tell = ets if job["network"] == "ets" else network
    told, about = tell(job, values, given)
    np.savez(sys.argv[3], told=told)
    print(json.dumps(about))


def filled(values: np.ndarray) -> np.ndarray:
    return pd.Series(values).ffill().bfill().to_numpy()


def network(
    job: dict[str, Any], values: list[np.ndarray], given: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, Any]]:
    """(windows, steps, LEVELS) of a network of NeuralForecast, and what it cost."""
    import torch
    from neuralforecast import NeuralForecast, models
    from neuralforecast.losses.pytorch import MQLoss
    from pytorch_lightning import Callback

    class Limit(Callback):
        """Ends training after so much processor time."""

        def on_train_batch_end(self, trainer: Any, *_: Any) -> None:
            used = time.process_time() - began[1]
            trainer.should_stop |= used > job["seconds"] * job["threads"]

    torch.set_num_threads(job["threads"])
    context, ahead = job["context_length"], job["prediction_length"]
    ends, cuts = given["train_ends"], given["test_starts"]
    kind = getattr(models, NETWORKS[job["network"]])
    calendars = np.split(given["calendar"], given["starts"][1:-1])
    moves = moving(calendars, context) & kind.EXOGENOUS_FUTR
    calendars = [one[:, moves] for one in calendars]
    names = [f"calendar_{i}" for i in range(calendars[0].shape[1])]
    frame = pd.concat(
        table(str(i), one[: cuts[i]], calendars[i][: cuts[i]])
        for i, one in enumerate(values)
        if ends[i] > ahead
    )
    validation = int((cuts - ends).max())
    model = kind(
        scaler_type="identity" if job["network"] == "patchtst" else "standard",
        futr_exog_list=names or None,
        val_check_steps=BETWEEN,
        h=ahead,
        input_size=context,
        loss=MQLoss(quantiles=LEVELS),
        early_stop_patience_steps=PATIENCE,
        start_padding_enabled=True,
        random_seed=job["seed"],
        callbacks=[Limit()],
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        enable_checkpointing=False,
        accelerator="cpu",
    )
    forecaster = NeuralForecast([model], freq=1)
    began = time.perf_counter(), time.process_time()
    forecaster.fit(frame, val_size=validation)
    ended = time.perf_counter(), time.process_time()
    trained = forecaster.models[0]
    pieces: list[pd.DataFrame] = []
    future: list[pd.DataFrame] = []
    for number, (which, end) in enumerate(zip(given["which"], given["ends"], strict=True)):
        name, seen = f"{number:06}", slice(max(0, end - context), end)
        pieces.append(table(name, values[which][seen], calendars[which][seen]))
        coming = table(name, np.zeros(ahead), calendars[which][end : end + ahead])
        coming["ds"] += len(pieces[-1])
        future.append(coming.drop(columns="y"))
    start = time.perf_counter()
    known = {"futr_df": pd.concat(future)} if names else {}
    answer = forecaster.predict(pd.concat(pieces), **known).sort_values(["unique_id", "ds"])
    columns = [name for name in answer.columns if name not in ("unique_id", "ds")]
    told = answer[columns].to_numpy().reshape(len(pieces), ahead, len(LEVELS))
    return np.sort(told, axis=-1), {
        "seconds": ended[0] - began[0],
        "processor_seconds": ended[1] - began[1],
        "forecasting": time.perf_counter() - start,
        "parameters": sum(one.numel() for one in trained.parameters()),
        "steps": int(getattr(trained, "train_trajectories", [(0,)])[-1][0]) + 1,
    }


def moving(calendars: list[np.ndarray], context: int) -> np.ndarray:
    """Which columns vary in every window, to at least a hundredth of how they vary in all."""
    found = np.ones(calendars[0].shape[1], bool)
    whole = np.concatenate(calendars).std(0)
    for one in calendars:
        windows = np.lib.stride_tricks.sliding_window_view(one, min(context, len(one)), axis=0)
        found &= (windows.std(-1) > 0.01 * whole).all(0)
    return found


def ets(
    job: dict[str, Any], values: list[np.ndarray], given: dict[str, np.ndarray]
) -> tuple[np.ndarray, dict[str, Any]]:
    """AutoETS, fitted once to what lies before the test, its states carried on to each origin."""
    from statsforecast.models import MSTL, AutoETS

    ahead, season = job["prediction_length"], job["season"]
    told = np.full((len(given["which"]), ahead, len(LEVELS)), np.nan)
    levels = [20, 40, 60, 80]
    fitting = forecasting = 0.0
    for number in np.unique(given["which"]):
        own = np.flatnonzero(given["which"] == number)
        # A series that begins within the test is fitted at its first origin.
        cut = max(int(given["test_starts"][number]), int(given["ends"][own[0]]))
        if int(given["test_starts"][number]) >= SHORTEST:
            cut = int(given["test_starts"][number])
        history = values[number]
        if season > LONGEST and 2 * season < cut:
            model = MSTL(season_length=season, trend_forecaster=AutoETS(model="ZZN"))
        else:
            model = AutoETS(season_length=season if season <= LONGEST else 1)
        began = time.perf_counter()
        model = model.fit(history[max(0, cut - max(FITTED, 3 * season)) : cut])
        fitting += time.perf_counter() - began
        began = time.perf_counter()
        for place in own:
            end = int(given["ends"][place])
            seen = history[max(0, end - max(SEEN, 3 * season)) : end]
            found = model.forward(seen, h=ahead, level=levels)
            columns = [found[f"lo-{one}"] for one in reversed(levels)]
            columns += [found["mean"], *(found[f"hi-{one}"] for one in levels)]
            told[place] = np.stack(columns, axis=-1)
        forecasting += time.perf_counter() - began
    return told, {"seconds": fitting, "forecasting": forecasting}


def table(name: str, values: np.ndarray, calendar: np.ndarray) -> pd.DataFrame:
    columns = {f"calendar_{i}": one for i, one in enumerate(calendar.T)}
    return pd.DataFrame({"unique_id": name, "ds": np.arange(len(values)), "y": values, **columns})


if __name__ == "__main__":
    os.environ["NIXTLA_ID_AS_COL"] = "1"
    main()
