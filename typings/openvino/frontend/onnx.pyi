from collections.abc import Callable

from openvino import Output

class NodeContext:
    def get_input(self, index: int) -> Output: ...

class ConversionExtension:
    def __init__(
        self, op_type: str, domain: str, converter: Callable[[NodeContext], list[Output]]
    ) -> None: ...
