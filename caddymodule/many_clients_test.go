package caddymodule

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// manyClients is the global option with n clients besides the shop.
func manyClients(n int) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(oneIssuer, "\n\t}"))
	for i := range n {
		fmt.Fprintf(&b, "\n\t\tclient app%d {\n\t\t\ttype web\n\t\t\tsecret {env.SHOP_SECRET}\n\t\t\tgrants authorization_code refresh_token\n\t\t\tredirect_uris https://app%d.example.com/back\n\t\t\tscopes openid app%d:read\n\t\t}", i, i, i)
	}
	b.WriteString("\n\t}")
	return b.String()
}

// manyGates is a site with n gates.
func manyGates(n int) string {
	var b strings.Builder
	b.WriteString("\nhttp://app.example.com {\n\ttoken_issuer\n")
	for i := range n {
		fmt.Fprintf(&b, "\ttoken_gate /%d* {\n\t\taudience app%d\n\t\tscope app%d:read\n\t}\n", i, i, i)
	}
	b.WriteString("\treverse_proxy unix/$DIR/backend\n}")
	return b.String()
}

func adapted(tb testing.TB, text string) []byte {
	tb.Helper()
	out, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(text), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// Every gate asks what the issuer's clients can give. That is read once: for each of
// them again it would be five megabytes beside a thousand clients.
func TestGatesShareWhatManyClientsOffer(t *testing.T) {
	global := "{\n" + strings.ReplaceAll(manyClients(1000), "$DIR", t.TempDir()) + "\n}\n"
	bytes := func(gates int) uint64 {
		text := global + strings.ReplaceAll(manyGates(gates), "$DIR", t.TempDir())
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		adapted(t, text)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	one, forty := bytes(1), bytes(41)
	if each := (int64(forty) - int64(one)) / 40; each > 500<<10 {
		t.Errorf("a gate more takes %d bytes to read", each)
	}
}

// BenchmarkTenThousandClients reads, and loads, a Caddyfile with as many clients and a
// hundred gates, as a start and a reload do. Run it with -benchtime 3x.
func BenchmarkTenThousandClients(b *testing.B) {
	dir := b.TempDir()
	global := "{\n\tadmin unix/$DIR/admin\n\tpersist_config off\n\tauto_https off\n\tdefault_bind unix/$DIR/http\n\tlog {\n\t\toutput file $DIR/log\n\t}\n" + manyClients(10_000) + "\n}\n"
	text := strings.ReplaceAll(global+manyGates(100), "$DIR", dir)
	var config []byte
	b.Run("adapt", func(b *testing.B) {
		for b.Loop() {
			config = adapted(b, text)
		}
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			if err := caddy.Load(config, true); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		b.ReportMetric(resident(b), "MiB-resident")
	})
	if err := caddy.Stop(); err != nil {
		b.Fatal(err)
	}
}

// resident is the memory of this process, in MiB.
func resident(b *testing.B) float64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		b.Fatal(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

// Of thirty applications that are elsewhere twenty are told, and how many more there
// are.
func TestLogIsNotFilledWithApplicationsElsewhere(t *testing.T) {
	w := newWorld(t)
	w.load(manyClients(30), "http://127.0.0.1 {\n\ttoken_issuer\n}")
	log := w.logged()
	if n := strings.Count(log, "no site of this Caddy answers for app"); n != 20 {
		t.Errorf("%d are told", n)
	}
	if !strings.Contains(log, "of 10 further redirect_uris no site of this Caddy answers for the host") {
		t.Error("the rest is not told of")
	}
}
