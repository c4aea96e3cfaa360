"""The measure of the hot path: a plain FastAPI route on uvicorn that sums in its own process."""

import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Body(BaseModel):
    """The same body that Clipper takes."""

    input: list[float]


@app.post("/sum/predict")
async def predict(body: Body) -> dict[str, object]:
    """The same answer, without a model, a queue or a batch."""
    return {"query_id": 0, "output": sum(body.input), "default": False}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="error")
