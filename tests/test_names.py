"""Names of columns as one text, there and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from silmu.errors import UsageError
from silmu.steps.collect.names import join, split

NAME = st.one_of(st.text(max_size=6), st.text('",\n a', max_size=6))


@given(st.lists(NAME, min_size=1, max_size=5))
def test_whatever_names_are_they_come_back(names: list[str]) -> None:
    assert split(join(names)) == names


def test_plain_names_need_no_quotes() -> None:
    assert join(["age", "fare paid", "한글", 'the 5" disk']) == 'age,fare paid,한글,the 5" disk'
    assert split(" age ,fare paid , 한글") == ["age", "fare paid", "한글"]
    assert split("age") == ["age"]
    assert split('"a, b" , c') == ["a, b", "c"]
    assert split("a,") == ["a", ""]


@pytest.mark.parametrize("text", ['"', '"a', '"a" b', 'x,"a"b', '"a""'])
def test_a_quote_that_is_not_closed_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a list of names"):
        split(text)
