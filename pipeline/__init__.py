"""Acta: privacy-preserving, efficient understanding of human actions in video.

The package holds every task as a function from files to files. It imports no Snakemake, so each task can be used
and tested alone: ``acta task TASK --help``.
"""

import os

# Every Python that this one starts (workers, jobs, pip) leaves the working folder out of its search path: a socket.py
# or a pip.py that lies there is not the standard library's, and may be anybody's.
os.environ["PYTHONSAFEPATH"] = "1"
# Nor does an empty or relative part of PYTHONPATH lead them there, as in `export PYTHONPATH=$PYTHONPATH:/opt/x`.
os.environ["PYTHONPATH"] = ":".join(p for p in os.environ.get("PYTHONPATH", "").split(":") if p.startswith("/"))
# onnxruntime makes up a number for the device, keeps it, and reports its use with it.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
