"""What silmu uses of ONNX Runtime, which comes without types."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from . import capi as capi

__version__: str

class GraphOptimizationLevel:
    ORT_DISABLE_ALL: GraphOptimizationLevel
    ORT_ENABLE_EXTENDED: GraphOptimizationLevel
    ORT_ENABLE_ALL: GraphOptimizationLevel

class SessionOptions:
    enable_mem_pattern: bool
    intra_op_num_threads: int
    log_severity_level: int
    graph_optimization_level: GraphOptimizationLevel
    optimized_model_filepath: str
    def add_session_config_entry(self, key: str, value: str, /) -> None: ...

class NodeArg:
    name: str
    type: str
    shape: list[int | str | None]

class OrtValue:
    @staticmethod
    def ortvalue_from_numpy(array: NDArray[Any]) -> OrtValue: ...
    def numpy(self) -> NDArray[Any]: ...

class IOBinding:
    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None: ...
    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None: ...

class InferenceSession:
    def __init__(
        self,
        path: str,
        sess_options: SessionOptions,
        providers: Sequence[str | tuple[str, dict[str, str]]],
        *,
        disabled_optimizers: Sequence[str] = ...,
    ) -> None: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def get_overridable_initializers(self) -> list[NodeArg]: ...
    def io_binding(self) -> IOBinding: ...
    def run(
        self, output_names: Sequence[str], feeds: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]: ...
    def run_with_iobinding(self, binding: IOBinding) -> None: ...
    def run_with_ort_values(
        self, output_names: Sequence[str], feeds: Mapping[str, OrtValue]
    ) -> list[OrtValue]: ...

def get_available_providers() -> list[str]: ...
