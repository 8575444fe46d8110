# Agent Kanban. `make` prints this help.
SHELL := /bin/bash
BIN   := bin/kanban
DATA  ?= data
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED ?= 0

.DEFAULT_GOAL := help
.PHONY: help build run test bench screenshots torture day lint fmt verify vendor packages clean

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  \033[1m%-11s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/kanban
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/kanban

run: build ## Start the board on http://127.0.0.1:18000 with its data in ./data
	@mkdir -p $(DATA)
	DATA_DIR=$(DATA) $(BIN) serve

# The race detector makes everything five to ten times slower. With it run all
# packages but the program, their random tests for a quarter of the rounds, and of
# the program's own tests, which start hundreds of servers, those that have most at
# once; without it, the program's and the random tests in full, and what it keeps from
# being measured (memory, in ops/monitor).
RACED_OF_PROGRAM := ^(TestServer.*|TestClaimsOfManyAtOnce|TestTorture|TestFollow|TestDrillBusFolderDeleted|TestServerTakesBackups)$$

test: ## Run every test (needs Go alone; the race detector runs where cgo works)
	@if CGO_ENABLED=1 go env CC >/dev/null && command -v $$(go env CC) >/dev/null; then \
		set -e; packages=$$(go list ./... | grep -v '/cmd/kanban'); \
		echo "go test -race (all packages but the program)"; CGO_ENABLED=1 RAPID_CHECKS=25 go test -race -timeout 20m $$packages; \
		echo "go test (the program, and random tests in full)"; go test -timeout 15m ./cmd/kanban ./cmd/kanban/browser ./commands ./events/sqlstore ./ops/monitor ./projections ./readmodel; \
		echo "go test -race ./cmd/kanban (what has most at once)"; CGO_ENABLED=1 KANBAN_TORTURE_ROUNDS=5 go test -race -timeout 15m -run '$(RACED_OF_PROGRAM)' ./cmd/kanban; \
	else \
		echo "go test ./... (no C compiler: without the race detector)"; go test -timeout 20m ./...; \
	fi

bench: ## Measure: every figure beside its baseline of the same run
	go test -run '^$$' -bench . -benchtime 3s -timeout 30m ./commands ./events/... ./projections ./http ./ops/backup ./ops/metrics ./cmd/kanban ./cmd/kanban/browser

screenshots: ## Draw the pictures in docs/screenshots (needs Chromium)
	KANBAN_SCREENSHOTS=$(CURDIR)/docs/screenshots go test -count=1 -run TestScreenshots -timeout 10m ./cmd/kanban/browser

torture: ## kill -9 the server a thousand times under load
	KANBAN_TORTURE_ROUNDS=1000 go test -run Torture -timeout 3h -v ./cmd/kanban

day: ## A day of twenty agents in fast motion: memory, files, WAL and goroutines stay flat
	KANBAN_DAY=1 go test -run TestDay -timeout 1h -v ./cmd/kanban

lint: bin/golangci-lint ## Run the linters
	bin/golangci-lint run ./...

bin/golangci-lint: tools/go.mod tools/go.sum
	cd tools && go build -o ../bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fmt: ## Format the code
	cd tools && go run mvdan.cc/gofumpt -l -w ..

verify: ## Fail when something generated or vendored is stale
	go mod verify
	go mod tidy -diff
	go vet ./...

vendor: ## Refresh the vendored modules of the web board (needs Node)
	tools/ui/vendor.sh

packages: bin/goreleaser ## Build archives, .deb and .rpm into dist/, publishing nothing
	bin/goreleaser release --snapshot --clean

bin/goreleaser: Makefile
	GOBIN=$(CURDIR)/bin go install github.com/goreleaser/goreleaser/v2@v2.15.1

clean: ## Remove what was built (never the data)
	rm -rf bin build dist
