"""Annotation of action detection: AVA's files, and those of other data sets as AVA's."""
