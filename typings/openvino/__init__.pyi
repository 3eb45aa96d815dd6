"""What silmu uses of OpenVINO, whose own types are partial."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

__version__: str

class Model: ...

class CompiledModel:
    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[Any, NDArray[Any]]: ...

class Core:
    def get_property(self, device_name: str, name: str) -> Any: ...
    def read_model(self, model: str) -> Model: ...
    def compile_model(
        self, model: Model | str, device_name: str, config: Mapping[str, Any]
    ) -> CompiledModel: ...

def save_model(model: Model, output_model: str, compress_to_fp16: bool = ...) -> None: ...
