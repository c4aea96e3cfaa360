"""A residual network for images with random weights, on CUDA where there is a device.

The blocks are ResNet-50's (He, Zhang, Ren and Sun 2016, "Deep Residual Learning for Image
Recognition", Table 1), and with four stages of 3, 4, 6 and 3 blocks and a width of 64 it is of its
size. Its data is a JSON file: {"side": 224, "width": 64, "blocks": [3, 4, 6, 3]}. An input is the
bytes of an image, `side x side` pixels of three bytes; the output is the class, of 1000.

On a device, images are copied to it in parts: while one part is computed, the next is written into
memory that the device reads by itself, and is on its way.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from clipper_container import ModelContainer
from torch import Tensor, nn

CLASSES = 1000
EXPANSION = 4
PART = 32
"""Images that are copied at once: enough to keep a device busy with them."""


class Block(nn.Module):  # type: ignore[misc]
    """A bottleneck and its short cut."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.residual = nn.Sequential(
            *convolution(inputs, width, 1),
            nn.ReLU(inplace=True),
            *convolution(width, width, 3, stride),
            nn.ReLU(inplace=True),
            *convolution(width, outputs, 1),
        )
        self.short_cut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(*convolution(inputs, outputs, 1, stride))
        )

    def forward(self, x: Tensor) -> Tensor:
        """[batch, inputs, h, w] to [batch, outputs, h / stride, w / stride]."""
        return torch.relu(self.residual(x) + self.short_cut(x))


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    """Of an odd kernel, with the normalisation after it."""
    padding = kernel // 2
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
    return [layer, nn.BatchNorm2d(outputs)]


def network(width: int, blocks: Sequence[int]) -> nn.Sequential:
    """From [batch, 3, side, side] to the scores, [batch, 1000]."""
    layers = [*convolution(3, width, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = width
    for stage, count in enumerate(blocks):
        for number in range(count):
            stride = 2 if stage and not number else 1
            layers.append(Block(inputs, width << stage, stride))
            inputs = EXPANSION * width << stage
    return nn.Sequential(
        *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, CLASSES)
    ).eval()


class Residual(ModelContainer):
    """Classifies images."""

    def __init__(self, model_data: str) -> None:
        super().__init__(model_data)
        form = json.loads(Path(model_data).read_text(encoding="utf-8"))
        torch.manual_seed(0)
        is_there = torch.cuda.is_available()
        self._device = torch.device("cuda" if is_there else "cpu")
        self._dtype = torch.float16 if is_there else torch.float32
        layout: Any = {"dtype": self._dtype, "memory_format": torch.channels_last}
        self._network = network(form["width"], form["blocks"]).to(self._device, **layout)
        self._staging = (Pinned if is_there else Plain)(form["side"], self._device)
        self.sample_input = bytes(3 * form["side"] ** 2)

    def warm_up(self) -> None:
        """With parts of every size that is usual, for a device plans each when it first comes."""
        for exponent in range(PART.bit_length()):
            self.predict_batch([self.sample_input] * (1 << exponent))

    def predict_batch(self, inputs: Any) -> Any:
        """int64[batch]."""
        parts = (inputs[start : start + PART] for start in range(0, len(inputs), PART))
        with torch.inference_mode():
            return torch.cat([self._classes(part) for part in parts]).cpu().numpy()

    def _classes(self, images: Sequence[bytes]) -> Tensor:
        """Of a part; on a device, a promise of them."""
        pixels = self._staging.upload(images).permute(0, 3, 1, 2)
        return self._network(pixels.to(self._dtype) / 255).argmax(dim=1)


class Plain:
    """Images for the CPU, where they are already."""

    def __init__(self, side: int, _device: torch.device) -> None:
        self._shape = (side, side, 3)

    def upload(self, images: Sequence[bytes]) -> Tensor:
        """uint8[batch, side, side, 3]."""
        joined = torch.frombuffer(bytearray(b"".join(images)), dtype=torch.uint8)
        return joined.reshape(len(images), *self._shape)


class Pinned:
    """Two blocks of memory that the device reads by itself, used in turn."""

    def __init__(self, side: int, device: torch.device) -> None:
        self._shape = (side, side, 3)
        self._device = device
        self._copying = torch.cuda.Stream(device)
        shape = (PART, *self._shape)
        blocks = [torch.empty(shape, dtype=torch.uint8, pin_memory=True) for _ in range(2)]
        self._turns = itertools.cycle([(block, torch.cuda.Event()) for block in blocks])

    def upload(self, images: Sequence[bytes]) -> Tensor:
        """uint8[batch, side, side, 3] on the device, once what is computed now is done with."""
        block, copied = next(self._turns)
        copied.synchronize()  # the device has read what was in it
        memory = memoryview(block.numpy()).cast("B")
        size = len(images[0])
        for number, image in enumerate(images):
            memory[number * size : (number + 1) * size] = image
        computing = torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._copying):
            pixels = block[: len(images)].to(self._device, non_blocking=True)
            copied.record()
        computing.wait_event(copied)
        pixels.record_stream(computing)
        return pixels
