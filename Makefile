# make demo   install everything and run the whole DAG on real footage
# make test   install everything and run every test
# make lint   what pre-commit and CI check
# make lock   resolve the dependencies anew (requirements.lock, envs/) and write the configuration's schema
PYTHON ?= python3
CORES ?= $(shell nproc)
BIN := .venv/bin

.PHONY: demo test lint lock install benchmark clean-demo

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
	PATH="$(CURDIR)/$(BIN):$$PATH" flock --nonblock .venv/demo.lock $(BIN)/snakemake --cores $(CORES) --nolock --quiet rules
	@column -t -s "$$(printf '\t')" results/demo/audit/faces/audit.tsv results/demo/audit/bodies/audit.tsv
	@echo "Look at results/demo/private/contact_sheet.png and results/demo/statistics/figure_5_3.png"

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
	$(BIN)/acta config schema > workflow/schemas/config.schema.json
