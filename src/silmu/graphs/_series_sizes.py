"""The sizes of transformers' TimeSeriesTransformer, as its config.json has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from silmu.errors import InvalidModelError

if TYPE_CHECKING:
    from silmu.graphs._config import Config

_LAGS = (1, 2, 3, 4, 5, 6, 7)
_LONGEST = 1 << 16
_MOST = 1 << 22


@dataclass(frozen=True)
class Sizes:
    """What config.json says of the sizes.

    Attributes:
        past: how many steps `past_values` has: those that the encoder sees, and the longest lag.
        known, covariates: how many time features are known ahead, and how many of the past only,
            which transformers calls dynamic real features: after the end they count as 0.
        levels: of each category of a series, how many there are and the size of its vectors.
    """

    hidden: int
    context: int
    horizon: int
    lags: tuple[int, ...]
    known: int
    covariates: int
    static: int
    levels: tuple[tuple[int, int], ...]
    layers: int
    heads: int

    @classmethod
    def of(cls, config: Config) -> Self:
        """The sizes that config.json has.

        Raises:
            InvalidModelError: one is out of range, or two do not belong together.
        """
        hidden = config.size("d_model", default=64)
        horizon = config.size("prediction_length", most=_LONGEST)
        context = config.size("context_length", default=horizon, most=_LONGEST)
        lags = config.sizes("lags_sequence", _LAGS, most=_LONGEST)
        if context * len(lags) > _MOST:
            raise InvalidModelError(
                f"config.json of `{config.name}` looks {len(lags):,} lags back from each of "
                f"{context:,} steps, at more than {_MOST:,} numbers"
            )
        return cls(
            hidden=hidden,
            context=context,
            horizon=horizon,
            lags=lags,
            known=_count(config, "num_time_features"),
            covariates=_count(config, "num_dynamic_real_features"),
            static=_count(config, "num_static_real_features"),
            levels=_levels(config),
            layers=config.size("decoder_layers", default=2),
            heads=config.heads(hidden, "decoder_attention_heads", default=2),
        )

    @property
    def past(self) -> int:
        """How many steps `past_values` has."""
        return self.context + max(self.lags)

    @property
    def told(self) -> int:
        """How many numbers say what a series is, with the place and width of the window."""
        return sum(size for _, size in self.levels) + self.static + 2


def _count(config: Config, key: str) -> int:
    return config.size(key) if config.values.get(key, 0) != 0 else 0


def _levels(config: Config) -> tuple[tuple[int, int], ...]:
    number = _count(config, "num_static_categorical_features")
    if not number:
        return ()
    levels = config.sizes("cardinality", ())
    usual = tuple(min(50, (level + 1) // 2) for level in levels)
    sizes = config.sizes("embedding_dimension", usual)
    if len(levels) != number or len(sizes) != number:
        raise InvalidModelError(
            f"config.json of `{config.name}` has {number} categories, for which cardinality and "
            f"embedding_dimension have {len(levels)} and {len(sizes)} numbers"
        )
    return tuple(zip(levels, sizes, strict=True))
