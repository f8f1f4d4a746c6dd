"""Modules in a working folder that bear the names of others, and tell that they were run."""

import os
import subprocess
import sys
from pathlib import Path

# Of the standard library and of packages: what Python, its pools, pip, submitit and Snakemake import when they start.
NAMES = (
    *("argparse", "json", "pickle", "random", "selectors", "socket", "struct", "tempfile", "typing", "zipfile"),
    *("av", "cloudpickle", "cv2", "h5py", "numpy", "onnxruntime", "pip", "pydantic", "pynvml", "snakemake", "submitit"),
    *("sitecustomize", "torch", "tqdm", "usercustomize", "yaml"),
)
_CODE = """import os
with open(os.environ["ACTA_TOLD"], "a") as told:
    told.write(__name__ + "\\n")
raise ImportError("planted")
"""


class Planted:
    """A folder with such modules.

    Args:
        folder: Where they are written.
        told: The file in which they say that they were run.
    """

    def __init__(self, folder: Path, told: Path):
        self.folder, self.told = folder, told
        for name in NAMES:
            (folder / f"{name}.py").write_text(_CODE)

    def run(self, program: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program of this environment in the folder, as a person types its name."""
        own = {name: value for name, value in os.environ.items() if name not in ("PYTHONSAFEPATH", "SNAKEMAKE_PROFILE")}
        own["PATH"] = f"{Path(sys.executable).parent}:{own['PATH']}"
        command = [str(Path(sys.executable).parent / program), *map(str, arguments)]
        told = {"ACTA_TOLD": str(self.told)}
        return subprocess.run(
            command, cwd=self.folder, env=own | told | environment, capture_output=True, text=True, check=False
        )

    @property
    def ran(self) -> list[str]:
        """The planted modules that were run."""
        return self.told.read_text().split() if self.told.exists() else []
