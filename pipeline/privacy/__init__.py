"""Anonymisation: find faces and bodies, hide them, measure what is left."""
