"""Text as it is written, word by word: the streamers of transformers, without torch."""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING, Any

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from silmu.runtime.text import Tokenizer

# The blocks of characters that stand for words by themselves, so that none need wait for a space.
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


class TextStreamer:
    """Prints a text to stdout while it is generated, as soon as a word is whole.

    >>> generate = pipeline("text-generation", model="gpt2")             # doctest: +SKIP
    >>> _ = generate("One, two,", streamer=TextStreamer(generate.tokenizer))  # doctest: +SKIP
    One, two, three, four, five

    Args:
        tokenizer: that of the pipeline.
        skip_prompt: whether to leave the prompt out.
        decode_options: for `tokenizer.decode`, such as skip_special_tokens=True.
    """

    def __init__(
        self, tokenizer: Tokenizer, skip_prompt: bool = False, **decode_options: Any
    ) -> None:
        self.tokenizer = tokenizer
        self.skip_prompt = skip_prompt
        self.decode_options = decode_options
        self._tokens: list[int] = []
        self._num_shown = 0
        self._is_prompt = True

    def put(self, value: NDArray[np.int64]) -> None:
        """Takes the prompt, (1, tokens), and then each new token, (1,)."""
        if value.ndim > 1:
            if len(value) > 1:
                raise UsageError("a streamer takes one text at a time, and here are several")
            value = value[0]
        if self._is_prompt:
            self._is_prompt = False
            if self.skip_prompt:
                return
        self._tokens.extend(value.tolist())
        text = self.tokenizer.decode(self._tokens, **self.decode_options)
        if text.endswith("\n") or _ends_in_ideograph(text):
            whole = len(text)
        else:
            # A word may change until it is followed by a space.
            whole = max(self._num_shown, text.rfind(" ") + 1)
        shown, self._num_shown = self._num_shown, whole
        if text.endswith("\n"):
            self._tokens, self._num_shown = [], 0
        self.on_finalized_text(text[shown:whole])

    def end(self) -> None:
        """Shows what is left."""
        text = self.tokenizer.decode(self._tokens, **self.decode_options) if self._tokens else ""
        shown = self._num_shown
        self._tokens, self._num_shown, self._is_prompt = [], 0, True
        self.on_finalized_text(text[shown:], stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Gets each piece of text that will not change; a subclass may do other than print it."""
        print(text, flush=True, end="\n" if stream_end else "")  # noqa: T201 - what it is for


def _ends_in_ideograph(text: str) -> bool:
    return bool(text) and any(low <= ord(text[-1]) <= high for low, high in _IDEOGRAPHS)


class TextIteratorStreamer(TextStreamer):
    """Hands a text on while another thread generates it.

    >>> streamer = TextIteratorStreamer(generate.tokenizer, skip_prompt=True)  # doctest: +SKIP
    >>> how = {"args": ["Once"], "kwargs": {"streamer": streamer}}        # doctest: +SKIP
    >>> ask = Thread(target=generate, **how)                             # doctest: +SKIP
    >>> ask.start()                                                      # doctest: +SKIP
    >>> for piece in streamer: ...                                       # doctest: +SKIP

    Args:
        timeout: how many seconds to wait for the next piece, before `queue.Empty` is raised.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        skip_prompt: bool = False,
        timeout: float | None = None,
        **decode_options: Any,
    ) -> None:
        super().__init__(tokenizer, skip_prompt, **decode_options)
        self.text_queue: Queue[str | None] = Queue()
        self.timeout = timeout

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
        """Puts a piece of text where the reading thread finds it."""
        self.text_queue.put(text)
        if stream_end:
            self.text_queue.put(None)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        piece = self.text_queue.get(timeout=self.timeout)
        if piece is None:
            raise StopIteration
        return piece
