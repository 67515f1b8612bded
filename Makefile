# Short names for the commands that README.md explains.
PYTHON ?= .venv/bin/python

.PHONY: setup test bench hardware fuzz format clean

setup:
	python3 -m venv .venv
	.venv/bin/pip install -q -e '.[test,fuzz]'

test: setup
	$(PYTHON) -m pytest -n 2

bench:
	$(PYTHON) -m bench

hardware:
	$(PYTHON) -m hardware

fuzz:
	$(PYTHON) -m fuzz all --seconds 5

format:
	.venv/bin/ruff format src tests bench hardware fuzz
	.venv/bin/ruff check --fix src tests bench hardware fuzz
	find src tests bench hardware fuzz -name '*.[ch]' | xargs .venv/bin/clang-format -i

clean:
	rm -rf build dist .venv src/*.egg-info
