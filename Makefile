# make run      the demo on https://localhost:8443
# make build    the binary, ./gatehouse, which needs nothing else
# make build-openssl   ./gatehouse-openssl, for RSA with the machine's OpenSSL 3
# make test     every test, with the race detector, and those of make e2e and make vectors
# make e2e      the pages in a real browser, and ready-made clients; pictures of the pages: SCREENSHOTS=folder
# make vectors  the test vectors of others, through the gate
# make lint     the linters of .golangci.yml and gofumpt
# make fuzz     each fuzz target for FUZZTIME
# make bench    the Go benchmarks, then the binary beside plain Caddy
# make bench-cluster   nodes on one PostgreSQL

# Caddy's ACME server brings three databases that this program never opens.
TAGS := nobadger,nomysql,nopgx
# What is built is the same wherever it is: one cache serves the program, its tests and the linters.
export GOFLAGS := -buildvcs=false -trimpath -tags=$(TAGS)
export CGO_ENABLED := 0

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/caddyserver/caddy/v2.CustomVersion=$(VERSION)
FUZZTIME ?= 30s
BENCHTIME ?= 1s

# How many packages and tests go on at once: one more than there are cores, for many of them wait.
BESIDE := $(shell expr $$(nproc 2>/dev/null || echo 2) + 1)

.PHONY: run build build-openssl test e2e vectors lint fuzz bench bench-cluster clean

run: build
	scripts/demo

BUILD := go build -ldflags '$(LDFLAGS)' -o gatehouse ./xcaddy
build:
	$(BUILD)

# The tag makes the program a dynamic one, see docs/decisions/0053-openssl.md.
build-openssl:
	go build -tags=$(TAGS),openssl -ldflags '$(LDFLAGS)' -o gatehouse-openssl ./xcaddy

# Watching every access of SQLite, which is C turned into Go and has its own locks, took half
# of the processor time of a package that opens a store for each test (20 s and 10 for a part of
# tokenissuer's), and finds nothing of ours: none of our memory is touched there.
UNWATCHED := -race=false -d=checkptr=0
RACE := -race '-gcflags=modernc.org/libc/...=$(UNWATCHED)' '-gcflags=modernc.org/sqlite/lib=$(UNWATCHED)'

# The race detector is the one thing that needs cgo. The stories of ./xcaddy and the stores'
# tests wait more than they work, so they are built and begin first and the rest runs beside
# them; what has no race detector takes what they leave. The browser has the machine to itself.
test:
	rm -f gatehouse # or else the browser's tests would ask an old one where this does not build
	scripts/need gcc:gcc,libc6-dev curl:curl
	-scripts/need nginx:nginx-light
	-scripts/need pg_ctlcluster:postgresql
	-scripts/need pgbouncer:pgbouncer
	-scripts/need haproxy:haproxy
	-scripts/need $(E2E_NEEDS)
	{ aside=$$(mktemp); { nice -n 10 $(BUILD) >&2; nice -n 10 scripts/test-openssl $(TAGS),openssl; (cd vectors && nice -n 10 go test -json -timeout 40m ./...); } >"$$aside" & \
	CGO_ENABLED=1 go test $(RACE) -json -p $(BESIDE) -parallel $(BESIDE) -timeout 40m ./xcaddy ./tokenissuer/store/... ./tokenissuer ./...; \
	wait; cat "$$aside"; rm -f "$$aside"; cd e2e && go test -json -timeout 20m ./...; } | scripts/testcount

# Without a browser or npm these tests fail and say so; nothing is skipped.
E2E_NEEDS := chromium:chromium,fonts-noto-cjk node:nodejs npm:npm
e2e: build
	-scripts/need $(E2E_NEEDS)
	cd e2e && go test -json -timeout 20m ./... | ../scripts/testcount

vectors: build
	cd vectors && go test -json -timeout 5m ./... | ../scripts/testcount

lint:
	scripts/lint

fuzz:
	scripts/fuzz $(FUZZTIME)

bench: build build-openssl
	go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./tokenissuer/... ./caddymodule/gate/...
	bench/run

# Three nodes on one PostgreSQL, beside one account and beside a million of them; what
# sixty nodes cost that follow its changes; what ends, and is swept, beside a million.
bench-cluster: build
	scripts/need pg_ctlcluster:postgresql
	bench/run cluster
	go test -run '^$$' -bench Followers -benchtime 3x -timeout 30m ./tokenissuer/store/feed
	ACCOUNTS=1000000 go test -run '^$$' -bench Million -benchtime 1x -timeout 60m ./tokenissuer/store/postgres

clean:
	rm -rf gatehouse gatehouse-openssl .run .cache
