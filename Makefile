# The commands of the project. `make help` lists them. CI, hooks and people call the same targets.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
SHELL  := /bin/sh
# Roles and their passwords belong to the whole server, so on a server of yours the tests run one after the other.
TEST_WORKERS ?= $(if $(CHAT_TELEMETRY_TEST_DATABASE_URL),0,2)
UPGRADE ?= --upgrade
LOCK = $(VENV)/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help demo demo-stop test test-postgres-15 test-docs test-dbt-1.11 test-browser screenshots test-superset test-grafana test-integrations test-shapes test-history test-citus test-faults test-mutants bench bench-reports bench-run bench-scaling bench-citus bench-shapes lint docs format lock prices prices-check licences sbom build clean report-columns dbt-quality

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# `--clear` deletes the environments inside it too, so the rule of each of them asks for this one first.
$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("chat-telemetry needs Python 3.11 to 3.14, this is %d.%d: run make PYTHON=python3.12" % sys.version_info[:2] if not (3, 11) <= sys.version_info[:2] < (3, 15) else 0)'
	@echo "==> Installing $$(grep -c == requirements.lock) locked packages into $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --require-hashes --no-deps --only-binary :all: -r requirements.lock
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/installed ## Run everything here: PostgreSQL, migrations, chat requests, dbt, the reports
	@$(BIN)/chat-telemetry demo

demo-stop: $(VENV)/installed ## Stop the demo's PostgreSQL and delete its data
	@$(BIN)/chat-telemetry demo --delete

test: $(VENV)/installed ## Run every test, on the embedded PostgreSQL 16 and 18 (or CHAT_TELEMETRY_TEST_DATABASE_URL)
	@$(BIN)/pytest -n $(TEST_WORKERS) --dist worksteal

test-postgres-15: $(VENV)/installed ## Run the tests of migrations and access on Debian's PostgreSQL 15 (package postgresql-15)
	@CHAT_TELEMETRY_TEST_DATABASE_URL= CHAT_TELEMETRY_TEST_SERVERS=postgres15 $(BIN)/pytest -n $(TEST_WORKERS) --dist worksteal \
		tests/migrations $(addprefix tests/reports/test_access,.py _table.py) \
		$(addprefix tests/cli/test_,migrate.py load.py prices.py report.py)

test-docs: $(VENV)/installed ## Run the commands of docs/operating.md on Debian's PostgreSQL 15, with TLS
	@CHAT_TELEMETRY_TEST_DATABASE_URL= CHAT_TELEMETRY_TEST_SERVERS=postgres15 $(BIN)/pytest -m docs -s tests/docs

$(VENV)/dbt-1.11/installed: $(VENV)/installed requirements-dbt-1.11.lock
	@$(PYTHON) -c 'import sys; sys.exit("dbt 1.11 needs Python 3.13 or older: run make PYTHON=python3.12" if sys.version_info >= (3, 14) else 0)'
	@echo "==> Installing the locked packages with dbt 1.11 into $(VENV)/dbt-1.11 (once, about a minute)"
	@$(PYTHON) -m venv --clear $(VENV)/dbt-1.11
	@$(VENV)/dbt-1.11/bin/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r requirements.lock
	@$(VENV)/dbt-1.11/bin/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r requirements-dbt-1.11.lock
	@$(VENV)/dbt-1.11/bin/python -m pip install --disable-pip-version-check --no-input --quiet --no-deps --no-build-isolation -e .
	@touch $@

test-dbt-1.11: $(VENV)/dbt-1.11/installed ## Run again what depends on the version of dbt, on dbt 1.11 and the embedded PostgreSQL 18
	@$(VENV)/dbt-1.11/bin/pytest -n $(TEST_WORKERS) -k "not postgres16" $(addprefix tests/cli/test_,check.py run.py) \
		$(addprefix tests/reports/test_,access.py data_tests.py dbt_version.py materializations.py package.py runners.py selectors.py views.py) \
		tests/tools/test_report_columns.py

$(VENV)/integrations/installed: $(VENV)/installed tests/integrations/requirements.txt pyproject.toml
	@echo "==> Installing chat frameworks, $$(grep -c == tests/integrations/requirements.txt) locked packages, into $(VENV)/integrations (once, about two minutes)"
	@$(PYTHON) -m venv --clear $(VENV)/integrations
	@$(VENV)/integrations/bin/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r tests/integrations/requirements.txt
	@$(VENV)/integrations/bin/python -m pip install --disable-pip-version-check --no-input --quiet --no-deps --no-build-isolation -e .
	@touch $@

