# Everything runs in .venv, which the first target that needs it makes. With another Python: make PYTHON=python3.12 demo

PYTHON ?= $(or $(wildcard .venv/bin/python),python3)
RUN := .venv/bin/python
INSTALL := $(RUN) -m pip install --quiet --disable-pip-version-check
VERSION := -c 'import sys; print("%d.%d" % sys.version_info[:2])'
FLAGS := experiments/flags

.PHONY: help demo test test-tpu lint venv clean FORCE

help:  ## Lists the targets.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST)

demo: .venv/installed  ## Decomposes the shipped StyleGAN2, finds named directions and draws what both do.
	$(RUN) -m experiments.decompose --flagfile=$(FLAGS)/stylegan2_scenes_w.flags
	$(RUN) -m experiments.find_attribute --flagfile=$(FLAGS)/named_stylegan2_scenes.flags
	$(RUN) -m experiments.visualize --flagfile=$(FLAGS)/visualize_stylegan2_scenes.flags
	@echo "The pictures are in runs/stylegan2_scenes_w"

test: lint  ## Lints, then runs all tests.
	$(RUN) -m pytest --numprocesses=2 --dist=loadfile

test-tpu: .venv/installed-tpu  ## Compiles the programs of big runs for slices of TPUs, with no TPU present: half an hour.
	$(RUN) -m pytest --numprocesses=2 --dist=load tests/sampling/test_tpu.py

lint: .venv/installed-dev  ## Checks style, format and types.
	$(RUN) -m ruff check
	$(RUN) -m ruff format --check
	$(RUN) -m pyright

venv: .venv/installed-dev  ## Makes .venv with all that development needs.

clean:  ## Removes .venv and caches, and leaves runs/ alone.
	rm -rf .venv .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/installed: requirements.txt .venv/pyvenv.cfg
	@echo "Installing requirements.txt into .venv: once, a minute or two"
	@$(INSTALL) -r requirements.txt
	@touch $@

.venv/installed-dev: requirements-dev.txt requirements-convert.txt requirements-onnx.txt requirements-explore.txt requirements-notebook.txt requirements-report.txt requirements.txt .venv/pyvenv.cfg
	@echo "Installing requirements-dev.txt into .venv: once, a minute or two"
	@$(INSTALL) -r requirements-dev.txt
	@touch $@ .venv/installed

.venv/installed-tpu: requirements-tpu.txt .venv/installed-dev
	@echo "Installing requirements-tpu.txt into .venv: once, a minute or two"
	@$(INSTALL) -r requirements-tpu.txt
	@touch $@

# Asked every time, changed only where .venv is missing or of another Python version.
.venv/pyvenv.cfg: FORCE
	@command -v $(PYTHON) >/dev/null || { echo "error: no $(PYTHON) here; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed, $(PYTHON) is" \
	    "$$($(PYTHON) $(VERSION) 2>&1 | tail -1); name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -e $@ && test "$$($(RUN) $(VERSION) 2>&1)" = "$$($(PYTHON) $(VERSION))" || \
	  $(PYTHON) -m venv --clear .venv || { rm -rf .venv; exit 1; }
