# make reproduce and make test are the only two commands needed on a bare machine: each makes .venv first.
.DEFAULT_GOAL := help
.PHONY: help setup data audit train tune evaluate analyse reproduce report image server doctor repoint assess export bench torture test check docs mlproject lock clean

PYTHON ?= python3
VENV := .venv
# exec: so that a signal to make reaches Python and not a shell before it.
RUN := exec env PATH="$(CURDIR)/$(VENV)/bin:$$PATH" python
UV := $(VENV)-uv/bin/uv

# .venv is made again where the lock's content is another, not where it only looks newer: jobs may be running in it.
LOCK := $(shell (sha256sum requirements.lock || shasum -a 256 requirements.lock) 2>/dev/null | cut -c1-64)
STAMP := $(shell cat $(VENV)/.installed 2>/dev/null)

PROFILE ?= demo
DOMAINS ?= auto
MODEL ?= resnet50_frozenbn
SEED ?= 0
RUN_ID ?= latest
TARGETS ?= auto
ADAPT ?= none
MODELS ?= auto
METHODS ?= auto
SEEDS ?= auto
SLIDES ?=
CLASSES ?= auto
RUNNER ?= local
JOBS ?= auto
DRY_RUN ?= false
IMAGE ?= wbc-benchmark
BASE ?= python:3.11-slim-bookworm
PORT ?= 5000
STORE ?= $(or $(filter sqlite:%,$(MLFLOW_TRACKING_URI)),sqlite:///mlflow.db)
comma := ,
# A single word for the shell, whatever it holds; and a list of such by commas. A folder's path may have spaces.
quoted = '$(subst ','\'',$(1))'
list = $(call quoted,$(subst $() ,$(comma),$(strip $(1))))
# What the user gave a variable, auto where it has its default.
asked = $(if $(filter file,$(origin $(1))),auto,$($(1)))

help:  ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(if $(filter $(LOCK),$(STAMP)),,install)  ## make .venv with the locked dependencies (Python 3.11)
	@cmp -s entrypoints/conda.sh $(VENV)/bin/conda || install -m 755 entrypoints/conda.sh $(VENV)/bin/conda

data: setup  ## prepare images, and fetch weights: make data DOMAINS="bccd tecom" [ARGS="--image_size 224"]
	@$(RUN) -m entrypoints.prepare --profile $(call quoted,$(PROFILE)) --domains $(call quoted,$(DOMAINS)) $(ARGS)

audit: setup  ## copies, labels and quality of images: make audit DOMAINS="bccd folder:slides" [PROFILE=study whose runs judge labels]
	@$(RUN) -m entrypoints.audit --domains $(call quoted,$(DOMAINS)) --profile $(call quoted,$(PROFILE)) $(ARGS)

train: setup  ## one run: make train MODEL=vgg16 SEED=1 [PROFILE=demo] [TARGETS="bccd tecom"] [ARGS="--epochs 5"]
	@$(RUN) -m entrypoints.train --profile $(call quoted,$(PROFILE)) --model $(call quoted,$(MODEL)) --seed $(call quoted,$(SEED)) --targets $(call quoted,$(TARGETS)) $(ARGS)

tune: setup  ## learning rate and epochs, chosen on the source alone: make tune [PROFILE=demo] [MODELS=...] [ARGS="--lrs 1e-4,1e-3"]
	@$(RUN) -m entrypoints.tune --profile $(call quoted,$(PROFILE)) --models $(call list,$(MODELS)) $(ARGS)

evaluate: setup  ## score a run elsewhere: make evaluate RUN_ID=... TARGETS="bccd folder:slides" [ADAPT="adabn em"]
	@$(RUN) -m entrypoints.evaluate --run $(call quoted,$(RUN_ID)) --targets $(call quoted,$(TARGETS)) --adapt $(call list,$(ADAPT)) $(ARGS)

analyse: setup  ## batch norms of a run against each split, by depth: make analyse RUN_ID=...
	@$(RUN) -m entrypoints.analyse --run $(call quoted,$(RUN_ID)) $(ARGS)

reproduce: setup  ## the grid, then the report: make reproduce [PROFILE=cells|FILE.toml] [MODELS=...] [METHODS=...] [SEEDS=...] [RUNNER=local|docker|ray] [JOBS=n] [DRY_RUN=1]
	@$(RUN) -m entrypoints.reproduce --profile $(call quoted,$(PROFILE)) --models $(call list,$(MODELS)) --methods $(call list,$(METHODS)) \
		--seeds $(call list,$(SEEDS)) --runner $(call quoted,$(RUNNER)) --jobs $(call quoted,$(JOBS)) --dry_run $(call quoted,$(DRY_RUN)) $(ARGS)