test-integrations: $(VENV)/integrations/installed ## Test that the records of chat frameworks have the numbers of a local model provider
	@$(VENV)/integrations/bin/pytest -n $(TEST_WORKERS) -W ignore -m integrations tests/integrations

$(VENV)/browser/installed: $(VENV)/installed tests/browser/requirements.txt
	@echo "==> Installing the driver of the browser tests, $$(grep -c == tests/browser/requirements.txt) locked packages, into $(VENV)/browser (once)"
	@rm -rf $(VENV)/browser
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: --target $(VENV)/browser -r tests/browser/requirements.txt
	@touch $@

test-browser: $(VENV)/browser/installed ## Open the dashboard in chromium (Debian's package chromium), at several widths, light and dark
	@PYTHONPATH=$(VENV)/browser $(BIN)/pytest -m browser tests/browser

screenshots: $(VENV)/browser/installed demo ## Take the picture of the README from the dashboard of the demo, with chromium
	@PYTHONPATH=$(VENV)/browser $(BIN)/python -m tools.screenshots .demo/dashboard.html

$(VENV)/superset/installed: $(VENV)/browser/installed tools/superset/requirements.txt
	@echo "==> Installing Apache Superset, $$(grep -c == tools/superset/requirements.txt) locked packages, into $(VENV)/superset (once, 830 MB)"
	@$(PYTHON) -m venv --clear $(VENV)/superset
	@$(VENV)/superset/bin/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r tools/superset/requirements.txt
	@touch $@

test-superset: $(VENV)/superset/installed ## Import bi/superset into Apache Superset, and compare its charts with SQL
	@PYTHONPATH=$(VENV)/browser $(BIN)/python -m tools.superset --superset $(VENV)/superset --screenshot $(VENV)/superset.png

$(VENV)/grafana/installed: $(VENV)/installed tools/grafana/requirements.txt
	@echo "==> Installing the types that Grafana publishes into $(VENV)/grafana (once)"
	@rm -rf $(VENV)/grafana
	@$(BIN)/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: --target $(VENV)/grafana -r tools/grafana/requirements.txt
	@touch $@

test-grafana: $(VENV)/grafana/installed ## Compare the files of bi/grafana with the types that Grafana publishes
	@PYTHONPATH=$(VENV)/grafana $(BIN)/python -m tools.grafana.schema

# pip runs the build of a source distribution to ask it for its version, so what builds it is locked too.
CORPUS_PIP = $(VENV)/corpus/bin/python -m pip --disable-pip-version-check --no-input --quiet
$(VENV)/corpus/installed: $(VENV)/installed tests/shapes/requirements.txt
	@echo "==> Downloading the SQL texts of sqlglot's tests into $(VENV)/corpus (once)"
	@$(PYTHON) -m venv --clear $(VENV)/corpus
	@$(CORPUS_PIP) install --require-hashes --no-deps --only-binary :all: -r tests/shapes/requirements.txt
	@$(CORPUS_PIP) download --require-hashes --no-deps --no-build-isolation --no-binary sqlglot --dest $(VENV)/corpus -r tests/shapes/requirements.txt
	@touch $@

test-shapes: $(VENV)/corpus/installed ## Test the shapes of 17,000 public SQL texts and of their variants
	@$(BIN)/pytest -m shapes -s tests/shapes/test_corpus.py

test-history: $(VENV)/installed ## Test dbt with random histories of the log, 10 minutes (CHAT_TELEMETRY_HISTORY_MINUTES) on each server
	@$(BIN)/pytest -m history -s tests/reports/history

test-citus: $(VENV)/installed ## Test a distributed log, on the Citus cluster that CHAT_TELEMETRY_TEST_CITUS_URL names
	@test -n "$$CHAT_TELEMETRY_TEST_CITUS_URL" || echo "NOT TESTED: a distributed log, because CHAT_TELEMETRY_TEST_CITUS_URL names no Citus cluster. docs/development.md says how to get one" >&2
	@$(BIN)/pytest -m citus --tb=short tests/citus

