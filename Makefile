# Two commands do everything on a machine with python3 and a package index: `make demo` and `make test`.

PYTHON    ?= python3
VENV      ?= .venv
FRAMEWORK ?= fastapi
DIST      ?= dist
REF       ?= HEAD
BIN       := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-all follow lint bench docs lock sbom dist reproducible verify clean
.NOTPARALLEL: # one environment, filled by one installer at a time

help: ## what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; } # a half-made one would be taken for whole next time

# A stamp is as new as what it stands for, so a second run starts at once.
$(VENV)/.demo: requirements/demo.txt requirements/uv.txt pyproject.toml | $(BIN)/python
	@tools/install $(BIN)/python requirements/demo.txt
	@touch $@

$(VENV)/.test: requirements/test.txt requirements/uv.txt pyproject.toml | $(BIN)/python
	@tools/install $(BIN)/python requirements/test.txt
	@touch $(VENV)/.demo $@ # the tests' requirements contain the demo's

$(VENV)/.bench: requirements/bench.txt $(VENV)/.test
	@tools/install $(BIN)/python requirements/bench.txt
	@touch $@

demo: $(VENV)/.demo ## the demo host over real HTTP; FRAMEWORK=fastapi|flask|django, SERVE=1 keeps it running
	@FRAMEWORK=$(FRAMEWORK) SERVE=$(SERVE) $(BIN)/python -m wellstreak_trust.demo

test: $(VENV)/.test ## the whole test suite; ARGS="-k webhooks" for a part of it
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

test-all: ## the suite on every Python from 3.11 to 3.13 that is installed
	@tools/test-all

follow: ## the tutorial word by word, in a new folder and a new environment
	@$(PYTHON) tools/follow.py

lint: $(VENV)/.test ## the static gates
	@tools/gates $(BIN)

bench: $(VENV)/.bench ## ratios against peers and limits: table, bench/results.json, chart; QUICK=1 only sees that all runs
	@$(BIN)/python bench/all.py $(if $(QUICK),--quick) $(ARGS)

docs: $(VENV)/.test ## the manual, warnings as errors
	@$(BIN)/python -m sphinx -N -n -W --keep-going -q -b html docs docs/_build/html

lock: $(BIN)/python ## export the pinned requirements anew
	@tools/lock $(BIN)

sbom: $(VENV)/.test ## bills of material of the tree as it is, in dist/sbom/
	@rm -rf dist/sbom && $(BIN)/python tools/sbom.py dist/sbom

dist: $(VENV)/.test ## the files of a release, of the last commit: wheel, sdist, bills of material, SHA256SUMS
	@tools/dist $(BIN)/python dist

reproducible: $(VENV)/.test ## two builds of the last commit, in two surroundings, are the same bytes
	@tools/reproducible $(BIN)/python

verify: ## rebuild what lies in dist/ and compare; REF=v1.2.3 names the commit, DIST=folder another place
	@$(PYTHON) tools/verify_release.py $(DIST)/*.whl $(DIST)/*.tar.gz --ref $(REF)

clean: ## remove what the commands made
	rm -rf $(VENV) .venv-* docs/_build dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage
