"""A real host that is sent garbage: it ends by itself, with an exit code and at most one sentence."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from millrace_host.frames import COMPLETE, FACTS, HEAD, INIT, RUN

HOST = Path(__file__).parents[2] / "services/worker/python/millrace_host/__main__.py"
HANDLER = "class Handler:\n  def __init__(self, config): pass\n  def handle_batch(self, payload): return payload\n"


def frame(kind: int, sequence: int, meta: bytes, body: bytes, length: int = -1) -> bytes:
    return HEAD.pack(len(meta) + len(body) if length < 0 else length, kind, 0, len(meta), sequence) + meta + body


def init_of(project: Path, **changes: object) -> bytes:
    said: dict[str, object] = {
        "project": str(project),
        "path": "handler.py",
        "python_path": None,
        "config": {},
        "job_spec": {"job_id": "job"},
        "log_level": "info",
        "nonce": "0011223344556677",
        "cortex_project": False,
    }
    said.update(changes)
    return frame(INIT, 0, b"{}", json.dumps(said).encode())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "handler.py").write_text(HANDLER)
    return tmp_path


def end_of(stream: bytes) -> tuple[int, str]:
    """Exit code and last words, markers left out, of a host that is sent `stream` and then the end of its input."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-I", str(HOST)]

    def as_control() -> None:
        os.dup2(theirs.fileno(), 3)

    with (
        ours,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=(3,), preexec_fn=as_control
        ) as host,
    ):
        theirs.close()
        try:
            ours.sendall(stream)
            ours.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it ended before it read everything
        try:
            said, _ = host.communicate(timeout=20)
        finally:
            host.kill()
    lines = [line for line in said.decode("utf-8", "replace").split("\n") if line and not line.startswith("\0")]
    return host.returncode, "\n".join(lines)


RUN_META = b'{"batch_id":"a","attempt":1,"items":1,"first":0}'


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        (frame(RUN, 1, b"{", b"[1]"), "the supervisor sent a run that cannot be read"),
        (frame(RUN, 1, b"[" * 60_000, b"[1]"), "the supervisor sent a run that cannot be read"),
        (frame(RUN, 1, b'{"items":1}', b"[1]"), "the supervisor sent a run that cannot be read"),
        (frame(FACTS, 1, b"", b"{}"), "the supervisor sent facts that cannot be read"),
        (frame(FACTS, 1, b"", b'{"total_batch_count":1e999}'), "the supervisor sent facts that cannot be read"),
        (frame(INIT, 0, b"{}", b"{}"), "the supervisor sent a frame of a kind that may not come now"),
        (frame(200, 1, b"", b""), "the supervisor sent a frame of a kind that may not come now"),
        (HEAD.pack(1, RUN, 0, 2, 1), "the supervisor sent a frame that is none"),
        (HEAD.pack(1, RUN, 1, 0, 1), "the supervisor sent a frame that is none"),
        (HEAD.pack(0xFFFFFFFF, RUN, 0, 0, 1), "the supervisor sent a frame that is none"),
    ],
)
def test_says_in_one_sentence_what_came(project: Path, stream: bytes, sentence: str) -> None:
    assert end_of(init_of(project) + stream) == (1, sentence)


def test_refuses_an_init_of_other_fields(project: Path) -> None:
    for stream in (frame(INIT, 0, b"{}", b"[]"), frame(INIT, 0, b"{}", b"\xff"), init_of(project, nonce=7)):
        assert end_of(stream) == (1, "the supervisor sent an init that cannot be read")


def test_ends_quietly_when_the_input_ends_within_a_frame(project: Path) -> None:
    whole = frame(RUN, 1, RUN_META, b"[1]")
    for cut in (1, HEAD.size, HEAD.size + 5, len(whole) - 1):
        assert end_of(init_of(project) + whole[:cut]) == (0, "")


def test_takes_no_memory_for_what_is_only_announced(project: Path) -> None:
    announced = frame(RUN, 1, b"", b"some", 2**31 - 1)
    script = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
    (project / "handler.py").write_text(script + HANDLER)
    assert end_of(init_of(project) + announced) == (0, "")


def test_ends_whatever_comes(project: Path) -> None:
    chance = random.Random(20)
    frames = [
        frame(RUN, 1, RUN_META, b"[1]"),
        frame(FACTS, 0, b"", b'{"total_batch_count":2}'),
        frame(COMPLETE, 2, b"", b""),
    ]
    ends = set()
    for _ in range(16):
        stream = bytearray(b"".join(chance.choices(frames, k=chance.randint(1, 4))))
        for _ in range(chance.randint(1, 4)):
            stream[chance.randrange(len(stream))] ^= 1 << chance.randrange(8)
        code, said = end_of(init_of(project) + bytes(stream[: chance.randint(1, len(stream))]))
        assert code in (0, 1), (bytes(stream), said)
        assert ("the supervisor sent " in said and "\n" not in said) if code else said == "", (bytes(stream), said)
        ends.add(code)
    assert ends == {0, 1}
