"""What silmu uses of ONNX Runtime, which comes without types."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

from . import capi as capi

__version__: str

class GraphOptimizationLevel:
    ORT_DISABLE_ALL: GraphOptimizationLevel
    ORT_ENABLE_EXTENDED: GraphOptimizationLevel

class SessionOptions:
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

class IOBinding:
    def bind_ortvalue_input(self, name: str, ortvalue: OrtValue) -> None: ...
    def bind_ortvalue_output(self, name: str, ortvalue: OrtValue) -> None: ...

class InferenceSession:
    def __init__(
        self, path: str, sess_options: SessionOptions, providers: Sequence[str]
    ) -> None: ...
    def get_inputs(self) -> list[NodeArg]: ...
    def get_outputs(self) -> list[NodeArg]: ...
    def io_binding(self) -> IOBinding: ...
    def run(
        self, output_names: Sequence[str], feeds: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]: ...
    def run_with_iobinding(self, binding: IOBinding) -> None: ...

def get_available_providers() -> list[str]: ...
