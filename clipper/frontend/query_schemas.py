"""What OpenAPI says of the query routes: their bodies are decoded by input type, not by schema."""

from typing import Any

from clipper.frontend.options import FRAMES


def _json(properties: dict[str, str], example: dict[str, Any]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {key: {"description": text} for key, text in properties.items()},
        "example": example,
    }
    return {"application/json": {"schema": schema}}


def _parameter(name: str, kind: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": {"type": kind}, "description": text}


FRAMED = {
    FRAMES.decode(): {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": "One frame or more, back to back, each of them one input: `CLPT`, "
            "u8 version 1, u8 type (1 int32, 2 float32, 3 float64, 4 UTF-8 text, 5 bytes, "
            "6 JSON text), u16 number of dimensions, u32 each dimension, the data; all of it "
            "little-endian. What JSON has other keys for are parameters of the URL then.",
        }
    }
}
PREDICT = {
    "requestBody": {
        "required": True,
        "content": _json(
            {
                "input": "One input, of the application's input type.",
                "input_batch": "Or an array of inputs; each gets an answer of its own.",
                "version": "Ask this version of the linked model.",
                "context": "Whose selection state applies, such as a user.",
                "slo_ms": "A deadline tighter than the application's.",
            },
            {"input": [0.1, 0.2, 0.3]},
        )
        | FRAMED,
    },
    "parameters": [
        _parameter("explain", "integer", "1: say in the answer where the time went."),
        _parameter("version", "string", "With frames: ask this version of the linked model."),
        _parameter("context", "string", "With frames: whose selection state applies."),
        _parameter("slo_ms", "number", "With frames: a tighter deadline."),
    ],
}
FEEDBACK = {
    "requestBody": {
        "required": True,
        "content": _json(
            {
                "query_id": "The query that was answered.",
                "input": "Or the input that was asked about.",
                "label": "What was true.",
                "context": "Whose selection state learns; `uid` is the same.",
            },
            {"query_id": 12, "label": 7},
        ),
    }
}
