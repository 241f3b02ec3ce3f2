"""What a jail adds to the start of an arm: the same fork server starts arms with one and without, by turns.

    python benchmarks/jail.py [--starts 200] [--bare] [--without LAYER ...]
    python benchmarks/jail.py --starts 3 --bare  # smallest

Printed: milliseconds from the request for an arm to its first word, and of its processor time until then, as medians with
and without a jail, and the difference within a pair of starts with its 95 % interval. With --bare the server imports
neither torch nor diffusers; a fork then takes less, and what the jail adds nearly the same.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.acceleration.host.arm_factory import ArmFactory  # noqa: E402
from bench.acceleration.host.jail_plan import JailPlan  # noqa: E402
from bench.acceleration.host.process import ArmLimits  # noqa: E402
from bench.acceleration.host.reading import covered_places, readable_places  # noqa: E402
from bench.acceleration.host.service import SERVER, start_fork_server  # noqa: E402
from bench.core.kind import ServiceRun  # noqa: E402
from bench.machine.cores import usable_cores  # noqa: E402
from bench.machine.jail import LAYERS  # noqa: E402
from bench.machine.scrub import scrubbed_environment  # noqa: E402

BARE = (
    sys.executable,
    "-c",
    "import sys; from bench.acceleration.host import forkserver; forkserver.preload = lambda: None; "
    "forkserver.main(sys.argv[1], sys.argv[2:])",
)
# While nobody waits, a server makes ready what the next arm needs. Runs leave it more time than this between two arms.
PAUSE_S = 0.02


def factory_of(folder: Path, server: str, layers: tuple[str, ...] | None) -> ArmFactory:
    """Return what starts arms that may read what those of a shipped task may, in these layers of a jail or in none."""
    environment = scrubbed_environment(dict(os.environ))
    scratch, logs = folder / "scratch", folder / "logs"
    file = min((ROOT / "fixtures" / "pipelines").rglob("*.py"))
    places = readable_places([file], begun_in=ROOT, environment=environment, hidden=[folder])
    covered = covered_places(places, [scratch, folder])
    return ArmFactory(
        server=server, cores=(usable_cores()[0],), gpu=None, environment=environment,
        limits=ArmLimits(disk_bytes=2**30), scratch=scratch, logs=logs,
        jail=None if layers is None else JailPlan(tuple(places), tuple(covered), layers),
    )  # fmt: skip


def start(factory: ArmFactory) -> tuple[float, float]:
    """Start an arm; return seconds until its first word, and of its processor time until then."""
    time.sleep(PAUSE_S)
    began = time.perf_counter()
    with factory.start("candidate", "start") as arm:
        seconds = time.perf_counter() - began
        missing = arm.jail.get("missing")
        if missing:
            print(f"missing: {missing}", file=sys.stderr)
        used = Path(f"/proc/{arm.pid}/schedstat").read_text().split()[0]
        return seconds, int(used) / 1e9


def interval(differences: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the median of differences and the 95 % interval of it, by resampling."""
    rng = np.random.default_rng(0)
    drawn = np.median(rng.choice(differences, (4000, differences.size)), axis=1)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(np.median(differences)), float(low), float(high)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=200, help="with and without a jail, each (default 200)")
    parser.add_argument("--bare", action="store_true", help="a server that imports no torch")
    parser.add_argument("--without", nargs="+", choices=LAYERS, default=[], help="layers to leave out")
    options = parser.parse_args(arguments)
    layers = tuple(layer for layer in LAYERS if layer not in options.without)
    with tempfile.TemporaryDirectory(prefix="modelgate-jail-") as name:
        folder = Path(name)
        (folder / "logs").mkdir()
        run = ServiceRun(folder, folder / "logs", 1, (), ())
        server = start_fork_server(run, command=BARE if options.bare else SERVER)
        try:
            factories = [factory_of(folder, server.address, entered) for entered in (layers, None)]
            for factory in factories:  # the first start of each finds nothing ready
                start(factory)
            times = np.array([[start(factory) for factory in factories] for _ in range(options.starts)])
        finally:
            server.stop()
    print(f"{options.starts} starts of each, milliseconds")
    print(f"{'':17}{'jail':>8}{'none':>8}{'difference':>12}  95 % interval")
    for number, label in enumerate(("until first word", "processor time")):
        jail, none = 1000 * times[:, 0, number], 1000 * times[:, 1, number]
        median, low, high = interval(jail - none)
        print(
            f"{label:17}{np.median(jail):8.2f}{np.median(none):8.2f}{median:12.2f}  {low:.2f} to {high:.2f}"
        )


if __name__ == "__main__":
    main()
