# All tasks of this repository. `make` alone lists them.
# Tools are installed in .tools/ and .venv/, from the locks in tools/ and uv.lock. Nothing is installed outside of this folder.

# Lambda's Python, which must compile the bytecode.
PYTHON ?= python3.13
# Architecture of the build for AWS: arm64 or x86_64. The local stack has the architecture of this machine.
LAMBDA_ARCHITECTURE ?= arm64
HOST_ARCHITECTURE := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)
# Deployments use .aws-sam/build, the local stack uses .aws-sam/local/build, so their architectures cannot mix.
BUILD_DIR ?= .aws-sam/build
# One cache for each build folder. With a shared one, SAM would mix up the layers.
CACHE_DIR := $(dir $(BUILD_DIR))cache
SOURCES := $(shell find functions shared/mojodex shared/Makefile -type f -not -path '*/__pycache__/*')
# Their names. It changes only if a file was added or deleted.
NAMES := .aws-sam/sources

UV := $(CURDIR)/.tools/uv/bin/uv
SAM := $(CURDIR)/.tools/sam/bin/sam
RUN := $(CURDIR)/.venv/bin
TOOLS := uv sam ministack audit
# Locks have all packages for all platforms with their hashes, and no host of a package index.
COMPILE := $(UV) pip compile --quiet --upgrade --universal --python-version 3.13 --generate-hashes --custom-compile-command 'make lock'
# sam runs without an account or credentials, and writes nothing into the home folder.
SAM_ENV := SAM_CLI_TELEMETRY=0 SAM_CLI_ENABLE_LANGUAGE_EXTENSIONS=1 __SAM_CLI_APP_DIR=$(CURDIR)/.aws-sam/home AWS_DEFAULT_REGION=us-east-1 \
	AWS_CONFIG_FILE=/dev/null AWS_SHARED_CREDENTIALS_FILE=/dev/null AWS_ACCESS_KEY_ID=none AWS_SECRET_ACCESS_KEY=none

UV_STAMP := .tools/uv/.locked
SAM_STAMP := .tools/sam/.locked
MINISTACK_STAMP := .tools/ministack/.locked
AUDIT_STAMP := .tools/audit/.locked
VENV_STAMP := .venv/.locked

.DEFAULT_GOAL := help
.PHONY: help setup build build-local demo preview-email up seed publish down ingest redrive invoke logs migrate migration lint test test-unit test-integration \
	test-simulation test-stack test-structure mutate audit lock bench evaluate chaos simulate screenshots clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV_STAMP) $(SAM_STAMP) $(MINISTACK_STAMP) ## Install the pinned tools into .tools/ and .venv/ (needs Python 3.13)

build: $(BUILD_DIR)/.$(LAMBDA_ARCHITECTURE) ## Build layer and functions (LAMBDA_ARCHITECTURE=arm64 or x86_64)
	@:

build-local: ## Build layer and functions for this machine, into .aws-sam/local/build
	@$(MAKE) --no-print-directory build LAMBDA_ARCHITECTURE=$(HOST_ARCHITECTURE) BUILD_DIR=.aws-sam/local/build

demo: setup build-local ## Show the whole system at work on this machine, then stop it
	@$(RUN)/python -m local demo

preview-email: $(VENV_STAMP) ## Write the e-mails of the demo's account to .local/preview-email
	@$(RUN)/python -m local preview

up: setup build-local ## Start the whole system on this machine, or deploy the changes to it (PARAMETERS="NAME=VALUE …")
	@$(RUN)/python -m local up $(PARAMETERS)

seed: $(VENV_STAMP) ## Add the demo's account to the database of `make up`, and print its keys
	@$(RUN)/python -m local seed

publish: $(VENV_STAMP) ## Send a message to a queue of `make up` (QUEUE=extract_todos MESSAGE='{"user_task_execution_pk": 5}')
	@$(RUN)/python -m local publish "$$QUEUE" "$$MESSAGE"

down: $(VENV_STAMP) ## Stop the system of `make up`, and remove its data
	@$(RUN)/python -m local down

