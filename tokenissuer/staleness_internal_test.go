package tokenissuer

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A database that is away takes no node out before the operator's bound: nobody makes keys
// then, and who asks for health would have nobody left. A node that alone cannot read what
// the others made of the keys is no good when one that it lacks may sign. A key set is kept
// for a while: one that may lack a key which signs then is not to be had, or not to be kept.
func TestDatabaseThatIsAwayIsNotKeysThatCannotBeRead(t *testing.T) {
	state := openState(t, func(err error) { t.Error(err) })
	const kept, passed, none = "public, max-age=300", "no-store", ""
	const away = 2 * time.Second // the keys had changed just before, and were being read
	for name, c := range map[string]struct {
		rule    Staleness
		at      ages
		healthy bool
		knows   bool // an unknown key is nobody's
		set     string
	}{
		"nothing is the matter":                             {Staleness{}, ages{0, 0, 0}, true, true, kept},
		"the bound is an hour, away for four minutes":       {Staleness{Most: time.Hour}, ages{4 * time.Minute, 4 * time.Minute, 0}, true, true, kept},
		"the bound is an hour, away for ten minutes":        {Staleness{Most: time.Hour}, ages{10 * time.Minute, 10*time.Minute + away, away}, true, false, passed},
		"the bound is an hour, away for the hour":           {Staleness{Most: time.Hour}, ages{time.Hour, time.Hour, 0}, true, false, passed},
		"the bound is an hour, away for longer":             {Staleness{Most: time.Hour}, ages{61 * time.Minute, 61 * time.Minute, 0}, false, false, none},
		"the bound is thirty seconds, away for so long":     {Staleness{}, ages{30 * time.Second, 30 * time.Second, 0}, true, true, kept},
		"the bound is thirty seconds, away for a minute":    {Staleness{}, ages{time.Minute, time.Minute, 0}, false, true, kept},
		"the bound is thirty seconds, away for ten minutes": {Staleness{}, ages{10 * time.Minute, 10 * time.Minute, 0}, false, false, none},
		"serve, away for a minute":                          {Staleness{Serve: true}, ages{time.Minute, time.Minute, 0}, true, true, kept},
		"serve, away for ten hours":                         {Staleness{Serve: true}, ages{10 * time.Hour, 10 * time.Hour, 0}, true, true, passed},
		"keys unread for four minutes":                      {Staleness{}, ages{0, 4 * time.Minute, 4 * time.Minute}, true, true, kept},
		"keys unread for five minutes":                      {Staleness{}, ages{0, 5 * time.Minute, 5 * time.Minute}, false, false, none},
		"the bound is an hour, keys unread for ten minutes": {Staleness{Most: time.Hour}, ages{time.Second, 10 * time.Minute, 10 * time.Minute}, false, false, none},
		"keys unread, and then away":                        {Staleness{Most: time.Hour}, ages{10 * time.Minute, 11 * time.Minute, time.Minute}, false, false, none},
		"back after an hour, the keys are being read":       {Staleness{Most: time.Hour}, ages{time.Second, time.Hour, 20 * time.Second}, true, false, passed},
		"serve, keys unread for ten minutes":                {Staleness{Serve: true}, ages{0, 10 * time.Minute, 10 * time.Minute}, true, true, passed},
	} {
		t.Run(name, func(t *testing.T) {
			i, err := New(Config{Issuer: "https://auth.example.com", Staleness: c.rule}, state)
			if err != nil {
				t.Fatal(err)
			}
			asked := func(answer func(*request, ages) error) *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				r := &request{Request: httptest.NewRequest(http.MethodGet, "https://auth.example.com/", nil), w: w, now: state.now(), dialect: i.unnamed(oauth2)}
				if err := answer(r, c.at); err != nil {
					r.fail(err)
				}
				return w
			}
			if w := asked(i.healthAt); (w.Code == http.StatusOK) != c.healthy || !c.healthy && w.Code != http.StatusServiceUnavailable {
				t.Errorf("/health/gate: %d", w.Code)
			}
			if got := c.rule.knowsKeys(c.at.keys); got != c.knows {
				t.Errorf("all keys are known: %v", got)
			}
			w := asked(i.keySet)
			status, keep := http.StatusOK, c.set
			if c.set == none {
				status, keep = http.StatusServiceUnavailable, "no-store"
			}
			if got := w.Header().Get("Cache-Control"); w.Code != status || got != keep {
				t.Errorf("the key set: %d, %s", w.Code, got)
			}
			if keys := strings.Contains(w.Body.String(), state.ring().List()[0].ID); keys != (status == http.StatusOK) {
				t.Errorf("the key set: %s", w.Body)
			}
			if later := w.Header().Get("Retry-After") != ""; later != (status == http.StatusServiceUnavailable) {
				t.Errorf("the key set: Retry-After %v", later)
			}
		})
	}
}
