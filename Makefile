# make run and make test are all that anybody needs; both set up what they need first.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.setup-done

.PHONY: run test check setup clean

run: setup
	$(BIN)/attune db upgrade
	$(BIN)/attune serve

test: check
	$(BIN)/pytest

check: setup
	scripts/check

setup: $(SETUP)

$(SETUP): pyproject.toml constraints.txt scripts/setup
	PYTHON="$(PYTHON)" scripts/setup
	@touch $@

clean:
	rm -rf .venv .venv-vllm .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
