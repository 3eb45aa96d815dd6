"""deepchecks' suites data_integrity and train_test_validation on data sets that compare.py wrote.

    python peer_deepchecks.py JOBS.json ANSWERS.json

Tables are read by pandas with its defaults and given whole to the suites of deepchecks.tabular,
with what compare.py tells every tool: the target, and where given the group as index and the times.
Where the data says which rows are for training and test, these are; else a fifth is dealt to the
test. Rows for validation are in data_integrity only. Texts go to the suites of deepchecks.nlp, with
sentence embeddings, and with those of its properties that need no download; the columns beside the
text, with the target, go to those of deepchecks.tabular. The tokenizer of UnknownTokens has the
vocabulary of its default, bert-base-uncased, and scikit-learn's stop words stand in for NLTK's
where these cannot be had. Every other setting is the default, but for the outliers: see rules.py.
"""

from __future__ import annotations

import functools
import json
import logging
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PROPERTIES = {
    "Text Length": "text_length",
    "Average Word Length": "average_word_length",
    "Max Word Length": "max_word_length",
    "% Special Characters": "percentage_special_characters",
    "% Punctuation": "percentage_punctuation",
    "Sentiment": "sentiment",
    "Subjectivity": "subjectivity",
}
"""Those of deepchecks' default properties that need no download, and their functions."""

OF_WHOLE_ROWS = ("DataDuplicates", "ConflictingLabels", "TrainTestSamplesMix")
"""What these say of columns without the text beside them means nothing."""


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.disable(logging.ERROR)
    stand_in()
    jobs = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    answer = Path(sys.argv[2])
    answers: dict[str, Any] = json.loads(answer.read_bytes()) if answer.exists() else {}
    for number, job in enumerate(jobs, 1):
        if answers.get(job["id"], {}).get("digest") == job["digest"]:
            continue
        began = time.process_time()
        rows = pd.read_csv(job["csv"])
        signals = asked(texts, rows, job) if job["text"] else []
        beside = rows.drop(columns=job["text"] or [])
        prefix = "columns/" if job["text"] else ""
        for one in asked(tabular, beside, job):
            if not (job["text"] and one["kind"] in OF_WHOLE_ROWS):
                signals.append({**one, "kind": f"{prefix}{one['kind']}"})
        seconds = time.process_time() - began
        answers[job["id"]] = {"digest": job["digest"], "signals": signals, "seconds": seconds}
        answer.write_text(json.dumps(answers), encoding="utf-8")
        print(f"{number}/{len(jobs)} {job['id']}", file=sys.stderr)


def stand_in() -> None:
    """Asks for NLTK's stop words once, not with every text, and has others where there are none.

    Without any, deepchecks would not take words apart, and miss copies that differ by a blank.
    """
    import nltk
    from deepchecks.nlp.utils import text as texts_of
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    nltk.download = functools.cache(nltk.download)
    if not nltk.download("stopwords", quiet=True):
        texts_of.remove_stopwords = lambda text: " ".join(
            word for word in text.split() if word.lower() not in ENGLISH_STOP_WORDS
        )


def asked(look: Callable[..., list[dict[str, Any]]], *given: Any) -> list[dict[str, Any]]:
    """What suites say, or why they refuse the data."""
    from deepchecks.core.errors import DeepchecksBaseError

    try:
        return look(*given)
    except (DeepchecksBaseError, ValueError) as error:  # the latter of pandas, of its cells
        return [{"kind": "refused", "says": str(error)}]


