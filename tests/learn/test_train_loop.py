"""The loop and its parts: what a step computes, when it stops, what it says."""

from __future__ import annotations

import io
import json
import math
import os
import re
import signal
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from train_child import Reader, Sequences, digest, training

import silmu
from silmu import store
from silmu.errors import Interrupted, StoreError, TrainingError, UsageError
from silmu.steps import train as step
from silmu.steps.train import checkpoints, progress
from silmu.steps.train.batches import Plan, derive, load
from silmu.steps.train.checkpoints import Checkpoints, State
from silmu.steps.train.loop import fit
from silmu.steps.train.optimizers import Average, Optimizer, prepare_gradients, share
from silmu.steps.train.progress import Progress
from silmu.steps.train.provenance import versions
from silmu.steps.train.ranks import Ranks

QUIET = Progress(quiet=True)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def settings(**changed: object) -> Any:
    return training(**{"checkpoint_seconds": 1e9, "average": None, **changed})


def log(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# ── the order of the examples ──────────────────────────────────────────────────────────────────


LENGTHS = np.random.default_rng(1).integers(3, 200, 1003)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
def test_every_epoch_has_every_example_once(lengths: Any) -> None:
    plan = Plan(1003, 16, seed=3, lengths=lengths)
    epochs = []
    for epoch in range(3):
        steps = range(epoch * plan.per_epoch, (epoch + 1) * plan.per_epoch)
        epochs.append(np.concatenate([plan.indices(one) for one in steps]))
        assert sorted(epochs[-1]) == list(range(1003))
        assert {len(plan.indices(one)) for one in steps} == {16, 1003 % 16}
    assert not np.array_equal(epochs[0], epochs[1])
    # Any step is reached without those before it, and another seed has another order.
    alone = Plan(1003, 16, seed=3, lengths=lengths)
    last = 3 * plan.per_epoch - 1
    assert np.array_equal(alone.indices(last), plan.indices(last))
    other = Plan(1003, 16, seed=4, lengths=lengths)
    assert not np.array_equal(other.indices(last), plan.indices(last))


def test_the_order_is_the_same_for_ever() -> None:
    # Golden, for a checkpoint of today must be gone on from with the numpy of tomorrow.
    assert Plan(8, 3, seed=0).indices(0).tolist() == GOLDEN_ORDER
    assert derive(0, "order", 0) == GOLDEN_SEED


GOLDEN_ORDER = [3, 5, 1]
GOLDEN_SEED = 2094333682667709378


def test_buckets_save_padding_and_stay_shuffled() -> None:
    def padded(plan: Plan) -> int:
        batches = [plan.indices(one) for one in range(plan.per_epoch)]
        return sum(len(batch) * int(LENGTHS[batch].max()) for batch in batches)

    bucketed = Plan(1003, 16, seed=3, lengths=LENGTHS)
    assert (
        padded(bucketed)
        < 1.1 * LENGTHS.sum()
        < 1.5 * LENGTHS.sum()
        < padded(Plan(1003, 16, seed=3))
    )
    means = [LENGTHS[bucketed.indices(one)].mean() for one in range(bucketed.per_epoch)]
    # Neither rising nor falling, but for the first, which needs the most memory.
    assert abs(np.corrcoef(means[1:], range(1, len(means)))[0, 1]) < 0.3
    assert LENGTHS[bucketed.indices(0)].max() == LENGTHS.max()
    # And in the next epoch other examples meet.
    mates = [
        {frozenset(plan.tolist()) for plan in map(bucketed.indices, steps)}
        for steps in (range(63), range(63, 126))
    ]
    assert not mates[0] & mates[1]


def test_shares_and_pieces_make_up_the_batch() -> None:
    whole = Plan(50, 16, seed=0)
    shares = [Plan(50, 16, seed=0, pieces=3, rank=rank, world=2) for rank in range(2)]
    for one in range(whole.per_epoch):
        pieces = [piece for plan in shares for piece in plan.pieces(one)]
        assert sorted(np.concatenate(pieces)) == sorted(whole.indices(one))
        assert all(len(piece) for piece in pieces)


def test_a_worker_that_is_not_forked_is_sent_no_network() -> None:
    import pickle

    from silmu.steps.train.batches import _Batches

    objective = Sequences()
    objective.network.register_buffer("large", torch.zeros(1 << 20))
    sent = pickle.dumps(_Batches(objective))
    assert len(sent) < 1 << 16
    assert "targets" in pickle.loads(sent)[np.array([0]), 1]
    assert hasattr(objective, "network")


def test_batches_do_not_depend_on_what_was_drawn_before() -> None:
    objective, plan = Sequences(), Plan(40, 16, seed=0)
    from_start = list(load(objective, plan, 0, 6, workers=0))
    torch.rand(3)
    later = list(load(objective, plan, 4, 6, workers=0))
    assert torch.equal(from_start[4]["ids"], later[0]["ids"])
    masked = [
        [int((b["ids"] == 39).nonzero().sum()) for b in from_start[n : n + 3]] for n in (0, 3)
    ]
    assert masked[0] != masked[1]


# ── what a step computes ───────────────────────────────────────────────────────────────────────


def gradients(network: nn.Module) -> list[torch.Tensor]:
    return [p.grad.to_dense() for p in network.parameters() if p.grad is not None]


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("clip", [None, 0.01, 1e9])
def test_gradients_are_divided_and_clipped_as_torch_does(sparse: bool, clip: float | None) -> None:
    objective = Sequences(sparse=sparse, dropout=0)
    batch = objective.padded(np.arange(20), None)
    loss, weight = objective.loss(batch)
    loss.backward()
    norm = prepare_gradients(objective.network.parameters(), float(weight), clip)
    found = gradients(objective.network)
    plain = Sequences(dropout=0)
    loss, weight = plain.loss(batch)
    (loss / weight).backward()
    expected_norm = torch.nn.utils.clip_grad_norm_(plain.network.parameters(), clip or 1e30)
    for one, other in zip(found, gradients(plain.network), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)
    if clip is None:
        assert norm is None
    else:
        assert float(norm) == pytest.approx(float(expected_norm), rel=1e-5)


def test_pieces_give_what_the_whole_gives(tmp_path: Path) -> None:
    networks = []
    for pieces in (1, 3):
        objective = Sequences(dropout=0)
        fit(objective, settings(accumulation=pieces), tmp_path / str(pieces), progress=QUIET)
        networks.append(objective.network)
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_it_learns_and_matches_a_loop_by_hand(tmp_path: Path) -> None:
    how = settings(accumulation=1, epochs=4, evaluations=1, weight_decay=0.1, warmup=0.25)
    objective = Sequences(dropout=0)
    outcome = fit(objective, how, tmp_path / "train", progress=QUIET)
    by_hand = Sequences(dropout=0)
    decays = [p for n, p in by_hand.network.named_parameters() if p.ndim > 1 and "emb" not in n]
    rest = [p for n, p in by_hand.network.named_parameters() if p.ndim == 1 or "emb" in n]
    groups = [{"params": decays, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.02)
    plan, losses = Plan(40, 16, seed=0, lengths=by_hand.lengths), []
    for one in range(12):
        rate = (one + 1) / 3 if one < 3 else 1 - (one - 3) / 9
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * rate
        batch = by_hand.batch(plan.indices(one), derive(0, "examples", one // 3))
        loss, weight = by_hand.loss(batch)
        optimizer.zero_grad()
        (loss / weight).backward()
        torch.nn.utils.clip_grad_norm_(by_hand.network.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach() / weight))
    lines = log(tmp_path / "train")
    assert [one["loss"] for one in lines if "loss" in one] == pytest.approx(losses, rel=1e-3)
    assert outcome.steps == 12
    best = next(one for one in lines if one["step"] == outcome.step and "validation" in one)
    assert best["validation"]["accuracy"] == outcome.best_metric == outcome.metrics["accuracy"]
    with torch.no_grad():
        assert objective.validate()["accuracy"] == outcome.best_metric
    assert objective.network.training is False


def test_the_average_is_validated_and_kept(tmp_path: Path) -> None:
    network = Reader()
    average = Average(dict(network.named_parameters()), 0.5)
    before = digest(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    after = digest(network)
    for one in range(1, 200):
        average.update(one)
    average.exchange()
    assert digest(network) not in (before, after)
    torch.testing.assert_close(next(iter(average.values.values())), next(network.parameters()))
    average.exchange()
    assert digest(network) == after
    # In a training, what validation sees is the average, and so is what comes back.
    objective = Sequences()
    seen = []
    validate = objective.validate
    objective.validate = lambda: seen.append(digest(objective.network)) or validate()  # type: ignore[method-assign]
    outcome = fit(objective, settings(average=0.9), tmp_path / "train", progress=QUIET)
    assert digest(objective.network) in seen
    with torch.no_grad():
        assert objective.validate()["accuracy"] == outcome.best_metric


def test_half_precision_trains_and_keeps_whole_weights(tmp_path: Path) -> None:
    kinds = set()
    objective = Sequences()
    objective.network.output.register_forward_hook(lambda *hooked: kinds.add(hooked[2].dtype))
    fit(objective, settings(dtype="bf16"), tmp_path / "train", progress=QUIET)
    assert torch.bfloat16 in kinds
    assert {one.dtype for one in objective.network.parameters()} == {torch.float32}


def test_rates_by_group_and_rows_that_are_not_used() -> None:
    objective = Sequences(sparse=True)
    groups = objective.groups(0.1)
    assert [len(group["params"]) for group in groups] == [3, 5, 1]
    groups[2]["rate"] = 5.0
    optimizer = Optimizer(objective.network, groups, 0.01)
    before = objective.network.embedding.weight.detach().clone()
    loss, _ = objective.loss(objective.padded(np.arange(3), None))
    loss.backward()
    prepare_gradients(optimizer.parameters, 1.0, 1.0)
    optimizer.step(0.5)
    moved = (objective.network.embedding.weight.detach() - before).abs()
    used = set(np.concatenate(objective.ids[:3]).tolist())
    assert {int(row) for row in moved.sum(1).nonzero()} == used
    # The first step of Adam has the length of the rate.
    assert float(moved.max()) == pytest.approx(5 * 0.01 * 0.5, rel=1e-3)
    assert optimizer.parts[0].param_groups[0]["lr"] == 0.005


def test_parameters_in_no_network_or_in_two_groups_are_refused() -> None:
    network, other = Reader(), Reader()
    for wrong in ([*network.parameters()] * 2, other.parameters(), []):
        with pytest.raises(UsageError, match="parameter"):
            Optimizer(network, [{"params": wrong}], 0.1)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [("linear", [0.5, 1, 1, 0.5]), ("cosine", [0.5, 1, 1, 0.5]), ("constant", [0.5, 1, 1, 1])],
)
def test_the_rate_rises_and_falls(schedule: str, expected: list[float]) -> None:
    assert [share(schedule, 0.2, one, 10) for one in (0, 1, 2, 6)] == pytest.approx(expected)


# ── when it ends ───────────────────────────────────────────────────────────────────────────────


class Told(Sequences):
    """Whose validations are told in advance."""

    def __init__(self, values: list[float], name: str = "accuracy") -> None:
        super().__init__()
        self.values, self.name = iter(values), name

    def validate(self) -> dict[str, float]:
        return {"loss": 1.0, "accuracy": 0.5, self.name: next(self.values)}


def test_patience(tmp_path: Path) -> None:
    objective = Told([0.3, 0.5, 0.5, 0.4, 0.9])
    how = settings(epochs=9, evaluations=1, patience=2)
    outcome = fit(objective, how, tmp_path / "train", progress=QUIET)
    assert (outcome.stopped, outcome.best_metric) == ("patience", 0.5)
    assert (outcome.step, outcome.steps, outcome.epoch) == (6, 12, 2.0)
    # Also where the metric should be small.
    objective = Told([0.3, 0.2, 0.5, 0.4])
    objective.higher_is_better = False
    outcome = fit(objective, how, tmp_path / "other", progress=QUIET)
    assert (outcome.best_metric, outcome.steps) == (0.2, 12)


def test_a_number_of_steps(tmp_path: Path) -> None:
    outcome = fit(Sequences(), settings(max_steps=4), tmp_path / "train", progress=QUIET)
    assert (outcome.stopped, outcome.steps) == ("max_steps", 4)
    validated = [one["step"] for one in log(tmp_path / "train") if "validation" in one]
    assert validated == [2, 3, 4]


def test_best_and_last_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    objective = Told([0.3, 0.5, 0.4, 0.4, 0.3, 0.3])
    fit(objective, settings(checkpoint_seconds=0), folder, progress=QUIET)
    names = sorted(one.name for one in folder.glob("step-*"))
    assert names == [
        "step-00000003-evaluated",
        "step-00000008-evaluated",
        "step-00000009-evaluated",
    ]
    assert store.read_pointer(folder, "BEST") == folder / "step-00000003-evaluated"
    assert store.read_pointer(folder) == folder / "step-00000009-evaluated"


def test_what_is_never_a_number_is_never_the_best(tmp_path: Path) -> None:
    outcome = fit(
        Told([math.nan, 0.2, math.inf, math.nan, 0.1, 0.1]),
        settings(),
        tmp_path / "train",
        progress=QUIET,
    )
    assert outcome.best_metric == 0.2
    values = [
        one["validation"]["accuracy"] for one in log(tmp_path / "train") if "validation" in one
    ]
    assert values == [None, 0.2, None, None, 0.1, 0.1]
    with pytest.raises(TrainingError, match="accuracy was never a number"):
        fit(Told([math.nan] * 6), settings(), tmp_path / "none", progress=QUIET)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_it(value: float, tmp_path: Path) -> None:
    folder = tmp_path / "train"
    objective = Sequences()
    plan = Plan(40, 16, seed=0, lengths=objective.lengths, pieces=2)
    guilty = int(plan.indices(4)[3])
    # In the second epoch, so that the first has left checkpoints.
    batch = objective.batch
    objective.batch = lambda indices, seed: _poisoned(
        batch(indices, seed), indices, seed, guilty, value
    )  # type: ignore[method-assign]
    with pytest.raises(TrainingError) as caught:
        fit(objective, settings(checkpoint_seconds=0), folder, progress=QUIET)
    found = str(caught.value)
    at = next(one for one in range(3, 6) if guilty in plan.indices(one))
    assert f"is {'nan' if math.isnan(value) else 'inf'} at step {at + 1} (epoch 2" in found
    assert f"examples without a finite loss: {guilty})" in found
    newest = store.read_pointer(folder)
    assert newest is not None
    assert f"the last good checkpoint is {newest.name}" in found
    weights = checkpoints.load_file(newest / "network.safetensors")
    assert all(torch.isfinite(one).all() for one in weights.values())


def _poisoned(batch: Any, indices: Any, seed: int, guilty: int, value: float) -> Any:
    if seed == derive(0, "examples", 1) and guilty in indices:
        batch["weights"][list(indices).index(guilty)] = value
    return batch


def test_a_gradient_that_is_no_number_stops_it(tmp_path: Path) -> None:
    class Kinked(Sequences):
        def loss(self, batch: Any) -> Any:
            loss, weight = super().loss(batch)
            # Finite here, but not its slope.
            return loss + torch.sqrt((loss - loss.detach()).abs()), weight

    with pytest.raises(TrainingError, match="the length of the gradient is nan at step 1 "):
        fit(Kinked(), settings(), tmp_path / "train", progress=QUIET)
    how = settings(clip=None, checkpoint_seconds=0)
    with pytest.raises(TrainingError, match=r"weights of .* are no numbers"):
        fit(Kinked(), how, tmp_path / "unclipped", progress=QUIET)
    assert not list((tmp_path / "unclipped").glob("step-*"))


def test_a_validation_loss_that_is_no_number_stops_it(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="loss on the validation split is nan after step 2"):
        fit(Told([math.nan], "loss"), settings(), tmp_path / "train", progress=QUIET)


def test_a_metric_that_is_not_given(tmp_path: Path) -> None:
    objective = Sequences()
    objective.metric = "f1"
    with pytest.raises(UsageError, match="gives accuracy, loss; it must give f1"):
        fit(objective, settings(), tmp_path / "train", progress=QUIET)


def _no_memory() -> None:
    raise MemoryError


@pytest.mark.parametrize("asks", [_no_memory, lambda: torch.empty(1 << 55)])
def test_too_little_memory_is_told_with_a_cure(asks: Any, tmp_path: Path) -> None:
    class Hungry(Sequences):
        def loss(self, batch: Any) -> Any:
            if self.losses == 6:
                asks()
            return super().loss(batch)

    with pytest.raises(TrainingError) as caught:
        fit(Hungry(), settings(checkpoint_seconds=0), tmp_path / "train", progress=QUIET)
    assert "too little memory at step 4 for 8 examples at once, the longest of" in str(caught.value)
    assert "the checkpoint step-00000003-evaluated is sound" in str(caught.value)
    assert caught.value.hint == "start a run with accumulation = 4: equal batches, smaller pieces"
    assert store.verify(tmp_path / "train" / "step-00000003-evaluated")


def test_another_fault_is_not_taken_for_one_of_memory(tmp_path: Path) -> None:
    class Broken(Sequences):
        def loss(self, batch: Any) -> Any:
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        fit(Broken(), settings(), tmp_path / "train", progress=QUIET)


def test_too_little_disk_is_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def full(folder: Path, num_bytes: int) -> None:
        asked.append(num_bytes)
        raise StoreError("full")

    monkeypatch.setattr(store, "reserve", full)
    objective = Sequences()
    with pytest.raises(StoreError, match="full"):
        fit(objective, settings(average=0.9), tmp_path / "train", progress=QUIET)
    assert objective.losses == 0
    monkeypatch.undo()
    fit(objective, settings(average=0.9), tmp_path / "train", progress=QUIET)
    newest = store.read_pointer(tmp_path / "train")
    assert newest is not None
    taken = sum(one.size for one in store.verify(newest).files.values())
    assert 2 * taken <= asked[0] <= 2 * taken + (1 << 18)


def test_a_full_disk_says_what_is_still_there(tmp_path: Path, monkeypatch: Any) -> None:
    folder = tmp_path / "train"
    fit(Told([0.5, 0.4, 0.3]), settings(epochs=1, max_steps=3), folder, progress=QUIET)
    state = json.loads((folder / "step-00000003-evaluated/state.json").read_text())
    assert state["waited"] == 1
    monkeypatch.setenv("SILMU_FAILPOINT", "rename:4:ENOSPC")
    with pytest.raises(StoreError, match=r"is sound"):
        fit(Sequences(), settings(checkpoint_seconds=0), tmp_path / "other", progress=QUIET)


# ── told to stop ───────────────────────────────────────────────────────────────────────────────


def test_a_signal_in_validation_does_not_wait_for_its_end(tmp_path: Path) -> None:
    class Slow(Sequences):
        slow = True

        def validate(self) -> dict[str, float]:
            if self.slow and self.losses > 4:
                os.kill(os.getpid(), signal.SIGINT)
                raise AssertionError("it waited")
            return super().validate()

    folder = tmp_path / "train"
    objective = Slow()
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(Interrupted, match="saved at step 3 of 9") as caught:
        fit(objective, settings(average=0.9), folder, progress=QUIET)
    assert caught.value.code == 130
    assert isinstance(caught.value, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGINT) is before
    objective.slow = False
    fit(objective, settings(average=0.9), folder, progress=QUIET)
    other = Sequences()
    fit(other, settings(average=0.9), tmp_path / "other", progress=QUIET)
    assert digest(objective.network) == digest(other.network)


def test_a_second_signal_acts_at_once(tmp_path: Path) -> None:
    class Twice(Sequences):
        def loss(self, batch: Any) -> Any:
            if self.losses == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)
            return super().loss(batch)

    stream = io.StringIO()
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(Twice(), settings(), tmp_path / "train", progress=Progress(stream=stream))
    assert not isinstance(caught.value, Interrupted)
    assert "once more stops at once" in stream.getvalue()


# ── around it ──────────────────────────────────────────────────────────────────────────────────


def test_torch_is_left_as_it_was(tmp_path: Path) -> None:
    objective = Sequences()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    np.random.seed(7)
    drawn = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    inside = []
    validate = objective.validate
    objective.validate = lambda: inside.append(torch.get_deterministic_debug_mode()) or validate()  # type: ignore[method-assign]
    fit(objective, settings(), tmp_path / "train", progress=QUIET)
    assert set(inside) == {2}
    assert torch.equal(torch.rand(3), expected)
    assert np.random.get_state()[1].tolist() == drawn  # type: ignore[index, union-attr]
    assert torch.get_deterministic_debug_mode() == 0
    assert torch.utils.deterministic.fill_uninitialized_memory is True


def test_tied_and_frozen_weights_are_kept(tmp_path: Path) -> None:
    def tied() -> Sequences:
        objective = Sequences()
        network = objective.network
        network.twin = nn.Embedding(40, 8)
        network.twin.weight = network.embedding.weight
        network.norm.weight.requires_grad = False
        network.register_buffer("count", torch.tensor([3]))
        return objective

    objective = tied()
    fit(objective, settings(), tmp_path / "train", progress=QUIET)
    again = tied()
    fit(again, settings(), tmp_path / "train", progress=QUIET)
    assert again.losses == 0
    assert digest(again.network) == digest(objective.network)
    assert again.network.twin.weight is again.network.embedding.weight


def test_other_versions_are_said_and_gone_on_with(tmp_path: Path, caplog: Any) -> None:
    made_by = {"data": "a", "versions": {"torch": "2.0"}}
    network = Reader()
    optimizer = Optimizer(network, [{"params": network.parameters()}], 0.1)
    Checkpoints(tmp_path, made_by, 1).write(State(step=1), network, optimizer, None)
    later = Checkpoints(tmp_path, {"data": "a", "versions": {"torch": "3.0"}}, 1)
    assert later.newest() == "step-00000001"
    assert "torch was 2.0, is 3.0; the weights may not be" in caplog.text
    caplog.clear()
    assert Checkpoints(tmp_path, {**made_by, "versions": versions()}, 1).newest() == later.newest()
    assert f"silmu was unknown, is {silmu.__version__}; torch was 2.0" in caplog.text
    with pytest.raises(UsageError, match="data was a, is b"):
        Checkpoints(tmp_path, {"data": "b", "versions": {}}, 1).newest()


def test_another_network_is_refused(tmp_path: Path) -> None:
    fit(Sequences(), settings(max_steps=2), tmp_path / "train", progress=QUIET)
    other = Sequences()
    other.network.output = nn.Linear(12, 4)
    with pytest.raises(UsageError, match="network was"):
        fit(other, settings(max_steps=2), tmp_path / "train", progress=QUIET)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("epochs", 0, "epochs is 0; it must be at least 1"),
        ("learning_rate", math.nan, "learning_rate is nan; it must be more than 0"),
        ("schedule", "steps", "schedule is 'steps'; it must be linear or cosine or constant"),
        ("dtype", "fp16", "dtype is 'fp16'; it must be fp32 or bf16"),
        ("average", 1.0, "average is 1.0; it must be between 0 and 1"),
        ("clip", 0.0, "clip is 0.0; it must be more than 0, or left out"),
        ("workers", -1, "workers is -1; it must be 0 or more"),
        ("patience", 0, "patience is 0; it must be at least 1, or left out"),
        ("warmup", 1.0, "warmup is 1.0; it must be from 0 to less than 1"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, value: object, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        training(**{name: value})


def test_no_example_is_refused(tmp_path: Path) -> None:
    objective = Sequences()
    objective.num_examples = 0
    with pytest.raises(UsageError, match="no example"):
        fit(objective, settings(), tmp_path / "train", progress=QUIET)


def test_half_of_torchruns_variables_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UsageError, match="MASTER_ADDR"):
        Ranks("cpu")


def test_what_the_step_offers() -> None:
    assert step.fit is fit
    assert {getattr(step, name).__name__ for name in step.__all__} == set(step.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        _ = step.nothing


# ── what is seen ───────────────────────────────────────────────────────────────────────────────


def test_the_log_tells_of_each_step(tmp_path: Path) -> None:
    fit(Sequences(), settings(), tmp_path / "train", progress=QUIET)
    lines = log(tmp_path / "train")
    assert [one["step"] for one in lines if "loss" in one] == list(range(1, 10))
    first = lines[0]
    assert list(first) == [
        "step",
        "epoch",
        "loss",
        "learning_rate",
        "examples_per_second",
        "waiting",
        "seconds",
    ]
    assert first["learning_rate"] == 0.02
    assert first["epoch"] == pytest.approx(1 / 3, abs=1e-4)
    assert set(lines[-1]["validation"]) == {"loss", "accuracy"}


def test_a_long_log_is_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("silmu.steps.train.log.LINES", 3)
    fit(Sequences(), settings(accumulation=1), tmp_path / "thin", progress=QUIET)
    monkeypatch.undo()
    fit(Sequences(), settings(accumulation=1), tmp_path / "full", progress=QUIET)
    thin = [one["loss"] for one in log(tmp_path / "thin") if "loss" in one]
    full = [one["loss"] for one in log(tmp_path / "full") if "loss" in one]
    assert thin == pytest.approx([sum(full[n : n + 3]) / 3 for n in (0, 3, 6)])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "90")
    stream = Terminal()
    shown = Progress(stream=stream)
    for one in range(1, 41):
        now[0] += 0.1
        shown.step(one, 100, 1, 2, 0.5, 32)
    shown.validated(40, "accuracy", 0.875, better=True)
    now[0] += 1
    shown.step(41, 100, 2, 2, 0.25, 32)
    shown.close()
    assert 15 <= stream.getvalue().count("\rstep ") <= 21
    assert "step 40: accuracy 0.8750 on validation, the best so far\n" in stream.getvalue()
    last = stream.getvalue().split("\r")[-3]
    assert last.startswith("step 41/100  epoch 2/2  ends ")
    assert "  loss 0.2500  accuracy 0.8750  " in last
    assert stream.getvalue().count("  320 examples/s") >= 14


def test_a_file_sees_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    shown = Progress(stream=stream)
    for one in range(1, 101):
        now[0] += 1
        shown.step(one, 100, 1, 2, 0.5, 32)
    assert len(stream.getvalue().splitlines()) == 3
    assert "\r" not in stream.getvalue()
    quiet = Progress(quiet=True, stream=stream)
    before = stream.getvalue()
    now[0] += 100
    quiet.step(1, 2, 1, 1, 0.5, 1)
    quiet.note("nothing")
    assert stream.getvalue() == before


@pytest.mark.parametrize(
    ("epochs", "each", "lines"),
    [
        (3, 1, [100, 200, 300]),
        (100, 1, [3, *range(33, 300, 30), 300]),
        (4, 25, [3, 78, 153, 228, 300]),
        (1, 100, [3, 300]),
    ],
)
@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_frequent_validations_do_not_fill_the_screen(
    epochs: int, each: int, lines: list[int], stream: type[io.StringIO]
) -> None:
    written = stream()
    shown = Progress(stream=written)
    per_epoch = 300 // epochs
    for one in range(1, 301):
        shown.step(one, 300, (one - 1) // per_epoch + 1, epochs, 0.5, 32)
        if one % (per_epoch // each) == 0:
            shown.validated(one, "crps", 1 / one, better=True)
    told = re.findall(r"step (\d+): crps", written.getvalue())
    assert [int(one) for one in told] == lines


def test_tensorboard_gets_the_same_numbers(tmp_path: Path, monkeypatch: Any) -> None:
    told: list[tuple[str, float, int]] = []

    class SummaryWriter:
        def __init__(self, folder: str, purge_step: int) -> None:
            told.append((folder, 0.0, purge_step))

        def add_scalar(self, *number: Any) -> None:
            told.append(number)

        def close(self) -> None:
            told.append(("closed", 0.0, 0))

    fake = types.SimpleNamespace(SummaryWriter=SummaryWriter)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    folder = tmp_path / "train"
    fit(Sequences(), settings(), folder, progress=QUIET)
    assert told[0] == (str(folder / "tensorboard"), 0.0, 1)
    assert told[-1][0] == "closed"
    losses = [one["loss"] for one in log(folder) if "loss" in one]
    assert [value for name, value, _ in told if name == "train/loss"] == losses
    accuracies = [one["validation"]["accuracy"] for one in log(folder) if "validation" in one]
    assert [value for name, value, _ in told if name == "validation/accuracy"] == accuracies
