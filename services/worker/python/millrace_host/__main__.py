"""Entry: `python -I .../millrace_host/__main__.py`, with a connected stream socket as descriptor 3."""

import os
import sys


def main() -> int:
    # Standard error joins standard output, so that what a handler says keeps its order.
    os.dup2(1, 2)
    # This folder's parent is importable only while the host's own modules load: user modules may have any name.
    parent = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, parent)
    try:
        from millrace_host.host import run
    finally:
        sys.path.remove(parent)
    return run(shim=os.path.join(parent, "shim"))


# multiprocessing's "spawn" imports this file again under another name.
if __name__ == "__main__":
    sys.exit(main())
