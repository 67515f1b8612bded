# Short names for the commands that README.md explains.
PYTHON ?= .venv/bin/python

.PHONY: setup test fast bench hardware fuzz mutants docs format clean

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[test,fuzz]'

test: setup
	$(PYTHON) -m pytest -n 2

fast: setup
	$(PYTHON) -m pytest -n 2 -m "not slow and not kvm"

bench:
	$(PYTHON) -m bench

hardware:
	$(PYTHON) -m hardware

fuzz:
	$(PYTHON) -m fuzz all --seconds 60

mutants: setup
	$(PYTHON) -m mutants --jobs 2

docs:
	.venv/bin/pip install -q -e '.[docs]'
	$(PYTHON) docs/build.py

format:
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .
	find src tests bench conformance hardware fuzz examples -name '*.[ch]' | xargs .venv/bin/clang-format -i

clean:
	rm -rf build dist .venv src/*.egg-info