ingest: $(VENV_STAMP) ## Turn a website into documents, on the system of `make up` (URL=… USER_ID=…)
	@$(RUN)/python -m local ingest "$$URL" --user "$$USER_ID"

redrive: $(VENV_STAMP) ## Move the dead letters of a process back to its queue (QUEUE=extract_todos, on AWS also STACK_NAME=…)
	@$(RUN)/python -m local redrive "$$QUEUE" --stack-name "$$STACK_NAME"

invoke: $(VENV_STAMP) ## Invoke a function of `make up` (FUNCTION=… EVENT=tests/payloads/….json)
	@$(RUN)/python -m local invoke $(FUNCTION) $(EVENT)

logs: $(VENV_STAMP) ## Print the log of a function of `make up` (FUNCTION=…)
	@$(RUN)/python -m local logs $(FUNCTION)

migrate: $(VENV_STAMP) ## Migrate the database of DATABASE_URL, or that of `make up`
	@url="$${DATABASE_URL:-$$($(RUN)/python -m local env DATABASE_URL)}" && \
		cd functions && DATABASE_URL="$$url" PYTHONPATH=../shared:. $(RUN)/python -m maintenance.migrate

migration: $(VENV_STAMP) ## Write a database migration from a change of shared/mojodex/schema.py (MESSAGE="Add …")
	@PYTHONPATH=functions:shared $(RUN)/python -m local.runtime.revision "$$MESSAGE"
	@$(RUN)/ruff format --quiet functions/maintenance && $(RUN)/ruff check --quiet --fix functions/maintenance

lint: $(VENV_STAMP) $(SAM_STAMP) ## Check style, types and the template
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/cfn-lint template.yaml
	$(SAM_ENV) $(SAM) validate --lint

test: $(VENV_STAMP) ## Run all five kinds of tests, even after a failure, and print a table
	@$(RUN)/python -m tests.run

test-unit: $(VENV_STAMP) ## Run the unit tests (no sockets)
	$(RUN)/pytest tests/unit -n 2

test-structure: $(VENV_STAMP) build ## Run the tests of the template and of the built artifacts
	$(RUN)/pytest tests/structure

test-integration: $(VENV_STAMP) ## Run the tests on a real Postgres
	$(RUN)/pytest tests/integration -n 3

test-simulation: $(VENV_STAMP) ## Run a short simulation, and the tests of its parts
	$(RUN)/pytest tests/simulation -n 2 --dist loadfile --no-loadscope-reorder

test-stack: setup build-local ## Deploy the built template to the emulator, and test it from outside
	$(RUN)/pytest tests/stack -n 3 --dist loadfile --no-loadscope-reorder

mutate: $(VENV_STAMP) ## Run mutation tests of the code that must lose and double nothing (MODULE=…)
	@PYTHONPATH=functions:shared $(RUN)/python -m tools.mutate $(MODULE)

audit: $(VENV_STAMP) $(AUDIT_STAMP) ## Look up known vulnerabilities of all locked packages
	@$(RUN)/python -m tools.audit

lock: $(UV_STAMP) ## Renew uv.lock and the locks of tools/*.in
	$(UV) lock --upgrade
	@set -e; for tool in $(TOOLS); do $(COMPILE) --output-file tools/$$tool.txt tools/$$tool.in; done

bench: setup build build-local ## Measure sizes, cold starts, schedules, the jobs API, documents, throughput and cost, each against its limit
	$(RUN)/python -m bench.size
	$(RUN)/python -m bench.cold_start
	$(RUN)/python -m bench.schedule_time
	$(RUN)/python -m bench.schedule_plans
	$(RUN)/python -m bench.schedule_rows
	$(RUN)/python -m bench.jobs
	$(RUN)/python -m bench.vectors
	$(RUN)/python -m bench.fan_out
	$(RUN)/python -m bench.extraction
	$(RUN)/python -m bench.hostile
	$(RUN)/python -m bench.website
	$(RUN)/python -m bench.throughput
	$(RUN)/python -m bench.cost
	$(RUN)/python -m bench.retrieval