bench-scaling: $(VENV)/installed ## Measure what grows with the traffic, for the formulas of docs/scaling.md (15 minutes, 8 GB)
	@$(BIN)/python -m benchmarks.scaling $(BENCH)

bench-citus: $(VENV)/installed ## Measure a distributed log beside a plain one, on the same Citus cluster (10 minutes)
	@$(BIN)/python -m benchmarks.citus $(BENCH)

bench-reports: $(VENV)/installed ## Measure the cost of a dbt run and of plain materialized views (30 minutes, 16 GB)
	@$(BIN)/python -m benchmarks.reports $(BENCH)

bench-run: $(VENV)/installed ## Measure a cycle of `run --every` beside a fresh dbt run, and its memory (20 minutes)
	@$(BIN)/python -m benchmarks.resident $(BENCH)

bench-shapes: $(VENV)/installed ## Measure shapes of long SQL texts, and the cost of the fingerprint (2 minutes)
	@$(BIN)/python -m benchmarks.shapes $(BENCH)

test-faults: $(VENV)/installed ## Kill processes and crash servers for many rounds: each accepted record is stored once
	@$(BIN)/pytest -m faults --timeout 1800 -s tests/loader/faults

test-mutants: $(VENV)/installed ## Change one thing in the code at a time and see whether a test fails (50 minutes; MUTANTS=--help)
	@$(BIN)/python -m tools.mutants $(MUTANTS)

$(VENV)/peers/installed: $(VENV)/installed benchmarks/requirements.txt
	@echo "==> Installing the peers of the loader, $$(grep -c == benchmarks/requirements.txt) locked packages, into $(VENV)/peers"
	@$(PYTHON) -m venv --clear $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r benchmarks/requirements.txt
	@touch $@

bench: $(VENV)/peers/installed ## Measure the cost of the loader and of its peers (20 minutes)
	@$(BIN)/python -m benchmarks.loader --peers-python $(VENV)/peers/bin/python $(BENCH)

lint: $(VENV)/installed ## Check Python, SQL and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/squawk migrations/*.sql
	$(BIN)/sqlfluff lint --disable-progress-bar migrations models macros tests/dbt bi/queries

# Reads the project only: no server is asked. `docs generate --no-compile` needs the manifest that `parse` writes.
OFFLINE = --target demo --profiles-dir . --log-path $(VENV)/dbt-docs --target-path
docs: $(VENV)/installed ## Check the Markdown pages, and write dbt's documentation of the project into .venv/dbt-docs
	@$(BIN)/python -m tools.check_docs
	@$(BIN)/dbt --quiet --warn-error parse $(OFFLINE) $(VENV)/dbt-docs
	@$(BIN)/dbt --quiet --warn-error docs generate --static --no-compile --empty-catalog $(OFFLINE) $(VENV)/dbt-docs
	@echo "$(VENV)/dbt-docs/static_index.html: dbt's documentation"

$(VENV)/dbt-quality/installed: $(VENV)/installed tools/dbt_quality/requirements.txt
	@echo "==> Installing dbt-score, dbt-bouncer and dbt-coverage, $$(grep -c == tools/dbt_quality/requirements.txt) locked packages, into $(VENV)/dbt-quality (once)"
	@$(PYTHON) -m venv --clear $(VENV)/dbt-quality
	@$(VENV)/dbt-quality/bin/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r tools/dbt_quality/requirements.txt
	@touch $@

dbt-quality: $(VENV)/dbt-quality/installed ## Print what dbt-score, dbt-bouncer and dbt-coverage say; each column of a report has to be described and tested
	@$(BIN)/dbt --quiet --warn-error parse $(OFFLINE) $(VENV)/dbt-quality/target
	@$(BIN)/python -m tools.dbt_quality $(VENV)/dbt-quality

report-columns: $(VENV)/installed ## Write the tables of columns in docs/reports.md, from the descriptions of the columns
	@$(BIN)/python -m tools.report_columns

format: $(VENV)/installed ## Format Python and SQL
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --disable-progress-bar migrations models macros tests/dbt bi/queries

