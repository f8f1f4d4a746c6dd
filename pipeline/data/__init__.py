"""Datasets: from folders and annotation files to sharded lists and a manifest."""