evaluate: $(VENV_STAMP) ## Score a model at finding to-dos, moving them and writing mails (MODEL=… OPENAI_BASE_URL=…; MODEL=standin needs no key)
	@$(RUN)/python -m evals "$${MODEL:-standin}"

chaos: setup build-local ## Break the deployed system at random under 2,200 jobs, and check that nothing is lost or done twice (SEED=…)
	@$(RUN)/python -m chaos $(if $(SEED),--seed $(SEED))

simulate: $(VENV_STAMP) ## Run the handlers for days of virtual time under the faults of a seed (SEED=… DAYS=…)
	@$(RUN)/python -m simulation $(if $(SEED),--seed $(SEED)) $(if $(DAYS),--days $(DAYS)) --shrink 300

screenshots: setup build-local ## Make the pictures of docs/pictures from the demo's account (needs a browser)
	@$(RUN)/python -m tests.screenshots

clean: ## Stop the system of `make up`, and remove all generated files and tools
	@if [ -f .local/stack/state.json ] && [ -x $(RUN)/python ]; then $(RUN)/python -m local down; fi
	rm -rf .tools .venv .aws-sam .local .pytest_cache .mypy_cache .ruff_cache .hypothesis shared/requirements.txt functions/requirements.txt

# SAM empties the folder before a build, also the stamp of another architecture. Its cache has the last architecture only.
$(BUILD_DIR)/.$(LAMBDA_ARCHITECTURE): template.yaml shared/requirements.txt functions/requirements.txt $(SOURCES) $(NAMES) $(VENV_STAMP) $(SAM_STAMP)
	@echo "Building $(BUILD_DIR) for $(LAMBDA_ARCHITECTURE) ..."
	@test -f $@ || rm -rf $(CACHE_DIR)
	@rm -rf .aws-sam/tmp && mkdir -p .aws-sam/tmp
	@$(SAM_ENV) TMPDIR=$(CURDIR)/.aws-sam/tmp UV=$(UV) PYTHON=$(RUN)/python LAMBDA_ARCHITECTURE=$(LAMBDA_ARCHITECTURE) $(SAM) build --cached --parallel \
		--build-dir $(BUILD_DIR) --cache-dir $(CACHE_DIR) \
		--parameter-overrides Architecture=$(LAMBDA_ARCHITECTURE) >.aws-sam/build.log 2>&1 \
		|| { cat .aws-sam/build.log; exit 1; }
	@touch $@

.PHONY: always
$(NAMES): always
	@mkdir -p $(@D)
	@echo $(SOURCES) | cmp -s - $@ || echo $(SOURCES) >$@

# The layer's libraries from uv.lock, with their hashes.
shared/requirements.txt: uv.lock $(UV_STAMP)
	@$(UV) export --quiet --frozen --no-dev --no-emit-project --no-header --no-annotate --output-file $@

# Libraries of MigrateFunction besides the layer.
functions/requirements.txt: uv.lock $(UV_STAMP)
	@$(UV) export --quiet --frozen --only-group migrate --no-header --no-annotate \
		$(addprefix --prune ,sqlalchemy markupsafe typing-extensions) --output-file $@

$(UV_STAMP): tools/uv.txt
	rm -rf .tools/uv
	$(PYTHON) -m venv .tools/uv
	.tools/uv/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

$(VENV_STAMP): uv.lock pyproject.toml $(UV_STAMP)
	$(UV) sync --quiet --locked --compile-bytecode
	@touch $@

# Each tool has its own environment, because aws-sam-cli and MiniStack pin botocore. A local function sees MiniStack's.
$(SAM_STAMP) $(MINISTACK_STAMP) $(AUDIT_STAMP): .tools/%/.locked: tools/%.txt $(UV_STAMP)
	rm -rf .tools/$*
	$(UV) venv --quiet --python $(PYTHON) .tools/$*
	$(UV) pip install --quiet --python .tools/$* --compile-bytecode --require-hashes --requirement $<
	@touch $@
