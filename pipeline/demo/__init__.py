"""The demo's data sets, made of real footage out of pinned packages."""
