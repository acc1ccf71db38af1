# Everything lives in .venv, which the first target that needs it makes.
PYTHON ?= python3
WORKERS ?= 2
ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --no-input
# Touched when what they name has been installed, and never before.
READY := $(VENV)/.ready
DEV_READY := $(VENV)/.ready-dev

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run test lint bench assets clean

help: ## lists these targets
	@awk -F ':[^#]*## ' '/^[a-z]+:[^#]*## / { printf "make %-6s%s\n", $$1, $$2 }' Makefile

run: $(READY) ## starts the web app, after installing what it needs; with options: make run ARGS="--port 8000"
	$(PY) app.py $(ARGS)

test: $(DEV_READY) ## runs the tests, those of the page in a Chromium; some of them: make test ARGS="-k fields"
	$(PY) tests/browser/chromium.py
	@# The browsers' turn comes alone: they, their servers and the tests would fight for two cores.
	$(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --ignore tests/browser $(ARGS) || [ $$? -eq 5 ]
	$(PY) -m pytest -n $(WORKERS) --dist loadfile tests/browser $(ARGS) || [ $$? -eq 5 ] # 5: of what was asked for, none is here

lint: $(DEV_READY) ## checks style, layout and types, and the JavaScript
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/oxlint deformviz

bench: $(DEV_READY) ## measures what is fast against what one would use instead; shorter: make bench ARGS="--quick"
	$(PY) benchmarks/suite.py $(ARGS)

assets: $(READY) ## trains the networks that ship with deformviz anew, which takes minutes
	$(PY) -m deformviz.training scale --record --out assets/recorded/scale.safetensors
	$(PY) -m deformviz.training scale --half --out assets/trained/scale.safetensors
	$(PY) -m deformviz.training scale --half --knob "operator=Deformable Conv v1" --out assets/trained/scale-v1.safetensors
	$(PY) -m deformviz.training coordinates --half --knob "asked=picture to place" --out assets/trained/places.safetensors
	for task in coordinates regions shifts; do \
		$(PY) -m deformviz.training $$task --half --out assets/trained/$$task.safetensors || exit 1; \
	done

clean: ## removes .venv and whatever the tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .gradio build *.egg-info tests/browser/shots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment that was made half is no environment: its pyvenv.cfg is deleted on an error.
$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo 'deformviz needs Python 3.11 or newer, which "$(PYTHON)" is not: name one, as in make run PYTHON=python3.12' >&2; \
		exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

$(READY): requirements.txt $(VENV)/pyvenv.cfg
	$(PIP) install -r requirements.txt
	@touch $@

$(DEV_READY): requirements-dev.txt requirements.txt $(VENV)/pyvenv.cfg
	$(PIP) install -r requirements-dev.txt
	@touch $(READY) $@
