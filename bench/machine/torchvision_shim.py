"""Lets torchvision import with a torch build that its compiled part does not fit.

torchvision consists of a compiled part (`_C.so`, which registers operators such as `nms`) and of pure Python,
and open_clip, transformers and through it diffusers need the Python part only: image transforms. The wheel
of the package registry is compiled against the CUDA build of torch. With the much smaller CPU build its
compiled part cannot be loaded; torchvision swallows that, then attaches fake kernels to operators that
were never registered, and `import torchvision` dies with "operator torchvision::nms does not exist".

Declaring the schemas of those operators first is all that the Python part needs. Nobody can *run* the
declared operators: a call to `torchvision.ops.nms` still raises, as it should.

``python -m bench.machine.torchvision_shim`` installs it for a whole environment, so that a pipeline file that is run by hand
there works as it does in the suite. Where the two fit, it installs nothing.
"""

import functools
import importlib.machinery
import importlib.util
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

# The operators to which torchvision attaches fake kernels by a decorator that insists on a schema.
SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

# torch.library drops a library's definitions when the object is collected, so it must outlive the call.
_kept_libraries: list[object] = []


@functools.cache
def ensure_torchvision() -> bool:
    """Make `import torchvision` work; call it before anything that imports torchvision.

    Idempotent, and without effect where torch and torchvision match, where torchvision is already imported
    and where there is none. torch is imported on the first call, not with this module.

    Returns
    -------
        True if schemas had to be declared, False if nothing was needed.
    """
    if "torchvision" in sys.modules:
        return False
    # What waits for the import would declare the schemas while it is looked for here.
    sys.meta_path[:] = [finder for finder in sys.meta_path if not hasattr(finder, "waits_for_torchvision")]
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        return False

    import torch  # noqa: PLC0415 - collecting cases must not pay for torch

    if _compiled_part_loads(Path(spec.origin).parent, torch):
        return False
    missing = [schema for schema in SCHEMAS if not _is_declared(schema, torch)]
    if not missing:
        return False
    library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]  # torch types it not
    for schema in missing:
        library.define(schema)
    _kept_libraries.append(library)
    return True


def _compiled_part_loads(package: Path, torch: Any) -> bool:
    """Load the operators as torchvision itself would; False where their file is absent or does not fit."""
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    for library_file in (package / f"_C{suffix}" for suffix in suffixes):
        if library_file.is_file():
            try:
                torch.ops.load_library(str(library_file))
            except (ImportError, OSError):
                return False
            return True
    return False


def _is_declared(schema: str, torch) -> bool:  # type: ignore[no-untyped-def]
    return hasattr(torch.ops.torchvision, schema.split("(", 1)[0])


#: Read by every interpreter of the environment at its start.
STARTUP_FILE = "modelgate_torchvision.pth"
#: A copy of this file beside it: a start that imported `bench` would decide for good which checkout of it is used.
COPY = "modelgate_torchvision.py"
_STARTUP_LINE = "import modelgate_torchvision; modelgate_torchvision.wait_for_torchvision()\n"


class _Waiting:
    """Finds no module; when torchvision is looked for, it makes its import work first."""

    waits_for_torchvision = True

    def find_spec(self, name: str, *_: Any) -> None:
        """Return nothing, so that the import goes on."""
        if name == "torchvision":
            ensure_torchvision()


def wait_for_torchvision() -> None:
    """Make `import torchvision` work when it comes to that; until then nothing is imported."""
    sys.meta_path.insert(0, _Waiting())


def install(folder: Path) -> Path | None:
    """Let every interpreter of an environment wait for torchvision, where its torch and its torchvision do not fit.

    Args:
        folder: of the environment's packages.

    Returns:
        The file that does it, or None where nothing is needed.
    """
    file, copy = folder / STARTUP_FILE, folder / COPY
    for old in (file, copy):
        old.unlink(missing_ok=True)
    if not ensure_torchvision():
        return None
    shutil.copyfile(__file__, copy)
    file.write_text(_STARTUP_LINE, encoding="utf-8")
    return file


if __name__ == "__main__":
    installed = install(Path(sysconfig.get_path("purelib")))
    print(
        "torch and torchvision fit"
        if installed is None
        else f"torchvision's import is made to work by {installed.name}"
    )
