"""Backbones applied once, their features kept."""
