"""The handler process's life: init, then one frame after the other until the supervisor closes the socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from _thread import RLock
from collections import deque
from typing import Any, Optional

from . import failures, frames, project_environment
from .answers import BadAnswer, rows
from .frames import Channel, Frame, NoFrame
from .items import BadItems, Decoder, find_orjson
from .job_spec import TOTAL, WaitingJobSpec
from .loader import Loaded, StartFailed, load
from .output import Output

CONTROL_DESCRIPTOR = 3
PR_SET_PDEATHSIG = 1  # prctl(2)
NO_BODY = b""


def run(shim: str) -> int:
    """Serves the supervisor behind descriptor 3; the exit code of the process."""
    _die_with_supervisor()
    signal.signal(signal.SIGINT, _ignore)  # belongs to the terminal's owner; a handler set here ends at exec
    connection = socket.socket(fileno=CONTROL_DESCRIPTOR)
    connection.setblocking(True)
    connection.set_inheritable(False)
    host = Host(Channel(connection), Output(), shim)
    os.register_at_fork(after_in_child=host.forked)
    try:
        return host.serve()
    except ConnectionError:
        return 0  # the supervisor is gone
    except NoFrame as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _die_with_supervisor() -> None:
    """A handler that hangs must not outlive its supervisor. (Elsewhere than on Linux the socket's end has to do.)"""
    if sys.platform != "linux":
        return
    try:
        import ctypes  # costs 2 ms of the start

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass  # a Python built without ctypes, or no glibc: as elsewhere


def _ignore(number: int, frame: Any) -> None:
    pass


# json.loads looks for encodings and surrounding white space, for more than the parsing costs.
_read_meta = json.JSONDecoder().raw_decode


# What reading a frame raises whose JSON is none, or not that of the protocol's document.
UNREADABLE = (ValueError, KeyError, TypeError, OverflowError, RecursionError)


def _meta(**values: Any) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()


def _read_init(frame: Frame) -> dict[str, Any]:
    init: dict[str, Any] = json.loads(bytes(frame.body))
    kinds = {"nonce": str, "cortex_project": bool, "log_level": str, "project": str, "path": str, "job_spec": dict}
    for name, kind in kinds.items():
        if not isinstance(init[name], kind):
            raise TypeError(name)
    if not init.keys() >= {"python_path", "config"}:
        raise KeyError("python_path, config")
    return init


class Host:
    """Owns the channel, the output and the loaded handler. Frames are worked off strictly in order."""

    def __init__(self, channel: Channel, output: Output, shim: str) -> None:
        self._channel = channel
        self._output = output
        self._shim = shim
        self._waiting: deque[Frame] = deque()
        self._total: Optional[int] = None
        self._asked = False
        self._sequence = 0
        self._reading = RLock()
        self._is_child = False
        self._handler: Optional[Loaded] = None
        self._decoder = Decoder(None)
        self._cortex = False
        self._warned = False

    def forked(self) -> None:
        """A child forked by user code must not hold the supervisor's socket nor answer on it."""
        self._is_child = True
        self._channel.close()
        self._output.close()

    def serve(self) -> int:
        first = self._next()
        if first is None or first.kind != frames.INIT:
            return 0
        if not self._start(first):
            return 0
        while True:
            frame = self._next()
            if frame is None:
                return 0
            self._sequence = frame.sequence
            began = time.perf_counter()
            self._output.mark(frame.sequence)
            if frame.kind == frames.RUN:
                kind, meta, body = self._run(frame)
            elif frame.kind == frames.COMPLETE:
                kind, meta, body = self._complete()
            else:
                raise NoFrame("the supervisor sent a frame of a kind that may not come now")
            if self._is_child:
                return 0  # user code forked, and the child came back from its call: it has nothing to say here
            self._output.flush()
            self._channel.reply(kind, frame.sequence, meta, body, began)

    def _next(self) -> Optional[Frame]:
        """The next frame to work on; facts are kept on the way."""
        while True:
            if self._waiting:
                return self._waiting.popleft()
            # A thread of user code that waits for the total may be reading: what it finds for us lands in _waiting.
            if not self._reading.acquire(timeout=0.05):
                continue
            try:
                if self._waiting:
                    continue
                frame = self._channel.next()
            finally:
                self._reading.release()
            if frame is None or frame.kind != frames.FACTS:
                return frame
            self._learn(frame)

    def _learn(self, frame: Frame) -> None:
        try:
            self._total = int(json.loads(bytes(frame.body))[TOTAL])
        except UNREADABLE as error:
            raise NoFrame("the supervisor sent facts that cannot be read") from error

    def wait_for_total(self) -> int:
        """Asks for the number of batches and waits for the answer; frames that come meanwhile are kept for later."""
        if self._is_child:
            raise RuntimeError(
                'job_spec["total_batch_count"] is not known yet and can not be asked for in a forked process; '
                "read it before you fork"
            )
        if self._total is None:
            sys.stdout.write("job_spec total_batch_count was read: waiting until the input is split\n")
            self._output.flush()
        began = time.perf_counter()
        while self._total is None:
            # Either this thread reads the socket, or the one that reads it already will learn the answer.
            if not self._asked:
                self._asked = True
                self._channel.ask(self._sequence)
            if not self._reading.acquire(timeout=0.05):
                continue
            try:
                if self._total is None:
                    self._keep_one()
            finally:
                self._reading.release()
        if time.perf_counter() - began > 0.001:
            sys.stdout.write(f"job_spec total_batch_count is known after {time.perf_counter() - began:.1f} s\n")
        return self._total

    def _keep_one(self) -> None:
        frame = self._channel.next()
        if frame is None:
            os._exit(0)  # the supervisor is gone: nobody waits for an answer
        if frame.kind == frames.FACTS:
            self._learn(frame)
        else:
            self._waiting.append(Frame(frame.kind, frame.sequence, frame.meta, bytes(frame.body)))

    def _start(self, frame: Frame) -> bool:
        began = time.perf_counter()
        self._sequence = frame.sequence
        try:
            init = _read_init(frame)
        except UNREADABLE as error:
            raise NoFrame("the supervisor sent an init that cannot be read") from error
        self._output.set_nonce(init["nonce"])
        self._output.mark(frame.sequence)
        self._cortex = init["cortex_project"]
        try:
            self._handler = self._load(init)
        except StartFailed as failure:
            self._output.flush()
            meta = _meta(error=failure.error, kind=failure.kind)
            body = failure.traceback.encode("utf-8", "replace")
            self._channel.reply(frames.START_FAILED, frame.sequence, meta, body, began)
            return False
        self._output.flush()
        meta = _meta(hook=self._handler.hook is not None, pid=os.getpid())
        self._channel.reply(frames.READY, frame.sequence, meta, NO_BODY, began)
        return True

    def _load(self, init: dict[str, Any]) -> Loaded:
        from .metrics import MetricsClient

        os.environ["MILLRACE_LOG_LEVEL"] = init["log_level"]
        project, python_path = init["project"], init["python_path"]
        project_environment.source(project)
        project_environment.enter(project, python_path, self._shim)
        self._decoder = Decoder(find_orjson())
        known: dict[str, Any] = init["job_spec"]
        given = {
            "config": init["config"],
            "job_spec": known if TOTAL in known else WaitingJobSpec(known, self.wait_for_total),
            "metrics_client": MetricsClient(),
        }
        return load(project, init["path"], python_path, given)

    def _run(self, frame: Frame) -> tuple[int, bytes, bytes]:
        handler = self._handler
        assert handler is not None
        try:
            meta: dict[str, Any] = _read_meta(str(frame.meta, "utf-8"))[0]
            count: int = meta["items"]
            first: int = meta["first"]
            indexes = range(first, first + count)
        except UNREADABLE as error:
            raise NoFrame("the supervisor sent a run that cannot be read") from error
        try:
            payload = self._decoder.decode(frame.body, count)
        except BadItems:
            return frames.BAD_ITEMS, NO_BODY, NO_BODY
        given: dict[str, Any] = {}
        for name in handler.asked:
            given[name] = payload if name == "payload" else meta.get(name)
        try:
            answer = handler.call(**given)
        except BaseException as error:
            return _failed(handler.method, error)
        try:
            body = rows(answer, indexes, handler.method)
        except BadAnswer as error:
            if not self._cortex:
                return frames.FAILED, _meta(cause="bad_answer", error=failures.sentence(str(error))), NO_BODY
            self._warn(str(error))
            body = None
        except BaseException as error:  # the value's own methods raised (tolist, iteration)
            return _failed(f"converting the answer of {handler.method}", error)
        return frames.DONE, b'{"rows":null}' if body is None else b'{"rows":%d}' % count, body or NO_BODY

    def _complete(self) -> tuple[int, bytes, bytes]:
        handler = self._handler
        assert handler is not None
        try:
            if handler.hook is not None:
                handler.hook()
        except BaseException as error:
            return _failed("on_job_complete", error)
        return frames.DONE, b'{"rows":null}', NO_BODY

    def _warn(self, why: str) -> None:
        if self._warned:
            return
        self._warned = True
        sys.stderr.write(f"warning: what the handler returns is ignored, as Cortex did: {why}\n")


def _failed(doing: str, error: BaseException) -> tuple[int, bytes, bytes]:
    body = failures.traceback_of(error).encode("utf-8", "replace")
    if isinstance(error, SystemExit):
        return (
            frames.FAILED,
            _meta(cause="exited", error=failures.sentence(f"{doing} called sys.exit({error.code!r})")),
            body,
        )
    return frames.FAILED, _meta(cause="raised", error=failures.sentence(f"{doing} raised {failures.name(error)}")), body
