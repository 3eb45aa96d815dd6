"""The settings that texts are generated with, from those of the model to those of a call."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast, final

from silmu.errors import InvalidModelError, UsageError
from silmu.runtime.generate import Settings, differing, merged

if TYPE_CHECKING:
    from silmu.runtime.folder import Folder
    from silmu.runtime.text import Tokenizer

DEFAULTS: dict[str, Any] = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7}
"""What 4.57 begins with, whatever the model's generation_config.json says."""


@final
class Beginning:
    """What a call begins with: layers of settings, of which later ones win.

    They are those of the model's folder, DEFAULTS, those that the pipeline was made with, those
    that config.json has for the task, and whatever `change` is told.

    Args:
        folder: of the model.
        tokenizer: whose padding token is the model's where that has none.
        given: to the pipeline.
        specific: to the task.

    Raises:
        InvalidModelError: generation_config.json has a setting that is unknown or out of range.
        UsageError: so has what was given.
    """

    def __init__(
        self,
        folder: Folder,
        tokenizer: Tokenizer,
        given: Mapping[str, Any],
        specific: Mapping[str, Any],
    ) -> None:
        self.tokenizer = tokenizer
        self._repository = _repository(folder)
        settings = {**self._repository, **DEFAULTS, **given}
        if settings.get("max_length") is not None and given.get("max_new_tokens") is None:
            settings["max_new_tokens"] = None
        self._layers: list[Mapping[str, Any]] = [{**settings, **specific}]
        self.settings({})  # says at once what is wrong with them

    def change(self, **settings: Any) -> None:
        """Changes what a call begins with.

        Raises:
            UsageError: a setting is unknown or out of range; none is changed.
        """
        if settings.get("max_length") is not None:
            settings.setdefault("max_new_tokens", None)
        merged(*self._layers, settings)
        self._layers = [*self._layers, settings]

    def settings(self, given: Mapping[str, Any]) -> Settings:
        """All settings of a call that is given some; its `generation_config` is in place of ours.

        Raises:
            UsageError: a setting is unknown or out of range.
        """
        given = dict(given)
        config = given.pop("generation_config", None)
        layers = self._layers
        if config is not None:
            layers = [self._repository, differing(_as_mapping(config))]
        if given.get("max_length") is not None and given.get("max_new_tokens") is None:
            # Here silmu differs from 4.57 on purpose, which lets its own 256 new tokens win.
            given["max_new_tokens"] = None
        pad = {"pad_token_id": self.tokenizer.special_id("pad")}
        settings = merged(pad, *layers, given)
        if settings.pad_token_id is None and pad["pad_token_id"] is not None:
            settings = replace(settings, **pad)
        return settings


@final
class GenerationConfig:
    """What a call begins with, by attribute, as transformers shows it; a copy is by itself."""

    def __init__(self, beginning: Beginning) -> None:
        object.__setattr__(self, "_beginning", beginning)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._beginning.settings({}), name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._beginning.change(**{name: value})

    def __copy__(self) -> GenerationConfig:
        return GenerationConfig(copy.copy(self._beginning))

    def __deepcopy__(self, memo: dict[int, Any]) -> GenerationConfig:
        return copy.copy(self)

    def to_dict(self) -> dict[str, Any]:
        """All settings by name."""
        settings = self._beginning.settings({})
        return {field.name: getattr(settings, field.name) for field in fields(settings)}


def longer(settings: Settings, prefix_length: int) -> Settings:
    """Settings whose lengths count a prompt with its prefix, where they count the prompt."""
    changes: dict[str, Any] = {}
    if settings.max_new_tokens is None and settings.max_length is not None:
        changes["max_length"] = settings.max_length + prefix_length
    if settings.min_new_tokens is None and settings.min_length:
        changes["min_length"] = settings.min_length + prefix_length
    return replace(settings, **changes)


def _repository(folder: Folder) -> dict[str, Any]:
    """What the model's folder says of generation, where it differs from the global defaults."""
    found = differing(
        folder.json("generation_config.json")
        if folder.has("generation_config.json")
        else folder.config  # models of before 2022 say it there
    )
    try:
        merged(found)
    except UsageError as error:
        raise InvalidModelError(
            f"generation_config.json of `{folder.name}`: {error.message}", hint=error.hint
        ) from error
    return found


def _as_mapping(config: Any) -> Mapping[str, Any]:
    values: Any = config.to_dict() if hasattr(config, "to_dict") else config
    return cast("Mapping[str, Any]", values if isinstance(values, Mapping) else vars(values))
