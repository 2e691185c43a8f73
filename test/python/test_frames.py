"""Frames through a real socket pair."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from millrace_host.frames import ASK, DONE, HEAD, RUN, Channel, NoFrame


def frame(kind: int, sequence: int, meta: bytes, body: bytes) -> bytes:
    return HEAD.pack(len(meta) + len(body), kind, 0, len(meta), sequence) + meta + body


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    theirs.settimeout(10)
    yield Channel(ours), theirs
    ours.close()
    theirs.close()


def test_the_bytes_are_those_of_the_document() -> None:
    assert (
        frame(DONE, 7, b'{"rows":null}', b"").hex()
        == "0d000000" + "42" + "00" + "0d00" + "07000000" + b'{"rows":null}'.hex()
    )


def test_reads_frames_of_any_size_in_their_order(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    sizes = [0, 1, 300_000, 5, 20_000_000, 0, 100, 150_000_000, 262_132]
    stream = b"".join(frame(RUN, index, b"m", bytes([index]) * size) for index, size in enumerate(sizes))
    sender = threading.Thread(target=lambda: (theirs.sendall(stream), theirs.shutdown(socket.SHUT_WR)))
    sender.start()
    for index, size in enumerate(sizes):
        got = channel.next()
        assert got is not None
        assert (got.kind, got.sequence, got.meta) == (RUN, index, b"m")
        assert bytes(got.body) == bytes([index]) * size
    assert channel.next() is None
    sender.join()


def test_flushes_replies_before_it_waits(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    for sequence in range(100):
        channel.reply(DONE, sequence, b"{}", b"", began=1e12)  # as if no time had passed: corked
    reader = threading.Thread(target=channel.next)
    reader.start()
    expected = b"".join(frame(DONE, sequence, b"{}", b"") for sequence in range(100))
    received = b""
    while len(received) < len(expected):
        received += theirs.recv(65536)
    assert received == expected
    theirs.shutdown(socket.SHUT_WR)
    reader.join()


def test_does_not_cork_the_reply_of_a_slow_batch(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    channel.reply(DONE, 1, b"{}", b"x", began=0.0)
    assert theirs.recv(100) == frame(DONE, 1, b"{}", b"x")


def test_refuses_what_is_no_frame(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    theirs.sendall(HEAD.pack(1, RUN, 0, 2, 1))
    with pytest.raises(NoFrame, match="a frame that is none"):
        channel.next()


def test_asks_at_once(pair: tuple[Channel, socket.socket]) -> None:
    channel, theirs = pair
    channel.ask(3)
    assert theirs.recv(100) == frame(ASK, 3, b"", b"")
