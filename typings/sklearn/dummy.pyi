from typing import Any

class DummyClassifier:
    def fit(self, rows: Any, targets: Any) -> Any: ...
