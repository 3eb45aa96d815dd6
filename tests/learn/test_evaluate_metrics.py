"""The metrics against scikit-learn, and their intervals against a known truth."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as judge

from silmu.steps.evaluate.comparison import compare, sentence
from silmu.steps.evaluate.intervals import resample, wilson, with_intervals
from silmu.steps.evaluate.metrics import Scored, measure, row_sums, total
from silmu.steps.evaluate.report import Metric


def probabilities(random: np.random.Generator, rows: int, labels: int) -> NDArray[np.float32]:
    logits = random.normal(size=(rows, labels)) * 2
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def draw(kind: str, seed: int, rows: int, labels: int) -> Scored:
    """Random rows; coarse scores, so that there are ties."""
    random = np.random.default_rng(seed)
    if kind == "number":
        target = random.normal(1e6, 3, rows)
        return Scored.of(kind, target, target + random.normal(size=rows))
    if kind == "multiple":
        target = (random.random((rows, labels)) < 0.3).astype(np.uint8)
        outputs = np.round(random.random((rows, labels)), 1).astype(np.float32)
        return Scored.of(kind, target, outputs, random.random(labels))
    outputs = probabilities(random, rows, labels)
    if seed % 2 and labels == 2:
        outputs = np.round(outputs, 1)
    return Scored.of(kind, random.integers(0, labels, rows), outputs)


def found(scored: Scored) -> dict[str, float]:
    return {k: float(v) for k, v in measure(scored.kind, total(row_sums(scored))).items()}


def all_metrics(scored: Scored, groups: Any = None, **options: Any) -> dict[str, Metric]:
    sums = row_sums(scored)
    drawn = resample([sums], groups, **options)[0]
    units = None if groups is None else len(np.unique(groups))
    return with_intervals(scored, sums, drawn, units=units)


# ── values ─────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60), st.integers(2, 5))
def test_single_as_scikit_learn(seed: int, rows: int, labels: int) -> None:
    scored = draw("ordered", seed, rows, labels)
    mine, true, said = found(scored), scored.targets, scored.predictions
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = {
            "accuracy": judge.accuracy_score(true, said),
            "balanced_accuracy": judge.balanced_accuracy_score(true, said),
            "f1_macro": judge.f1_score(true, said, average="macro", zero_division=np.nan),
            "log_loss": judge.log_loss(true, scored.outputs, labels=range(labels)),
            "mean_absolute_error": judge.mean_absolute_error(true, said),
            "quadratic_kappa": judge.cohen_kappa_score(
                true, said, weights="quadratic", labels=range(labels)
            ),
        }
    areas = [
        judge.roc_auc_score(true == k, scored.outputs[:, k])
        for k in range(labels)
        if 0 < (true == k).sum() < rows
    ]
    expected["roc_auc"] = float(np.mean(areas)) if areas else float("nan")
    for name, value in expected.items():
        assert mine[name] == pytest.approx(value, abs=1e-5, nan_ok=True), name


def test_auc_as_scikit_learns_macro_one_against_rest() -> None:
    scored = draw("single", 4, 300, 4)
    expected = judge.roc_auc_score(scored.targets, scored.outputs, multi_class="ovr")
    assert found(scored)["roc_auc"] == pytest.approx(expected, abs=1e-12)
    scored = draw("single", 5, 300, 2)
    expected = judge.roc_auc_score(scored.targets, scored.outputs[:, 1])
    assert found(scored)["roc_auc"] == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 60), st.integers(1, 5))
def test_multiple_as_scikit_learn(seed: int, rows: int, labels: int) -> None:
    scored = draw("multiple", seed, rows, labels)
    mine, true, said = found(scored), scored.targets, scored.predictions
    areas = [
        judge.roc_auc_score(true[:, k], scored.outputs[:, k])
        for k in range(labels)
        if 0 < true[:, k].sum() < rows
    ]
    losses = [
        judge.log_loss(true[:, k], scored.outputs[:, k].astype(np.float32), labels=[0, 1])
        for k in range(labels)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some = [k for k in range(labels) if true[:, k].any() or said[:, k].any()]
        each = [judge.f1_score(true[:, k], said[:, k]) for k in some]
        micro = judge.f1_score(true.ravel(), said.ravel())
    expected = {
        "f1_macro": np.mean(each) if each else np.nan,
        "f1_micro": micro if each else np.nan,
        "accuracy": (true == said).all(axis=1).mean(),
        "hamming_loss": (true != said).mean(),
        "roc_auc": np.mean(areas) if areas else np.nan,
        "log_loss": np.mean(losses),
    }
    for name, value in expected.items():
        assert mine[name] == pytest.approx(value, abs=1e-5, nan_ok=True), name


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 60))
def test_number_as_scikit_learn(seed: int, rows: int) -> None:
    scored = draw("number", seed, rows, 0)
    mine = found(scored)
    true, said = scored.targets, scored.outputs
    assert mine["mean_absolute_error"] == pytest.approx(judge.mean_absolute_error(true, said))
    assert mine["root_mean_squared_error"] == pytest.approx(
        judge.root_mean_squared_error(true, said)
    )
    assert mine["r2"] == pytest.approx(judge.r2_score(true, said), abs=1e-6)


def test_calibration_error_by_hand() -> None:
    outputs = np.array([[0.95, 0.05], [0.95, 0.05], [0.3, 0.7], [0.35, 0.65]], np.float32)
    scored = Scored.of("single", np.array([0, 1, 1, 1]), outputs)
    # One bin: 2 rows, 0.95 sure, half right. Two bins of one row each: 0.7 and 0.65, both right.
    expected = (2 * 0.45 + 0.3 + 0.35) / 4
    assert found(scored)["expected_calibration_error"] == pytest.approx(expected, abs=1e-6)


def test_one_label_only_leaves_out_what_cannot_be_told() -> None:
    scored = Scored.of("single", np.zeros(30, np.int64), np.full((30, 2), 0.5, np.float32))
    metrics = all_metrics(scored)
    assert "roc_auc" not in metrics
    assert metrics["accuracy"].value == 1


# ── intervals ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", [1, 20, 3000])
def test_no_mistake_in_n_is_at_most_three_in_n(n: int) -> None:
    low, high = wilson(n, n)
    assert high == 1
    assert 1 - low == pytest.approx(min(0.95, 3 / n), rel=0.08)
    assert wilson(0, n) == pytest.approx((0, 1 - low))


@pytest.mark.parametrize("kind", ["single", "ordered", "multiple"])
def test_a_model_without_mistakes_is_not_sure_of_it(kind: str) -> None:
    scored = draw(kind, 1, 200, 3)
    outputs = scored.targets if kind == "multiple" else np.eye(3)[scored.targets]
    metrics = all_metrics(Scored.of(kind, scored.targets, outputs.astype(np.float32)))
    for name, metric in metrics.items():
        if name not in ("log_loss", "expected_calibration_error"):
            assert metric.high - metric.low > 0.002, name
    assert metrics["accuracy"].low == pytest.approx(1 - 3 / 200, abs=1e-3)


def truth_and_draws(kind: str, rows: int, groups: bool, draws: int = 400) -> Any:
    """A world whose true metrics are those of very many rows, and a way to draw rows of it."""

    def world(seed: int, rows: int) -> tuple[Scored, NDArray[np.int64] | None]:
        random = np.random.default_rng(seed)
        number = random.integers(0, max(1, rows // 10), rows) if groups else None
        tilt = random.normal(size=rows) if number is None else random.normal(size=rows)[number]
        if kind == "number":
            target = random.normal(0, 2, rows)
            return Scored.of(kind, target, target + tilt + 0.3), number
        if kind == "multiple":
            chance = 1 / (1 + np.exp(-random.normal(-1, 1, (rows, 3)) - tilt[:, None] / 2))
            target = (random.random((rows, 3)) < chance).astype(np.uint8)
            return Scored.of(kind, target, chance.astype(np.float32), np.full(3, 0.4)), number
        logits = random.normal(size=(rows, 3)) + np.array([0.5, 0.0, -0.5])
        logits[:, 0] += tilt
        raised = np.exp(logits)
        chance = raised / raised.sum(axis=1, keepdims=True)
        target = (random.random((rows, 1)) > chance.cumsum(axis=1)).sum(axis=1)
        sure = np.exp(1.5 * logits)
        sure /= sure.sum(axis=1, keepdims=True)
        return Scored.of(kind, np.minimum(target, 2), sure.astype(np.float32)), number

    return found(world(10**6, 300_000)[0]), [
        world(seed, rows) for seed in range(10_000, 10_000 + draws)
    ]


@pytest.mark.parametrize(
    ("kind", "groups"),
    [("ordered", False), ("ordered", True), ("multiple", False), ("number", False)],
)
def test_intervals_hold_the_truth_in_95_of_100_cases(kind: str, groups: bool) -> None:
    truth, draws = truth_and_draws(kind, 300, groups, 500)
    covered = dict.fromkeys(truth, 0)
    for seed, (scored, number) in enumerate(draws):
        for name, metric in all_metrics(scored, number, resamples=250, seed=seed).items():
            covered[name] += metric.low <= truth[name] <= metric.high
    shares = {name: hits / len(draws) for name, hits in covered.items()}
    assert all(0.92 <= share <= 0.98 for share in shares.values()), shares


def test_rows_of_groups_are_not_taken_to_be_independent() -> None:
    # The planted fault: groups that nobody told of.
    truth, draws = truth_and_draws("number", 400, True, 200)
    covered = 0
    for scored, _ in draws:
        metric = all_metrics(scored, None, resamples=200)["mean_absolute_error"]
        covered += metric.low <= truth["mean_absolute_error"] <= metric.high
    assert covered / len(draws) < 0.7


def test_on_noise_the_interval_holds_chance() -> None:
    held = dict.fromkeys(("accuracy", "balanced_accuracy", "roc_auc"), 0)
    for seed in range(200):
        random = np.random.default_rng(seed)
        scored = Scored.of("single", random.integers(0, 2, 300), probabilities(random, 300, 2))
        metrics = all_metrics(scored, resamples=300)
        for name in held:
            held[name] += metrics[name].low <= 0.5 <= metrics[name].high
    assert min(held.values()) >= 0.93 * 200, held


@pytest.mark.parametrize("kind", ["single", "ordered", "multiple", "number"])
@pytest.mark.parametrize("groups", [False, True])
def test_the_order_of_rows_changes_nothing(kind: str, groups: bool) -> None:
    scored = draw(kind, 3, 150, 3)
    number = np.arange(150) // 7 if groups else None
    order = np.random.default_rng(1).permutation(150)
    # Groups may be numbered otherwise, too.
    again = all_metrics(scored.take(order), None if number is None else (99 - number)[order])
    for name, metric in all_metrics(scored, number).items():
        for one, other in zip(vars(metric).values(), vars(again[name]).values(), strict=True):
            assert one == pytest.approx(other, abs=1e-8), name


# ── comparison ─────────────────────────────────────────────────────────────────────────────────


def compared(metric: str, ours: Scored, theirs: Scored, groups: Any = None) -> dict[str, Any]:
    sums = [row_sums(ours), row_sums(theirs)]
    drawn = resample(sums, groups, resamples=1000)
    parts = [(s, total(t), d) for s, t, d in zip((ours, theirs), sums, drawn, strict=True)]
    units = None if groups is None else len(np.unique(groups))
    return compare(metric, parts[0], parts[1], name="tfidf", title="the other", units=units)


def of_accuracy(targets: NDArray[np.int64], share: float, seed: int) -> Scored:
    random = np.random.default_rng(seed)
    said = np.where(random.random(len(targets)) < share, targets, 1 - targets)
    outputs = np.eye(2)[said] * 0.8 + 0.1
    return Scored.of("single", targets, outputs.astype(np.float32))


def test_a_planted_difference_is_found_both_ways() -> None:
    targets = np.random.default_rng(0).integers(0, 2, 1000)
    good, poor = of_accuracy(targets, 0.85, 1), of_accuracy(targets, 0.78, 2)
    better, worse = compared("accuracy", good, poor), compared("accuracy", poor, good)
    assert better["verdict"] == "better"
    assert 0 < better["low"] < better["difference"] < better["high"]
    assert better["mcnemar"]["p"] < 0.05
    assert better["sentence"].startswith("better than the other by ")
    assert worse["verdict"] == "worse"
    assert worse["difference"] == pytest.approx(-better["difference"])
    assert compared("log_loss", good, poor)["verdict"] == "better"


def test_equal_models_show_no_clear_difference() -> None:
    targets = np.random.default_rng(0).integers(0, 2, 400)
    same = of_accuracy(targets, 0.8, 1)
    assert compared("accuracy", same, same)["verdict"] == "no clear difference"
    verdicts = [
        compared(
            "accuracy",
            of_accuracy(targets, 0.8, seed),
            of_accuracy(targets, 0.8, -seed - 1 + 10**6),
        )["verdict"]
        for seed in range(60)
    ]
    assert verdicts.count("no clear difference") >= 54


def test_four_rows_alone_are_no_clear_difference() -> None:
    targets = np.zeros(200, np.int64)
    worse = targets.copy()
    worse[:4] = 1
    ours, theirs = (
        Scored.of("single", targets, np.eye(2, dtype=np.float32)[said]) for said in (targets, worse)
    )
    found = compared("accuracy", ours, theirs)
    assert found["mcnemar"] == {"only_model": 4, "only_baseline": 0, "p": 0.125}
    assert found["verdict"] == "no clear difference"
    # The interval alone would say that it is clear, so the sentence says why it is not.
    assert found["low"] > 0
    assert found["sentence"].endswith("; too few answers differ (McNemar p = 0.12)")


def test_a_difference_of_one_group_is_not_clear() -> None:
    targets = np.random.default_rng(0).integers(0, 2, 300)
    theirs = of_accuracy(targets, 0.8, 1)
    outputs = theirs.outputs.copy()
    outputs[:40] = np.eye(2)[targets[:40]] * 0.8 + 0.1  # better in the first group only
    ours = Scored.of("single", targets, outputs)
    assert compared("accuracy", ours, theirs)["verdict"] == "better"
    grouped = compared("accuracy", ours, theirs, np.arange(300) // 40)
    assert grouped["verdict"] == "no clear difference"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("accuracy", 0.021, 0.008, 0.034, "better"), "better than it by 2.1 points (0.8 to 3.4)"),
        (("accuracy", -0.021, -0.034, -0.008, "worse"), "worse than it by 2.1 points (0.8 to 3.4)"),
        (
            ("accuracy", -0.0001, -0.01, 0.01, "no clear difference"),
            "no clear difference to it: 0.0 points (-1.0 to 1.0)",
        ),
        (
            ("mean_absolute_error", 0.25, 0.2, 0.31, "better"),
            "better than it by 0.25 (0.2 to 0.31)",
        ),
    ],
)
def test_sentences(arguments: Any, words: str) -> None:
    assert sentence(*arguments, "it").startswith(words + " in ")
