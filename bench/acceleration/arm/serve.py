"""One arm: the process that loads one pipeline file and generates when it is asked to.

Runs in a process forked by `bench.acceleration.host.forkserver`. It answers one request at a time: ``load``,
``generate``, ``move``, ``memory``, ``perturb``, ``pace``, and in the trusted scoring process ``embed_images`` and
``embed_texts``. No verdict stands on a time that it measures: the evaluator times it from its own side of the channel.
"""

from __future__ import annotations

import socket
import sys
import threading
import traceback
from contextlib import suppress
from typing import Any

import msgspec

from bench.acceleration.arm import sandbox
from bench.acceleration.protocol import wire
from bench.acceleration.protocol.wire import CHANNEL_LOST
from bench.core.record import Json
from bench.machine.spare import Spare

Answer = tuple[Json, bytes]
Asked = tuple[list[str], list[int], list[Json]]
"""Prompts, seeds, and further inputs of a call."""


def import_all() -> None:
    """Import what an arm needs; called in the fork server, once for all arms."""
    import bench.acceleration.arm.blame
    import bench.acceleration.arm.detection
    import bench.acceleration.arm.loading
    import bench.acceleration.arm.observation
    import bench.acceleration.arm.odd_inputs
    import bench.acceleration.arm.pacing
    import bench.acceleration.arm.parts_of_model
    import bench.acceleration.arm.perturbation
    import bench.acceleration.arm.probe
    import bench.acceleration.arm.torch_costs
    import bench.acceleration.protocol.inputs  # noqa: F401


def main(
    specification: Json, channel_descriptor: int, output_descriptor: int, spare: Spare | None = None
) -> None:
    """Enter the sandbox and serve requests until the evaluator closes the channel.

    Raises:
        SystemExit: with CHANNEL_LOST, when the channel is gone while the evaluator waits.
    """
    channel = socket.socket(fileno=channel_descriptor)
    entered = sandbox.enter(specification, channel_descriptor, output_descriptor, spare)
    if specification["kind"] == "scorer":
        from bench.acceleration.arm.scorer import ClipScorer

        servant: Any = ClipScorer()
    else:
        servant = Arm()
    wire.send(channel, {"hello": True, "jail": entered})
    try:
        serve(servant, channel)
    except OSError as error:
        raise SystemExit(CHANNEL_LOST) from error


def serve(servant: Any, channel: socket.socket) -> None:
    """Answer requests until the evaluator closes the channel; a request that fails is answered too."""
    while True:
        try:
            request, payload = wire.receive(channel)
        except EOFError:
            return
        number = {"nonce": request.get("nonce")}
        try:
            if request.get("op") == "probe":
                _probe(request, channel)
                continue
            header, answer_bytes = servant.answer(request, payload)
            header["ok"] = True
        except BaseException as error:
            header, answer_bytes = describe_error(error), b""
        _flush()
        try:
            wire.send(channel, header | number, answer_bytes)
        except (TypeError, ValueError) as error:  # what the file's objects say of themselves is no JSON
            wire.send(channel, describe_error(error) | number)


def _asked(request: Json, payload: bytes) -> Asked:
    from bench.acceleration.protocol.inputs import unpack_inputs

    inputs = unpack_inputs(request.get("inputs") or {}, payload, len(request["prompts"]))
    return request["prompts"], request["seeds"], inputs


def _probe(request: Json, channel: socket.socket) -> None:
    """Run a file as a script; what answers may be any thread of it, and is the last thing that this process does."""
    from bench.acceleration.arm.probe import probe

    def tell(probed: Any, sent: bytes) -> None:
        _flush()
        header = {"ok": True, "nonce": request.get("nonce"), "probed": msgspec.to_builtins(probed)}
        wire.send(channel, header, sent)

    # As an interpreter does at its end; no pool of threads works in this process after it.
    probe(request["file"], tell, threading._shutdown)  # type: ignore[attr-defined]


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # the file may have closed it, or put anything in its place
            stream.flush()


def describe_error(error: BaseException) -> Json:
    """Return an exception as a plain header: type, message, and the traceback without our own frames."""
    trace = error.__traceback__
    if isinstance(error, MemoryError):
        traceback.clear_frames(trace)  # what they hold is what is missing now
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("bench."):
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    try:
        message = str(error)
    except Exception:
        message = "an exception whose text raises another one"
    return {
        "ok": False,
        "error": {
            "type": type(error).__name__,
            "message": message[:4000],
            "traceback": text[-8000:],
            "is_exit": isinstance(error, SystemExit),
            "is_usage": type(error).__module__ == "bench.core.errors",
            "is_internal": getattr(error, "reason_code", "") == "internal_error",
            "is_of_prompts": type(error).__name__ == "InputProblem",
            "index": getattr(error, "index", None),
        },
    }


