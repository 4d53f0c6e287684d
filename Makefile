# The commands a newcomer needs. Everything is installed into .venv; nothing else is touched.
PYTHON ?= python3
ARGS ?=
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder -v
PIP := $(VENV)/bin/pip install --quiet --disable-pip-version-check --no-warn-conflicts

# The tests start hundreds of processes, each of which would compile all modules for itself.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve test check lint bench soak clean

serve: $(VENV)/serve.stamp  ## start Triton and the gateway; options: make serve ARGS="--port 18000"
	@exec $(VENV)/bin/iqa-serve $(ARGS)

test: $(VENV)/test.stamp  ## run the tests, the integration tests against a real Triton included
	$(PYTEST) $(ARGS)

check: lint  ## style, types and every test that needs no server, for work in between
	$(PYTEST) -m "not server" $(ARGS)

lint: $(VENV)/test.stamp  ## style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/perf.stamp  ## compare speed with the alternatives; see perf/README.md
	$(VENV)/bin/python -m perf.bench $(ARGS)

soak: $(VENV)/perf.stamp  ## half an hour of load and faults; see docs/reliability.md
	$(VENV)/bin/python -m perf.soak $(ARGS)

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV)

# Of nvidia-pytriton only the tritonserver binary is used: its Python dependencies stay out.
$(VENV)/serve.stamp: pyproject.toml | $(VENV)/bin/python
	@echo "Installing into $(VENV), about two minutes, once"
	@$(PIP) --editable '.[serve]'
	@$(PIP) --no-deps nvidia-pytriton==0.7.0
	@echo "Compiling the kernels, about a minute, once"
	@$(VENV)/bin/python -m iqa.warm_up
	@touch $@

$(VENV)/test.stamp: $(VENV)/serve.stamp
	@echo "Installing what the tests need, some minutes, once"
	@$(PIP) --editable '.[test]'
	@touch $@

$(VENV)/perf.stamp: $(VENV)/serve.stamp
	@echo "Installing what the benchmarks need, some minutes, once"
	@$(PIP) --editable '.[perf]'
	@touch $@

clean:  ## remove everything that make installed
	rm -rf $(VENV)
