"""Typed settings: the single source of the configuration's schema, its validation and its documentation.

`config.yaml` states every value once; the classes here state types, ranges, units and meaning. They have no defaults
on purpose: a key that is missing from the configuration is an error that names it. The JSON schema in
``workflow/schemas/config.schema.json`` is generated from `Config` (``acta config schema``). One module per chapter;
`tasks` says which part of them each task reads.
"""
