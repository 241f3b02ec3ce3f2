"""Running a pipeline file as a script until it generates, to see how it does.

The file's main part runs in a process of its own, up to the first call on the file's pipeline. There the process tells what
it saw and stands still: nothing is generated, and nothing behind the call runs. A call on another pipeline gets blank
images, and the script goes on. So it does after a call for latents, until it is clear whether another pipeline takes them.
"""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from bench.acceleration.arm.blank import blank_output, maker_of
from bench.acceleration.arm.content import readable
from bench.acceleration.arm.detection import describe
from bench.acceleration.arm.finding import pipe_within
from bench.acceleration.arm.given_inputs import count_of_prompts, kept, prompt_name
from bench.acceleration.arm.loading import REPLACED, LoadedPipeline
from bench.acceleration.arm.recorder import RecordedCall, Recorder, through
from bench.acceleration.arm.running import MODULE_NAME, execute, module_of
from bench.acceleration.arm.torch_state import changed, torch_state
from bench.acceleration.protocol.messages import Described, OwnCall, Probed
from bench.acceleration.source.reading import read_source
from bench.core.errors import ModelgateError
from bench.core.record import Json

Tell = Callable[[Probed, bytes], None]
_WAIT_S = 3600.0


def probe(file: str, tell: Tell) -> None:
    """Run a file as a script; tell of its first call on its own pipeline, or of its end without one.

    Args:
        file: path of the file.
        tell: hands the answer over, with the arguments of the call as bytes for :func:`arguments_of`. After a call it is
            the last thing that this process does.
    """
    path = Path(file)
    main = module_of(path, "__main__")
    before = torch_state()
    others: list[str] = []
    # A call that makes latents, until it is clear whether they go into another call.
    latent: list[tuple[Probed, bytes]] = []

    def on_call(call: RecordedCall) -> Any:
        known_as = _known_as(call.pipe, main.__dict__, recorder)
        where = "" if call.line is None else f" in line {call.line}"
        named = f"{type(call.pipe).__name__}{where}"
        if latent:
            first, sent = latent[0]
            if maker_of(call.given) == _latents_of(first):
                first = msgspec.structs.replace(first, chained=_latents_of(first), into=named)
            elif not known_as:
                return blank_output(call, named)
            tell(first, sent)
            _stand_still()
        if not known_as:
            others.append(named)
            return blank_output(call, named)
        described = _described(call, path)
        if "pipe" in known_as:  # and not only what was put around it
            call = through(main.__dict__.get("pipe"), call)
        own, sent = _own_call(call, known_as, changed(torch_state(), before))
        chained = maker_of(call.given) or ""
        probed = Probed(call=own, described=described, pipelines=others, chained=chained)
        if call.given.get("output_type") == "latent" and not chained:
            latent.append((probed, sent))
            return blank_output(call, _latents_of(probed))
        tell(probed, sent)
        _stand_still()

    with Recorder(on_call, main.__dict__) as recorder:
        try:
            execute(path, main)
            why = "it ran to its end"
        except SystemExit as ending:
            why = f"it ended by itself with exit code {ending.code if ending.code is not None else 0}"
        except BaseException as error:
            why = f"{_place(error, path)}{type(error).__name__}: {str(error)[:500]}"
    if latent:
        tell(*latent[0])
        return
    if others:
        why += f"; it generated with another pipeline than `pipe` ({others[0]})"
    tell(Probed(why=why, pipelines=others), b"")


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
        return describe(LoadedPipeline(call.pipe, read_source(path), call.entry_point, _kept(call), ()))
    except ModelgateError:  # a user's detector; the arm itself will say so
        return None


def _known_as(pipe: Any, namespace: dict[str, Any], recorder: Recorder) -> tuple[str, ...]:
    by_name = ("pipe",) if pipe is pipe_within(namespace.get("pipe")) else ()
    return (*by_name, *(("load_pipe",) if any(pipe is made for made in recorder.made_by_loader) else ()))


def _place(error: BaseException, path: Path) -> str:
    trace, line = error.__traceback__, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return "" if line is None else f"line {line}: "


def _stand_still() -> NoReturn:
    while True:  # the evaluator ends this process
        time.sleep(_WAIT_S)
