# Each target sets up what it needs. The environment lies in .venv and follows the locked requirements.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export UV_PYTHON_DOWNLOADS := never

.PHONY: demo test up check gen bench lock soak clean tools charts screenshots

demo: $(READY)
	$(BIN)/argosy demo $(ARGS)

test: $(READY)
	$(BIN)/pytest -n auto --dist worksteal $(ARGS)

up: $(READY)
	$(BIN)/argosy up $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python protos/check.py

gen: $(READY)
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python protos/generate.py
	$(BIN)/python -m gateway.http.openapi build/contracts.binpb
	$(BIN)/python -m suite.reference build/contracts.binpb

bench: $(READY)
	$(BIN)/python -m tests.bench $(if $(ONLY),--only '$(ONLY)')

soak: $(READY)
	$(BIN)/pytest -m soak $(ARGS)

# What some tests need beside Python: Helm, promtool, Chromium. Without them those tests are skipped, by name.
tools:
	deploy/tools.sh

charts: $(READY) tools
	$(BIN)/python deploy/generate.py build/tools/helm4

screenshots: $(READY) tools
	$(BIN)/python -m tests.console.screenshots

# Resolves the requirements again and locks them by hash, without any registry's address.
lock: $(READY)
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes requirements/dev.in -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes requirements/run.in -c requirements/dev.txt -o requirements/run.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes requirements/build.in -c requirements/dev.txt -o requirements/build.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header --generate-hashes requirements/forecast.in -c requirements/dev.txt -o requirements/forecast.txt

$(READY): requirements/dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check uv || true
	if [ -x $(BIN)/uv ]; then $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements/dev.txt; \
	else $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt; fi
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(READY)

clean:
	rm -rf $(VENV) build data
