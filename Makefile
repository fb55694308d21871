# make demo   install into .venv, then the main job on real data; the report lands in runs/demo
# make test   install with the developers' tools, then every test
# make fuzz   damage every kind of file that is read, FUZZ=100000 times
# make lint | types | docs | notebooks | bench | wheel | clean
#
# PYTHON=python3.12 chooses the interpreter.  EXTRAS= (empty) leaves Pyro and torch out: its tests then skip.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= all
JOBS ?= 2
FUZZ ?= 100000

comma := ,
BIN := $(VENV)/bin
TOOLS := $(EXTRAS:%=%$(comma))dev,docs,notebooks
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
RUN_READY := $(VENV)/.ready-run-$(EXTRAS)
READY := $(VENV)/.ready-$(EXTRAS)
BENCHMARKS := random_numbers handwritten start local_step convolution gradient_variance pyro_local splits mclmc sgmcmc prune rotation_gradient rotation_step nuts_start \
  svi_converged
NOTEBOOKS := $(patsubst notebooks/%.py,build/notebooks/%.ipynb,$(wildcard notebooks/*.py))

.PHONY: demo test fuzz lint types docs notebooks bench wheel clean
.DELETE_ON_ERROR:

demo: $(RUN_READY)
	rm -rf runs/demo
	$(BIN)/noisezoo compare regularised_half_cauchy --data diabetes --network mlp:10 \
	  --with svi,nuts:warmup=500,draws=500,sghmc --out runs/demo

test: $(READY)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

fuzz: $(READY)
	FUZZ=$(FUZZ) $(BIN)/python -m pytest -q tests/fuzz

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/pyright

docs: $(READY)
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

notebooks: $(NOTEBOOKS)

build/notebooks/%.ipynb: notebooks/%.py $(READY)
	@mkdir -p $(@D)
	$(BIN)/jupytext --quiet --to ipynb --output $@ $<
	MPLBACKEND=agg PATH="$(abspath $(BIN)):$$PATH" $(BIN)/jupyter-execute --inplace $@

bench: $(READY)
	for name in $(BENCHMARKS); do \
	  $(BIN)/python tests/benchmarks/$$name.py --out docs/results/benchmarks/$$name.json || exit 1; done

wheel: $(READY)
	rm -rf build/lib dist
	$(BIN)/python -m build --outdir dist

clean:
	rm -rf build dist docs/_build *.egg-info .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "noisezoo needs Python 3.11 or later: make PYTHON=/path/to/python3.12 ..."; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "this Python cannot make virtual environments: apt install python3-venv"; exit 1; } >&2
	$(PYTHON) -m venv $(VENV)

# The package is installed editable, so only a change of what it needs installs it again.
$(RUN_READY): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.$(EXTRAS:%=[%])'
	@touch $@

$(READY): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable '.[$(TOOLS)]'
	@touch $@ $(RUN_READY)
