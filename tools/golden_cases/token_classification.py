"""Entities in a text."""

from __future__ import annotations

import itertools

from tools.golden_cases import BAD, EMOJI, KOREAN, LONG, ODD, SEOUL, STORY, Case, Cases

# fmt: off


def cases() -> list[Case]:
    collected = Cases("token-classification")
    add = collected.add
    model, clara = "bert-ner", "My name is Clara and I live in Hamburg with two cats."
    pieces = "[!] a word is told by the lengths of token and span, or else by the space before it"
    texts = {
        "clara": clara,
        "korean": KOREAN,
        "seoul": SEOUL,
        "odd": ODD,
        "emoji": EMOJI,
        "long-words": "An unbelievable, unforgettable, extraordinarily beautiful performance!",
        "numbers": "It sold 12,500 of them in 1987; it's 25 dollars.",
        "specials": "good [SEP] bad [CLS] [MASK] <|endoftext|> [PAD] [UNK]",
        "spaces": "  the   sea \n is\tcold  ",
    }
    strategies = ("none", "simple", "first", "average", "max")
    for each, (name, text), strategy in itertools.product(
        ("bert-ner", "distilbert-ner", "bert-ner-bytes"), texts.items(), strategies
    ):
        found = {"marks": pieces} if strategy == "first" else {}
        add(f"{each}/{name}/{strategy}", each, text, aggregation_strategy=strategy, **found)
        if name in ("clara", "seoul", "long-words"):
            shown = "[!] labels are left out after joining"
            add(f"{each}/{name}/{strategy}-all-shown", each, text, ignore_labels=[], marks=shown,
                aggregation_strategy=strategy)
    shapes = {
        "single": clara,
        "list": [clara, KOREAN, "a"],
        "list-of-one": [clara],
        "tuple": {"$tuple": [clara, KOREAN]},
        "generator": {"$generator": [clara, KOREAN]},
        "key-dataset": {"$key_dataset": {"rows": [{"t": clara}, {"t": BAD}], "key": "t"}},
        "empty-string": "",
        "list-with-empty-string": ["", clara],
        "empty-list": [],
        "empty-generator": {"$generator": []},
        "whitespace": "  \n\t ",
        "none": None,
        "number": 3,
        "dict": {"text": clara},
        "list-of-lists": [["My", "name"], ["is"]],
        "list-of-numbers": [1, 2],
    }
    for name, value in shapes.items():
        add(f"input/{name}/none", model, value)
        add(f"input/{name}/simple", model, value, aggregation_strategy="simple")
    add("input/keyword", model, inputs=clara)
    add("input/no-input", model)
    add("input/two-positionals", model, clara, KOREAN)
    add("input/unknown-keyword", model, clara, nonsense=1)
    add("input/unknown-keyword-at-construction", model, clara, init={"nonsense": 1})
    add("input/no-tokens", "bert-ner-bytes", "")
    add("input/num-workers", model, [clara, BAD], num_workers=0)

    for value in ("SIMPLE", "Max", "wrong", "", 1, None, {"$strategy": "SIMPLE"},
                  {"$strategy": "NONE"}):
        name = value["$strategy"] + "-member" if isinstance(value, dict) else value
        add(f"strategy/{name}", model, clara, aggregation_strategy=value)
        add(f"strategy/{name}-at-construction", model, clara,
            init={"aggregation_strategy": value})
    add("strategy/call-wins", model, clara, aggregation_strategy="none",
        init={"aggregation_strategy": "simple"})
    add("strategy/construction-not-changed-by-call", model, clara,
        init={"aggregation_strategy": "simple"},
        before=[{"args": [clara], "kwargs": {"aggregation_strategy": "max", "ignore_labels": []}}])
    for labels in ([], ["O"], ["O", "I-PER"], ["PER"], ["B-LOC", "LOC"], ["nothing"], "O", "none"):
        name = "-".join(labels) if isinstance(labels, list) else f"text-{labels}"
        for strategy in ("none", "simple", "average"):
            add(f"ignore/{name or 'empty'}/{strategy}", model, clara, ignore_labels=labels,
                aggregation_strategy=strategy)
    add("ignore/at-construction", model, clara, init={"ignore_labels": []})
    add("ignore/call-wins", model, clara, ignore_labels=["O"], init={"ignore_labels": []})
    for grouped, subwords in itertools.product((None, True, False), repeat=2):
        keys = {"grouped_entities": grouped, "ignore_subwords": subwords}
        keys = {key: value for key, value in keys.items() if value is not None}
        if keys:
            add(f"grouped/{grouped}-{subwords}", model, clara, **keys,
                marks="[!] the older words win over aggregation_strategy")
            add(f"grouped/{grouped}-{subwords}-with-strategy", model, clara,
                aggregation_strategy="average", **keys)
            add(f"grouped/{grouped}-{subwords}-at-construction", model, [clara, BAD], init=keys)

    words = [*clara[:-1].split(), "."]
    hangul = ["한국의", "수도는", "서울이다", "."]
    as_list = "[!] the words of one text are answered with a list of one"
    inputs = {
        "words": words,
        "lists": [words, hangul],
        "list-of-one": [words],
        "korean": hangul,
        "one-word": ["Hamburg"],
        "empty-word": ["Clara", "", "lives"],
        "empty-inner": [[], words],
        "words-with-spaces": ["New York", " is ", "big"],
        "accents": ["Zoe\u0308", "café", "½", "🚀"],
        "mixed": [words, "Hamburg"],
        "string": clara,
        "tuple": {"$tuple": words},
        "numbers": [1, 2],
        "empty": [],
    }
    split = {"is_split_into_words": True}
    for each, (name, value) in itertools.product((model, "distilbert-ner"), inputs.items()):
        found = {"marks": as_list} if name == "words" else {}
        for strategy in ("none", "simple", "first") if each == model else ("average",):
            add(f"split/{each}/{name}/{strategy}", each, value, aggregation_strategy=strategy,
                **split, **found)
    add("split/long", model, LONG.split(), aggregation_strategy="max", **split)
    add("split/generator", model, {"$generator": [words, hangul]}, **split,
        marks="differs: 4.57 uses the generator up before it answers")
    add("split/bytes", "bert-ner-bytes", words, **split,
        marks="differs: GPT-2's tokenizer refuses words by an assertion")
    for delimiter in ("", "_", " - ", "한"):
        for strategy in ("none", "first"):
            add(f"split/delimiter-{delimiter}/{strategy}", model, words, delimiter=delimiter,
                aggregation_strategy=strategy, **split)
    add("split/delimiter-none", model, words, delimiter=None, **split)
    add("split/delimiter-without-words", model, clara, delimiter="_")
    add("split/false", model, words, is_split_into_words=False)
    add("split/at-construction", model, words, init=split,
        marks="differs: 4.57 forgets it, and takes each word for a text")
    add("split/at-construction-lists", model, [words, hangul], init=split,
        marks="differs: 4.57 forgets it")

    given = [[0, 0], [0, 2], [3, 7], [0, 0]]
    given = [{"$tuple": pair} for pair in given]
    add("offsets/single", model, "my name", offset_mapping=given)
    add("offsets/single-simple", model, "my name", offset_mapping=given, ignore_labels=[],
        aggregation_strategy="simple")
    add("offsets/single-nested", model, "my name", offset_mapping=[given])
    other = [{"$tuple": pair} for pair in ([0, 0], [0, 3], [4, 7], [0, 0])]
    add("offsets/list", model, ["my name", "the sea"], offset_mapping=[given, other],
        ignore_labels=[], marks="differs: 4.57 takes those of the first text for all")
    add("offsets/wrong-size", model, ["my name"], offset_mapping=[given, given])
    add("offsets/wrong-size-single", model, "my name", offset_mapping=[given, given])
    add("offsets/none", model, "my name", offset_mapping=None)

    def short(name: str, size: int) -> dict:
        return {"init": {"tokenizer": {"$tokenizer": {"model": name, "model_max_length": size}}}}

    overlap = "[!] of entities that overlap the longest stays, then the surest"
    for each, strategy in itertools.product((model, "distilbert-ner", "bert-ner-bytes"),
                                            strategies[1:]):
        for stride in (0, 6, 10) if each == model else (6,):
            add(f"stride/{each}/{strategy}/{stride}", each, STORY, stride=stride,
                aggregation_strategy=strategy, marks=overlap, **short(each, 20))
        add(f"stride/{each}/{strategy}/korean", each, SEOUL, stride=5,
            aggregation_strategy=strategy, **short(each, 16))
        add(f"stride/{each}/{strategy}/shown", each, STORY, stride=5, ignore_labels=[],
            aggregation_strategy=strategy, **short(each, 20))
        if (each, strategy) == (model, "average"):
            add(f"stride/{each}/{strategy}/long", each, LONG, stride=16,
                aggregation_strategy=strategy)
        add(f"stride/{each}/{strategy}/short", each, "the sea", stride=16,
            aggregation_strategy=strategy)
    for stride in (17, 20, 99, -1):  # 18 and 19 are a panic of the tokenizer
        add(f"stride/limit-{stride}", model, STORY, stride=stride, aggregation_strategy="simple",
            **short(model, 20))
    add("stride/list", model, [STORY, "a", SEOUL], stride=6, aggregation_strategy="first",
        **short(model, 20))
    add("stride/batch", model, [STORY, "a", SEOUL], stride=6, aggregation_strategy="first",
        batch_size=2, **short(model, 20))
    add("stride/generator", model, {"$generator": [STORY, "a"]}, stride=6,
        aggregation_strategy="max", **short(model, 20))
    add("stride/words", model, STORY.split(), stride=6, aggregation_strategy="first",
        **split, **short(model, 20))
    add("stride/without-strategy", model, STORY, stride=6, **short(model, 20),
        marks="[!] only an explicit `none` is refused")
    add("stride/none", model, STORY, stride=6, aggregation_strategy="none", **short(model, 20))
    add("stride/none-grouped", model, STORY, stride=6, grouped_entities=False, **short(model, 20))
    add("stride/grouped", model, STORY, stride=6, grouped_entities=True, **short(model, 20))
    for strategy in ("none", "max"):
        limit = short(model, 20)["init"]
        add(f"stride/at-construction-{strategy}", model, STORY,
            init={**limit, "stride": 6, "aggregation_strategy": strategy})
        add(f"stride/strategy-at-construction-{strategy}", model, STORY, stride=6,
            init={**limit, "aggregation_strategy": strategy})
    for each in (model, "distilbert-ner", "bert-ner-bytes"):
        cut = "[!] what the tokenizer's limit leaves out is left out silently"
        add(f"long/{each}/cut", each, LONG, marks=cut)
        add(f"long/{each}/cut-max", each, LONG, aggregation_strategy="max")
        add(f"long/{each}/short-limit", each, STORY, **short(each, 12))
        add(f"long/{each}/no-limit", each, "the sea", **short(each, 10**30))
        add(f"{each}/long-without-truncation", each, LONG, **short(each, 10**30))
        for size in (1, 2, 8) if each == model else (2,):
            add(f"batch/{each}/{size}", each, [clara, "no", KOREAN], batch_size=size)
            add(f"batch/{each}/{size}-first", each, [clara, "no", KOREAN, STORY], batch_size=size,
                aggregation_strategy="first")
    add("batch/at-construction", model, [clara, "no", KOREAN], init={"batch_size": 2})
    add("batch/generator", model, {"$generator": [clara, "no", KOREAN]}, batch_size=2)
    add("batch/words", model, [words, hangul], batch_size=2, **split)
    add("alias/ner", model, clara, task="ner")
    add("alias/ner-list", model, [clara, KOREAN], task="ner", aggregation_strategy="simple")
    for member in ("predict", "transform"):
        add(f"methods/{member}", model, clara, method=member)
    return collected.cases
