# make demo   install everything and run the whole DAG on real footage (about 40 minutes)
# make test   install everything and run every test
# make lint   what pre-commit and CI check
# make lock   resolve the dependencies anew (requirements.lock, envs/) and write the configuration's schema
# make benchmark   speed and memory beside the peers, which get an environment of their own (two hours)
PYTHON ?= python3
CORES ?= $(shell nproc)
BIN := .venv/bin

.PHONY: demo test lint lock install benchmark

install: .venv/installed

# uv, itself in the lock, installs the lock; a lock with other hashes than the index's is an error.
.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Acta needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is $$($(PYTHON) --version); try: make PYTHON=python3.12 …" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python .venv --require-hashes --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --python .venv --no-deps --no-build-isolation --editable .
	touch $@

# The lock is held by flock, so a killed run leaves none behind; Snakemake's own would have to be removed by hand.
demo: install
	$(BIN)/acta weights fetch
	PATH="$(CURDIR)/$(BIN):$$PATH" flock --nonblock .venv/demo.lock $(BIN)/snakemake --cores $(CORES) --nolock --quiet rules -- all classify shrink detect spot
	@for table in results/demo/audit/*/audit.tsv; do echo; echo $$table; grep -e ^video -e '(all)' $$table | column -t -s "$$(printf '\t')"; done
	@for table in results/demo/tables/*.tsv; do echo; echo $$table; column -t -s "$$(printf '\t')" $$table; done
	@echo "Look at results/demo/private/contact_sheet.png, figure_3_5.png, figure_3_6.png and highlights/ beside it, results/demo/statistics/figure_5_3.png and results/demo/figures/"

test: install
	$(BIN)/acta weights fetch
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/codespell

lock: install
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o requirements.lock pyproject.toml
	{ printf '%s\n' '# Made by `make lock`; equal to requirements.lock (a test says so).' 'channels: [conda-forge, nodefaults]' \
		'dependencies:' '  - python=3.11' '  - pip' '  - pip:'; \
	  $(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform linux --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --constraint requirements.lock pyproject.toml | sed 's/^/      - /'; } > envs/acta.yaml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" -o benchmarks/peers.lock benchmarks/peers.in
	$(BIN)/acta config schema > workflow/schemas/config.schema.json

.venv-peer/installed: benchmarks/peers.lock | install
	test -x .venv-peer/bin/python || $(PYTHON) -m venv --without-pip .venv-peer
	$(BIN)/uv pip sync --quiet --python .venv-peer --require-hashes --compile-bytecode benchmarks/peers.lock
	touch $@

benchmark: .venv-peer/installed
	$(BIN)/acta weights fetch
	$(BIN)/python -m benchmarks.plan --files --naive
	$(BIN)/python -m benchmarks.frames
	$(BIN)/python -m benchmarks.anonymize
	$(BIN)/python -m benchmarks.memory --rate 12 -- --long-side 320
	$(BIN)/python -m benchmarks.clips
	$(BIN)/python -m benchmarks.stage
	$(BIN)/python -m benchmarks.features
	$(BIN)/python -m benchmarks.frame_map
	$(BIN)/python -m benchmarks.average_map
	$(BIN)/python -m benchmarks.spotting