def sides(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Places of the rows to learn from and of those for the test."""
    if "split" in rows:
        return tuple(np.flatnonzero(rows["split"] == one) for one in ("train", "test"))  # type: ignore[return-value]
    order = np.random.default_rng(0).permutation(len(rows))
    return np.sort(order[len(rows) // 5 :]), np.sort(order[: len(rows) // 5])


def tabular(rows: pd.DataFrame, job: dict[str, Any]) -> list[dict[str, Any]]:
    from deepchecks.tabular import Dataset
    from deepchecks.tabular.checks import OutlierSampleDetection
    from deepchecks.tabular.suites import data_integrity, train_test_validation

    kind = "regression" if job["answers"] == "numbers" else None
    if kind and not pd.api.types.is_numeric_dtype(rows[job["target"]]):
        kind = None  # a target with words in it is none of numbers to it

    def dataset(part: pd.DataFrame, levels: list[str] | None = None) -> Any:
        return Dataset(
            part.drop(columns="split", errors="ignore"),
            label=job["target"],
            index_name=job["group"],
            datetime_name=job["time"],
            label_type=kind,
            cat_features=levels,
        )

    def integrity() -> list[dict[str, Any]]:
        suite = data_integrity()
        for number, one in list(suite.checks.items()):
            if isinstance(one, OutlierSampleDetection):
                suite.remove(number)
        return conditions(suite.run(whole, with_display=False))

    def validation() -> list[dict[str, Any]]:
        parts = (dataset(rows.iloc[side], whole.cat_features) for side in sides(rows))
        return conditions(train_test_validation().run(*parts, with_display=False))

    whole = dataset(rows)
    found = [*asked(integrity), *asked(validation)]
    return found + outlying(whole, OutlierSampleDetection())


def outlying(dataset: Any, check: Any) -> list[dict[str, Any]]:
    from deepchecks.core.errors import DeepchecksBaseError

    try:
        result = check.add_condition_outlier_ratio_less_or_equal().run(dataset)
    except DeepchecksBaseError:
        return []
    found = failing(result)
    shown = [one for one in result.display if isinstance(one, pd.DataFrame)]
    for one in found:
        one["says"] = ""
        one["rows"] = [int(row) + 1 for row in shown[0].index]
    return found


def texts(rows: pd.DataFrame, job: dict[str, Any]) -> list[dict[str, Any]]:
    from deepchecks.core import CheckResult
    from deepchecks.nlp import TextData
    from deepchecks.nlp.suites import data_integrity, train_test_validation
    from deepchecks.nlp.utils import text_properties
    from transformers import AutoTokenizer

    vectors = np.load(job["embeddings"])
    told = rows[job["target"]]
    has_label = told.notna() & (told.astype(str).str.strip() != "")

    def dataset(places: np.ndarray) -> Any:
        part = rows.iloc[places]
        data = TextData(
            part[job["text"]].fillna("").tolist(),
            label=[str(one) for one in part[job["target"]]],
            task_type="text_classification",
            metadata=part.drop(columns=[job["text"], job["target"], "split"], errors="ignore"),
            embeddings=vectors[places],
        )
        # `calculate_builtin_properties` asks for a model of languages, whatever is calculated.
        values = {
            name: [getattr(text_properties, function)(text) for text in data.text]
            for name, function in PROPERTIES.items()
        }
        data.set_properties(pd.DataFrame(values), categorical_properties=[])
        return data

    kept = np.flatnonzero(has_label)
    train, test = (np.intersect1d(one, kept) for one in sides(rows))
    words = AutoTokenizer.from_pretrained(job["tokenizer"])
    result = data_integrity(tokenizer=words).run(dataset(kept), with_display=False)
    signals = [one for one in conditions(result) if one["kind"] != "TextPropertyOutliers"]
    for one in result.results:
        if isinstance(one, CheckResult) and type(one.check).__name__ == "TextPropertyOutliers":
            signals += properties(one.value, kept)
    signals += conditions(
        train_test_validation().run(dataset(train), dataset(test), with_display=False)
    )
    return signals


def properties(value: dict[str, Any], kept: np.ndarray) -> list[dict[str, Any]]:
    return [
        {"kind": "TextPropertyOutliers", "rows": [int(kept[i]) + 1 for i in one["indices"]]}
        for one in value.values()
        if isinstance(one, dict) and len(one["indices"])
    ]


def conditions(result: Any) -> list[dict[str, Any]]:
    from deepchecks.core import CheckResult

    return [one for r in result.results if isinstance(r, CheckResult) for one in failing(r)]


def failing(result: Any) -> list[dict[str, Any]]:
    """The conditions of a check that did not pass."""
    return [
        {
            "kind": type(result.check).__name__,
            "says": one.details,
            "category": one.category.value,
        }
        for one in result.conditions_results
        if not one.is_pass()
    ]


if __name__ == "__main__":
    main()
