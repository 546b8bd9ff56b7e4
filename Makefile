# Everything a person needs: make tour, make test. `make help` lists the rest.
SHELL := /bin/bash
GO ?= go
BIN := bin/kustos
# Packages with C code (the engine child) cannot run under the race detector in
# reasonable time; everything else does.
CGO_PACKAGES := ./internal/engine/duckdb/...

.PHONY: help build up tour test test-go test-engine test-clients fuzz lint fmt clean deps
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | column -t -s $$'\t'

build: $(BIN) ## build bin/kustos
.PHONY: $(BIN)
$(BIN): deps
	CGO_ENABLED=1 $(GO) build -o $(BIN) ./cmd/kustos

deps:
	@./scripts/deps

up: build ## run a server in the foreground
	$(BIN) up

tour: build ## build, and run the whole story on a fresh temporary instance
	@dir=$$(./scripts/datasets) && $(BIN) tour --datasets "$$dir"

test: build test-go test-engine test-clients ## run every test

test-go:
	@./scripts/softhsm
	$(GO) test -race -shuffle=on $$($(GO) list ./... | grep -v '/internal/engine/duckdb')

test-engine:
	$(GO) test -shuffle=on $(CGO_PACKAGES)

test-clients: build
	./scripts/test-clients

# What reads templates: the two parsers, the evaluator, the whole compiler.
FUZZTIME ?= 10m
FUZZ := expr:FuzzParse relaxed:FuzzParse eval:FuzzEval .:FuzzCompile

fuzz: ## fuzz the template language, FUZZTIME=10m for each target
	@set -e; for t in $(FUZZ); do \
		echo "$$t for $(FUZZTIME)"; \
		nice -n 15 $(GO) test ./internal/arm/template/$${t%%:*} -run '^$$' -fuzz "^$${t##*:}$$" -fuzztime $(FUZZTIME) -parallel 1; \
	done

lint: deps ## gofmt, vet, staticcheck, the architecture test
	@unformatted=$$(gofmt -l cmd internal test); test -z "$$unformatted" || { echo "gofmt would change:"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK) ./...
	$(GO) test -count=1 ./internal/architecture

STATICCHECK := v0.8.2

fmt: ## gofmt everything
	gofmt -w cmd internal test

clean: ## remove what was built
	rm -rf bin .tools
