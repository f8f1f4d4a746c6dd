"""What a plan reads of a run."""

import subprocess
import sys
from pathlib import Path

from pipeline.config.whole import load_over
from pipeline.models.architecture import Architecture
from pipeline.models.complexity import complexity

CODE = """
import sys
from pathlib import Path
from pipeline.config.whole import load_over
from pipeline.plan.graph import Graph
from pipeline.plan.site import Site

site = Site(load_over([]), Graph({}, {}), Path.cwd(), lambda rule: None)
print(*site.network("r2plus1d"))
print(*{name.partition(".")[0] for name in sys.modules} & {"torch", "torchvision"})
"""


def test_what_a_network_costs_is_known_without_torch(tmp_path: Path) -> None:
    recipe = load_over([]).classify.recipes["r2plus1d"]
    network = recipe.backbone
    architecture = Architecture(network.name, 2, network.width, network.blocks, recipe.clip.frames)
    cost = complexity(architecture, recipe.clip.view.crop)
    done = subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == f"{cost.gflops / 1e3} {cost.parameters}\n\n"
