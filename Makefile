# make run      the demo on https://localhost:8443
# make build    the binary, ./gatehouse
# make test     every test, with the race detector
# make lint     the linters of .golangci.yml and gofumpt
# make fuzz     each fuzz target for FUZZTIME
# make bench    the Go benchmarks, then the binary beside plain Caddy

# Caddy's ACME server brings three databases that this program never opens.
TAGS := nobadger,nomysql,nopgx
export GOFLAGS := -buildvcs=false -tags=$(TAGS)
export CGO_ENABLED := 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(VERSION)
FUZZTIME ?= 30s
BENCHTIME ?= 1s

.PHONY: run build test lint fuzz bench clean

run: build
	scripts/demo

build:
	go build -trimpath -ldflags '$(LDFLAGS)' -o gatehouse ./xcaddy

# The race detector is the one thing that needs cgo.
test:
	scripts/need gcc:gcc,libc6-dev curl:curl
	CGO_ENABLED=1 go test -race -json -timeout 15m ./... | scripts/testcount

lint:
	scripts/lint

fuzz:
	scripts/fuzz $(FUZZTIME)

bench: build
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./tokenissuer/... ./caddymodule/gate/...
	bench/run

clean:
	rm -rf gatehouse .run .cache
