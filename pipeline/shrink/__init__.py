"""Ch. 6: progressive architecture shrinkage (PAS)."""
