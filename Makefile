# The two commands to know: `make demo` and `make test`. Each does its own set-up.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-runtime build environment test demo cli lint bench clean

ARGS ?=
RUN := . scripts/env.sh && python -m ros2_spatial_ttt.cli
SOURCES := package.xml CMakeLists.txt $(wildcard scripts/*.in) \
  $(shell find msg srv ros2_spatial_ttt config data launch models trt_plugins -type f -not -name '*.pyc')

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: ## Make the whole environment: ROS 2, runtime, PyTorch, test tools
	@scripts/setup.sh dev

setup-runtime: ## Make the environment of the robot only, without PyTorch and test tools
	@scripts/setup.sh runtime

build: setup-runtime ## Build messages and package with colcon
	@$(MAKE) --silent --no-print-directory install/.built

install/.built: $(SOURCES)
	@scripts/build.sh

# The package is built while pip installs what only training and tests need.
environment: setup-runtime
	@$(MAKE) --silent --no-print-directory --jobs=2 setup build

test: environment ## Run lint, import contracts, type checks and all tests (ARGS go to pytest)
	@scripts/test.sh $(ARGS)

demo: build ## Start the node, play a recording, ask questions, write a picture
	@$(RUN) demo $(ARGS)

cli: build ## Run the command line: make cli ARGS="replay --bag DIR"
	@$(RUN) $(ARGS)

lint: setup ## Run ruff, import contracts and mypy
	@scripts/lint.sh

bench: build ## Measure throughput over DDS: make bench ARGS="--bag DIR"
	@$(RUN) bench ingest $(ARGS)

clean: ## Remove the environment, the build and all caches
	@rm -rf .venv build install log out *.egg-info .pytest_cache .ruff_cache .mypy_cache \
	  .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