lock: $(VENV)/installed ## Lock the newest versions that pyproject.toml allows; UPGRADE= keeps the pins that still fit
	$(PYTHON) -m pip install --quiet --upgrade --target $(VENV)/uv uv
	$(LOCK) pyproject.toml --extra dev $(UPGRADE) -o requirements.lock
	@# dbt 1.11 with the same pins if it accepts them. The other pins are installed over requirements.lock.
	cp requirements.lock $(VENV)/dbt-1.11.lock
	$(LOCK) pyproject.toml --extra dev --upgrade-package 'dbt-core<1.12' -o $(VENV)/dbt-1.11.lock
	grep -vxFf requirements.lock $(VENV)/dbt-1.11.lock > requirements-dbt-1.11.lock
	$(LOCK) benchmarks/requirements.in $(UPGRADE) -o benchmarks/requirements.txt
	$(LOCK) pyproject.toml --extra cli tests/integrations/requirements.in $(UPGRADE) -o tests/integrations/requirements.txt
	$(LOCK) tests/browser/requirements.in --constraint requirements.lock $(UPGRADE) -o tests/browser/requirements.txt
	$(LOCK) tests/shapes/requirements.in $(UPGRADE) -o tests/shapes/requirements.txt
	$(LOCK) --excludes tools/superset/excludes.txt tools/superset/requirements.in $(UPGRADE) -o tools/superset/requirements.txt
	$(LOCK) tools/grafana/requirements.in $(UPGRADE) -o tools/grafana/requirements.txt
	$(LOCK) tools/sbom/requirements.in $(UPGRADE) -o tools/sbom/requirements.txt
	$(LOCK) tools/dbt_quality/requirements.in --constraint requirements.lock $(UPGRADE) -o tools/dbt_quality/requirements.txt
	$(LOCK) --no-deps tools/prices/requirements.in $(UPGRADE) -o tools/prices/requirements.txt

$(VENV)/price-list/downloaded: $(VENV)/installed tools/prices/requirements.txt
	@echo "==> Downloading the second price list, $$(grep -o 'litellm==[0-9.]*' tools/prices/requirements.txt), into $(VENV)/price-list (once, 45 MB)"
	@rm -rf $(VENV)/price-list
	@$(BIN)/python -m pip download --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -d $(VENV)/price-list -r tools/prices/requirements.txt
	@touch $@

prices: $(VENV)/price-list/downloaded ## Update the token prices from genai-prices, and compare them with a second list
	@$(BIN)/python -m tools.prices $(VENV)/price-list

prices-check: $(VENV)/price-list/downloaded ## Compare the two price lists and change nothing: fails if make prices would
	@$(BIN)/python -m tools.prices $(VENV)/price-list --check

licences: $(VENV)/installed ## Write docs/licences.md: the licence of every package that a user installs
	@$(BIN)/python -m tools.licences

$(VENV)/sbom/installed: $(VENV)/installed tools/sbom/requirements.txt
	@echo "==> Installing the tool for SBOMs, $$(grep -c == tools/sbom/requirements.txt) locked packages, into $(VENV)/sbom (once)"
	@$(PYTHON) -m venv --clear $(VENV)/sbom
	@$(VENV)/sbom/bin/python -m pip install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r tools/sbom/requirements.txt
	@touch $@

# An environment that has what a user installs with all extras and nothing else, not even pip.
sbom: $(VENV)/sbom/installed ## Write a CycloneDX SBOM of what a user installs into dist/
	@rm -rf $(VENV)/user && mkdir -p $(VENV)/user dist
	@$(PYTHON) -m venv --without-pip $(VENV)/user/venv
	@$(BIN)/python -m tools.licences --locked > $(VENV)/user/requirements.txt
	@$(BIN)/hatchling build -t wheel -d $(VENV)/user >/dev/null 2>&1
	@$(BIN)/python -m pip --python $(VENV)/user/venv/bin/python install --disable-pip-version-check --no-input --quiet --require-hashes --no-deps --only-binary :all: -r $(VENV)/user/requirements.txt
	@$(BIN)/python -m pip --python $(VENV)/user/venv/bin/python install --disable-pip-version-check --no-input --quiet --no-deps $(VENV)/user/*.whl
	@sbom=dist/chat-telemetry-$$($(BIN)/hatchling version).cdx.json && \
		$(VENV)/sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --mc-type library --output-reproducible -o $$sbom $(VENV)/user/venv && \
		$(BIN)/python -m tools.licences --compare $$sbom

build: $(VENV)/installed ## Build the wheel and the source distribution into dist/
	@$(BIN)/hatchling build

clean: ## Delete everything that was installed or built here, except the demo (make demo-stop)
	rm -rf $(VENV) target logs dist
