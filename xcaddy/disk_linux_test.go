package main

import (
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// limitFiles sets how large the files of a running program may grow. To write
// more fails as on a full disk: Go programs outlive SIGXFSZ, and the write gets EFBIG.
func (i *instance) limitFiles(most uint64) {
	i.Helper()
	limit := syscall.Rlimit{Cur: most, Max: ^uint64(0)} // RLIM_INFINITY
	_, _, errno := syscall.Syscall6(syscall.SYS_PRLIMIT64, uintptr(i.running.cmd.Process.Pid), syscall.RLIMIT_FSIZE, uintptr(unsafe.Pointer(&limit)), 0, 0, 0)
	if errno != 0 {
		i.Fatalf("prlimit: %v", errno)
	}
}

func TestFullDiskIsAnOutageOfWhatMustBeWrittenAlone(t *testing.T) {
	i := newInstance(t)
	i.configure(threeClients, oneSite)
	i.start()
	i.addAlice()
	i.serve(func(http.ResponseWriter, *http.Request) {})
	before := i.earn(byPassword("phone"))
	revoke := url.Values{"client_id": {"phone"}, "token": {before.Access}}

	wal, err := os.Stat(i.file("data/caddy/token_issuer/issuer.db-wal"))
	if err != nil {
		t.Fatal(err)
	}
	i.limitFiles(uint64(wal.Size()) + 200_000)

	last, served := before, 0
	for ; served < 1000; served++ {
		a := i.post("/oauth2/token", byRefresh("phone", last.Refresh))
		if a.status != http.StatusOK {
			full(t, "a refresh", a)
			break
		}
		if last, err = a.tokens(); err != nil {
			t.Fatal(err)
		}
	}
	if served < 2 || served == 1000 {
		t.Fatalf("the disk was full after %d refreshes", served)
	}
	i.limitFiles(4096) // not one page more, however little a write needs; the log is cut off too
	for what, form := range map[string]url.Values{"a refresh": byRefresh("phone", last.Refresh), "a sign-in": byPassword("phone"), "a sign-in at the shop": with(byPassword("shop"), "client_secret", shopSecret)} {
		full(t, what, i.post("/oauth2/token", form))
	}
	full(t, "a revocation", i.post("/oauth2/revoke", revoke))

	// What needs no write goes on: tokens for programs, the gate, and who asks who is who.
	robot := i.earn(byRobot()).Access
	for what, token := range map[string]string{"a token from before": before.Access, "the last that was answered": last.Access, "one made just now": robot} {
		if a := i.must(http.MethodGet, "/", "", bearer(token)); a.status != http.StatusOK {
			t.Errorf("%s at the gate: %d", what, a.status)
		}
	}
	if a := i.must(http.MethodGet, "/userinfo", "", bearer(last.Access)); a.status != http.StatusOK {
		t.Errorf("userinfo: %d", a.status)
	}
	if a := i.must(http.MethodGet, "/oauth2/jwks", ""); a.status != http.StatusOK {
		t.Errorf("jwks: %d", a.status)
	}

	// Space is back: everything works, with the tokens that were answered.
	i.limitFiles(^uint64(0))
	again := i.earn(byRefresh("phone", last.Refresh))
	i.earn(byPassword("phone"))
	i.earn(byRefresh("phone", again.Refresh))
	if a := i.post("/oauth2/revoke", revoke); a.status != http.StatusOK {
		t.Errorf("a revocation: %d %s", a.status, a.body)
	}
	if a := i.must(http.MethodGet, "/", "", bearer(before.Access)); a.status != http.StatusUnauthorized {
		t.Errorf("a revoked token at the gate: %d", a.status)
	}

	// Nothing was half written: what was refused has left no row.
	i.stop()
	if n := i.rows("families"); n != 2 {
		t.Errorf("%d families of two sign-ins", n)
	}
	// A chain keeps its first token, the last that was spent and the living one.
	if n := i.rows("refresh_tokens"); n != 3+1 {
		t.Errorf("%d refresh tokens of a chain and a fresh sign-in", n)
	}
	i.start()
	if a := i.must(http.MethodGet, "/", "", bearer(before.Access)); a.status != http.StatusUnauthorized {
		t.Errorf("a revoked token after a restart: %d", a.status)
	}
}

// full wants the answer that says: later.
func full(t *testing.T, what string, a answer) {
	t.Helper()
	if a.status != http.StatusServiceUnavailable || strings.TrimSpace(a.body) != `{"error":"temporarily_unavailable"}` || a.header.Get("Retry-After") == "" {
		t.Errorf("%s on a full disk: %d %s, Retry-After %q", what, a.status, a.body, a.header.Get("Retry-After"))
	}
}
