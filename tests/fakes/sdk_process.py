"""A model container as a process, and a client that speaks to it as the daemon does."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from clipper_container.health_pb2 import HealthCheckRequest, HealthCheckResponse
from clipper_container.model_pb2 import Batch, BatchResult, DescribeRequest, Description

MODELS = Path(__file__).with_name("sdk_models.py")
PATIENCE_S = 60.0  # some frameworks take long to import


def wait_for(condition: Callable[[], bool]) -> None:
    """Look again and again, in a thread, until something outside of this process has happened."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < give_up_at, f"{condition} did not come true"
        time.sleep(0.005)


class Program:
    """One run of a model container: of `python -m clipper_container`, or of any other."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self.ready_file = folder / "ready"
        self._process = process
        self._output = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def start(cls, folder: Path, target: str, *options: str, **environment: str) -> "Program":
        """Start Python's on a unix socket in the folder, unless the options say otherwise."""
        command = (sys.executable, "-m", "clipper_container", target)
        places = ("--listen", f"unix:{folder / 's'}", "--ready-file", str(folder / "ready"))
        return await cls.run(folder, *command, *places, *options, **environment)

    @classmethod
    async def run(cls, folder: Path, *command: str, **environment: str) -> "Program":
        """Start any, whose ready file is to be `ready` in the folder."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        return cls(folder, process)

    async def _read(self) -> str:
        assert self._process.stdout is not None
        return (await self._process.stdout.read()).decode()

    async def ready(self) -> str:
        """The address, once it serves."""
        await asyncio.to_thread(wait_for, self.has_spoken)
        assert not self._output.done(), await self._output
        return self.ready_file.read_text().strip()

    def has_spoken(self) -> bool:
        """Whether it serves, or never will."""
        return self.ready_file.exists() or self._output.done()

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it without asking."""
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> tuple[int, str]:
        """Its exit code and all it printed, once it has ended."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._process.wait(), await self._output


class Client:
    """One connection to a container."""

    def __init__(self, address: str, token: str = "", **options: int) -> None:
        unlimited = {"grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1}
        named = {f"grpc.{name}": value for name, value in options.items()}
        self._channel = grpc.aio.insecure_channel(
            address, options=list((unlimited | named).items())
        )
        self._metadata = [("clipper-token", token)] if token else []
        self._stream: Any = None

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.cancel()
        await self._channel.close()

    def open(self) -> Any:
        """A stream of batches, as bytes."""
        call = self._channel.stream_stream("/clipper.v1.Model/Predict")
        return call(metadata=self._metadata, timeout=PATIENCE_S)

    async def send(self, batch: Batch) -> None:
        """Send a batch on this client's own stream."""
        if self._stream is None:
            self._stream = self.open()
        await self._stream.write(batch.SerializeToString())

    async def receive(self) -> BatchResult | None:
        """The next result; None when the stream has ended well."""
        message = await self._stream.read()
        return None if message is grpc.aio.EOF else BatchResult.FromString(message)

    async def ask(self, batch: Batch) -> BatchResult:
        """The result of a batch."""
        await self.send(batch)
        result = await self.receive()
        assert result is not None
        return result

    async def describe(self) -> Description:
        """What the container says of itself."""
        call = self._channel.unary_unary("/clipper.v1.Model/Describe")
        answer = await call(
            DescribeRequest().SerializeToString(), metadata=self._metadata, timeout=PATIENCE_S
        )
        return Description.FromString(answer)

    async def check(self, service: str = "clipper.v1.Model") -> int:
        """The health of a service."""
        call = self._channel.unary_unary("/grpc.health.v1.Health/Check")
        answer = await call(
            HealthCheckRequest(service=service).SerializeToString(),
            metadata=self._metadata,
            timeout=PATIENCE_S,
        )
        return HealthCheckResponse.FromString(answer).status

    def watch(self) -> Any:
        """The health of the model, each time that it changes."""
        call = self._channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            response_deserializer=lambda data: HealthCheckResponse.FromString(data).status,
        )
        request = HealthCheckRequest(service="clipper.v1.Model")
        return call(
            request.SerializeToString(),
            metadata=self._metadata,
            timeout=PATIENCE_S,
            wait_for_ready=True,
        )
