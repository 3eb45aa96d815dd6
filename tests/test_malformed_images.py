"""No picture, however malformed, crashes, hangs or bursts: a typed error or an answer.

Each is read in a process of its own, within two seconds of the processor and 64 MB beyond what the
process and the input had.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from judge import CAN_FORK, Judge
from malformed_pictures import ANSWER, CASES, ERROR

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="the judge needs os.fork")

SECONDS, MEGABYTES = 2.0, 64


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as one:
        yield one


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_picture_has_a_typed_error_or_an_answer(name: str, judge: Judge) -> None:
    case = CASES[name]
    verdict = judge(
        "malformed_pictures:run",
        name=name,
        seconds=60,
        megabytes=MEGABYTES + case.given_megabytes,
    )
    assert verdict.outcome == "ok", verdict
    read = verdict.answer["outcomes"][:2]
    if case.expected == ERROR:
        assert all(one.startswith("error: ") for one in read), read
        assert case.words in read[0]
    elif case.expected == ANSWER:
        assert read == ["answer"] * 2
    assert verdict.answer["seconds"] < SECONDS
    # A message names what is wrong, and is no wall of what was given.
    assert all(len(one) < 700 for one in verdict.answer["outcomes"])


def test_there_are_enough_pictures() -> None:
    assert len(CASES) >= 300


def test_the_judge_sees_what_a_picture_may_cost(judge: Judge) -> None:
    verdict = judge("malformed_pictures:eat", seconds=60, megabytes=MEGABYTES, count=200)
    assert verdict.outcome == "memory over budget"
    if sys.platform == "linux":
        assert verdict.megabytes > 150
