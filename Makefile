# make demo: boot firmware into a disk image made here.   make test: the whole test suite.
# Both set up what they need: Debian's packages (with root or sudo), a virtual environment in .venv, this package.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find core plugins accelerators machines -name '*.py' -o -name '*.yaml' -o -path '*/static/*')

.PHONY: demo test check bench lab setup clean

demo: $(VENV)/installed
	@tools/need-packages seabios nasm
	@$(BIN)/python examples/demo/make_image.py build/demo.img
	$(BIN)/southbridge run examples/demo/machine.yaml; test $$? -eq 85

test: setup
	$(BIN)/python -m pytest -n 3 --dist worksteal -q --ignore=tests/lab

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy -p southbridge
	$(BIN)/mypy tests examples benchmarks tools

# A real Xen with a Debian dom0, on QEMU's software CPU; see tests/lab/README.md.
lab: setup
	$(BIN)/python -m pytest -n 2 --dist loadgroup -q tests/lab

bench: setup
	@tools/need-packages qemu-system-x86 nasm seabios
	$(BIN)/python -m benchmarks

setup: $(VENV)/installed
	@tools/need-packages $$(cat tools/test-packages)

# A strict editable install links every file, so that mypy sees the package; new files need it again. It isn't compiled
# by pip, and by Python only where it may write: without that, a machine's start takes three times as long. The same for
# the shipped descriptions' trees.
$(VENV)/installed: setup.cfg pyproject.toml $(SOURCES)
	@tools/need-packages python3-venv
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[test]' --config-settings editable_mode=strict
	@$(BIN)/python -m compileall -q build/__editable__*
	@$(BIN)/python -m southbridge.description
	@touch $@

clean:
	rm -rf $(VENV) build *.egg-info
