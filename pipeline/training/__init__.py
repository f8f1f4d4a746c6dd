"""One training loop for all chapters."""
