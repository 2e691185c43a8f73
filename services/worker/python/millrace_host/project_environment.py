"""The surroundings of user code: working folder, import path, and the project's `.env`."""

from __future__ import annotations

import os
import sys
from typing import Optional

from .loader import StartFailed


def enter(project: str, python_path: Optional[str], shim: str) -> None:
    os.chdir(project)
    first = [project]
    if python_path is not None:
        first.append(os.path.normpath(os.path.join(project, python_path)))
    # The isolated start ignored the variable; what the API's own environment says must count.
    first += [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:0] = [path for path in first if path not in sys.path]
    # Programs that the handler starts find the project as well.
    os.environ["PYTHONPATH"] = os.pathsep.join([*first, shim])
    sys.path.append(shim)


def source(project: str) -> None:
    """Exports what `.env` sets, read by a shell with allexport as the predecessor's start script did."""
    if not os.path.isfile(os.path.join(project, ".env")):
        return
    import subprocess

    script = "set -a; . ./.env >&2 && exec env -0"
    shell = "bash" if os.path.exists("/bin/bash") else "sh"
    ended = subprocess.run([f"/bin/{shell}", "-c", script], cwd=project, stdout=subprocess.PIPE, check=False)
    if ended.returncode != 0:
        raise StartFailed(
            ".env: the shell could not read it (its words are in the log); write lines NAME=value", "import"
        )
    own = {"_", "PWD", "OLDPWD", "SHLVL"}
    for entry in ended.stdout.split(b"\0"):
        name, equals, value = entry.partition(b"=")
        if equals and os.fsdecode(name) not in own:
            os.environb[name] = value
