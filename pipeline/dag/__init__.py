"""Which files each job reads and writes: what the workflow's rules ask, as functions of the configuration."""