class Arm:
    """Serves one pipeline file."""

    def __init__(self) -> None:
        self._pipeline: Any = None
        self._classes: Any = None
        self._perturbation: Any = None

    def answer(self, request: Json, payload: bytes) -> Answer:
        """Dispatch one request."""
        if request["op"] == "load":
            return self._load(request, payload), b""
        if request["op"] == "generate":
            return self._generate(request, payload)
        if request["op"] == "move":
            from bench.acceleration.arm.placing import leave_or_return

            leave_or_return(self._pipeline.pipe, request["device"])
            return {}, b""
        if request["op"] == "memory":
            from bench.acceleration.arm.torch_costs import gpu_memory

            return {"memory": msgspec.to_builtins(gpu_memory())}, b""
        if request["op"] == "perturb":
            return self._perturb(request), b""
        if request["op"] == "pace":
            return self._pace(request, payload), b""
        raise ValueError(f"unknown request {request['op']!r}")

    def _perturb(self, request: Json) -> Json:
        from bench.acceleration.arm.perturbation import Perturbation

        self._perturbation = self._perturbation or Perturbation()
        answer: Json = self._perturbation.apply(self._pipeline.pipe, request)
        return answer

    def _pace(self, request: Json, payload: bytes) -> Json:
        from bench.acceleration.arm.pacing import begin, paces

        asked = _asked(request, payload)
        call = (self._pipeline.pipe, lambda: self._pipeline.generate(*asked))
        if "calls" in request:
            begin(*call, request["calls"])
            return {}
        return {"paces": list(paces(*call, request["counts"], request["usual"]).items())}

    def _load(self, request: Json, sent: bytes) -> Json:
        from bench.acceleration.arm.detection import describe
        from bench.acceleration.arm.loading import load
        from bench.acceleration.arm.odd_inputs import classes_of
        from bench.acceleration.arm.probe import arguments_of
        from bench.acceleration.protocol.messages import OwnCall

        call = request.get("call")
        self._pipeline = load(
            request["file"],
            prefer=request["prefer"],
            device=request["device"],
            call=None if call is None else msgspec.convert(call, OwnCall),
            sent=lambda: arguments_of(sent),
            by=request.get("by", "run"),
            why=request.get("why", ""),
            others=request.get("others", ()),
        )
        self._classes = classes_of(self._pipeline.pipe)
        return {
            "configuration": msgspec.to_builtins(describe(self._pipeline)),
            "by": self._pipeline.by,
            "of_loader": self._pipeline.of_loader,
        }

    def _generate(self, request: Json, payload: bytes) -> Answer:
        from bench.acceleration.arm.blame import blamed
        from bench.acceleration.arm.odd_inputs import require_classes
        from bench.acceleration.protocol.pixels import pack

        asked = _asked(request, payload)
        require_classes(self._classes, asked[2])
        if request.get("observe"):
            return self._observe(request, asked)
        try:
            images = self._pipeline.generate(*asked)
        except Exception as error:
            raise blamed(error, self._pipeline, asked)  # noqa: B904  most often the error itself
        return pack(images)

    def _observe(self, request: Json, asked: Asked) -> Answer:
        """Generate while everything is watched."""
        from bench.acceleration.arm.blame import blamed
        from bench.acceleration.arm.detection import describe
        from bench.acceleration.arm.observation import Watch
        from bench.acceleration.arm.parts_of_model import parts_of
        from bench.acceleration.arm.torch_costs import compiled_s
        from bench.acceleration.protocol.pixels import pack

        within: list[Any] = []
        watch = Watch(self._pipeline.pipe, self._pipeline.replaced(asked[2]))
        at_step = (lambda: within.append(describe(self._pipeline))) if request.get("describe") else None
        layers = bool(request.get("describe"))
        try:
            with watch.watching(at_step, layers=layers):
                outputs = self._pipeline.generate(*asked)
        except Exception as error:
            raise blamed(error, self._pipeline, asked, lambda: watch.watching(at_step, layers=layers))  # noqa: B904
        header, pixels = pack(outputs)
        observed = watch.report(len(request["prompts"]), self._pipeline.entry, self._pipeline.arguments)
        observed.compile_s = compiled_s()
        header["observed"] = msgspec.to_builtins(observed)
        if request.get("describe"):
            # Some methods put themselves in place only when they first run, others are in place only while they do.
            found = describe(self._pipeline)
            found.parts = parts_of(self._pipeline.pipe)
            for other in within:
                found.methods = other.methods | found.methods
            header["configuration"] = msgspec.to_builtins(found)
        return header, pixels
