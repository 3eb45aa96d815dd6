"""Texts that go on."""

from __future__ import annotations

import itertools
from typing import Any

from tools.golden_cases import (
    CHAT,
    CHAT_PREFILL,
    CHAT_SYSTEM,
    CHAT_TURNS,
    HELLO,
    KEEPER,
    LONG,
    ODD,
    ONCE,
    PROMPTS,
    SEA,
    SYSTEM,
    USER,
    Case,
    Cases,
)

# fmt: off


def cases() -> list[Case]:
    collected = Cases("text-generation")
    model, chat, task, repo = "gpt2-lm", "gpt2-chat", "gpt2-lm-task", "gpt2-lm-generation"
    plain_add = collected.add

    def add(name: str, model: str, *args: Any, **kwargs: Any) -> None:
        plain_add(name, model, *args, **({"do_sample": False} | kwargs))

    for name in (model, repo, chat, "gpt2-scaled-by-layer", "gpt2-inner", "gpt2-untied", task):
        for index, prompt in enumerate([*PROMPTS, HELLO]):
            add(f"{name}/greedy-{index}", name, prompt, max_new_tokens=16)
            add(f"{name}/beams-{index}", name, prompt, max_new_tokens=16, num_beams=4)
            add(f"{name}/ids-{index}", name, prompt, max_new_tokens=16, return_tensors=True)
    always = "[!] a list gives a list of lists"
    add("input/string", model, ONCE, max_new_tokens=6)
    add("input/list", model, PROMPTS, max_new_tokens=6, marks=always)
    add("input/list-of-one", model, [ONCE], max_new_tokens=6, marks=always)
    add("input/empty-list", model, [], max_new_tokens=6)
    add("input/generator", model, {"$generator": PROMPTS}, max_new_tokens=6)
    add("input/generator-of-one", model, {"$generator": [ONCE]}, max_new_tokens=6)
    add("input/empty-generator", model, {"$generator": []}, max_new_tokens=6)
    rows = {"rows": [{"t": ONCE}, {"t": SEA}], "key": "t"}
    add("input/key-dataset", model, {"$key_dataset": rows}, max_new_tokens=6)
    add("input/tuple", model, {"$tuple": [ONCE, SEA]}, max_new_tokens=6)
    add("input/none", model, None, max_new_tokens=6)
    add("input/number", model, 3, max_new_tokens=6)
    add("input/keyword", model, text_inputs=ONCE, max_new_tokens=6)
    add("input/extra-positional", model, ONCE, SEA, max_new_tokens=6)
    add("input/dict", model, {"text": ONCE}, max_new_tokens=6)
    add("input/unknown-keyword", model, ONCE, max_new_tokens=6, nonsense=1)
    add("input/empty-prompt", model, "", max_new_tokens=6)
    add("input/empty-prompt-ids", model, "", max_new_tokens=6, return_tensors=True)
    add("input/empty-prompt-new-text", model, "", max_new_tokens=6, return_full_text=False)
    add("input/empty-prompt-in-list", model, ["", ONCE], max_new_tokens=6)
    add("input/empty-prompt-beams", model, "", max_new_tokens=6, num_beams=3)
    add("input/spaces", model, "   ", max_new_tokens=6)
    add("input/odd", model, ODD, max_new_tokens=6)
    add("input/newlines", model, "The sea\n\nis ,  cold .", max_new_tokens=6)
    special = "The sea<|endoftext|> is cold <|endoftext|>"
    for skip in (True, False):
        add(f"input/special-inside-skip-{skip}", model, special, max_new_tokens=6,
            skip_special_tokens=skip)
        add(f"input/special-inside-new-text-{skip}", model, special, max_new_tokens=6,
            skip_special_tokens=skip, return_full_text=False)

    # Lengths. " the" is one token of this tokenizer.
    for tokens, new in ((128, 1), (128, 2), (127, 1), (127, 2), (129, 1), (96, 32), (96, 33)):
        add(f"length/prompt-{tokens}-new-{new}", model, " the" * tokens, max_new_tokens=new,
            return_tensors=True)
    for value in (0, 1, -1):
        add(f"length/max-new-tokens-{value}", model, ONCE, max_new_tokens=value)
    differs = "differs: max_length"
    lost = "[!] max_length at the call loses to the 256 new tokens of the pipeline"
    add("length/max-length-alone", model, ONCE, max_length=20, marks=[lost, differs])
    add("length/max-length-alone-task", task, ONCE, max_length=20, marks=[lost, differs])
    add("length/max-length-and-new", model, ONCE, max_length=20, max_new_tokens=4, marks=differs)
    add("length/max-length-call-new-at-construction", model, ONCE, max_length=20,
        init={"max_new_tokens": 5}, marks=differs)
    add("length/max-length-construction-new-at-call", model, ONCE, max_new_tokens=5,
        init={"max_length": 20})
    add("length/max-length-construction", model, ONCE, init={"max_length": 20})
    add("length/max-length-construction-call", model, ONCE, max_length=16, init={"max_length": 20})
    add("length/max-length-repo", repo, ONCE)
    add("length/max-length-repo-call", repo, ONCE, max_length=18)
    add("length/max-length-shorter-than-prompt", repo, KEEPER, max_length=5)
    add("length/max-length-20-at-construction", repo, ONCE, init={"max_length": 20})
    add(
        "length/max-length-truncates", repo, KEEPER, max_length=8, truncation=True, max_new_tokens=4
    )
    add("length/truncation-alone", model, " the" * 140, truncation=True, max_new_tokens=1)
    add("length/too-long-without-truncation", model, " the" * 140, max_new_tokens=1)
    add("length/min-new-tokens", task, SEA, max_new_tokens=40, min_new_tokens=36)
    add("length/min-length", task, SEA, max_new_tokens=40, min_length=60)
    add("length/min-length-below-prompt", task, SEA, max_new_tokens=12, min_length=2)
    add("length/min-over-max", model, ONCE, max_new_tokens=6, min_new_tokens=9)
    add("length/min-length-over-max", model, ONCE, max_new_tokens=6, min_length=90)
    add("length/max-time", model, ONCE, max_new_tokens=6, max_time=1000.0)

    # Beams
    for prompt, (beams, returned) in itertools.product(
        range(3), ((1, 1), (2, 1), (2, 2), (4, 1), (4, 2), (4, 4), (5, 3))
    ):
        add(f"beams/{beams}-{returned}/prompt-{prompt}", model, PROMPTS[prompt], max_new_tokens=10,
            num_beams=beams, num_return_sequences=returned)
    eos = {"eos_token_id": [259, 75]}  # tokens that these weights like
    for early, penalty in itertools.product((True, False, "never"), (-1.0, 0.0, 0.5, 1.0, 2.0)):
        add(f"beams/early-{early}-penalty-{penalty}", model, KEEPER, max_new_tokens=12, num_beams=4,
            num_return_sequences=4, early_stopping=early, length_penalty=penalty, **eos,
            pad_token_id=319)
    add("beams/returned-more-than-beams", model, ONCE, max_new_tokens=6, num_beams=2,
        num_return_sequences=3)
    add("beams/returned-greedy-2", model, ONCE, max_new_tokens=6, num_return_sequences=2)
    add("beams/list", model, PROMPTS, max_new_tokens=6, num_beams=3, num_return_sequences=2)
    add("beams/no-cache", model, ONCE, max_new_tokens=10, num_beams=4, use_cache=False)
    add("beams/greedy-no-cache", model, ONCE, max_new_tokens=10, use_cache=False)
    add("beams/zero", model, ONCE, max_new_tokens=6, num_beams=0)
    add("beams/early-stopping-without-beams", model, ONCE, max_new_tokens=6, early_stopping=True)
    add("beams/early-stopping-unknown", model, ONCE, max_new_tokens=6, num_beams=2,
        early_stopping="always")
    add("beams/sequence-shape", model, ONCE, max_new_tokens=10, num_beams=4, return_tensors=True,
        num_return_sequences=4, **eos, pad_token_id=319)
    add("beams/groups", model, ONCE, max_new_tokens=6, num_beams=4, num_beam_groups=2,
        diversity_penalty=0.5)
    add("contrastive", model, ONCE, max_new_tokens=6, penalty_alpha=0.6, top_k=4)

    # What bends the scores, greedy and with beams
    bends: dict[str, dict] = {
        "repetition-penalty-1.5": {"repetition_penalty": 1.5},
        "repetition-penalty-0.5": {"repetition_penalty": 0.5},
        "repetition-penalty-0": {"repetition_penalty": 0.0},
        "no-repeat-2": {"no_repeat_ngram_size": 2},
        "no-repeat-1": {"no_repeat_ngram_size": 1},
        "no-repeat-over-length": {"no_repeat_ngram_size": 50},
        "bad-words": {"bad_words_ids": [[73], [14], [259, 53]]},
        "bad-words-longer": {"bad_words_ids": [[73, 259, 53], [53, 53]]},
        "bad-words-empty": {"bad_words_ids": []},
        "bad-words-flat": {"bad_words_ids": [73]},
        "bad-words-eos": {"bad_words_ids": [[319]]},
        "suppress": {"suppress_tokens": [73, 14, 259]},
        "begin-suppress": {"begin_suppress_tokens": [73, 294, 259, 14]},
        "forced-bos": {"forced_bos_token_id": 50},
        "forced-eos": {"forced_eos_token_id": 319},
        "forced-eos-list": {"forced_eos_token_id": [319, 14]},
        "eos-int": {"eos_token_id": 53},
        "eos-list": {"eos_token_id": [53, 14]},
        "eos-none": {"eos_token_id": None},
        "eos-never": {"eos_token_id": 5},
        "eos-min-new": {"eos_token_id": [53, 14], "min_new_tokens": 9},
        "eos-min-length": {"eos_token_id": [53, 14], "min_length": 18},
        "decay": {"exponential_decay_length_penalty": [2, 1.6], "eos_token_id": 53},
        "decay-late": {"exponential_decay_length_penalty": [40, 2.0]},
        "decay-real-eos": {"exponential_decay_length_penalty": [1, 2.5]},
        "encoder-repetition": {"encoder_repetition_penalty": 1.5},
        "encoder-no-repeat": {"encoder_no_repeat_ngram_size": 2},
        "sequence-bias": {"sequence_bias": [[[73], -10.0], [[50], 3.0]]},
        "remove-invalid": {"remove_invalid_values": True},
        "renormalize": {"renormalize_logits": True},
        "guidance": {"guidance_scale": 1.5},
        "temperature-ignored": {"temperature": 0.2, "top_k": 3, "top_p": 0.5, "typical_p": 0.5},
        "min-p-ignored": {"min_p": 0.3, "epsilon_cutoff": 1e-3, "eta_cutoff": 1e-3},
        "together": {"repetition_penalty": 1.2, "no_repeat_ngram_size": 2,
                     "suppress_tokens": [73], "min_new_tokens": 5, "eos_token_id": [53, 14]},
    }
    for (name, keys), (how, beams) in itertools.product(
        bends.items(), (("greedy", {}), ("beams", {"num_beams": 4, "num_return_sequences": 2}))
    ):
        for index, prompt in enumerate((ONCE, KEEPER)):
            add(f"scores/{name}/{how}-{index}", model, prompt, max_new_tokens=12, **keys, **beams)
    add("scores/at-construction", model, ONCE, init={"repetition_penalty": 1.5}, max_new_tokens=12)
    add("scores/call-wins", model, ONCE, init={"repetition_penalty": 1.5}, max_new_tokens=12,
        repetition_penalty=1.0)

    # Stops
    tokenizer = {"tokenizer": {"$tokenizer": {"model": model}}}
    add("stop/strings-without-tokenizer", model, ONCE, max_new_tokens=12, stop_strings=["Wa"])
    for name, value in (("text", "Wa"), ("list", ["Wa", "zzz"]), ("across", ["he V"]),
                        ("never", ["QQQ"]), ("in-prompt", ["upon"])):
        add(f"stop/strings-{name}", model, ONCE, max_new_tokens=12, stop_strings=value, **tokenizer)
    add("stop/strings-beams", model, ONCE, max_new_tokens=12, stop_strings=["V"], num_beams=3,
        **tokenizer)
    add("stop/strings-list-input", model, [ONCE, SEA], max_new_tokens=12, stop_strings=["V"],
        **tokenizer)
    many = "[!] each token of stop_sequence ends the text by itself in v4, the string does in v5"
    add("stop/sequence-one-token", model, ONCE, max_new_tokens=12, stop_sequence="V")
    add("stop/sequence-many-tokens", model, ONCE, max_new_tokens=12, stop_sequence="Wa", marks=many)
    add("stop/sequence-many-tokens-2", model, SEA, max_new_tokens=12, stop_sequence=" was",
        marks=many)
    add("stop/sequence-list", model, ONCE, max_new_tokens=12, stop_sequence=["V", "W"])
    add(
        "stop/sequence-at-construction", model, ONCE, max_new_tokens=12, init={"stop_sequence": "V"}
    )
    add(
        "stop/sequence-and-eos", model, ONCE, max_new_tokens=12, stop_sequence="V", eos_token_id=259
    )
    add("stop/sequence-beams", model, ONCE, max_new_tokens=12, stop_sequence="V", num_beams=3)
    add("stop/eos-in-text", model, ONCE, max_new_tokens=12, eos_token_id=53, return_full_text=False)
    add("stop/eos-shown", task, SEA, max_new_tokens=60, skip_special_tokens=False)
    add("stop/eos-hidden", task, SEA, max_new_tokens=60, skip_special_tokens=True)

    # What is returned
    returns: dict[str, dict] = {
        "full-text-true": {"return_full_text": True},
        "full-text-false": {"return_full_text": False},
        "tensors-true": {"return_tensors": True},
        "tensors-false": {"return_tensors": False},
        "text-true": {"return_text": True},
        "text-false": {"return_text": False},
        "type-tensors": {"return_type": {"$return_type": "TENSORS"}},
        "type-new-text": {"return_type": {"$return_type": "NEW_TEXT"}},
        "type-full-text": {"return_type": {"$return_type": "FULL_TEXT"}},
        "type-number": {"return_type": 1},
        "full-text-and-text": {"return_full_text": True, "return_text": True},
        "not-full-text-and-text": {"return_full_text": False, "return_text": True},
        "full-text-and-tensors": {"return_full_text": True, "return_tensors": True},
        "not-full-text-and-not-tensors": {"return_full_text": False, "return_tensors": False},
        "text-and-tensors": {"return_text": True, "return_tensors": True},
        "type-and-full-text": {"return_type": {"$return_type": "TENSORS"},
                               "return_full_text": False},
    }
    for name, keys in returns.items():
        found = {}
        if name == "tensors-false":
            found["marks"] = "[!] any return_tensors but None gives token ids"
        add(f"return/{name}", model, ONCE, max_new_tokens=6, **keys, **found)
        add(f"return/{name}/at-construction", model, ONCE, max_new_tokens=6, init=keys)
        add(f"return/{name}/chat", chat, CHAT, max_new_tokens=6, **keys)
    add("return/construction-full-text-call-tensors", model, ONCE, max_new_tokens=6,
        init={"return_full_text": False}, return_tensors=True)
    for clean in (True, False):
        add(f"return/clean-up-{clean}", model, "It is n't , really . do n't !", max_new_tokens=6,
            clean_up_tokenization_spaces=clean)
        add(f"return/clean-up-{clean}-new-text", model, "It is n't , really . do n't !",
            max_new_tokens=6, clean_up_tokenization_spaces=clean, return_full_text=False)
    add("return/dict", model, ONCE, max_new_tokens=4, return_dict_in_generate=True)
    wanted = {"return_dict_in_generate": True, "output_scores": True}
    add("return/dict-scores", model, ONCE, max_new_tokens=3, **wanted)
    add("return/dict-scores-beams", model, ONCE, max_new_tokens=4, num_beams=3, **wanted)
    add("return/dict-scores-beams-2", model, ONCE, max_new_tokens=4, num_beams=3,
        num_return_sequences=2, **wanted)
    add("return/dict-scores-list", model, [ONCE, SEA], max_new_tokens=3, num_beams=2, **wanted)
    add("return/dict-logits", model, ONCE, max_new_tokens=2, return_dict_in_generate=True,
        output_logits=True)

    # The prompt
    for name, prefix in (("text", "Please tell me: "), ("empty", ""), ("none", None)):
        add(f"prefix/{name}", model, ONCE, max_new_tokens=6, prefix=prefix)
        add(
            f"prefix/{name}-at-construction", model, ONCE, max_new_tokens=6, init={"prefix": prefix}
        )
        add(f"prefix/{name}-task", task, SEA, max_new_tokens=6, prefix=prefix)
        add(f"prefix/{name}-task-at-construction", task, SEA, max_new_tokens=6,
            init={"prefix": prefix})
        add(f"prefix/{name}-new-text", model, ONCE, max_new_tokens=6, prefix=prefix,
            return_full_text=False)
    add("prefix/max-length", repo, ONCE, max_length=20, prefix="Please tell me: ")
    add("prefix/repo-max-length", repo, ONCE, prefix="Please tell me: ")
    add("prefix/min-length", task, SEA, max_new_tokens=12, min_length=24, prefix="Tell me: ")
    add("prefix/min-length-without-new", repo, ONCE, min_length=20, prefix="Tell me: ")
    add("prefix/ids", model, ONCE, max_new_tokens=6, prefix="Tell: ", return_tensors=True)
    hole = {"handle_long_generation": "hole"}
    add("hole/fits", model, ONCE, max_new_tokens=6, **hole)
    add("hole/cuts", model, LONG, max_new_tokens=20, **hole)
    add("hole/cuts-ids", model, LONG, max_new_tokens=20, return_tensors=True, **hole)
    add("hole/no-room", model, LONG, max_new_tokens=128, **hole)
    add("hole/not-set", model, LONG, max_new_tokens=4)
    add("hole/max-length", repo, LONG, max_length=140, **hole)
    add("hole/max-length-short", repo, LONG, max_length=40, **hole)
    add("hole/at-construction", model, LONG, max_new_tokens=20, init=hole)
    add("hole/new-tokens-at-construction", model, LONG, init={"max_new_tokens": 20}, **hole)
    add("hole/unknown", model, ONCE, max_new_tokens=6, handle_long_generation="cut")
    add("tokenize/truncation-max-length", model, KEEPER, truncation=True, max_length=5,
        max_new_tokens=4, marks=differs)
    for name, keys in (
        ("truncate", {"truncation": True, "max_length": 5}),
        ("pad-without-token", {"padding": "max_length", "max_length": 16}),
        ("empty", {}),
        ("nonsense", {"nonsense": 1}),
        ("truncate-left", {"truncation": True, "max_length": 5, "stride": 1}),
    ):
        add(f"tokenize/{name}", model, KEEPER, max_new_tokens=4, tokenizer_encode_kwargs=keys)
        add(f"tokenize/{name}-at-construction", model, KEEPER, max_new_tokens=4,
            init={"tokenizer_encode_kwargs": keys})
        add(f"tokenize/{name}-chat-model", chat, KEEPER, max_new_tokens=4,
            tokenizer_encode_kwargs=keys)
    for value in (True, False):
        add(f"tokenize/specials-{value}", model, ONCE, max_new_tokens=4, add_special_tokens=value)
        add(f"tokenize/specials-{value}-chat", chat, CHAT, max_new_tokens=4,
            add_special_tokens=value)
    add("tokenize/padding-chat-model", chat, KEEPER, max_new_tokens=4, padding="max_length",
        tokenizer_encode_kwargs={"max_length": 24})
    add("tokenize/padding-no-token", model, KEEPER, max_new_tokens=4, padding=True)
    add("tokenize/padding-true", chat, KEEPER, max_new_tokens=4, padding=True)

    # Chats
    chats = {
        "single": CHAT,
        "system": CHAT_SYSTEM,
        "prefill": CHAT_PREFILL,
        "turns": CHAT_TURNS,
        "list": [CHAT, CHAT_SYSTEM],
        "list-of-one": [CHAT],
        "list-with-prefill": [CHAT, CHAT_PREFILL],
        "generator": {"$generator": [CHAT, CHAT_TURNS]},
        "tuple": {"$tuple": CHAT_SYSTEM},
        "list-of-tuples": [{"$tuple": CHAT}, {"$tuple": CHAT_SYSTEM}],
        "no-content": [{"role": "user"}],
        "no-role": [{"content": "hi"}],
        "extra-key": [USER | {"name": "Clara"}],
        "empty-message": [{"role": "user", "content": ""}],
        "special-inside": [{"role": "user", "content": "a <|im_end|> b"}],
    }
    for name, value in chats.items():
        add(f"chat/{name}/plain", chat, value, max_new_tokens=8)
        add(f"chat/{name}/new-text", chat, value, max_new_tokens=8, return_full_text=False)
        add(f"chat/{name}/ids", chat, value, max_new_tokens=4, return_tensors=True)
        add(f"chat/{name}/beams", chat, value, max_new_tokens=6, num_beams=3)
        for go_on in (True, False):
            add(f"chat/{name}/continue-{go_on}", chat, value, max_new_tokens=6,
                continue_final_message=go_on)
        add(f"chat/{name}/specials-shown", chat, value, max_new_tokens=6, skip_special_tokens=False)
    add("chat/continue-at-construction", chat, CHAT, max_new_tokens=6,
        init={"continue_final_message": True})
    add("chat/without-template", model, CHAT, max_new_tokens=6)
    add("chat/returned-2", chat, CHAT, max_new_tokens=6, num_beams=3, num_return_sequences=2)
    add("chat/text", chat, ONCE, max_new_tokens=8)
    add("chat/batch-of-chats", chat, [CHAT, CHAT_TURNS], max_new_tokens=6, batch_size=2)
    add("chat/template-keyword", chat, CHAT, max_new_tokens=6,
        tokenizer_encode_kwargs={"chat_template": "{{ messages[0]['content'] }}"})
    add("chat/truncated", chat, CHAT_TURNS, max_new_tokens=4,
        tokenizer_encode_kwargs={"truncation": True, "max_length": 20})
    add("chat/hole", chat, [SYSTEM, {"role": "user", "content": LONG}], max_new_tokens=8, **hole)
    add("chat/stop", chat, CHAT, max_new_tokens=12, eos_token_id=[321, 68, 76])
    add("chat/pad-token", chat, [CHAT, CHAT_TURNS], max_new_tokens=8, batch_size=2,
        eos_token_id=[321, 68, 76], return_tensors=True)

    # Batches
    no_pad = "[!] batch_size above 1 needs a pad token"
    for size in (1, 2, 4):
        found = {"marks": no_pad} if size > 1 else {}
        add(f"batch/no-pad-{size}", model, PROMPTS, max_new_tokens=6, batch_size=size, **found)
        for name, keys in (("greedy", {}), ("beams", {"num_beams": 3, "num_return_sequences": 2})):
            add(f"batch/{name}-{size}", chat, [*PROMPTS, HELLO], max_new_tokens=8, batch_size=size,
                **keys)
            add(f"batch/{name}-{size}-new-text", chat, [*PROMPTS, HELLO], max_new_tokens=8,
                batch_size=size, return_full_text=False, **keys)
            add(f"batch/{name}-{size}-ids", chat, [*PROMPTS, HELLO], max_new_tokens=5,
                batch_size=size, return_tensors=True,
                marks="differs: padding of the batch is in the ids", **keys)
        add(f"batch/eos-{size}", chat, [*PROMPTS, HELLO], max_new_tokens=10, batch_size=size,
            eos_token_id=[68, 76, 259])
        add(f"batch/penalty-{size}", chat, [*PROMPTS, HELLO], max_new_tokens=8, batch_size=size,
            repetition_penalty=1.5, no_repeat_ngram_size=2)
        add(f"batch/specials-shown-{size}", chat, [*PROMPTS, HELLO], max_new_tokens=8,
            batch_size=size, skip_special_tokens=False)
        right = {"tokenizer": {"$tokenizer": {"model": chat, "padding_side": "right"}}}
        add(f"batch/right-padding-{size}", chat, PROMPTS, max_new_tokens=8, batch_size=size,
            init=right, marks="differs: right padding spoils the shorter prompts in v4")
    add("batch/at-construction", chat, PROMPTS, max_new_tokens=6, init={"batch_size": 2})
    add("batch/generator", chat, {"$generator": PROMPTS}, max_new_tokens=6, batch_size=2)
    add("batch/empty-prompt", chat, ["", ONCE], max_new_tokens=6, batch_size=2)
    add(
        "batch/dict-scores",
        chat,
        [ONCE, SEA],
        max_new_tokens=3,
        batch_size=2,
        num_beams=2,
        **wanted,
    )

    # Which setting wins
    def config(**values: Any) -> dict:
        return {"generation_config": {"$generation_config": {"do_sample": False} | values}}

    from_call = config(max_new_tokens=5)
    plain_add("config/at-call", model, ONCE, **from_call)
    plain_add("config/at-call-and-keyword", model, ONCE, **from_call, max_new_tokens=7)
    plain_add("config/at-construction", model, ONCE, init=from_call)
    plain_add("config/construction-and-call-keyword", model, ONCE, init=from_call, max_new_tokens=7)
    plain_add(
        "config/construction-and-call", model, ONCE, init=config(max_new_tokens=9), **from_call
    )
    beams = config(max_new_tokens=8, num_beams=3, num_return_sequences=2)
    plain_add("config/beams-at-call", model, ONCE, **beams)
    plain_add("config/beams-at-construction", model, ONCE, init=beams)
    plain_add("config/construction-keyword-call-config", model, ONCE,
              init={"num_beams": 3, "num_return_sequences": 2}, **from_call)
    plain_add("config/max-length", model, ONCE, **config(max_length=18))
    plain_add("config/max-length-repo", repo, ONCE, **config(max_length=18))
    plain_add("config/empty-repo", repo, ONCE, **config())
    plain_add("config/empty-task", task, SEA, **config())
    plain_add("config/no-eos", task, SEA, **config(max_new_tokens=60))
    add("priority/repo-defaults", repo, KEEPER)
    add("priority/repo-call-wins", repo, KEEPER, repetition_penalty=1.0, no_repeat_ngram_size=0,
        max_length=24)
    add("priority/repo-construction-wins", repo, KEEPER, init={"repetition_penalty": 1.0,
        "no_repeat_ngram_size": 0, "max_length": 24})
    add("priority/construction-call-wins", repo, KEEPER, init={"max_new_tokens": 4},
        max_new_tokens=6)
    add("priority/repo-max-new-tokens-loses", task, SEA, return_tensors=True,
        marks="[!] the repo's max_new_tokens 8 loses to the pipeline's own 256")
    add("priority/task-beams", task, KEEPER, max_new_tokens=8,
        marks="[!] task_specific_params: prefix and two beams")
    add("priority/task-construction", task, KEEPER, max_new_tokens=8, init={"num_beams": 1},
        marks="[!] task_specific_params are laid over constructor keywords")
    add("priority/task-call", task, KEEPER, max_new_tokens=8, num_beams=1)
    add("priority/task-ngrams", task, KEEPER, max_new_tokens=24, no_repeat_ngram_size=0)
    plain_add("priority/task-does-not-sample", task, KEEPER, max_new_tokens=8)
    plain_add("priority/construction-does-not-sample", repo, KEEPER, init={"do_sample": False})
    add("priority/construction-not-changed-by-call", repo, KEEPER, init={"max_new_tokens": 4},
        before=[{"args": [ONCE], "kwargs": {"max_new_tokens": 9, "num_beams": 2, "prefix": "a ",
                                            "do_sample": False, "return_tensors": True}}])
    add("priority/max-length-not-changed-by-call", repo, KEEPER,
        before=[{"args": [ONCE], "kwargs": {"max_length": 20, "do_sample": False}}])
    add("folder-without-head", "gpt2-base", ONCE, max_new_tokens=4)
    return collected.cases
