"""Write bench/report/evaluation_results.schema.json from the types of the records. A test fails where the two differ."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench.core.files import replace_file  # noqa: E402  only now can bench be found
from bench.kinds import KINDS  # noqa: E402
from bench.report.schema import FILE, schema_text  # noqa: E402

if __name__ == "__main__":
    replace_file(FILE, schema_text(KINDS.values()))
    print(FILE)
