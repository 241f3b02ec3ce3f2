"""Running a pipeline file as a script until it generates, to see how it does.

The file's main part runs in a process of its own, up to the first call on the file's pipeline. There the process tells what
it saw and stands still: nothing is generated, and nothing behind the call runs. A call on another pipeline gets blank
images, and the script goes on. So it does after a call for latents, until it is clear whether another pipeline takes them,
and after a call that only warms up: one whose result is thrown away, where a later one's is not.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from bench.acceleration.arm.blank import blank_output, maker_of
from bench.acceleration.arm.content import readable
from bench.acceleration.arm.detection import describe
from bench.acceleration.arm.discarded import is_discarded
from bench.acceleration.arm.finding import pipe_within
from bench.acceleration.arm.given_inputs import count_of_prompts, kept, prompt_name
from bench.acceleration.arm.idleness import when_idle
from bench.acceleration.arm.loading import REPLACED, LoadedPipeline
from bench.acceleration.arm.own_loop import OwnSteps
from bench.acceleration.arm.recorder import RUN, RecordedCall, Recorder, line_within, through
from bench.acceleration.arm.running import MODULE_NAME, execute, module_of
from bench.acceleration.arm.torch_state import changed, torch_state
from bench.acceleration.protocol.messages import Described, OwnCall, Probed
from bench.acceleration.source.reading import read_source
from bench.core.errors import ModelgateError
from bench.core.record import Json

Tell = Callable[[Probed, bytes], None]
_WAIT_S = 3600.0
# How far a script goes on behind a call whose result it throws away.
_WARMING_S, _WARMING_CALLS = 10.0, 50
_STEPS = ("num_inference_steps", "steps", "num_steps")


def probe(file: str, tell: Tell, await_threads: Callable[[], None] = lambda: None) -> None:
    """Run a file as a script; tell of its first call on its own pipeline, or of its end without one.

    Args:
        file: path of the file.
        tell: hands the answer over, with the arguments of the call as bytes for :func:`arguments_of`. After a call it is
            the last thing that this process does.
        await_threads: called when the script has ended, where its threads may make the call that nobody waited for.
    """
    path = Path(file)
    main = module_of(path, "__main__")
    listener = _Listener(path, main.__dict__, _once(tell))
    with (
        Recorder(listener.on_call, main.__dict__) as recorder,
        listener.own_steps,
        when_idle(lambda: listener.at_end(_waiting(main.__dict__))),
    ):
        listener.made_by_loader = recorder.made_by_loader
        try:
            execute(path, main)
            why = "it ran to its end"
        except SystemExit as ending:
            why = f"it ended by itself with exit code {ending.code if ending.code is not None else 0}"
        except BaseException as error:
            why = f"{_place(error, path)}{type(error).__name__}: {str(error)[:500]}"
        await_threads()
    listener.at_end(why)


class _Listener:
    """Decides what each call of a script says.

    Args:
        path: of the file.
        namespace: of the script.
        tell: as of `probe`.
    """

    def __init__(self, path: Path, namespace: dict[str, Any], tell: Tell) -> None:
        self._path, self._namespace, self._tell = path, namespace, tell
        self._before = torch_state()
        self._others: list[str] = []
        # A call that makes latents, until it is clear whether they go into another call.
        self._latent: tuple[Probed, bytes] | None = None
        # A call whose result is thrown away, until one comes whose result is not.
        self._warming: tuple[Probed, bytes] | None = None
        self._warmed, self._most_steps = 0, 0.0
        self._process = os.getpid()
        self.own_steps = OwnSteps(namespace)
        self.made_by_loader: list[Any] = []

    def on_call(self, call: RecordedCall) -> Any:
        """Return what stands for the output of a call, unless it is the one that counts."""
        known_as = _known_as(call.pipe, self._namespace, self.made_by_loader)
        where = "" if call.line is None else f" in line {call.line}"
        named = f"{type(call.pipe).__name__}{where}"
        if self._latent is not None:
            first, sent = self._latent
            if maker_of(call.given) == _latents_of(first):
                first = msgspec.structs.replace(first, chained=_latents_of(first), into=named)
            elif not known_as:
                return blank_output(call, named)
            self._end_with(first, sent)
        if not known_as:
            if self._warming is None:
                self._others.append(named)
            return blank_output(call, named)
        if call.entry_point != "__call__" and not call.takes_generators:
            return RUN  # a method of the file's own, which calls the pipeline in its turn
        return self._on_own_call(call, known_as, named)

    def _on_own_call(self, call: RecordedCall, known_as: tuple[str, ...], named: str) -> Any:
        described = _described(call, self._path)
        if "pipe" in known_as:  # and not only what was put around it
            call = through(self._namespace.get("pipe"), call)
        own, sent = _own_call(call, known_as, changed(torch_state(), self._before))
        chained = maker_of(call.given) or ""
        probed = Probed(call=own, described=described, pipelines=list(self._others), chained=chained)
        if (
            is_discarded() and os.getpid() == self._process
        ):  # one that the script has begun may end without a word
            self._warm_up(probed, sent, _steps(call))
            return blank_output(call, named)
        if call.given.get("output_type") == "latent" and not chained:
            self._latent = probed, sent
            return blank_output(call, _latents_of(probed))
        return self._end_with(probed, sent)

    def _warm_up(self, probed: Probed, sent: bytes, steps: float) -> None:
        """Keep a call whose result is thrown away: the first one, or one from another line that asks for more steps."""
        self._warmed += 1
        first, self._warming = self._warming, self._warming or (probed, sent)
        if first is None:
            timer = threading.Timer(_WARMING_S, lambda: self._tell(*(self._warming or (probed, sent))))
            timer.daemon = True
            timer.start()
            self._most_steps = steps
        elif self._warmed > _WARMING_CALLS:
            self._end_with(*first)
        elif steps > self._most_steps and _line_of(first[0]) != _line_of(probed):
            self._warming, self._most_steps = (probed, sent), steps

    def _end_with(self, probed: Probed, sent: bytes) -> NoReturn:
        self._tell(probed, sent)
        _stand_still()

    def at_end(self, why: str) -> None:
        """Tell what there is to tell of a script that has ended.

        Args:
            why: how it ended.
        """
        first = self._latent or self._warming
        if first is not None:
            self._tell(*first)
            return
        if self._others:
            why += f"; it generated with another pipeline than `pipe` ({self._others[0]})"
        self._tell(Probed(why=why, pipelines=self._others, own_steps=self.own_steps.where), b"")


def arguments_of(blob: bytes) -> dict[str, Any]:
    """Return the arguments that a probe of the same file sent.

    Raises:
        Exception: whatever their classes raise.
    """
    return {name: _Unpickler(io.BytesIO(pickled)).load() for name, pickled in pickle.loads(blob).items()}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Find what the script defined in the module that the arm loads the file as."""
        return super().find_class(MODULE_NAME if module == "__main__" else module, name)


