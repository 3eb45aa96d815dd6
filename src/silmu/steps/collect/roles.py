"""Which columns are read and which told: as given, or guessed by names and contents."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import pyarrow as pa

from silmu.errors import UnknownNameError, UsageError
from silmu.steps.collect.dataset import Roles
from silmu.steps.collect.image.files import looks_like_pictures
from silmu.steps.collect.names import split

logger = logging.getLogger("silmu")

INPUTS = (
    "text", "review", "sentence", "content", "contents", "document", "comment", "message", "body",
    "tweet", "post", "utterance", "article", "review_text", "reviewtext", "review_body", "texts",
    "텍스트", "본문", "리뷰", "내용", "문장", "댓글", "후기", "글", "발화", "기사",
)  # fmt: skip
PICTURES = (
    "image",
    "picture",
    "photo",
    "img",
    "image_path",
    "path",
    "file_name",
    "filename",
    "file",
    "filepath",
    "file_path",
    "이미지",
    "사진",
    "그림",
    "파일",
)
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"),
         ("text1", "text2"))  # fmt: skip
TARGETS = (
    "label", "labels", "target", "category", "categories", "class", "sentiment", "emotion",
    "emotions", "intent", "topic", "y", "rating", "stars", "score", "overall",
    "라벨", "레이블", "분류", "감정", "카테고리", "감성", "주제", "의도", "별점", "평점", "점수",
)  # fmt: skip
SPLIT_NAMES = ("split", "fold", "subset", "partition", "구분")
SPLIT_VALUES = {"train", "training", "dev", "validation", "valid", "val", "test", "testing"}
_GROUP_ENDINGS = ("_id", "id", "_name", "author", "user", "아이디", "번호")
# In a table, where `paid` and `humid` are columns too, and few values are a category.
_TABLE_GROUP = re.compile(r"(?i:^id|[_ ]id|author|user|아이디|번호)$|[a-z]I[dD]$")
_FEWEST_GROUPS = 10
MOST_LABELS = 200
_SHORT = 20  # characters; what is shorter on average is hardly the text


@dataclass(frozen=True)
class Wanted:
    """The roles as they are given; None is to be guessed."""

    kind: str = "text"
    input: Sequence[str] | str | None = None
    target: Sequence[str] | str | None = None
    group: str | None = None
    time: str | None = None
    need_target: bool = True


def settle(sample: pa.Table, wanted: Wanted) -> Roles:
    """The roles of the columns, those that are not given guessed from the first rows.

    Raises:
        UnknownNameError: a column that is named is not there; the nearest is named.
        UsageError: a role cannot be guessed, or a column has two roles.
    """
    if wanted.kind == "table":
        return _settle_table(sample, wanted)
    is_image = wanted.kind == "image"
    group, time = wanted.group, wanted.time
    names: list[str] = sample.schema.names
    targets = given(wanted.target, "target", names)
    inputs = given(wanted.input, "input", names)
    for role, name in (("group", group), ("time", time)):
        if name is not None and name not in names:
            unknown(role, name, names)
    taken = {*targets, *({group} - {None}), *({time} - {None})}
    split = _split(sample, [name for name in names if name not in {*taken, *inputs}])
    free = [name for name in names if name not in taken and name != split]
    guessed: list[str] = []
    if not inputs:
        inputs = (_guess_picture if is_image else _guess_input)(sample, free)
        guessed += [f"`{name}` as the {'picture' if is_image else 'text'}" for name in inputs]
    if not targets:
        rest = [name for name in free if name not in inputs]
        if is_image and wanted.need_target and not rest:
            raise UsageError(
                "the pictures have no labels",
                hint="put them into a sub-folder for each label, or give a table of paths and "
                "labels",
            )
        targets = _guess_target(sample, rest, needed=wanted.need_target)
        guessed += [f"`{name}` as the label" for name in targets]
    if both := {*inputs} & {*targets}:
        raise UsageError(f"`{both.pop()}` cannot be both the input and the target")
    if is_image:
        _check_picture(sample, inputs)
    for name in () if is_image else inputs:
        kind = sample.schema.field(name).type
        if not pa.types.is_string(kind):
            raise UsageError(
                f"`{name}` holds {kind}, not texts",
                hint=f"name a column of texts: {_listed(names)}",
            )
    if guessed:
        logger.warning(
            "reading %s; give --input and --target to change that", " and ".join(guessed)
        )
    if group is None:
        _suggest_group(sample, [name for name in free if name not in {*inputs, *targets}])
    return Roles(inputs, targets, group, time, split)


def _settle_table(sample: pa.Table, wanted: Wanted) -> Roles:
    """The target as it is named, and everything that has no role of its own as inputs.

    Rows that nothing has to be learned from may lack a target that is named.
    """
    names: list[str] = sample.schema.names
    inputs = given(wanted.input, "input", names)
    targets = given(wanted.target, "target", names, may_lack=not wanted.need_target)
    for role, name in (("group", wanted.group), ("time", wanted.time)):
        if name is not None and name not in names:
            unknown(role, name, names)
    taken = {*targets, *({wanted.group, wanted.time} - {None})}
    split = _split(sample, [name for name in names if name not in {*taken, *inputs}])
    if wanted.target is None:
        free = [name for name in names if name not in {*taken, *inputs, split}]
        folded = {name.casefold().strip(): name for name in reversed(free)}
        targets = tuple(folded[name] for name in TARGETS if name in folded)[:1]
        if targets:
            logger.warning(
                "reading `%s` as what is to be told; give --target to change that", targets[0]
            )
    if wanted.need_target and not targets:
        raise UsageError(
            "it cannot be told which column is to be learned",
            hint=f"name it: --target; {_columns(sample)}",
        )
    if both := {*inputs} & {*targets}:
        raise UsageError(f"`{both.pop()}` cannot be both an input and the target")
    taken |= {*targets, split}
    rest = [name for name in names if name not in taken]
    if wanted.group is None:
        _suggest_group(sample, [name for name in rest if name != split], wanted.kind)
    if not inputs and not rest:
        raise UsageError(
            f"no column is left to read beside {_listed([name for name in names if name in taken])}"
        )
    return Roles(inputs or tuple(rest), targets, wanted.group, wanted.time, split)


def given(
    names: Sequence[str] | str | None, role: str, known: list[str], *, may_lack: bool = False
) -> tuple[str, ...]:
    """The columns that are named for a role.

    Args:
        names: as a list or with commas between; None for none.
        role: for messages.
        known: all columns.
        may_lack: whether those that are not there are passed over.

    Raises:
        UnknownNameError: a column is not there; the nearest is named.
        UsageError: a column is named twice.
    """
    if names is None:
        return ()
    if isinstance(names, str):
        # A name with a comma in it is one name, if there is such a column.
        names = [names] if names in known else split(names)
    if may_lack:
        names = [name for name in names if name in known]
    for name in names:
        if name not in known:
            unknown(role, name, known)
    if len({*names}) < len(names):
        raise UsageError(f"a column is named twice as {role}: {_listed(names)}")
    return tuple(names)


def unknown(role: str, name: str, known: list[str]) -> NoReturn:
    """Refuses a name that no column has, with the nearest one that there is."""
    folded = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    raise UnknownNameError(
        f"there is no column `{name}` to be the {role}; there are {_listed(known)}",
        hint=f"did you mean `{folded[near[0]]}`?" if near else None,
    )


def _split(sample: pa.Table, free: Sequence[str]) -> str | None:
    """A column that tells splits by name and in every value."""
    for name in free:
        if name.casefold() in SPLIT_NAMES and pa.types.is_string(sample.schema.field(name).type):
            values = {str(value).strip().casefold() for value in _values(sample, name)}
            if values and values <= SPLIT_VALUES:
                return name
    return None


def _guess_input(sample: pa.Table, free: Sequence[str]) -> tuple[str, ...]:
    texts = [name for name in free if pa.types.is_string(sample.schema.field(name).type)]
    folded = {name.casefold().strip(): name for name in texts}
    for pair in PAIRS:
        if all(name in folded for name in pair):
            return tuple(folded[name] for name in pair)
    lengths = {name: _mean_length(sample, name) for name in texts}
    named = [folded[name] for name in INPUTS if name in folded and lengths[folded[name]]]
    if named:
        return (named[0],)
    # A column that could be the label is not the text, unless there is no other.
    others = [name for name in texts if name.casefold() not in TARGETS] or texts
    longest = max(others, key=lambda name: lengths[name], default=None)
    if longest is None or not lengths[longest]:
        raise UsageError(
            "no column holds texts", hint=f"name the one to read: --input; {_columns(sample)}"
        )
    if lengths[longest] < _SHORT and len(others) > 1:
        raise UsageError(
            "it cannot be told which column holds the texts",
            hint=f"name it: --input; {_columns(sample)}",
        )
    return (longest,)


def holds_bytes(kind: Any) -> bool:
    """Whether pictures may lie in a type of Arrow: bytes, or a struct of bytes and path."""
    if pa.types.is_struct(kind):
        names = {field.name for field in kind}
        return bool(names) and names <= {"bytes", "path"}
    return pa.types.is_binary(kind)


def _guess_picture(sample: pa.Table, free: Sequence[str]) -> tuple[str, ...]:
    """The column of bytes, or that of paths that end as those of pictures do."""
    types = {name: sample.schema.field(name).type for name in free}
    held = [name for name in free if holds_bytes(types[name])]
    if not held:
        texts = [name for name in free if pa.types.is_string(types[name])]
        held = [name for name in texts if looks_like_pictures(_values(sample, name))]
    folded = {name.casefold().strip(): name for name in reversed(held)}
    named = [folded[name] for name in PICTURES if name in folded]
    if len(held) != 1 and not named:
        told = "no column holds pictures" if not held else "several columns hold pictures"
        raise UsageError(
            told, hint=f"name the one to read, of paths or bytes: --input; {_columns(sample)}"
        )
    return ((named or held)[0],)


def _check_picture(sample: pa.Table, inputs: Sequence[str]) -> None:
    if len(inputs) > 1:
        raise UsageError(
            f"--input names {_listed(inputs)}; one column of pictures is read", hint="name one"
        )
    for name in inputs:
        kind = sample.schema.field(name).type
        if not pa.types.is_string(kind) and not holds_bytes(kind):
            raise UsageError(
                f"`{name}` holds {kind}, neither paths nor bytes of pictures",
                hint=f"name a column of pictures: {_listed(sample.schema.names)}",
            )


def _guess_target(sample: pa.Table, free: Sequence[str], *, needed: bool) -> tuple[str, ...]:
    folded = {name.casefold().strip(): name for name in reversed(free)}
    named = [folded[name] for name in TARGETS if name in folded]
    if named:
        return (named[0],)
    if not needed:
        return ()
    rows = sample.num_rows
    few: list[tuple[int, str]] = []
    for name in free:
        kind = sample.schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
            continue
        count = len({str(value) for value in _values(sample, name)})
        if 2 <= count <= min(MOST_LABELS, max(2, rows // 2)):
            few.append((count, name))
    if len(few) == 1 or (len(few) > 1 and sorted(few)[0][0] < sorted(few)[1][0]):
        return (min(few)[1],)
    raise UsageError(
        "it cannot be told which column holds the labels",
        hint=f"name it: --target; {_columns(sample)}",
    )


def _suggest_group(sample: pa.Table, free: Sequence[str], kind: str = "text") -> None:
    fewest = _FEWEST_GROUPS if kind == "table" else 2
    for name in free:
        if kind == "table":
            seems = _TABLE_GROUP.search(name) is not None
        else:
            seems = name.casefold().endswith(_GROUP_ENDINGS)
        if not seems:
            continue
        values = [str(value) for value in _values(sample, name)]
        if fewest <= len({*values}) < 0.95 * len(values):
            logger.warning(
                "`%s` looks like a group: rows of one may be alike. Give --group %s to keep them "
                "on one side of a split",
                name,
                name,
            )
            return


def _values(sample: pa.Table, name: str) -> list[Any]:
    return [value for value in sample.column(name).to_pylist() if value is not None]


def _mean_length(sample: pa.Table, name: str) -> float:
    values = _values(sample, name)
    return sum(len(value) for value in values) / len(values) if values else 0.0


def _columns(sample: pa.Table) -> str:
    told = f"there are {_listed(sample.schema.names)}"
    return f"{told}; if these are no names, the first line must be names, and no title"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
