"""Annotations for action detection: AVA's files, and other data sets converted to them."""
