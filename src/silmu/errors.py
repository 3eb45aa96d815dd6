"""What can go wrong, as one tree.

    SilmuError
    ├── UsageError             a wrong argument                              (also ValueError)
    │   ├── UnknownNameError   not one of the names there are                (also KeyError)
    │   │   └── UnknownTaskError   no task of that name
    │   ├── WrongTypeError     an argument that is not expected, or its type (also TypeError)
    │   ├── NothingGivenError  neither task nor model                        (also RuntimeError)
    │   └── AbsentNameError    a name that transformers has and silmu not    (also ImportError)
    ├── InputError             an input that the task cannot answer          (also ValueError)
    │   └── MissingKeyError    an input that lacks a field                   (also KeyError)
    ├── ModelError             something is wrong with a model folder
    │   ├── ModelNotFoundError   it, or a file of it, is not there           (also OSError)
    │   │   └── ModelNameError   neither a folder nor a hub id                (also ValueError)
    │   ├── UnsafeModelError     it asks for what is never done              (also ValueError)
    │   ├── InvalidModelError    its files are broken or disagree            (also ValueError)
    │   └── UnsupportedModelError  sound, but not for this task or silmu     (also ValueError)
    ├── StoreError             a file or folder could not be written or read (also OSError)
    │   ├── LockedError        another process is writing there
    │   └── CorruptError       what was read is not what was written
    ├── TrainingError          training cannot go on                         (also RuntimeError)
    └── MissingExtraError      an optional dependency is not installed       (also ImportError)

Besides these there is Interrupted, a KeyboardInterrupt: somebody wanted training to stop.

Each also is the builtin that transformers 4.57 raises in the same place, so that programs
written for it catch the same things.
"""

from __future__ import annotations

LONGEST = 2000


class SilmuError(Exception):
    """Base of every error that silmu raises on purpose.

    The message says what was given and what is allowed; `hint` says what to do next.

    >>> str(UsageError("top_k is 0; it must be at least 1", hint="leave it out for the best one"))
    'top_k is 0; it must be at least 1\\n\\nhint: leave it out for the best one'
    """

    hint: str | None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        # What was given may be a file of megabytes; its beginning and end are told.
        if len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"


class UsageError(SilmuError, ValueError):
    """An argument is wrong, whatever the input and the model."""


class UnknownNameError(UsageError, KeyError):
    """A name is not one of those that there are."""


class WrongTypeError(UsageError, TypeError):
    """An argument is not expected, or is of a type that is not taken."""


class UnknownTaskError(UnknownNameError):
    """There is no task of that name."""


class NothingGivenError(UsageError, RuntimeError):
    """Too little was given to know what is wanted."""


class AbsentNameError(UsageError, ImportError):
    """A program imports what transformers has by that name, and silmu by another or not at all."""


class InputError(SilmuError, ValueError):
    """The input is not one that the task can answer."""


class MissingKeyError(InputError, KeyError):
    """The input is a dict without a field that the task needs."""


class ModelError(SilmuError):
    """Something is wrong with a model folder."""


class ModelNotFoundError(ModelError, OSError):
    """The model, or one of its files, is neither here nor to be had."""


class ModelNameError(ModelNotFoundError, ValueError):
    """What was given as a model is neither a folder nor a name that the hub allows."""


class UnsafeModelError(ModelError, ValueError):
    """The folder asks for something that silmu never does: run code, leave the folder."""


class InvalidModelError(ModelError, ValueError):
    """The folder's files are broken, or disagree with each other."""


class UnsupportedModelError(ModelError, ValueError):
    """The folder is sound, but its architecture or head does not fit what is asked."""


class StoreError(SilmuError, OSError):
    """A file or folder could not be written or read."""


class LockedError(StoreError):
    """Another process is writing to the same folder."""


class CorruptError(StoreError):
    """What was read is not what was written."""


class TrainingError(SilmuError, RuntimeError):
    """Training cannot go on: a loss that is no number, too little memory."""


class Interrupted(KeyboardInterrupt):
    """A signal stopped training after a step, and all until then is saved.

    `code` is what the process should exit with: 128 and the number of the signal.
    """

    def __init__(self, message: str, code: int = 130) -> None:
        super().__init__(message)
        self.code = code


class MissingExtraError(SilmuError, ImportError):
    """An optional dependency is not installed; the hint is the command that installs it."""


# What programs import beside `pipeline`: what a name looks like, and what to write in its place.
_INSTEAD = (
    (
        "GenerationConfig",
        "it needs no class",
        'a dict will do: generation_config={{"max_new_tokens": 20}}',
    ),
    (
        "BitsAndBytesConfig",
        "it has 8 and 4 bits of its own",
        'write pipeline(task, model="...", dtype="q8"), or dtype="q4"',
    ),
    (
        "Trainer|TrainingArguments",
        "silmu.train() trains",
        "`silmu tasks` lists what can be trained, and `silmu train --help` tells how",
    ),
    (
        "Auto?*|?*Tokenizer|?*TokenizerFast|?*Config|?*For[A-Z]*|?*Model",
        "pipeline() opens model and tokenizer by name",
        'pipe = pipeline(task, model="..."); then there are pipe.model, pipe.model.config and '
        "pipe.tokenizer",
    ),
    (
        "?*Pipeline",
        "pipeline() makes it",
        'write pipeline("{task}", model="..."); its class is in silmu.pipelines.{module}',
    ),
    (
        "Pipeline|PIPELINE_REGISTRY",
        "it is elsewhere",
        "from silmu.pipelines import {name}",
    ),
    (
        "StoppingCriteria|StoppingCriteriaList|LogitsProcessor|LogitsProcessorList",
        "it needs no class",
        "any function of (input_ids, scores) will do: stopping_criteria=[function], or "
        "logits_processor=[function]",
    ),
    (
        "logging",
        "Python's own does the same",
        'import logging; logging.getLogger("silmu").setLevel("ERROR")',
    ),
    (
        "SquadExample",
        "it needs no class",
        'a dict will do: {{"question": "...", "context": "..."}}',
    ),
)


def absent_name(name: str) -> AbsentNameError:
    """What to say where a program imports a name of transformers that silmu does not have.

    >>> print(absent_name("AutoTokenizer").message)
    silmu has no AutoTokenizer; pipeline() opens model and tokenizer by name
    """
    import re
    from fnmatch import fnmatchcase

    task = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name.removesuffix("Pipeline")).lower()
    words = {"name": name, "task": task, "module": task.replace("-", "_")}
    for forms, why, hint in _INSTEAD:
        if any(fnmatchcase(name, form) for form in forms.split("|")):
            return AbsentNameError(f"silmu has no {name}; {why}", hint=hint.format(**words))
    return AbsentNameError(f"silmu has no {name}", hint="`dir(silmu)` lists what it has")
