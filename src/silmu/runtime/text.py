"""Text to token ids and back: the tokenizer of a model folder, without transformers.

`Tokenizer` answers the questions that programs ask of a transformers tokenizer (`pad_token_id`,
`decode`, `apply_chat_template`, a call with `return_tensors="np"`); the work is done by the
`tokenizers` library on the folder's tokenizer.json, or on one that is made of its older files.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.runtime import chat, tokenizer_file
from silmu.runtime.tokenizer_families import ROLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray
    from tokenizers import Encoding
    from tokenizers import Tokenizer as RustTokenizer

    from silmu.runtime.folder import Folder

logger = logging.getLogger("silmu")

MAX_CHARACTERS = 1 << 20
"""The longest text that is read at once: one of punctuation takes a second and half a gigabyte."""

NO_LIMIT = int(1e20)
"""From where on transformers takes a limit of tokens for none."""

TRUNCATIONS = ("longest_first", "only_first", "only_second")
PADDINGS = (True, False, "longest", "max_length", "do_not_pad")
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

Truncation = Literal["longest_first", "only_first", "only_second", "do_not_truncate"]


@dataclass
class Encoded:
    """One row for a model: token ids and what is known of each token.

    Attributes:
        ids, type_ids, special: a number for each token; `special` is 1 for tokens that are not
            of the text.
        encoding: the same with offsets and words, as the `tokenizers` library gives it.
        overflowing: the windows that follow, where truncation was asked to keep them.
    """

    ids: list[int]
    type_ids: list[int]
    special: list[int]
    encoding: Encoding
    overflowing: list[Encoded]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[int]:
        return iter(self.ids)

    def __getitem__(self, place: int | slice) -> int | list[int]:
        return self.ids[place]


class Rows(dict[str, Any]):
    """What a tokenizer gives for texts, by name; also as attributes, as programs read it."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the tokenizer gave {', '.join(self)}, no {name!r}") from None


