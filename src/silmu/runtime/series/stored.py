"""processor.json of a model for series.

{"format": 2, "series": true, "layout": {"time": "date", "target": ["price"], "step": "D", ...},
 "context_length": 60, "prediction_length": 14, "normalise": "standard", ...}
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar, cast

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime.series import measured, stamps, zones
from silmu.runtime.series.covariates import Category, Covariate, Number
from silmu.runtime.series.frame import Layout

if TYPE_CHECKING:
    from silmu.runtime.folder import Folder

FILE = "processor.json"
FORMAT = 2
MAX_BYTES = 64 << 20
"""How large it may be: it names every series of the training."""

_COVARIATES = ("known", "past", "static")

T = TypeVar("T")


def opened(folder: Folder, make: Callable[..., T]) -> T:
    """What a folder's processor.json holds, of types that are checked.

    Args:
        folder: of a model.
        make: what is made of the fields; a ValueError of it says that they are out of range.

    Raises:
        InvalidModelError: the file is missing or broken, or is of a model for others.
        UnsupportedModelError: it is of a newer silmu.
    """
    if not folder.has(FILE):
        raise InvalidModelError(
            f"`{folder.name}` has no {FILE}, so it is not known how its series were read",
            hint="take the whole folder that `silmu train` wrote",
        )
    values = folder.json(FILE, limit=MAX_BYTES)
    version = values.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise UnsupportedModelError(
            f"{FILE} of `{folder.name}` has format {version}; this silmu reads {FORMAT}",
            hint="pip install --upgrade silmu",
        )
    try:
        if version not in (1, FORMAT) or values.get("series") is not True:
            raise ValueError("it is not of series")
        return make(**_fields({k: v for k, v in values.items() if k not in ("format", "series")}))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InvalidModelError(
            f"{FILE} of `{folder.name}` is not what silmu writes: {error!r:.300}"
        ) from error


def to_bytes(values: Mapping[str, Any]) -> bytes:
    """The file of a processor's fields."""
    plain = {"format": FORMAT, "series": True, **values}
    plain["layout"] = values["layout"].to_plain()
    for group in _COVARIATES:
        several: tuple[Covariate, ...] = values[group]
        plain[group] = [{"kind": one.kind, **asdict(one)} for one in several]
    return json.dumps(plain, ensure_ascii=False, indent=1).encode() + b"\n"


def _fields(values: dict[str, Any]) -> dict[str, Any]:
    layout = Layout.of(values["layout"])
    _check_layout(layout)
    found: dict[str, Any] = {"layout": layout}
    for name in _COVARIATES:
        found[name] = tuple(_covariate(one) for one in _list(values[name]))
    for name in ("calendar", "names"):
        found[name] = tuple(_text(one) for one in _list(values[name]))
    for name in ("fill", "normalise", "head"):
        found[name] = _text(values[name])
    for name in ("context_length", "prediction_length", "season"):
        found[name] = _whole(values[name])
    scale: Mapping[str, Any] = values["scale"]
    found["scale"] = {name: _number(one) for name, one in scale.items()}
    found["default_scale"] = _number(values["default_scale"])
    found["quantiles"] = tuple(_number(one) for one in _list(values["quantiles"]))
    spread = values["spread"]
    found["spread"] = None if spread is None else tuple(_number(one) for one in _list(spread))
    floor = values.get("floor")  # which format 1 has not
    found["floor"] = None if floor is None else _number(floor)
    return values | found


def _check_layout(layout: Layout) -> None:
    """Refuses what `read_series` could not have found."""
    if layout.zone is not None:
        zones.zone_of(layout.zone)
    is_count = layout.step is None or layout.step.unit == "count"
    if layout.time is None and not is_count:
        raise ValueError("there is a step of times, and no column of times")
    for name, how in layout.written.items():
        if name == layout.time:
            is_sound = stamps.is_written(how) and (how == stamps.COUNT) is is_count
        else:
            is_sound = measured.is_written(how)
        if not is_sound:
            raise ValueError(f"{name!r:.60} is written like {how!r:.60}")


def _covariate(values: Mapping[str, Any]) -> Covariate:
    plain = dict(values)
    kind, name = plain.pop("kind"), _text(plain.pop("name"))
    if kind == Number.kind:
        plain |= {key: _number(plain[key]) for key in ("mean", "deviation")}
        plain["indicator"] = _flag(plain["indicator"])
        return Number(name, **plain)
    if kind == Category.kind:
        plain["levels"] = tuple(_text(one) for one in _list(plain["levels"]))
        plain["gaps"] = _flag(plain["gaps"])
        return Category(name, **plain)
    raise ValueError(f"there is no kind {kind!r:.60} of covariates")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r:.60} is no list")
    return cast("list[Any]", value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r:.60} is no text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r:.60} is neither true nor false")
    return value


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r:.60} is no whole number")
    return value


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise TypeError(f"{value!r:.60} is no number")
    return float(value)
