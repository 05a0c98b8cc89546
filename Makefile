PYTHON := .venv/bin/python

.PHONY: check test
check:
	.venv/bin/ruff format --check -q .
	.venv/bin/ruff check -q .
	.venv/bin/mypy mailops tests
	.venv/bin/lint-imports

test:
	.venv/bin/pytest -q -n 2
