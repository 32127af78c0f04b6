# Two commands a fresh machine needs: `make demo` and `make test`. Each sets up what it needs, once.
SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
# xdist workers of the test run; 0 runs in one process. More than cores: many tests wait for servers and time-outs. Each
# counts with one thread, or torch would start as many as there are cores in every one of them.
JOBS  ?= 3

.PHONY: help demo test check bench learn soak airflow-test clean
help:            ## what there is to make
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:[^#]*##/\t/' | expand -t 16

demo: $(VENV)/.has-demo            ## curate a small messy corpus and print the funnel
	@rm -rf demo && mkdir -p demo
	$(BIN)/glyphmill demo demo/corpus
	$(BIN)/glyphmill curate demo/corpus --lake demo/lake --recipe starter
	@$(BIN)/glyphmill demo --tour --lake demo/lake

test: $(VENV)/.has-dev             ## the whole test suite
	@.ci/packages
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder

check: $(VENV)/.has-dev            ## lint, format and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/.has-dev            ## every benchmark beside its peer (long; not part of CI)
	@for script in bench/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

learn: $(VENV)/.has-dev            ## train a model that writes 86 characters, 20 minutes on two cores
	$(BIN)/python bench/learn.py --out learn-run --docs docs/learn

soak: $(VENV)/.has-dev             ## crash and scale tests at full size (long; not part of CI)
	GLYPHMILL_SOAK=1 $(BIN)/pytest -q tests -m soak

airflow-test: $(VENV)/.has-dev .venv-airflow/.has-airflow     ## the DAG for one date in a real Airflow (not part of test)
	$(BIN)/python tests/airflow/dag_run.py .venv-airflow/bin/airflow $(abspath $(BIN)/glyphmill)

# Airflow wants other versions of the same libraries: an environment of its own.
.venv-airflow/.has-airflow: constraints-airflow.txt
	$(BIN)/python -m venv .venv-airflow
	.venv-airflow/bin/pip install --quiet --disable-pip-version-check -c constraints-airflow.txt apache-airflow
	@touch $@

clean:           ## remove the virtual environments and the demo
	rm -rf $(VENV) .venv-airflow demo

# A stamp says which extra the environment has; it is older than the pins when they change, and is made anew then.
$(VENV)/.has-%: pyproject.toml constraints.txt
	@.ci/venv $(VENV) $*
	@touch $@
