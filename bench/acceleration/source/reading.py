"""Static reading of a pipeline file: what its text says it loads, applies and calls.

The file is untrusted: it is parsed, never executed. A reading is evidence of what the author wrote. What the loaded
object really has is observed elsewhere, and a disagreement between the two is part of the record. Code that has no
effect on loading does not count: ``if False:``, functions that nothing calls, and, for everything but the entry call,
the block under ``if __name__ == "__main__":``.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.acceleration.methods import Parameters
from bench.acceleration.source.applied import CallSite, MethodReader
from bench.acceleration.source.names import END, Frame, Scope, dotted, parameter_names, source_text
from bench.acceleration.source.origin import Origin, is_wrapper
from bench.acceleration.source.values import UNKNOWN
from bench.acceleration.source.walk import SourceWalk, parse_file
from bench.core.errors import SourceProblem

T = TypeVar("T")
PIPELINE_NAMES = frozenset({"pipe", "pipeline", "self.pipe", "self.pipeline"})
MODEL_KEYWORDS = ("pretrained_model_name_or_path", "pretrained_model_link_or_path", "pretrained_model_name")
PROMPT_KEYWORDS = frozenset({"prompt", "prompt_embeds", "class_labels", None})  # None: **arguments
# The parameter of a file's own ``generate`` that takes what comes with the prompts.
INPUTS = "inputs"
# What the first parameter of a function is called that takes no pipeline first.
_NO_PIPELINE = ("prompt", "text", "caption")
# What a pipeline has that takes a first argument and generates nothing, besides the prefixes below.
NOT_GENERATING = frozenset(
    ("bfloat16", "compile", "components", "controlnet", "cpu", "cuda", "decoder", "download", "eval",
     "feature_extractor", "float", "fuse_qkv_projections", "half", "image_encoder", "image_processor",
     "numpy_to_pil", "prior", "progress_bar", "push_to_hub", "requires_grad_", "run_safety_checker",
     "safety_checker", "scheduler", "text_encoder", "text_encoder_2", "text_encoder_3", "to", "tokenizer",
     "tokenizer_2", "tokenizer_3", "transformer", "unet", "vae")
)  # fmt: skip
NOT_GENERATING_PREFIXES = (
    "_", "add_", "check_", "decode_", "delete_", "disable_", "enable_", "encode_", "from_", "fuse_", "get_",
    "is_", "load_", "maybe_", "prepare_", "register_", "remove_", "reset_", "save_", "set_", "unfuse_",
    "unload_", "upcast_",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EntryCall:
    """The call with which the file itself generates.

    Attributes:
        attribute: None for ``pipe(...)``, ``"tgate"`` for ``pipe.tgate(...)``.
        keywords: name and source text of each keyword argument, to be evaluated in the module's namespace
            (a local variable that holds a constant is written as the constant); ``**options`` has the
            name ``"**"``.
        positional: source text of each positional argument, the prompt first.
        line: 1-based line of the call.
    """

    attribute: str | None
    keywords: tuple[tuple[str, str], ...]
    positional: tuple[str, ...]
    line: int


@dataclass(frozen=True, slots=True)
class SourceReading:
    """What the text of a pipeline file says. None is "not said, or not as a constant".

    ``defines_own_generate`` is a function ``generate`` of a pipeline, prompts, generators and perhaps inputs. ``unsure``
    names the fields, and methods such as ``methods.lora``, of which the text leaves open whether they come to be so;
    ``may_hide_methods`` says that a call may apply more than the text names.
    """

    defines_pipe: bool = False
    defines_load_pipe: bool = False
    defines_generate: bool = False
    defines_own_generate: bool = False
    pipeline_class: str | None = None
    model_id: str | None = None
    scheduler_class: str | None = None
    num_inference_steps: int | None = None
    methods: dict[str, Parameters] = field(default_factory=dict)
    entry: EntryCall | None = None
    unsure: frozenset[str] = frozenset()
    may_hide_methods: bool = False


def read_source(path: Path, *, prefer_load_pipe: bool = False) -> SourceReading:
    """Read a pipeline file without executing it.

    Args:
        path: the file.
        prefer_load_pipe: where a file has both, describe what ``load_pipe()`` returns (as for a candidate)
            rather than ``pipe`` (as for a target).

    Raises:
        SourceProblem: the file is missing, no regular file, too large, not UTF-8 or no Python.
    """
    tree = parse_file(path)
    try:
        return _FileReading(path, tree, prefer_load_pipe).result()
    except RecursionError as error:
        raise SourceProblem(
            f"{path} is nested too deeply to be read; expected a pipeline file of usual depth; simplify it"
        ) from error


def is_own_generate(required: Sequence[str]) -> bool:
    """Whether a function of these required parameters takes a pipeline, prompts and generators, and at most inputs.

    One of another form, such as ``generate(prompt, steps)``, is the author's and no answer to the suite.
    """
    has_form = len(required) == 3 or (len(required) == 4 and required[3] == INPUTS)
    return has_form and not required[0].startswith(_NO_PIPELINE)


class _FileReading:
    """Answers each question about one file from what the walk collected."""

    def __init__(self, path: Path, tree: ast.Module, prefer_load_pipe: bool) -> None:
        self.found = SourceWalk(path)
        self.found.walk_children(tree)
        self.resolver = self.found.resolver
        self.prefer_load_pipe = prefer_load_pipe
        reached = self.found.called | {"load_pipe", "generate"}
        at_load = reached_from({"load_pipe"}, self.found.calls)
        for_sure = reached_from({"load_pipe", "generate"}, [s for s in self.found.calls if s.certain])
        for site in self.found.calls:
            scope = site.frame.scope
            site.live = site.live and self._is_reached(scope, reached)
            site.at_load = self._is_reached(scope, at_load) and not is_inside_generate(scope)
            site.certain = site.certain and (scope.kind in ("module", "class") or scope.name in for_sure)
        self.reached, self.unsure = reached, set[str]()
        self.pipeline = self._noting(self.pipeline_origin, "pipeline_class", "model_id", "scheduler_class")

    def _noting(self, question: Callable[[], T], *fields: str) -> T:
        """Return the answer to a question; where the text leaves it open, its fields are unsure."""
        self.resolver.in_doubt = False
        answer = question()
        if self.resolver.in_doubt:
            self.unsure.update(fields)
        return answer

    def result(self) -> SourceReading:
        pipeline = self.pipeline
        site, entry = self.entry()
        methods = MethodReader(self.resolver, self.is_pipeline)
        for assigned in self.found.attributes:
            if not assigned.guarded:
                methods.read_assigned_forward(assigned.target, assigned.value)
        applied = methods.read(self.found.calls)
        model_id = self._noting(lambda: self.model_id(pipeline), "model_id")
        scheduler = self._noting(lambda: self.scheduler_class(pipeline), "scheduler_class")
        steps = None if site is None else self._noting(lambda: self.steps(site), "num_inference_steps")
        return SourceReading(
            defines_pipe="pipe" in self.found.defined,
            defines_load_pipe="load_pipe" in self.found.defined,
            defines_generate="generate" in self.found.defined,
            defines_own_generate=self.defines_own_generate(),
            pipeline_class=pipeline.class_name if pipeline else None,
            model_id=model_id,
            scheduler_class=scheduler,
            num_inference_steps=steps,
            methods=applied,
            entry=entry,
            unsure=frozenset(self.unsure | {f"methods.{name}" for name in methods.unsure}),
            may_hide_methods=methods.may_hide,
        )

    def defines_own_generate(self) -> bool:
        """Whether the file has a function ``generate`` of a pipeline, prompts and generators."""
        scope = self.resolver.functions.get("generate")
        if "generate" not in self.found.defined or scope is None or scope.parameters is None:
            return False
        given = [*scope.parameters.posonlyargs, *scope.parameters.args]
        required = [parameter.arg for parameter in given[: len(given) - len(scope.parameters.defaults)]]
        return is_own_generate(required)

    def pipeline_origin(self) -> Origin | None:
        """Return where the pipeline comes from that the suite will use."""
        names: list[ast.expr] = [ast.Name(id="pipe"), _LOAD_PIPE]
        for name in reversed(names) if self.prefer_load_pipe else names:
            found = self.resolver.origin(name, self.resolver.module, END)
            if found is not None:
                return found
        return None

    def model_id(self, pipeline: Origin | None) -> str | None:
        for _ in range(4):  # from_pipe() of a from_pipe() ...
            if pipeline is None or pipeline.constructor is None:
                return None
            named = [keyword.value for keyword in pipeline.call.keywords if keyword.arg in MODEL_KEYWORDS]
            argument = next(iter([*pipeline.call.args, *named]), None)
            if argument is None:
                return None
            if pipeline.constructor == "from_pipe":
                pipeline = self.resolver.origin(argument, pipeline.frame, pipeline.at)
                continue
            value = self.resolver.constant(argument, pipeline.frame, pipeline.at)
            return str(value) if isinstance(value, str | Path) else None
        return None

    def scheduler_class(self, pipeline: Origin | None) -> str | None:
        """The scheduler that is set last: as an argument on loading, or by assignment afterwards."""
        latest = None
        if pipeline is not None:
            for keyword in pipeline.call.keywords:
                if keyword.arg == "scheduler":
                    latest = self._scheduler(keyword.value, pipeline.frame, pipeline.at)
        for assigned in self.found.attributes:
            if (
                assigned.target.attr == "scheduler"
                and not assigned.guarded
                and self._is_reached(assigned.frame.scope, self.reached)
                and self.is_pipeline(assigned.target.value, assigned.frame, assigned.order)
            ):
                latest = self._scheduler(assigned.value, assigned.frame, assigned.order)
                self.resolver.in_doubt = self.resolver.in_doubt or not assigned.certain
        return latest

    def _scheduler(self, node: ast.expr, frame: Frame, at: int) -> str | None:
        origin = self.resolver.origin(node, frame, at)
        return None if origin is None or "Pipeline" in origin.class_name else origin.class_name

    def entry(self) -> tuple[CallSite | None, EntryCall | None]:
        """The last call that hands a prompt to the pipeline; in a file with its own generate, the last one there."""
        calls = self.found.calls
        if self.defines_own_generate():
            calls = [site for site in calls if is_inside_generate(site.frame.scope)]
        for site in reversed(calls):
            node = site.node
            if not (node.args or any(keyword.arg in PROMPT_KEYWORDS for keyword in node.keywords)):
                continue
            attribute = self._entry_attribute(site)
            if attribute is not None:
                return site, EntryCall(
                    attribute=attribute or None,
                    keywords=tuple((kw.arg or "**", self._text(kw.value, site)) for kw in node.keywords),
                    positional=tuple(self._text(argument, site) for argument in node.args),
                    line=node.lineno,
                )
        return None, None

    def _text(self, node: ast.expr, site: CallSite) -> str:
        """The expression as written; a constant held by a local variable as that constant."""
        scope = site.frame.scope
        if scope.kind == "module" or isinstance(node, ast.Constant):
            return source_text(node)
        local = set(scope.bindings).union(parameter_names(scope.parameters))
        if any(isinstance(part, ast.Name) and part.id in local for part in ast.walk(node)):
            value = self.resolver.constant(node, site.frame, site.order)
            if value is not UNKNOWN and not isinstance(value, Path):
                return repr(value)
        return source_text(node)

    def _entry_attribute(self, site: CallSite) -> str | None:
        """``""`` for ``pipe(...)``, the method's name for ``pipe.method(...)``, None for another call."""
        function = site.node.func
        if self.is_pipeline(function, site.frame, site.order):
            return ""
        if not isinstance(function, ast.Attribute):
            return None
        name = function.attr
        if name == "__call__":
            name = ""
        elif name in NOT_GENERATING or name.startswith(NOT_GENERATING_PREFIXES):
            return None
        return name if self.is_pipeline(function.value, site.frame, site.order) else None

    def steps(self, site: CallSite) -> int | None:
        for keyword in site.node.keywords:
            if keyword.arg not in ("num_inference_steps", None):
                continue
            value = self.resolver.constant(keyword.value, site.frame, site.order)
            if keyword.arg is None:
                value = value.get("num_inference_steps") if isinstance(value, dict) else UNKNOWN
            if type(value) is int:
                return value
        return None

    def is_pipeline(self, node: ast.expr, frame: Frame, at: int) -> bool:
        """Whether an expression is the pipeline itself, by where it comes from or else by its name."""
        name = dotted(node)
        if name in PIPELINE_NAMES:
            return True
        if name is None and not isinstance(node, ast.Call):
            return False
        scope = frame.scope
        given = parameter_names(scope.parameters)
        if scope.name == "generate" and given and name == given[0]:
            return True
        origin = self.resolver.origin(node, frame, at)
        if origin is None:
            return self._is_wrapped_pipeline(node, frame, at)
        return "Pipeline" in origin.class_name or (
            self.pipeline is not None and origin.call is self.pipeline.call
        )

    def _is_wrapped_pipeline(self, node: ast.expr, frame: Frame, at: int) -> bool:
        """Whether an expression is what such as ``TgateSDLoader(pipe)`` returned: the pipeline given to it."""
        found = self.resolver.lookup(node.id, frame, at) if isinstance(node, ast.Name) else None
        call = node if found is None else found.node
        if not isinstance(call, ast.Call) or not call.args:
            return False
        place, order = (frame, at) if found is None else (found.frame, found.at)
        name = (self.resolver.real_name(call.func, place, order) or "").rpartition(".")[2]
        return is_wrapper(name) and self.is_pipeline(call.args[0], place, order)

    @staticmethod
    def _is_reached(scope: Scope, reached: set[str]) -> bool:
        return scope.kind != "function" or scope.name in reached


def is_inside_generate(scope: Scope | None) -> bool:
    """Whether a scope is that of a function ``generate``, or is nested in it."""
    while scope is not None:
        if scope.kind == "function" and scope.name == "generate":
            return True
        scope = scope.parent
    return False


def reached_from(functions: set[str], calls: Sequence[CallSite]) -> set[str]:
    """Return the functions that run when these run, and when the file is loaded; methods count as running."""
    callees: dict[str, set[str]] = {}
    for site in calls:
        if site.live and isinstance(site.node.func, ast.Name):
            scope = site.frame.scope
            caller = scope.name if scope.kind == "function" else ""
            callees.setdefault(caller, set()).add(site.node.func.id)
    found, ahead = set[str](), {"", *functions}
    while ahead:
        name = ahead.pop()
        found.add(name)
        ahead |= callees.get(name, set()) - found
    return found


_LOAD_PIPE = ast.Call(func=ast.Name(id="load_pipe"), args=[], keywords=[])