def _steps(call: RecordedCall) -> float:
    found = next((call.given[name] for name in _STEPS if name in call.given), 0)
    return found if isinstance(found, int | float) else 0


def _line_of(probed: Probed) -> int | None:
    return None if probed.call is None else probed.call.line


def _once(tell: Tell) -> Tell:
    """Return what hands over the first answer that it is given; who comes later stands still."""
    lock = threading.Lock()

    def told(probed: Probed, sent: bytes) -> None:
        if not lock.acquire(blocking=False):
            _stand_still()
        try:
            tell(probed, sent)
        except BaseException:  # nothing was handed over: what ended the script is told in its place
            lock.release()
            raise

    return told


def _own_call(call: RecordedCall, known_as: tuple[str, ...], state: Json) -> tuple[OwnCall, bytes]:
    """Return the call, and those of its arguments as bytes that another process can be given."""
    sent: dict[str, bytes] = {}
    unsent: dict[str, str] = {}
    arguments = _kept(call)
    for name, value in arguments.items():
        try:
            sent[name] = pickle.dumps(value)
        except Exception:  # a lambda, an open file, what a library made
            unsent[name] = type(value).__name__
    own = OwnCall(
        entry_point=call.entry_point,
        prompt_name=_prompt_of(call),
        given=tuple(name for name, value in call.given.items() if value is not None),
        arguments={name: readable(value) for name, value in arguments.items()},
        unsent=unsent,
        state=state,
        line=call.line,
        known_as=known_as,
        prompt_count=count_of_prompts(call.given.get(_prompt_of(call) or "")),
        beneath=call.beneath,
    )
    return own, pickle.dumps(sent)


def _prompt_of(call: RecordedCall) -> str | None:
    return prompt_name(call.given, call.parameters)


def _latents_of(probed: Probed) -> str:
    """Return the words for what a file's own call makes that makes latents."""
    line = None if probed.call is None else probed.call.line
    return "`pipe`" if line is None else f"`pipe` in line {line}"


def _kept(call: RecordedCall) -> dict[str, Any]:
    return {name: value for name, value in kept(call.given).items() if name not in REPLACED}


def _described(call: RecordedCall, path: Path) -> Described | None:
    try:
        seen = LoadedPipeline(call.pipe, read_source(path), call.entry_point, _kept(call), ())
        seen.look_at_scheduler()
        return describe(seen)
    except ModelgateError:  # a user's detector; the arm itself will say so
        return None


def _known_as(pipe: Any, namespace: dict[str, Any], made_by_loader: list[Any]) -> tuple[str, ...]:
    by_name = ("pipe",) if pipe is pipe_within(namespace.get("pipe")) else ()
    return (*by_name, *(("load_pipe",) if any(pipe is made for made in made_by_loader) else ()))


def _place(error: BaseException, path: Path) -> str:
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f"line {line}: "


def _waiting(namespace: dict[str, Any]) -> str:
    innermost = sys._current_frames().get(threading.main_thread().ident or 0)
    line = None if innermost is None else line_within(namespace, innermost)
    return f"{'' if line is None else f'line {line}: '}it did nothing but wait for 20 s"


def _stand_still() -> NoReturn:
    while True:  # the evaluator ends this process
        time.sleep(_WAIT_S)
