"""The tokens of a model: which stand for what, their ids, and ids to text."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import UsageError
from silmu.runtime import tokenizer_file
from silmu.runtime.tokenizer_families import ROLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer as RustTokenizer

# The spaces that a word-level decoder leaves before English punctuation and contractions.
_CLEAN_UP = (
    (" .", "."),
    (" ?", "?"),
    (" !", "!"),
    (" ,", ","),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)

_INSTEAD = {
    "save_pretrained": "the pipeline saves model and tokenizer: pipe.save_pretrained(folder)",
    **dict.fromkeys(
        ("add_tokens", "add_special_tokens"),
        "a model has embeddings for the tokens that it was trained with only; "
        'a token of the vocabulary gets a role by pipe.tokenizer.pad_token = "..."',
    ),
}
"""What programs ask of a tokenizer of transformers, and what to write in its place."""


class Vocabulary:
    """What a tokenizer is asked without a text: names and ids of tokens, those that are special.

    Args:
        name: what to call it in a message.
        rust: that of the `tokenizers` library.
        settings: of tokenizer_config.json.
    """

    def __init__(self, name: str, rust: RustTokenizer, settings: dict[str, Any]) -> None:
        self.name_or_path = name
        self.settings = settings
        self.backend_tokenizer = rust
        self._special = tokenizer_file.special_tokens(settings, name)

    # Special tokens, by the names that transformers gives them.

    def special_token(self, role: str) -> str | None:
        """The token of a role, such as `pad`; None where there is none."""
        return self._special.get(role)

    def special_id(self, role: str) -> int | None:
        """The id of the token of a role."""
        token = self._special.get(role)
        return None if token is None else self.backend_tokenizer.token_to_id(token)

    def set_special(self, role: str, token: str | None) -> None:
        """Makes a token of the vocabulary stand for a role."""
        if token is None:
            self._special.pop(role, None)
        elif self.backend_tokenizer.token_to_id(token) is None:
            raise UsageError(f"{token!r} is not in the vocabulary of `{self.name_or_path}`")
        else:
            self._special[role] = token

    def __getattr__(self, name: str) -> Any:
        role = name.removesuffix("_id").removesuffix("_token")
        if role in ROLES and name == f"{role}_token":
            return self.special_token(role)
        if role in ROLES and name == f"{role}_token_id":
            return self.special_id(role)
        instead = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
        raise AttributeError(f"a tokenizer of silmu has no {name!r}{instead}")

    def __setattr__(self, name: str, value: Any) -> None:
        role = name.removesuffix("_id").removesuffix("_token")
        if role in ROLES and name.endswith("_token"):
            self.set_special(role, None if value is None else str(value))
        elif role in ROLES and name.endswith("_token_id"):
            token = None if value is None else self.convert_ids_to_tokens(int(value))
            self.set_special(role, cast("str | None", token))
        else:
            super().__setattr__(name, value)

    @property
    def additional_special_tokens(self) -> list[str]:
        """The special tokens without a role that the model's files name, such as `<|im_end|>`."""
        listed: Any = self.settings.get("additional_special_tokens") or []
        others = cast("list[Any]", listed if isinstance(listed, list) else [listed])
        named = (cast("Any", one)["content"] if isinstance(one, dict) else one for one in others)
        return [str(name) for name in named]

    @property
    def special_tokens_map(self) -> dict[str, Any]:
        """The token of each role, such as `{"pad_token": "[PAD]"}`, and the additional ones."""
        found: dict[str, Any] = {
            f"{role}_token": self._special[role] for role in ROLES if role in self._special
        }
        if self.additional_special_tokens:
            found["additional_special_tokens"] = self.additional_special_tokens
        return found

    @property
    def all_special_tokens(self) -> list[str]:
        """Every token that has a role, and the additional ones, each once."""
        roles = [self._special[role] for role in ROLES if role in self._special]
        return [*dict.fromkeys((*roles, *self.additional_special_tokens))]

    @property
    def all_special_ids(self) -> list[int]:
        """The ids of `all_special_tokens`, in rising order."""
        ids = map(self.backend_tokenizer.token_to_id, self.all_special_tokens)
        return sorted({i for i in ids if i is not None})

    @property
    def is_fast(self) -> bool:
        """True, as of transformers' tokenizers that use the `tokenizers` library."""
        return True

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many tokens are put around a text, or a pair."""
        return self.backend_tokenizer.num_special_tokens_to_add(is_pair=pair)

    @property
    def vocab_size(self) -> int:
        """The number of tokens without the added ones."""
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)

    @cached_property
    def _misnamed(self) -> dict[int, str]:
        """Added tokens by id that the library does not name as they are written.

        From version 0.23 on it names those which are looked for in the normalised text as that
        spells them, `[unk]` for `[UNK]`, and then does not know that they are special.
        """
        rust = self.backend_tokenizer
        added = rust.get_added_tokens_decoder()
        return {
            i: token.content for i, token in added.items() if rust.id_to_token(i) != token.content
        }

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        """The ids of all added tokens that are special."""
        added = self.backend_tokenizer.get_added_tokens_decoder()
        return frozenset(i for i, token in added.items() if token.special)

    # Ids to text.

    def decode(
        self,
        ids: int | Sequence[int] | NDArray[np.integer[Any]],
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> str:
        """The text of token ids."""
        numbers = [int(i) for i in np.atleast_1d(np.asarray(ids, np.int64))]
        if skip_special_tokens and self._misnamed:
            numbers = [i for i in numbers if i not in self._special_ids]
        if self._misnamed.keys() & {*numbers}:
            names = cast("list[str | None]", self.convert_ids_to_tokens(numbers))
            kept = [name for name in names if name is not None]
            text = self.convert_tokens_to_string(kept)
        else:
            text = self.backend_tokenizer.decode(numbers, skip_special_tokens=skip_special_tokens)
        if clean_up_tokenization_spaces is None:
            clean_up_tokenization_spaces = bool(
                self.settings.get("clean_up_tokenization_spaces", False)
            )
        return clean_up(text) if clean_up_tokenization_spaces else text

    def batch_decode(self, rows: Sequence[Sequence[int]], **options: Any) -> list[str]:
        """The texts of rows of token ids."""
        return [self.decode(row, **options) for row in rows]

    def convert_ids_to_tokens(
        self, ids: int | Sequence[int], skip_special_tokens: bool = False
    ) -> str | list[str | None] | None:
        """The tokens of ids, as the vocabulary spells them."""
        if isinstance(ids, int):
            return self._misnamed.get(ids) or self.backend_tokenizer.id_to_token(ids)
        left_out = {*self.all_special_ids} if skip_special_tokens else set[int]()
        kept = (int(i) for i in ids if int(i) not in left_out)
        return [cast("str | None", self.convert_ids_to_tokens(i)) for i in kept]

    def convert_tokens_to_ids(self, tokens: str | Sequence[str]) -> int | list[int | None] | None:
        """The ids of tokens; that of the unknown token for those which are not there."""
        if isinstance(tokens, str):
            found = self.backend_tokenizer.token_to_id(tokens)
            return self.special_id("unk") if found is None else found
        return [cast("int | None", self.convert_tokens_to_ids(token)) for token in tokens]

    def convert_tokens_to_string(self, tokens: Sequence[str]) -> str:
        """Tokens joined to a text, as the vocabulary's spelling of spaces and pieces wants it."""
        decoder = self.backend_tokenizer.decoder
        return " ".join(tokens) if decoder is None else decoder.decode(list(tokens))

    def get_vocab(self) -> dict[str, int]:
        """Token to id, added tokens included."""
        return self.backend_tokenizer.get_vocab(with_added_tokens=True)

    @property
    def vocab(self) -> dict[str, int]:
        """The same as `get_vocab()`."""
        return self.get_vocab()

    def get_added_vocab(self) -> dict[str, int]:
        """Added token to id."""
        added = self.backend_tokenizer.get_added_tokens_decoder()
        return {token.content: i for i, token in sorted(added.items())}


def clean_up(text: str) -> str:
    """Takes back the spaces that a word-level decoder puts before English punctuation.

    >>> clean_up("do n't stop , please !")
    "don't stop, please!"
    """
    for spaced, tight in _CLEAN_UP:
        text = text.replace(spaced, tight)
    return text
