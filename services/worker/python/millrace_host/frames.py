"""Frames over the socket to the supervisor: received into one buffer, replies corked (docs/handler-protocol.md)."""

from __future__ import annotations

import socket
import struct
import time
from _thread import allocate_lock
from select import select
from typing import NamedTuple, Union

HEAD = struct.Struct("<IBBHI")

INIT, RUN, COMPLETE, FACTS = 1, 2, 3, 4
READY, START_FAILED, DONE, FAILED, BAD_ITEMS, ASK = 64, 65, 66, 67, 68, 69

Body = Union[bytes, bytearray, memoryview]

FRAME_BYTES_MAX = 2**31 - 1
BUFFER_BYTES = 256 * 1024
# A buffer that had to grow beyond this is given back when it is empty.
BUFFER_BYTES_KEPT = 16 * 1024 * 1024
# So much is made room for as soon as it is announced; for more, as its bytes come.
BUFFER_BYTES_AT_ONCE = 64 * 1024 * 1024
# Replies of a burst of fast batches leave together, but none waits longer than this for another batch to end.
CORK_SECONDS = 0.0003
# A reply must not wait behind a slow batch: corking begins after so many fast batches in a row.
FAST_BATCHES = 16


class NoFrame(Exception):
    """Bytes came that are no frame, or a frame that may not come now: nothing from there on can be trusted."""


class Frame(NamedTuple):
    """One frame; `body` is valid until the next call of `Channel.next`."""

    kind: int
    sequence: int
    meta: bytes
    body: Body


# Half the price of calling the class: this is done for each batch.
_make = Frame._make


class Channel:
    """The socket to the supervisor. Owned by one thread at a time (see `Host.wait_for_total`)."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = 0
        self._end = 0
        # A thread of user code may ask while the main thread replies.
        self._sending = allocate_lock()
        self._replies: list[bytes] = []
        self._flushed_at = 0.0
        self._fast = 0

    def next(self) -> Frame | None:
        """The next frame, however long it takes; None at the end of the input. Replies are flushed before it waits.

        Raises `NoFrame`.
        """
        while True:
            have = self._end - self._start
            need = HEAD.size
            if have >= need:
                length, kind, reserved, meta_length, sequence = HEAD.unpack_from(self._buffer, self._start)
                if length > FRAME_BYTES_MAX or meta_length > length or reserved != 0:
                    raise NoFrame("the supervisor sent a frame that is none")
                need += length
                if have >= need:
                    meta_at = self._start + HEAD.size
                    body_at = meta_at + meta_length
                    self._start += need
                    meta = bytes(self._view[meta_at:body_at])
                    return _make((kind, sequence, meta, self._view[body_at : self._start]))
            self._make_room(need)
            if not self._receive():
                return None

    def _make_room(self, need: int) -> None:
        have = self._end - self._start
        size = len(self._buffer)
        need = min(need, max(BUFFER_BYTES_AT_ONCE, 2 * size if have == size else size))
        if have == 0 and size > BUFFER_BYTES_KEPT and need <= BUFFER_BYTES:
            self._replace(BUFFER_BYTES)
        elif need > size:
            self._replace(need)
        elif self._start + need > size or have == 0:
            self._view[:have] = self._view[self._start : self._end]
            self._start, self._end = 0, have

    def _replace(self, size: int) -> None:
        buffer = bytearray(size)
        have = self._end - self._start
        buffer[:have] = self._view[self._start : self._end]
        self._buffer, self._view = buffer, memoryview(buffer)
        self._start, self._end = 0, have

    def _receive(self) -> bool:
        room = self._view[self._end :]
        count = -1
        if self._replies:
            # The supervisor may be at work on the former replies: waiting for what it sends then saves both a waking.
            if self._fast >= FAST_BATCHES:
                select([self._socket], (), (), CORK_SECONDS)
            try:
                count = self._socket.recv_into(room, 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                self.flush()  # nothing more to read: nobody gains from waiting
        if count < 0:
            count = self._socket.recv_into(room)
        self._end += count
        return count > 0

    def reply(self, kind: int, sequence: int, meta: bytes, body: bytes, began: float) -> None:
        """Answers a frame whose work began at `began` (time.perf_counter)."""
        now = time.perf_counter()
        self._fast = self._fast + 1 if now - began < CORK_SECONDS else 0
        self._replies.append(HEAD.pack(len(meta) + len(body), kind, 0, len(meta), sequence) + meta)
        if body:
            self._replies.append(body)
        if self._fast < FAST_BATCHES or now - self._flushed_at > CORK_SECONDS:
            self.flush()

    def ask(self, sequence: int) -> None:
        """Asks for the number of batches on behalf of the frame in work."""
        self._replies.append(HEAD.pack(0, ASK, 0, 0, sequence))
        self.flush()

    def flush(self) -> None:
        with self._sending:
            if not self._replies:
                return
            replies, self._replies = self._replies, []
            self._socket.sendall(replies[0] if len(replies) == 1 else b"".join(replies))
        self._flushed_at = time.perf_counter()

    def close(self) -> None:
        self._socket.close()
