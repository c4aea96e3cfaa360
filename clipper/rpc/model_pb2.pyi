from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InputType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INPUT_TYPE_UNSPECIFIED: _ClassVar[InputType]
    INTEGERS: _ClassVar[InputType]
    FLOATS: _ClassVar[InputType]
    DOUBLES: _ClassVar[InputType]
    STRINGS: _ClassVar[InputType]
    BYTES: _ClassVar[InputType]
    JSON: _ClassVar[InputType]

class OutputType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OUTPUT_TYPE_UNSPECIFIED: _ClassVar[OutputType]
    INT64: _ClassVar[OutputType]
    FLOAT32: _ClassVar[OutputType]
    FLOAT64: _ClassVar[OutputType]
    BOOL: _ClassVar[OutputType]
    TEXT: _ClassVar[OutputType]
    JSON_TEXT: _ClassVar[OutputType]
INPUT_TYPE_UNSPECIFIED: InputType
INTEGERS: InputType
FLOATS: InputType
DOUBLES: InputType
STRINGS: InputType
BYTES: InputType
JSON: InputType
OUTPUT_TYPE_UNSPECIFIED: OutputType
INT64: OutputType
FLOAT32: OutputType
FLOAT64: OutputType
BOOL: OutputType
TEXT: OutputType
JSON_TEXT: OutputType

class DescribeRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Description(_message.Message):
    __slots__ = ("protocol", "sdk", "input_type", "max_message_bytes", "lane", "model", "input_form", "output_form")
    PROTOCOL_FIELD_NUMBER: _ClassVar[int]
    SDK_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    LANE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    INPUT_FORM_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORM_FIELD_NUMBER: _ClassVar[int]
    protocol: int
    sdk: str
    input_type: InputType
    max_message_bytes: int
    lane: str
    model: str
    input_form: str
    output_form: str
    def __init__(self, protocol: _Optional[int] = ..., sdk: _Optional[str] = ..., input_type: _Optional[_Union[InputType, str]] = ..., max_message_bytes: _Optional[int] = ..., lane: _Optional[str] = ..., model: _Optional[str] = ..., input_form: _Optional[str] = ..., output_form: _Optional[str] = ...) -> None: ...

class Shape(_message.Message):
    __slots__ = ("dims",)
    DIMS_FIELD_NUMBER: _ClassVar[int]
    dims: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, dims: _Optional[_Iterable[int]] = ...) -> None: ...

class Batch(_message.Message):
    __slots__ = ("id", "input_type", "size", "data", "shapes", "lengths")
    ID_FIELD_NUMBER: _ClassVar[int]
    INPUT_TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SHAPES_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    id: int
    input_type: InputType
    size: int
    data: bytes
    shapes: _containers.RepeatedCompositeFieldContainer[Shape]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, id: _Optional[int] = ..., input_type: _Optional[_Union[InputType, str]] = ..., size: _Optional[int] = ..., data: _Optional[bytes] = ..., shapes: _Optional[_Iterable[_Union[Shape, _Mapping]]] = ..., lengths: _Optional[_Iterable[int]] = ...) -> None: ...

class BatchResult(_message.Message):
    __slots__ = ("id", "outputs", "error", "predict_ns")
    ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    PREDICT_NS_FIELD_NUMBER: _ClassVar[int]
    id: int
    outputs: Outputs
    error: ModelError
    predict_ns: int
    def __init__(self, id: _Optional[int] = ..., outputs: _Optional[_Union[Outputs, _Mapping]] = ..., error: _Optional[_Union[ModelError, _Mapping]] = ..., predict_ns: _Optional[int] = ...) -> None: ...

class Outputs(_message.Message):
    __slots__ = ("type", "size", "data", "dims", "lengths")
    TYPE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    DIMS_FIELD_NUMBER: _ClassVar[int]
    LENGTHS_FIELD_NUMBER: _ClassVar[int]
    type: OutputType
    size: int
    data: bytes
    dims: _containers.RepeatedScalarFieldContainer[int]
    lengths: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, type: _Optional[_Union[OutputType, str]] = ..., size: _Optional[int] = ..., data: _Optional[bytes] = ..., dims: _Optional[_Iterable[int]] = ..., lengths: _Optional[_Iterable[int]] = ...) -> None: ...

class ModelError(_message.Message):
    __slots__ = ("message", "traceback")
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    TRACEBACK_FIELD_NUMBER: _ClassVar[int]
    message: str
    traceback: str
    def __init__(self, message: _Optional[str] = ..., traceback: _Optional[str] = ...) -> None: ...
