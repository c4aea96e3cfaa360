"""Requests for all systems: the same numbers, and no two alike."""

import json

import numpy as np
import pytest
from peers.catalogue import PEERS
from peers.payload import Payload, plain, row
from peers.peer import Peer


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize("model", ["noop", "classifier"])
def test_every_system_is_sent_the_same_numbers(peer: Peer, model: str) -> None:
    ours = row(Payload("/", plain(model)), serial=3, run=7)
    assert len(ours) == (8 if model == "noop" else 784)
    for setting in peer.settings:
        assert row(peer.payload(model, setting), serial=3, run=7) == ours


def test_no_two_requests_are_alike_even_in_single_precision() -> None:
    payload = Payload("/", plain("noop"))
    bodies = [request.partition(b"\r\n\r\n")[2] for request in payload.requests(5000, run=1)]
    inputs = np.array([json.loads(body)["input"] for body in bodies], np.float32)
    assert len(np.unique(inputs, axis=0)) == 5000


def test_another_run_has_other_inputs() -> None:
    payload = Payload("/", plain("noop"))
    assert not set(payload.requests(100, run=1)) & set(payload.requests(100, run=2))


def test_requests_are_whole() -> None:
    payload = Payload("/app/predict", plain("noop"))
    first, second = payload.requests(2, run=5)
    assert first.startswith(b"POST /app/predict HTTP/1.1\r\n")
    assert first.endswith(payload.body(1, run=5))
    assert second.endswith(payload.body(2, run=5))
    assert f"Content-Length: {len(payload.body(2, 5))}\r\n".encode() in second
