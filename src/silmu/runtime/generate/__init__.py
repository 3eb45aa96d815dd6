"""Generation: greedy search, sampling and beam search over any decoder that gives logits.

The loop asks a decoder for the logits of the next token of each row, bends them (`scores`), chooses
(`sampling`, `beams`), and stops each row by itself (`stops`). Rows never see each other: a prompt
gets the same answer alone and in a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from silmu.errors import UsageError
from silmu.runtime.generate.beams import Beams
from silmu.runtime.generate.sampling import Sampler, new_seed
from silmu.runtime.generate.scores import Row, log_softmax, processors
from silmu.runtime.generate.settings import Settings, differing, merged
from silmu.runtime.generate.stops import Stops

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.generate.scores import Processor

__all__ = ["Answer", "Decoder", "Extras", "Settings", "differing", "generate", "merged"]


class Decoder(Protocol):
    """What generation needs of a model; `CachedDecoder` is one."""

    @property
    def max_positions(self) -> int:
        """How many tokens the model can see, prompt included."""
        ...

    def start(self, prompts: Sequence[Sequence[int]], capacity: int) -> NDArray[np.float32]:
        """Reads prompts; gives the (rows, vocabulary) logits of what follows each."""
        ...

    def step(
        self, tokens: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Reads one token a row, each row continuing the earlier row that `rows` names."""
        ...


@dataclass(frozen=True, kw_only=True)
class Extras:
    """What can be asked of a generation beside its settings.

    Attributes:
        decode: ids to text; stop strings need it.
        streamer: is given the prompt's ids and then each token; see `streamers`.
        logits_processor: functions of (ids, scores) that bend scores.
        stopping_criteria: functions of (ids, scores) that say when to stop.
        prefix_allowed_tokens_fn: gives the tokens that may follow some ids.
        negative_prompt_ids: what `guidance_scale` leads away from.
        seeds: one for each prompt.
        rooms: how many new tokens there may be after each prompt, where it is not for the settings
            to say.
    """

    decode: Callable[[Sequence[int]], str] | None = None
    streamer: Any = None
    logits_processor: Sequence[Any] = ()
    stopping_criteria: Sequence[Any] = ()
    prefix_allowed_tokens_fn: Any = None
    negative_prompt_ids: Any = None
    seeds: Sequence[int] | None = None
    rooms: Sequence[int] | None = None


@dataclass
class Answer:
    """One generated text.

    Attributes:
        tokens: the new ones, the end included.
        score: of a beam: the sum of its tokens' log-probabilities over their number, raised to
            the length penalty.
        path: of a beam: the place of the beam that each token continued.
        scores, logits: (tokens, vocabulary), bent and as they came; where they were asked for,
            and not of beams.
    """

    tokens: list[int]
    score: float | None = None
    path: list[int] = field(default_factory=list[int])
    scores: list[NDArray[np.float32]] = field(default_factory=list["NDArray[np.float32]"])
    logits: list[NDArray[np.float32]] = field(default_factory=list["NDArray[np.float32]"])


def generate(
    new_decoder: Callable[[], Decoder],
    prompts: Sequence[Sequence[int]],
    settings: Settings,
    extras: Extras | None = None,
) -> list[list[Answer]]:
    """Continues prompts.

    Args:
        new_decoder: makes a decoder with a cache of its own.
        prompts: token ids, at least one each.

    Returns:
        For each prompt `num_return_sequences` answers, the best first where they were compared.

    Raises:
        InputError: a prompt is empty or too long.
        UsageError: settings that cannot be followed together.
    """
    extras = extras or Extras()
    decoder = new_decoder()
    rooms = extras.rooms or [settings.room(len(prompt)) for prompt in prompts]
    rows = [Row(list(prompt), len(prompt), rooms[i], i) for i, prompt in enumerate(prompts)]
    if extras.streamer is not None and (len(rows) > 1 or settings.num_return_sequences > 1):
        raise UsageError("a streamer takes one text at a time, and here are several")
    if extras.streamer is not None and settings.num_beams > 1:
        raise UsageError("a streamer cannot follow beams, which change their mind")
    # The last token is never read, so it takes no room.
    logits = decoder.start(prompts, max(row.prompt_length + row.room - 1 for row in rows))
    vocabulary = logits.shape[1]
    work = _Work(
        decoder=decoder,
        settings=settings,
        bend=processors(
            settings, vocabulary, extras.logits_processor, extras.prefix_allowed_tokens_fn
        ),
        stops=Stops(settings, extras.decode, extras.stopping_criteria),
        guidance=_Guidance.of(settings, new_decoder, extras.negative_prompt_ids),
        seeds=list(extras.seeds or [_seed(settings) for _ in rows]),
        streamer=extras.streamer,
    )
    try:
        search = _beam_search if settings.num_beams > 1 else _search
        return search(work, rows, logits)
    finally:
        # Also where it failed: another thread may be waiting for the next piece of text.
        if extras.streamer is not None:
            extras.streamer.end()


@dataclass(kw_only=True)
class _Work:
    """What both searches need."""

    decoder: Decoder
    settings: Settings
    bend: list[Processor]
    stops: Stops
    guidance: _Guidance | None
    seeds: list[int]
    streamer: Any

    def bent(
        self, logits: NDArray[np.float32], rows: Sequence[Row], *, normal: bool
    ) -> NDArray[np.float32]:
        """Logits of rows (log-probabilities, if normal) after all processors."""
        scores = log_softmax(logits) if normal else logits
        if self.guidance is not None:
            scores = self.guidance(scores, rows)
        if self.bend:
            # The decoder's own buffer, which the next step overwrites anyhow.
            if self.settings.output_logits and scores is logits:
                scores = logits.copy()
            for row, own in zip(rows, scores, strict=True):
                bent = own
                for process in self.bend:
                    bent = process(row, bent)
                if bent is not own:
                    own[:] = bent
        return scores

    def random(self, row: int, copy: int = 0) -> np.random.Generator:
        """The random numbers of one copy of one prompt, whatever it is batched with."""
        return np.random.default_rng([self.seeds[row], copy])


