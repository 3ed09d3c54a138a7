# Everything sets itself up in .venv; a stranger's clone needs Python and make.
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help demo test compat lint build assets docs bench screenshots clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.installed ## see the whole path run; ARGS=--open draws it in a browser; ARGS="--json"
	@$(BIN)/guance-chatgpt-monitor demo $(ARGS)

test: .venv/.installed-dev ## run the whole suite; ARGS="-k delivery", ARGS='-m "not slow"', ARGS=--cov
	@$(BIN)/python -m pytest -n 4 --dist worksteal $(ARGS)

compat: .venv/.installed-dev ## the application's part with the oldest and newest SDK of each major; ARGS="1-oldest"
	@$(BIN)/python tests/compat.py $(ARGS)

lint: .venv/.installed-dev ## style, types and the rules of the imports
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/mypy --config-file tests/mypy.ini tests docs/tables.py .github/release.py
	@$(BIN)/lint-imports

build: .venv/.installed ## the script market and the import zip, in dist/
	@$(BIN)/guance-chatgpt-monitor build $(ARGS)

assets: .venv/.installed ## make the dashboards and monitors anew from their source
	@$(BIN)/guance-chatgpt-monitor assets --lang zh --out .
	@$(BIN)/guance-chatgpt-monitor assets --lang en --out .

docs: .venv/.installed-dev ## make the tables of settings, metrics and errors anew from the code
	@$(BIN)/python docs/tables.py

bench: .venv/.installed-dev ## what a monitored call costs, beside the bare SDK and the best peers; what an outage costs; ARGS="ours"
	@$(BIN)/python bench/calls.py $(ARGS)
	@$(BIN)/python bench/delivery.py
	@$(BIN)/python bench/func.py
	@$(BIN)/python bench/viewer.py

screenshots: .venv/.installed-dev ## docs/images/*.png, from the demo's calls; needs Chromium and fonts-noto-cjk
	@$(BIN)/python tests/screenshots.py $(ARGS)

clean: ## remove everything that was installed or built
	rm -rf .venv .venv-* dist

.venv/.installed: pyproject.toml
	@echo "setting up .venv, once"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[viewer]'
	@touch $@

.venv/.installed-dev: pyproject.toml
	@echo "setting up .venv with what the tests need, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "the tests need Python 3.10 or later: make clean, then make test PYTHON=python3.12" >&2; exit 1; }
	@# pip takes a minute for these. For users, it stays: it knows their mirrors.
	@$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --editable '.[viewer]' --group dev
	@touch .venv/.installed $@
