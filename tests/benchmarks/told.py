"""How a benchmark tells its result."""

import json
from pathlib import Path
from typing import Any


def tell(result: dict[str, Any], out: Path | None) -> None:
    """Print it as JSON, and write that to a file if there is to be one."""
    text = json.dumps(result, indent=1, default=float)
    print(text)
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text + "\n")
