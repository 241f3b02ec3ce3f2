# The whole vocabulary: bench, test, exhaustive, check, lint, docs, zoo. Everything runs in .venv, which is made when missing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.modelgate-ready
PLUGINS := $(VENV)/plugins
ARGS ?=

.PHONY: bench test exhaustive check lint docs zoo setup

bench: setup  ## judge what ships; make bench ARGS="-k hard" passes arguments on
	$(BIN)/pytest cases/ -n 4 $(ARGS)

test: setup  ## the suite's own tests; a file stays on one worker, since its tests share whole runs
	$(BIN)/pytest tests/ -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

exhaustive: setup  ## more inputs of the kinds that `make test` covers, before a release
	$(BIN)/pytest tests/ -n 3 --dist loadfile --no-loadscope-reorder -m exhaustive $(ARGS)

check: lint  ## the inner loop: lint and the fast tests
	$(BIN)/pytest tests/ -n 2 -q -m "not slow" $(ARGS)

lint: setup  ## style, types, and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

docs: setup  ## the pages as a site in site/; a broken link is an error
	$(BIN)/mkdocs build --quiet --strict

zoo: setup  ## train all shipped models again
	$(BIN)/python -m fixtures.zoo.train_all $(ARGS)

setup: $(READY) $(PLUGINS)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[all,dev]'
	$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # on all cores, where pip takes one; some files are no Python
	$(BIN)/python -m bench.machine.torchvision_shim
	touch $@

$(PLUGINS): tests/plugins/requirements.txt $(READY)  ## other plugins of pytest, for the tests next to them
	rm -rf $@ $@.part
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $@.part --requirement $<
	mv $@.part $@  # whole or not at all
