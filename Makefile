# Short names for the commands that README.md explains.
PYTHON ?= .venv/bin/python

.PHONY: setup test bench hardware format clean

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[test]'

test: setup
	$(PYTHON) -m pytest -n 2

bench:
	$(PYTHON) -m bench

hardware:
	$(PYTHON) -m hardware

format:
	.venv/bin/ruff format src tests bench hardware
	.venv/bin/ruff check --fix src tests bench hardware
	find src tests bench hardware -name '*.[ch]' | xargs .venv/bin/clang-format -i

clean:
	rm -rf build dist .venv src/*.egg-info
