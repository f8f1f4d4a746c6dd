"""Acta: privacy-preserving, efficient understanding of human actions in video.

The package holds every stage as a function from files to files. It imports no Snakemake, so each stage can be used
and tested alone: ``python -m pipeline STAGE --help``.
"""

__version__ = "0.1.0"