assess: setup  ## would it work on your slides? make assess SLIDES=folder [PROFILE=study or RUN_ID=...] [CLASSES="Segs=Neutrophil"]
	@$(RUN) -m entrypoints.assess --slides $(call quoted,$(SLIDES)) --run $(call quoted,$(call asked,RUN_ID)) \
		--profile $(call quoted,$(call asked,PROFILE)) --models $(call list,$(MODELS)) --seeds $(call list,$(SEEDS)) \
		--classes $(call quoted,$(CLASSES)) $(ARGS)

export: setup  ## a run's model to take along, with its threshold and card: make export RUN_ID=... [ARGS="--threshold 0.9"]
	@$(RUN) -m entrypoints.export --run $(call quoted,$(RUN_ID)) $(ARGS)

report: setup  ## tables, figures and a page from the tracked runs: make report [PROFILE=demo]
	@$(RUN) -m entrypoints.report --profile $(call quoted,$(PROFILE)) --models $(call list,$(MODELS)) --methods $(call list,$(METHODS)) \
		--seeds $(call list,$(SEEDS)) $(ARGS)

image: setup  ## build the Docker image for runner=docker: make image [IMAGE=wbc-benchmark] [BASE=python:3.11-slim-bookworm]
	@labels=$$($(RUN) -m wbc.sweep.runners.image) && \
		DOCKER_BUILDKIT=1 exec docker build --tag $(IMAGE) --build-arg BASE=$(BASE) $$labels .

server: setup  ## MLflow on mlflow.db: compare runs in the browser, or point runs at it [PORT=5000]
	@export MLFLOW_TRACKING_URI=$(call quoted,$(STORE)); $(RUN) -m entrypoints.server --port $(call quoted,$(PORT))

doctor:  ## what this machine has and lacks, also before make setup: make doctor [PROFILE=paper]; STORE=1 checks all runs of the store
	@exec $(or $(wildcard $(VENV)/bin/python),$(PYTHON)) -m entrypoints.doctor --profile $(call quoted,$(PROFILE)) \
		$(if $(filter 1 on true,$(STORE)),--store on)

repoint: setup  ## after the project was moved: the store learns where its artifacts lie now [ARGS="--old FOLDER --new FOLDER"]
	@$(RUN) -m entrypoints.repoint $(ARGS)

bench: setup  ## speed against the released code's way, on this machine: make bench [ARGS="--cases data_path,grid"]
	@$(RUN) -m benchmarks.bench $(ARGS)

torture: setup  ## kills, damaged files, spoilt answers: make torture [ARGS="--rounds 30 --seed 1"]
	@$(RUN) -m benchmarks.torture $(ARGS)

test: setup  ## all tests
	@$(RUN) -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup  ## format, lint, types
	@$(RUN) -m ruff format --check .
	@$(RUN) -m ruff check .
	@$(RUN) -m mypy

docs: setup  ## the pages of docs/ as a site, in site/; a link that leads nowhere stops it
	@export NO_MKDOCS_2_WARNING=1; $(RUN) -m mkdocs build --strict

mlproject: setup  ## renew MLproject from the options in wbc/config.py
	@$(RUN) -m entrypoints.mlproject

lock: setup  ## renew requirements.lock from pyproject.toml
	@$(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes --no-header \
		--upgrade --output-file requirements.lock pyproject.toml

clean:  ## remove .venv and caches; data and runs stay
	rm -rf $(VENV) $(VENV)-uv .mypy_cache .pytest_cache .ruff_cache

# uv has a small environment of its own: it makes .venv with Python 3.11, whatever python3 is.
.PHONY: install
install:
	@echo "Making $(VENV) with the locked packages: 6 GB on disk, half of it CUDA; minutes, by the network." >&2
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/bin/python -m pip install --quiet "$$(grep -oE '^uv==[0-9.]+' requirements.lock)"
	$(UV) venv --quiet --clear --python 3.11 $(VENV)
	$(UV) pip install --compile-bytecode --require-hashes --python $(VENV)/bin/python -r requirements.lock
	rm -rf $(VENV)-uv
	@echo $(LOCK) > $(VENV)/.installed
