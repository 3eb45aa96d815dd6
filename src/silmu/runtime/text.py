"""Text to token ids and back: the tokenizer of a model folder, without transformers.

`Tokenizer` answers the questions that programs ask of a transformers tokenizer (`pad_token_id`,
`decode`, `apply_chat_template`, a call with `return_tensors="np"`); the work is done by the
`tokenizers` library on the folder's tokenizer.json, or on one that is made of its older files.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.runtime import chat, tokenized, tokenizer_file
from silmu.runtime.tokenized import Encoded, Rows
from silmu.runtime.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from tokenizers import Tokenizer as RustTokenizer

    from silmu.runtime.folder import Folder

logger = logging.getLogger("silmu")

MAX_CHARACTERS = 1 << 20
"""The longest text that is read at once: one of punctuation takes a second and half a gigabyte."""

NO_LIMIT = int(1e20)
"""From where on transformers takes a limit of tokens for none."""

TRUNCATIONS = ("longest_first", "only_first", "only_second")
PADDINGS = (True, False, "longest", "max_length", "do_not_pad")

Truncation = Literal["longest_first", "only_first", "only_second", "do_not_truncate"]


class Tokenizer(Vocabulary):
    """The tokenizer of a model folder.

    >>> tokenizer = Tokenizer.open(folder)                              # doctest: +SKIP
    >>> tokenizer.decode(tokenizer.encode("Hello").ids)                 # doctest: +SKIP
    '[CLS] hello [SEP]'
    """

    def __init__(self, name: str, rust: RustTokenizer, settings: dict[str, Any]) -> None:
        super().__init__(name, rust, settings)
        self.model_max_length: int = tokenizer_file.max_length(settings, name)
        self.max_characters = MAX_CHARACTERS
        self.padding_side = tokenizer_file.side(settings, "padding_side", name)
        self.truncation_side = tokenizer_file.side(settings, "truncation_side", name)
        self.model_input_names = tokenizer_file.input_names(settings, name)
        self.chat_template: str | dict[str, str] | None = chat.templates(settings, name)
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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def encode(
        self,
        text: str | Sequence[str],
        pair: str | Sequence[str] | None = None,
        *,
        add_special_tokens: bool = True,
        truncation: Truncation | bool | None = None,
        max_length: int | None = None,
        stride: int = 0,
        **others: Any,
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
            UsageError: an option that is for rows of several texts.
        """
        if "text_pair" in others:
            pair = others.pop("text_pair")
        if asked := [name for name, value in others.items() if value]:
            raise UsageError(
                f"encode gives a list of ids, and was asked for {', '.join(asked)}",
                hint="call the tokenizer itself: tokenizer(text, ...)",
            )
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
        return Encoded(encoding)

    def __call__(
        self,
        text: Any,
        text_pair: Any = None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: Truncation | bool | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
        **others: Any,
    ) -> Rows:
        """A text, a pair, or a list of either as lists, or with `return_tensors="np"` as arrays."""
        del verbose
        if others:
            logger.warning("the tokenizer does not know, and ignores, %s", ", ".join(others))
        tokenized.refuse_tensors(return_tensors)
        texts, pairs, single = tokenized.texts_and_pairs(
            text, text_pair, is_split=is_split_into_words
        )
        rows: list[Encoded] = []
        sources: list[int] = []
        for i, (one, other) in enumerate(zip(texts, pairs, strict=True)):
            row = self.encode(
                one,
                other,
                add_special_tokens=add_special_tokens,
                truncation=truncation,
                max_length=max_length,
                stride=stride,
            )
            windows = [row, *(row.overflowing if return_overflowing_tokens else ())]
            rows += windows
            sources += [i] * len(windows)
        side = self.padding_side if padding_side is None else padding_side
        width = None
        if padding or return_tensors:
            longest = max((len(row) for row in rows), default=0)
            width = self.padded_length(longest, padding, max_length, pad_to_multiple_of)
            arrays = self.pad(rows, width, side=side)
            found: dict[str, Any] = arrays if return_tensors else _as_lists(arrays)
        else:
            found = {
                "input_ids": [[*row] for row in rows],
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
        also = {
            "special_tokens_mask": return_special_tokens_mask,
            "offset_mapping": return_offsets_mapping,
            "length": return_length,
        }
        more = tokenized.about(rows, width, side)
        more["overflow_to_sample_mapping"] = sources
        also["overflow_to_sample_mapping"] = return_overflowing_tokens
        for name, wanted in also.items():
            if wanted:
                found[name] = np.array(more[name]) if return_tensors else more[name]
        if single and return_tensors is None and not return_overflowing_tokens:
            found = {name: v if name == "length" else v[0] for name, v in found.items()}
        return Rows(found, rows, side)

    encode_plus = batch_encode_plus = __call__

    def tokenize(
        self, text: str, pair: str | None = None, *, add_special_tokens: bool = False
    ) -> list[str]:
        """The tokens of a text, without those that frame it unless they are asked for."""
        return self.encode(text, pair, add_special_tokens=add_special_tokens).encoding.tokens

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

    def get_chat_template(self, chat_template: str | None = None, tools: Any = None) -> str:
        """The template that `apply_chat_template` takes.

        Raises:
            UsageError: there is none.
        """
        return chat.choose(
            self.chat_template,
            self.name_or_path,
            asked=chat_template,
            with_tools=tools is not None,
        )

    def apply_chat_template(
        self,
        conversation: Any,
        tools: Sequence[Mapping[str, Any]] | None = None,
        documents: Sequence[Mapping[str, Any]] | None = None,
        chat_template: str | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        padding: bool | str = False,
        truncation: Truncation | bool | None = None,
        max_length: int | None = None,
        return_tensors: str | None = None,
        return_dict: bool = False,
        tokenizer_kwargs: dict[str, Any] | None = None,
        **variables: Any,
    ) -> Any:
        """A conversation as the one text that the model was trained on, or as its ids.

        Args:
            conversation: messages with `role` and `content`, or a list of conversations.
            tools, documents: what some templates describe to the model, as dicts.
            chat_template: in place of the tokenizer's, or the name of one of several.
            add_generation_prompt: ends with what an answer begins with.
            continue_final_message: leaves the last message open, to be continued.
            tokenize: gives ids; else the text.
            padding, truncation, max_length, return_tensors, tokenizer_kwargs: as in a call.
            return_dict: gives all arrays by name, and not the ids alone.
            variables: for the template.

        Raises:
            UsageError: the tokenizer has no chat template, or the template refuses.
        """
        template = self.get_chat_template(chat_template, tools)
        several = chat.conversations(conversation)
        texts = [
            chat.render(
                template,
                one,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
                special_tokens={f"{role}_token": one for role, one in self._special.items()},
                variables={"tools": tools, "documents": documents, **variables},
            )
            for one in ([conversation] if several is None else several)
        ]
        if not tokenize:
            return texts[0] if several is None else texts
        as_list = several is None and return_tensors is None
        found = self(
            texts[0] if as_list else texts,
            add_special_tokens=False,
            padding=padding,
            truncation=truncation,
            max_length=max_length,
            return_tensors=return_tensors,
            **(tokenizer_kwargs or {}),
        )
        return found if return_dict else found["input_ids"]

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
