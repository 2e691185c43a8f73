"""Says which GPU a worker has: the first job for a new group of GPU nodes. It needs no package, only nvidia-smi."""

import os
import shutil
import subprocess

FIELDS = ("index", "name", "memory.total", "driver_version", "temperature.gpu")


class Handler:
    def __init__(self, config):
        self.gpus = visible_gpus()
        if config["required"] and not self.gpus:
            raise RuntimeError(
                "this worker sees no GPU: ask for one (compute.gpu in millrace.yaml, or compute.gpus of its BatchApi), "
                "on a GpuNodeGroup"
            )

    def handle_batch(self, payload):
        """Payload: anything. A result per item: the GPUs that this handler's process may use, and where it runs."""
        where = {"host": os.environ.get("HOSTNAME", ""), "process": os.environ.get("MILLRACE_PROCESS_INDEX", "0")}
        return [{"gpus": self.gpus, **where} for _ in payload]


def visible_gpus():
    """GPUs as nvidia-smi tells them, those alone that CUDA shows to this process. None where there is no driver."""
    if shutil.which("nvidia-smi") is None:
        return []
    query = ["nvidia-smi", f"--query-gpu={','.join(FIELDS)}", "--format=csv,noheader,nounits"]
    told = subprocess.run(query, capture_output=True, text=True, timeout=60, check=True).stdout
    gpus = [
        dict(zip(("index", "name", "memory_mib", "driver", "celsius"), row.split(", ")))
        for row in told.split("\n")
        if row
    ]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return gpus if visible is None else [gpu for gpu in gpus if gpu["index"] in visible.split(",")]
