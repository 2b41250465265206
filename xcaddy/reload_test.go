package main

import (
	"math"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const reloads = 20

// tally counts the requests of one kind.
type tally struct {
	served atomic.Int64
	// dropped requests had no answer at all. Caddy drops a few fresh connections at
	// a reload by itself, when it hands a listener over.
	dropped atomic.Int64
}

// traffic is what goes on while the program reloads.
type traffic struct {
	*instance
	stop chan struct{}
	work sync.WaitGroup
}

// send repeats a request until the end. fresh makes a new connection for each.
func (tr *traffic) send(fresh bool, request func(ask) (good bool, err error)) *tally {
	t := new(tally)
	one := *tr.instance // with a client, and so connections, of its own
	transport := tr.client.Transport.(*http.Transport).Clone()
	transport.DisableKeepAlives = fresh
	one.client = &http.Client{Timeout: patience, Transport: transport}
	tr.work.Go(func() {
		defer transport.CloseIdleConnections()
		for {
			select {
			case <-tr.stop:
				return
			default:
			}
			switch good, err := request(one.ask); {
			case err != nil:
				t.dropped.Add(1)
			case good:
				t.served.Add(1)
			default:
				return // it has said why
			}
		}
	})
	return t
}

type ask = func(method, path, body string, lines ...string) (answer, error)

// wants makes a request that has to be answered with the status.
func (tr *traffic) wants(status int, method, path, body string, lines ...string) func(ask) (bool, error) {
	return func(ask ask) (bool, error) {
		a, err := ask(method, path, body, lines...)
		if err == nil && a.status != status {
			tr.Errorf("during a reload: %s %s: %d %s, want %d", method, path, a.status, a.body, status)
		}
		return a.status == status, err
	}
}

// refreshes makes a client that goes on with the last token it was given.
func (tr *traffic) refreshes(last *string) func(ask) (bool, error) {
	return func(ask ask) (bool, error) {
		a, err := ask(http.MethodPost, "/oauth2/token", byRefresh("phone", *last).Encode())
		if err != nil {
			return false, err
		}
		t, err := a.tokens()
		if err != nil {
			tr.Errorf("during a reload: a refresh: %v", err)
			return false, nil
		}
		*last = t.Refresh
		return true, nil
	}
}

// Beside ours stands a site that is nothing but Caddy, in the same process, under
// the same traffic: what it loses is Caddy's.
func TestReloadsUnderLoadLoseNothingThatPlainCaddyKeeps(t *testing.T) {
	i := newInstance(t)
	i.path = swift(t)
	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	plain := "https://localhost:" + ports[0]
	sites := strings.Replace(oneSite, "reverse_proxy {$BACKEND}", "respond ok", 1) + plain + " {\n\trespond ok\n}\n"
	clerk := "\n\t\tclient clerk {\n\t\t\ttype m2m\n\t\t\tsecret {env.ROBOT_SECRET}\n\t\t\tgrants client_credentials\n\t\t\tscopes orders:read\n\t\t}"
	i.configure(threeClients, sites, "\tgrace_period 5s\n")
	i.start()
	i.addAlice()
	if err := certified(strings.TrimPrefix(plain, "https://")); err != nil {
		t.Fatal(err)
	}

	robot, shop := i.earn(byRobot()).Access, i.earn(with(byPassword("shop"), "client_secret", shopSecret))
	one, two := i.earn(byPassword("phone")), i.earn(byPassword("phone"))
	revoked := i.earn(byPassword("phone"))
	if a := i.post("/oauth2/revoke", url.Values{"client_id": {"phone"}, "token": {revoked.Refresh}}); a.status != http.StatusOK {
		t.Fatalf("a revocation: %d %s", a.status, a.body)
	}

	tr := &traffic{instance: i, stop: make(chan struct{})}
	ours, theirs := map[bool][]*tally{}, map[bool][]*tally{}
	for _, fresh := range []bool{false, true} {
		last := &one.Refresh
		if fresh {
			last = &two.Refresh
		}
		ours[fresh] = []*tally{
			tr.send(fresh, tr.wants(http.StatusOK, "GET", "/", "", bearer(robot))),
			tr.send(fresh, tr.wants(http.StatusUnauthorized, "GET", "/", "", bearer(revoked.Access))),
			tr.send(fresh, tr.wants(http.StatusOK, "POST", "/oauth2/token", byRobot().Encode())),
			tr.send(fresh, tr.refreshes(last)),
		}
		for range 2 {
			theirs[fresh] = append(theirs[fresh], tr.send(fresh, tr.wants(http.StatusOK, "GET", plain+"/", "")))
		}
	}
	for n := range reloads {
		more := clerk
		if n%2 == 1 {
			more = ""
		}
		i.configure(threeClients+more, sites, "\tgrace_period 5s\n")
		if out, err := i.reload(); err != nil {
			t.Fatalf("reload %d: %v: %s", n+1, err, out)
		}
	}
	close(tr.stop)
	tr.work.Wait()

	for _, fresh := range []bool{false, true} {
		lost, of := sum(ours[fresh])
		lostToo, ofTheirs := sum(theirs[fresh])
		t.Logf("%d reloads, fresh connections %t: ours dropped %d of %d, plain Caddy %d of %d", reloads, fresh, lost, lost+of, lostToo, lostToo+ofTheirs)
		for n, kind := range ours[fresh] {
			if kind.served.Load() < reloads {
				t.Errorf("fresh %t, kind %d: %d requests tested nothing", fresh, n, kind.served.Load())
			}
		}
		// Both are rare events: four standard deviations of their difference are chance.
		expected := float64(lostToo) * float64(lost+of) / float64(lostToo+ofTheirs)
		if float64(lost) > expected+4*math.Sqrt(expected+float64(lost)) {
			t.Errorf("ours dropped %d of %d, plain Caddy's rate is %.1f", lost, lost+of, expected)
		}
	}

	// The sign-ins of before go on, the revocation too.
	i.earn(byRefresh("phone", one.Refresh))
	i.earn(byRefresh("phone", two.Refresh))
	i.earn(with(byRefresh("shop", shop.Refresh), "client_secret", shopSecret))
	for token, want := range map[string]int{shop.Access: http.StatusOK, robot: http.StatusOK, revoked.Access: http.StatusUnauthorized} {
		if a := i.must(http.MethodGet, "/", "", bearer(token)); a.status != want {
			t.Errorf("after the reloads: %d, want %d", a.status, want)
		}
	}
	if a := i.post("/oauth2/token", byRefresh("phone", revoked.Refresh)); a.status != http.StatusBadRequest {
		t.Errorf("a revoked refresh token after the reloads: %d %s", a.status, a.body)
	}
}

func sum(of []*tally) (dropped, served int64) {
	for _, t := range of {
		dropped += t.dropped.Load()
		served += t.served.Load()
	}
	return dropped, served
}
