# make demo   install everything, run the whole DAG on real footage and make its page (half an hour)
# make report CONFIG=my.yaml   run what the configuration asks for, and make its page
# make test   install everything and run every test, as many at a time as there are cores; ARGS="-n 0 …": one by one;
#             on another Python: VENV=.venv-3.13 PYTHON=python3.13
# make test-lowest, make test-newest   test the lowest and newest versions pyproject.toml allows, in separate environments
# make lint   run the checks of pre-commit and CI, and look for published vulnerabilities of the dependencies
# make lock   resolve the dependencies again (requirements.lock, envs/); write the configuration's schema and reference
# make benchmark   compare speed and memory with the peers, which get their own environment (two hours)
PYTHON ?= python3
CORES ?= $(shell env -u OMP_NUM_THREADS nproc)
VENV = .venv
BIN := $(VENV)/bin
# Containers often set this; without cached bytecode each job would compile thousands of modules again.
unexport PYTHONDONTWRITEBYTECODE
# Python must not look for modules in the current folder (pip.py, socket.py, …).
export PYTHONSAFEPATH = 1

.PHONY: demo report test test-lowest test-newest lint lock install benchmark

install: $(VENV)/installed

# uv installs the lock. uv itself is in the lock, and is fetched with the hash given there; another hash is an error.
$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Acta needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is $$($(PYTHON) --version); try: make PYTHON=python3.12 …" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	sed -n '/^uv==/,/^ *# via/p' requirements.lock > $(VENV)/uv.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt
	$(BIN)/uv pip sync --quiet --python $(VENV) --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(VENV) --no-deps --no-build-isolation --editable .
	touch $@

demo: install
	$(BIN)/acta weights fetch
	@$(MAKE) --no-print-directory report

# A run and its page. flock holds the lock, so a killed run leaves none behind; Snakemake's own lock would have to be
# removed by hand. A page may show original frames, so only its owner can read it (umask). A browser asks for an icon.
CONFIG ?= config.yaml
PAGE = results/$$(sed -n "s/^dataset: *[\"']*\([A-Za-z0-9_.-]*\).*/\1/p" config.yaml $(CONFIG) | tail -n 1)/report.html
RUN = PATH="$(CURDIR)/$(BIN):$$PATH"
# Without the timespan, Snakemake checks all ready jobs again every second, once for each job that has ended.
SNAKEMAKE = $(RUN) flock --nonblock Makefile $(BIN)/snakemake --configfile $(CONFIG) --nolock --max-jobs-per-timespan 1000/10s
report: install
	@$(RUN) $(BIN)/acta plan everything --configfile $(CONFIG) --jobs $(CORES)
	$(SNAKEMAKE) --cores $(CORES) --quiet rules -- everything
	@rm -f $(PAGE); umask 077; $(SNAKEMAKE) --quiet all --report $(PAGE) --report-stylesheet workflow/report/page.css -- everything
	@sed -i "s|<title>Snakemake Report</title>|<title>Acta</title><link rel=\"icon\" href=\"data:,\">|" $(PAGE)
	@echo; echo "Open $(PAGE) in a browser."
	@if [ -n "$$DISPLAY$$WAYLAND_DISPLAY" ]; then $(BIN)/python -m webbrowser "file://$(CURDIR)/$(PAGE)"; fi

test: install
	$(BIN)/acta weights fetch
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder $(ARGS)

# A subset of the tests that uses every dependency, with the lowest or the newest versions that pyproject.toml allows.
test-lowest: export ACTA_LOWEST = 1
test-lowest: RESOLUTION = lowest-direct
test-newest: RESOLUTION = highest
test-lowest test-newest: test-%: install
	$(BIN)/uv venv --quiet --clear --python $(PYTHON) .venv-$*
	$(BIN)/uv pip install --quiet --python .venv-$* --resolution $(RESOLUTION) --editable '.[dev]'
	touch .venv-$*/installed
	@$(MAKE) --no-print-directory test VENV=.venv-$* ARGS="$(VERSIONS)"
VERSIONS = tests/workflow/test_tiny.py tests/unit/test_cli.py tests/unit/test_dependencies.py \
	$(patsubst %,tests/unit/%,media privacy shrink/test_export_network.py models/test_classifier_file.py models/test_weights.py \
	detect/annotation/test_ava.py config/test_whole.py metrics/test_frame_map.py commands/test_submit.py \
	commands/test_completion.py commands/test_table.py test_cli_imports.py test_cli_outputs.py) \
	$(patsubst %,tests/unit/report/test_%.py,detection detection_figures figures draw_contact_sheet style) \
	$(patsubst %,tests/unit/runtime/test_%.py,costs device progress store)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy
	$(BIN)/codespell
	$(BIN)/python .ci/words
	.ci/audit $(BIN)/uv

# The newest version of each package that runs on all of the Pythons.
LOCK = --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
lock: install
	$(BIN)/uv pip compile $(LOCK) --extra dev -o requirements.lock pyproject.toml
	{ printf '%s\n' '# Made by `make lock`; equal to requirements.lock (a test says so).' 'channels: [conda-forge, nodefaults]' \
		'dependencies:' '  - python=3.11' '  - pip' '  - pip:'; \
	  $(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform linux --no-header --no-annotate --generate-hashes \
		--no-emit-index-url --no-emit-find-links --constraint requirements.lock pyproject.toml \
		| sed 's/ \\$$//; s/^[^ ]/      - &/; s/^ *--hash/          --hash/'; } > envs/acta.yaml
	$(BIN)/uv pip compile $(LOCK) -o benchmarks/peers.lock benchmarks/peers.in
	$(BIN)/acta config schema > workflow/schemas/config.schema.json
	$(BIN)/acta config reference > docs/configuration.md

.venv-peer/installed: benchmarks/peers.lock | install
	test -x .venv-peer/bin/python || $(PYTHON) -m venv --without-pip .venv-peer
	$(BIN)/uv pip sync --quiet --python .venv-peer --require-hashes --compile-bytecode benchmarks/peers.lock
	touch $@

benchmark: export PYTHONPATH = $(CURDIR)
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