class Tokenizer:
    """The tokenizer of a model folder.

    >>> tokenizer = Tokenizer.open(folder)                              # doctest: +SKIP
    >>> tokenizer.decode(tokenizer.encode("Hello").ids)                 # doctest: +SKIP
    '[CLS] hello [SEP]'
    """

    def __init__(self, name: str, rust: RustTokenizer, settings: dict[str, Any]) -> None:
        self.name_or_path = name
        self.settings = settings
        self.backend_tokenizer = rust
        self.model_max_length: int = tokenizer_file.max_length(settings, name)
        self.max_characters = MAX_CHARACTERS
        self.padding_side = tokenizer_file.side(settings, "padding_side", name)
        self.truncation_side = tokenizer_file.side(settings, "truncation_side", name)
        self.model_input_names = tokenizer_file.input_names(settings, name)
        self.chat_template: str | dict[str, str] | None = chat.templates(settings, name)
        self._special = tokenizer_file.special_tokens(settings, name)
        # Truncation is a setting of the shared Rust object, so two threads must take turns.
        self._lock = threading.Lock()
        rust.no_padding()
        rust.no_truncation()

    @classmethod
    def open(cls, folder: Folder) -> Tokenizer:
        """Reads tokenizer.json, or the older files of a vocabulary, and the settings beside it.

        Raises:
            ModelNotFoundError: the folder has none of them.
            UnsupportedModelError: the same, and its tokenizer is code of its own.
            InvalidModelError: a file is broken.
        """
        rust, settings = tokenizer_file.read(folder)
        return cls(folder.name, rust, settings)

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
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

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
    def all_special_ids(self) -> list[int]:
        """The ids of every token that has a role."""
        ids = (self.special_id(role) for role in self._special)
        return sorted({i for i in ids if i is not None})

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

    # Text to ids.

    def encode(
        self,
        text: str | Sequence[str],
        pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        truncation: Truncation | bool | None = None,
        max_length: int | None = None,
        stride: int = 0,
    ) -> Encoded:
        """One text, or a pair, as a row of token ids.

        Args:
            text: a string, or the words of one.
            pair: the second text of a pair.
            add_special_tokens: whether to put the model's own tokens around them.
            truncation: which text to shorten where the row is too long (True: the longer one).
            max_length: what too long is, in tokens; the model's own limit, if not given.
            stride: how many tokens a window shares with the one before it; windows beyond the
                first are in `overflowing`.

        Raises:
            InputError: not a text, or one that no encoding of Unicode can hold.
        """
        for part in (text, pair):
            if part is not None and not _is_text(part):
                raise InputError(
                    f"a text must be a string, and this is a {type(part).__name__}",
                    hint="give str(...) of it if that is what you mean",
                )
        size = _num_characters(text) + _num_characters(pair or "")
        if size > self.max_characters:
            raise InputError(
                f"a text has {size:,} characters; at most {self.max_characters:,} are read at once",
                hint="cut it into parts, or set pipe.tokenizer.max_characters",
            )
        with self._lock:
            self._set_truncation(truncation, max_length, stride)
            try:
                encoding = self.backend_tokenizer.encode(
                    text,
                    pair,
                    is_pretokenized=not isinstance(text, str),
                    add_special_tokens=add_special_tokens,
                )
            except UnicodeEncodeError as error:
                raise InputError(
                    f"the text holds half of a surrogate pair at character {error.start}",
                    hint="decode it with errors='replace' first",
                ) from error
            except BaseException as error:  # a Rust panic is not an Exception
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                raise InputError(f"the tokenizer cannot read this text: {error}") from error
        return _encoded(encoding)

    def __call__(
        self,
        text: str | Sequence[str],
        text_pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: Truncation | bool | None = None,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        **others: Any,
    ) -> Rows:
        """One text or a list of them as lists, or with `return_tensors="np"` as arrays."""
        if others:
            logger.warning("the tokenizer does not know, and ignores, %s", ", ".join(others))
        single = isinstance(text, str)
        texts = [text] if single else list(text)
        pairs = [text_pair] if single else list(text_pair or [None] * len(texts))
        rows = [
            self.encode(
                one,
                other,
                add_special_tokens=add_special_tokens,
                truncation=truncation,
                max_length=max_length,
            )
            for one, other in zip(texts, pairs, strict=True)
        ]
        if return_tensors not in (None, "np", "onnx"):  # the framework that pipelines name
            raise UsageError(f"return_tensors is {return_tensors!r}; silmu has 'np'")
        if padding or return_tensors:
            longest = max((len(row) for row in rows), default=0)
            arrays = self.pad(
                rows, self.padded_length(longest, padding, max_length, pad_to_multiple_of)
            )
            found: dict[str, Any] = arrays if return_tensors else _as_lists(arrays)
        else:
            found = {
                "input_ids": [row.ids for row in rows],
                "token_type_ids": [row.type_ids for row in rows],
                "attention_mask": [[1] * len(row) for row in rows],
            }
        asked = {
            "token_type_ids": return_token_type_ids,
            "attention_mask": return_attention_mask,
        }
        for name in list(found):
            wanted = asked.get(name)
            if not (name in self.model_input_names if wanted is None else wanted):
                del found[name]
        if single and return_tensors is None:
            return Rows({name: value[0] for name, value in found.items()})
        return Rows(found)

    def tokenize(self, text: str) -> list[str]:
        """The tokens of a text, without those that frame it."""
        return self.encode(text, add_special_tokens=False).encoding.tokens

    def padded_length(
        self, longest: int, padding: bool | str, max_length: int | None, multiple: int | None
    ) -> int:
        """How many tokens wide rows are padded, of which the longest has `longest`.

        Args:
            longest: tokens of the longest row.
            padding: True or `longest`, `max_length`, or False or `do_not_pad`.
            max_length: what `max_length` means; the model's own limit, if not given.
            multiple: the width is rounded up to a multiple of it.
        """
        if padding not in PADDINGS:
            raise UsageError(
                f"padding is {padding!r}; it may be True, False or one of "
                f"{', '.join(name for name in PADDINGS if isinstance(name, str))}"
            )
        if multiple is not None and multiple < 1:
            raise UsageError(f"pad_to_multiple_of is {multiple}; it must be at least 1")
        if padding in (False, "do_not_pad"):
            return longest
        limit = self.model_max_length if max_length is None else max_length
        width = max(longest, limit) if padding == "max_length" and limit < NO_LIMIT else longest
        return -(-width // (multiple or 1)) * (multiple or 1)

    def pad(
        self, rows: Sequence[Encoded], width: int, *, side: str = "right"
    ) -> dict[str, NDArray[np.int64]]:
        """Rows as arrays of one width, (rows, width), with a mask of what is not padding."""
        pad = self.special_id("pad") or 0
        shape = (len(rows), width)
        ids = np.full(shape, pad, np.int64)
        types = np.zeros(shape, np.int64)
        mask = np.zeros(shape, np.int64)
        for i, row in enumerate(rows):
            where = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
            ids[i, where], types[i, where], mask[i, where] = row.ids, row.type_ids, 1
        return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}

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

    def convert_ids_to_tokens(self, ids: int | Sequence[int]) -> str | list[str | None] | None:
        """The tokens of ids, as the vocabulary spells them."""
        if isinstance(ids, int):
            return self._misnamed.get(ids) or self.backend_tokenizer.id_to_token(ids)
        return [cast("str | None", self.convert_ids_to_tokens(int(i))) for i in ids]

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

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]],
        *,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        **variables: Any,
    ) -> str | list[int]:
        """A conversation as the one text that the model was trained on, or as its ids.

        Raises:
            UsageError: the tokenizer has no chat template, or the template refuses.
        """
        text = chat.render(
            chat.choose(chat_template or self.chat_template, self.name_or_path),
            conversation,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            special_tokens={f"{role}_token": token for role, token in self._special.items()},
            variables=variables,
        )
        return self.encode(text, add_special_tokens=False).ids if tokenize else text

    def _set_truncation(
        self, truncation: Truncation | bool | None, max_length: int | None, stride: int
    ) -> None:
        strategy = "longest_first" if truncation is True else truncation
        if not strategy or strategy == "do_not_truncate":
            self.backend_tokenizer.no_truncation()
            return
        if strategy not in TRUNCATIONS:
            raise UsageError(
                f"truncation is {truncation!r}; it may be True, False or one of "
                f"{', '.join(TRUNCATIONS)}"
            )
        limit = self.model_max_length if max_length is None else max_length
        if limit >= NO_LIMIT:
            self.backend_tokenizer.no_truncation()
            return
        try:
            self.backend_tokenizer.enable_truncation(  # pyright: ignore[reportUnknownMemberType]
                limit, stride=stride, strategy=strategy, direction=self.truncation_side
            )
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt | SystemExit):
                raise
            raise UsageError(
                f"max_length {limit} and stride {stride} leave no room for text: {error}"
            ) from error


def clean_up(text: str) -> str:
    """Takes back the spaces that a word-level decoder puts before English punctuation.

    >>> clean_up("do n't stop , please !")
    "don't stop, please!"
    """
    for spaced, tight in _CLEAN_UP:
        text = text.replace(spaced, tight)
    return text


def _encoded(encoding: Encoding) -> Encoded:
    return Encoded(
        encoding.ids,
        encoding.type_ids,
        encoding.special_tokens_mask,
        encoding,
        [_encoded(window) for window in encoding.overflowing],
    )


def _as_lists(arrays: dict[str, NDArray[np.int64]]) -> dict[str, Any]:
    return {name: array.tolist() for name, array in arrays.items()}


def _num_characters(text: str | Sequence[str]) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text))


def _is_text(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list | tuple) and all(
        isinstance(word, str) for word in cast("Sequence[object]", value)
    )