def _search(work: _Work, rows: list[Row], logits: NDArray[np.float32]) -> list[list[Answer]]:
    """Greedy search and sampling."""
    s, copies = work.settings, work.settings.num_return_sequences
    sampler = Sampler(s) if s.do_sample else None
    texts = [
        Row(list(r.tokens), r.prompt_length, r.room, r.prompt) for r in rows for _ in range(copies)
    ]
    answers = [Answer([]) for _ in texts]
    randoms = [work.random(row.prompt, i % copies) for i, row in enumerate(texts)]
    active = np.arange(len(texts))
    # Which row of the decoder each active text reads; the prompts were read once for all copies.
    reads = active // copies
    if work.streamer is not None:
        work.streamer.put(np.array([rows[0].tokens]))
    while True:
        active_rows = [texts[i] for i in active]
        raw = logits[reads] if copies > 1 else logits
        scores = work.bent(raw, active_rows, normal=False)
        if sampler is not None and s.output_scores:
            scores = np.array([sampler.bend(row) for row in scores])
        if s.renormalize_logits:
            scores = log_softmax(scores)
        if sampler is None:
            tokens = scores.argmax(axis=1)
        else:
            tokens = np.array(
                [sampler.draw(row, randoms[i]) for row, i in zip(scores, active, strict=True)]
            )
        for place, i in enumerate(active):
            texts[i].tokens.append(int(tokens[place]))
            answers[i].tokens.append(int(tokens[place]))
            if s.output_scores:
                answers[i].scores.append(scores[place].copy())
            if s.output_logits:
                answers[i].logits.append(raw[place].copy())
        if work.streamer is not None:
            work.streamer.put(tokens)
        goes_on = np.array([not work.stops(row) for row in active_rows])
        if not goes_on.any():
            break
        logits = work.decoder.step(tokens[goes_on], reads[goes_on])
        active = active[goes_on]
        reads = np.arange(len(active))
        copies = 1
    per_prompt = s.num_return_sequences
    return [answers[i : i + per_prompt] for i in range(0, len(answers), per_prompt)]


def _beam_search(work: _Work, rows: list[Row], logits: NDArray[np.float32]) -> list[list[Answer]]:
    s = work.settings
    sampler = Sampler(s) if s.do_sample else None
    all_beams = [
        Beams(row, s, work.stops, work.random(row.prompt) if s.do_sample else None) for row in rows
    ]
    active = list(all_beams)
    while True:
        running = [beam.row for beams in active for beam in beams.running]
        scores = work.bent(logits, running, normal=True)
        if sampler is not None:
            scores = np.array([sampler.bend(row) for row in scores])
        if s.renormalize_logits:
            scores = log_softmax(scores)
        continued: list[NDArray[np.int64]] = []
        start = 0
        for beams in active:
            share = slice(start, start + len(beams.running))
            start = share.stop
            continued.append(share.start + beams.step(scores[share]))
        reads = [places for beams, places in zip(active, continued, strict=True) if not beams.done]
        active = [beams for beams in active if not beams.done]
        if not active:
            break
        tokens = [beam.row.tokens[-1] for beams in active for beam in beams.running]
        logits = work.decoder.step(np.array(tokens), np.concatenate(reads))
    return [
        [
            Answer(beam.row.tokens[row.prompt_length :], float(beam.score), beam.path)
            for beam in beams.best[: s.num_return_sequences]
        ]
        for row, beams in zip(rows, all_beams, strict=True)
    ]


class _Guidance:
    """Classifier-free guidance: away from what the model would say without the prompt.

    Sanchez et al. 2023, https://arxiv.org/abs/2306.17806. Without a negative prompt the model is
    asked without all but the prompt's last token.
    """

    def __init__(self, scale: float, decoder: Decoder, negative: Sequence[int] | None) -> None:
        self._scale = scale
        self._decoder = decoder
        self._negative = negative
        self._num_rows = 0

    @classmethod
    def of(
        cls, settings: Settings, new_decoder: Callable[[], Decoder], negative: Any
    ) -> _Guidance | None:
        """Guidance, if the settings ask for it."""
        if settings.guidance_scale in (None, 1):
            return None
        ids = None if negative is None else [int(i) for i in np.ravel(np.asarray(negative))]
        return cls(settings.guidance_scale, new_decoder(), ids)

    def __call__(self, scores: NDArray[np.float32], rows: Sequence[Row]) -> NDArray[np.float32]:
        scores = log_softmax(scores)
        if self._num_rows == 0:
            prompts = [self._negative or row.tokens[-1:] for row in rows]
            most = max(len(p) + row.room for p, row in zip(prompts, rows, strict=True))
            without = self._decoder.start(prompts, most)
        else:
            # Beams that changed places keep what stands in their place, as in transformers.
            places = np.arange(len(rows)) * self._num_rows // len(rows)
            without = self._decoder.step(np.array([row.tokens[-1] for row in rows]), places)
        self._num_rows = len(rows)
        without = log_softmax(without)
        return self._scale * (scores - without) + without


def _seed(settings: Settings) -> int:
    return new_seed() if settings.seed is None else settings.seed
