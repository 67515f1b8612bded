# Short names for the commands that README.md explains.
PYTHON ?= .venv/bin/python

.PHONY: setup test format clean

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[test]'

test: setup
	$(PYTHON) -m pytest -n 2

format:
	.venv/bin/ruff format src tests
	.venv/bin/ruff check --fix src tests
	find src tests -name '*.[ch]' | xargs .venv/bin/clang-format -i

clean:
	rm -rf build dist .venv src/*.egg-info
