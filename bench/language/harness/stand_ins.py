"""What tasks of lm-evaluation-harness load from elsewhere: a metric that runs programs, and metrics that are not installed.

``code_eval`` of the library ``evaluate`` would run a model's program in this process, after it was downloaded. ``squad_v2``
would be downloaded too, and so would nltk's data. ``transformers.data.metrics.squad_metrics`` went out of transformers with
version 5.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from bench.language.programs import JailedCodeEval

_PUNKT = "tokenizers/punkt_tab"
# Where the wheel of llama-index-core has data of nltk; that package need not be imported, nor what it depends on.
_IN_WHEEL = Path("core/_static/nltk_cache")
NO_PUNKT = (
    "found no data of nltk about sentences (punkt_tab), expected it: the task counts sentences or words with it; get it "
    "with python -m nltk.downloader punkt_tab, or from a wheel that has it: pip install --no-deps llama-index-core"
)
_SQUAD = "transformers.data.metrics.squad_metrics"


def provide() -> None:
    """Put the stand-ins where tasks look for them; once is enough."""
    if importlib.util.find_spec("evaluate") is not None:
        import evaluate  # noqa: PLC0415  only where a task may load it

        if not hasattr(evaluate.load, "is_ours"):
            evaluate.load = _loading(evaluate.load)
    _provide_squad()
    _provide_punkt()


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    def load(path: str, *values: Any, **named: Any) -> Any:
        if path == "code_eval":
            return JailedCodeEval()
        if path == "squad_v2":
            from bench.language.harness.squad import SquadV2  # noqa: PLC0415  rarely needed

            return SquadV2()
        return original(path, *values, **named)

    load.is_ours = True  # type: ignore[attr-defined]
    return load


def _provide_squad() -> None:
    import transformers.data as parent  # noqa: PLC0415  as heavy as the harness itself

    if _SQUAD in sys.modules or (Path(parent.__path__[0]) / "metrics").is_dir():
        return
    from bench.language.harness import squad  # noqa: PLC0415

    package, module = ModuleType("transformers.data.metrics"), ModuleType(_SQUAD)
    package.__path__ = []
    module.compute_exact, module.compute_f1 = squad.compute_exact, squad.compute_f1  # type: ignore[attr-defined]
    package.squad_metrics = module  # type: ignore[attr-defined]
    sys.modules.update({package.__name__: package, _SQUAD: module})
    vars(parent)["metrics"] = package


def _provide_punkt() -> None:
    """Let nltk find its data about sentences in an installed wheel that has them, where it finds them nowhere else."""
    if importlib.util.find_spec("nltk") is None:
        return
    import nltk  # noqa: PLC0415  only where it is installed

    try:
        nltk.data.find(_PUNKT)
    except LookupError:
        package = importlib.util.find_spec("llama_index")
        for place in [] if package is None else package.submodule_search_locations or []:
            data = Path(place, _IN_WHEEL)
            if (data / _PUNKT).is_dir() and str(data) not in nltk.data.path:
                nltk.data.path.append(str(data))
