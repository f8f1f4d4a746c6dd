"""Tests of Acta: unit by unit, of the workflow, and of a real Slurm."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
