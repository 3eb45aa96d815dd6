"""What silmu uses of OpenVINO, whose own types are partial."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from numpy.typing import NDArray

__version__: str

class Type:
    u8: Type

class Tensor:
    def __init__(self, type: Type, shape: Sequence[int]) -> None: ...
    @property
    def data(self) -> NDArray[Any]: ...

class CompiledModel:
    def __call__(self, inputs: Mapping[str, NDArray[Any]]) -> Mapping[Any, NDArray[Any]]: ...
    def export_model(self) -> BytesIO: ...

class Core:
    def get_property(self, device_name: str, name: str) -> Any: ...
    def compile_model(
        self, model: str, device_name: str, config: Mapping[str, Any]
    ) -> CompiledModel: ...
    def import_model(
        self, model_stream: Tensor, device_name: str, config: Mapping[str, Any]
    ) -> CompiledModel: ...
