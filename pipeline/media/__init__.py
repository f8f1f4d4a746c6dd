"""Video files: what they are (probe) and what is in them (decode)."""
