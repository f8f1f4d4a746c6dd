"""``python -m pipeline``: the same command line as ``acta``."""

from pipeline.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
