"""What pipelines are asked, for the golden files: the texts, and a file of calls for each task."""

from __future__ import annotations

from typing import Any

# Cases left out because their answer hangs on a near-tie. Two forced tokens get equal scores.
NEAR_TIES = {
    "question-answering/gpt2-qa/korean/top-k-20",
    "text-generation/gpt2-lm-task/beams-1",
    "text-generation/scores/forced-eos-list/greedy-0",
    "text-generation/scores/forced-eos-list/greedy-1",
}

GOOD = "I loved this movie: the story was warm and the actors were wonderful."
BAD = "This product is terrible, it broke after two days."
KOREAN = "그 학생은 질문에 대답했다."
ODD = "Zoë's café — naïve 🚀 e\u0301 한국!"
LONG = (
    "The lighthouse keeper climbed the narrow stairs every evening before the sun went down. " * 12
)

STORY = (
    "My name is Clara and I live in Hamburg with two cats and a very noisy parrot. "
    "The company was founded in 1987 by three engineers who had met at the university. "
    "It makes pumps, valves and sensors."
)
WHERE = "Where do you live?"
WHO = "Who founded the company?"
STORY_LONG = (
    "The lighthouse keeper climbed the narrow stairs every evening. She carried a small lamp, a "
    "bottle of oil and the letter that her brother had written in 1987. Nobody in the village "
    "knew why the light had failed on the night of the great storm. The old man said that the sea "
    "takes what it wants. In the morning the boats were found on the northern beach, empty and "
    "dry. The teacher asked a question, and the students answered it one after another. The "
    "capital of Korea is Seoul. The capital of France is Paris. The capital of Japan is Tokyo. "
    "Water boils at 100 degrees and freezes at 0 degrees; salt changes both of these numbers. "
)
SEOUL = "한국의 수도는 서울이다. 서울에는 한강이 흐른다. The letter is from Seoul."
EMOJI = "The 🚀 rocket 👩‍🚀 flew to the moon 🌙 and back, said cafe\u0301 owner Zoe\u0308. ½ of it!"
REPEATED = (
    "Paris paris PARIS. We love Paris, paris loves PARIS; Paris is paris. pARIS! Paris? paris"
)

ONCE = "Once upon a time"
KEEPER = "The lighthouse keeper climbed"
SEA = "The sea"
HELLO = "안녕하세요, the dragon"
PROMPTS = [ONCE, SEA, KEEPER]

USER = {"role": "user", "content": "Where is the letter?"}
SYSTEM = {"role": "system", "content": "You tell short stories."}
ASSISTANT = {"role": "assistant", "content": "The letter is in"}
CHAT = [USER]
CHAT_SYSTEM = [SYSTEM, USER]
CHAT_PREFILL = [USER, ASSISTANT]
CHAT_TURNS = [SYSTEM, USER, ASSISTANT, {"role": "user", "content": "And the lamp?"}]

Case = dict[str, Any]


class Cases:
    """Collects the cases of one golden file, each under a name of its own."""

    def __init__(self, task: str) -> None:
        self.task = task
        self.cases: list[Case] = []
        self.names: set[str] = set()

    def add(self, name: str, model: str | None, *args: Any, **kwargs: Any) -> None:
        """Adds a call; init, init_args, marks, before and task belong to the case."""
        case: Case = {"id": f"{self.task}/{name}", "task": kwargs.pop("task", self.task)}
        case["model"] = model
        case["init"] = kwargs.pop("init", {})
        for key in ("init_args", "marks", "before", "method"):
            value = kwargs.pop(key, None)
            if value or (key == "init_args" and value is not None):
                case[key] = [value] if key == "marks" and isinstance(value, str) else value
        case["args"], case["kwargs"] = list(args), kwargs
        if case["id"] in self.names:
            raise ValueError(f"two cases are called {case['id']}")
        self.names.add(case["id"])
        if case["id"] not in NEAR_TIES:
            self.cases.append(case)
