.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

setup: $(VENV)/.installed  ## make .venv with the locked dependencies

# uv lives in a small environment of its own, so that it can make .venv with Python 3.11 whatever python3 is.
$(VENV)/.installed: requirements.lock
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/bin/python -m pip install --quiet uv
	$(VENV)-uv/bin/uv venv --quiet --clear --python 3.11 $(VENV)
	$(VENV)-uv/bin/uv pip install --quiet --require-hashes --python $(BIN)/python -r requirements.lock
	rm -rf $(VENV)-uv
	touch $@
