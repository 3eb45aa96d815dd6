"""cleanlab's Datalab on data sets that compare.py wrote, with its defaults.

    python peer_cleanlab.py JOBS.json ANSWERS.json

As its guides do it: all splits together; features, and probabilities of a logistic regression (for
numbers predictions of a linear one) from five-fold cross-validation. Features of a text are its
sentence embedding. Those of a table are its numbers and times, standardised, the median where none
is, and levels of columns that have 30 at most, one-hot; a column is one of numbers where nine in
ten of its cells are. Other columns are left out, as are rows without a target, which Datalab does
not take. Gaps are shown to it by a call of their own, for `null` alone.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from cleanlab import Datalab
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_predict

LEVELS = 30


def main() -> None:
    warnings.filterwarnings("ignore")
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = Path(sys.argv[2])
    answers: dict[str, Any] = json.loads(answer.read_bytes()) if answer.exists() else {}
    for job in jobs:
        if answers.get(job["id"], {}).get("digest") == job["digest"]:
            continue
        began = time.process_time()
        signals = look(job)
        seconds = time.process_time() - began
        answers[job["id"]] = {"digest": job["digest"], "signals": signals, "seconds": seconds}
        answer.write_text(json.dumps(answers), encoding="utf-8")


def look(job: dict[str, Any]) -> list[dict[str, Any]]:
    rows = pd.read_csv(job["csv"])
    target = rows[job["target"]]
    if job["answers"] == "numbers":
        target = pd.to_numeric(target, errors="coerce")
    kept = np.flatnonzero(target.notna() & (target.astype(str).str.strip() != ""))
    rows, target = rows.iloc[kept], target.iloc[kept]
    if job["embeddings"]:
        features = np.load(job["embeddings"])[kept]
        gaps = np.where(rows[[job["text"]]].isna(), np.nan, 1.0)
    else:
        features, gaps = encoded(rows.drop(columns=[job["target"], "split"], errors="ignore"))
    signals = []
    labels = target.to_numpy()
    numbers = job["answers"] == "numbers"
    if not numbers:
        labels = labels.astype(str)
    task = "regression" if numbers else "classification"
    lab = Datalab({"y": labels}, task=task, label_name="y", verbosity=0)
    told = predicted(features, labels, numbers)
    given = {"features": features} if told is None else {"features": features, "pred_probs": told}
    lab.find_issues(**given)
    signals += issues(lab, kept)
    other = Datalab({"y": labels}, task=task, label_name="y", verbosity=0)
    other.find_issues(features=gaps, issue_types={"null": {}})
    return signals + [one for one in issues(other, kept) if one["kind"] == "null"]


def issues(lab: Datalab, kept: np.ndarray) -> list[dict[str, Any]]:
    """Types of issue that a row has, and those rows, numbered from 1, the worst first."""
    signals = []
    for kind in lab.get_issue_summary()["issue_type"]:
        found = lab.get_issues(kind)
        flagged = found[found[f"is_{kind}_issue"]].sort_values(f"{kind}_score", kind="stable")
        if not len(flagged):
            continue
        places = flagged.index.to_numpy()
        signal: dict[str, Any] = {"kind": kind, "rows": (kept[places] + 1).tolist()}
        if kind == "non_iid":
            signal["rows"] = None  # it is about the whole
        if kind == "near_duplicate":
            signal["together"] = {
                int(kept[place]) + 1: (kept[np.asarray(others, int)] + 1).tolist()
                for place, others in zip(places, flagged["near_duplicate_sets"], strict=True)
            }
        signals.append(signal)
    return signals


def predicted(features: np.ndarray, labels: np.ndarray, numbers: bool) -> np.ndarray | None:
    if len(set(labels.tolist())) < 2:
        return None
    if numbers:
        return cross_val_predict(Ridge(), features, labels)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=1000)
    told = cross_val_predict(model, features, labels, cv=folds, method="predict_proba")
    return told / told.sum(1, keepdims=True)


def encoded(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """(rows, features) without a gap, and (rows, columns) that are NaN where a cell is empty."""
    pieces: list[np.ndarray] = []
    for name in rows:
        cells = rows[name]
        told = cells.notna()
        numbers = pd.to_numeric(cells, errors="coerce")
        if numbers.notna().sum() < 0.9 * told.sum():
            times = pd.to_datetime(cells, errors="coerce", format="%Y-%m-%d")
            numbers = (times - pd.Timestamp("2000-01-01")).dt.days.astype(float)
        if numbers.notna().sum() >= 0.9 * told.sum() and told.any():
            filled = numbers.fillna(numbers.median())
            pieces.append(((filled - filled.mean()) / (filled.std() or 1)).to_numpy()[:, None])
        elif 0 < cells.nunique() <= LEVELS:
            pieces.append(pd.get_dummies(cells).to_numpy(float))
    return np.concatenate(pieces, 1), np.where(rows.isna(), np.nan, 1.0)


if __name__ == "__main__":
    main()
