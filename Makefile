# Short names for the commands that README.md explains.
PYTHON ?= .venv/bin/python

.PHONY: setup test bench format clean

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[test]'

test: setup
	$(PYTHON) -m pytest -n 2

bench:
	$(PYTHON) -m bench

format:
	.venv/bin/ruff format src tests bench
	.venv/bin/ruff check --fix src tests bench
	find src tests bench -name '*.[ch]' | xargs .venv/bin/clang-format -i

clean:
	rm -rf build dist .venv src/*.egg-info
