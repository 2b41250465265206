package main

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// signIn races with one code and what comes of it.
func (p *person) signIn() {
	code := p.code()
	if code == "" {
		time.Sleep(10 * time.Millisecond) // a client's own pause
		return
	}
	h, known := p.history("sign-in", signIns(p.window)), &knownChain{}
	crowd, turns, inARow := 3, 12, 1
	if rand.IntN(4) == 0 {
		turns, inARow = 4, 3 // nobody waits for the others
	}
	first := 1
	if rand.IntN(4) == 0 {
		first = crowd
	}
	p.together(first, func(client int) { p.turn(h, client, code, known, known.choose()) })
	for ; turns > 0; turns-- {
		if h.refused() > crowd {
			turns = min(turns, 1) // it has ended, and what is still granted would be wrong
		}
		p.together(crowd, func(client int) {
			for range inARow {
				p.turn(h, client, code, known, known.choose())
			}
		})
	}
	latest := known.last()
	if latest < 1 || rand.IntN(3) > 0 {
		p.turn(h, 0, code, known, known.newest())
		p.judge(h)
		return
	}
	// What comes when the window is over, and when all know what has ended, must not
	// hold the others up.
	p.late.Go(func() {
		<-time.After(max(p.window.open+2*p.window.slack, p.window.late))
		p.turn(h, 0, code, known, question{verb: refresh, token: latest - 1})
		p.turn(h, 0, code, known, question{verb: refresh, token: latest})
		for n := known.uses() - 1; n >= max(0, known.uses()-lastUses); n-- {
			p.turn(h, 0, code, known, question{verb: use, token: n})
		}
		p.judge(h)
	})
}

// newest goes on with the sign-in as its owner does.
func (c *knownChain) newest() question {
	if last := c.last(); last >= 0 {
		return question{verb: refresh, token: last}
	}
	return question{verb: redeem}
}

// choose is what a client does next: most go on, or ask again for what they have
// had; a few have what they should not.
func (c *knownChain) choose() question {
	last := c.last()
	n := rand.IntN(200)
	switch {
	case last < 0 && n < 40 || n < 1:
		return question{verb: misredeem}
	case last < 0 || n < 2:
		return question{verb: redeem}
	case n < 5:
		return question{verb: revoke, token: rand.IntN(last + 1)}
	case n < 7:
		return question{verb: refresh, token: rand.IntN(last + 1)}
	case n < 26:
		return question{verb: use, token: rand.IntN(c.uses())}
	case n < 36 && last > 0:
		return question{verb: refresh, token: last - 1}
	}
	return question{verb: refresh, token: last}
}

func (c *contest) turn(h *history, client int, code string, known *knownChain, q question) {
	token := func(before int) func(answer) (int, bool) {
		return func(a answer) (int, bool) {
			got, err := a.tokens()
			if err != nil {
				c.Error(err)
			}
			return known.number(before, got)
		}
	}
	switch q.verb {
	case redeem, misredeem:
		shown := verifier
		if q.verb == misredeem {
			shown = strings.ToUpper(verifier)
		}
		c.ask(h, client, q, posted("/oauth2/token", byShop("grant_type", "authorization_code", "redirect_uri", callback,
			"code", code, "code_verifier", shown)), token(-1))
	case refresh:
		c.ask(h, client, q, posted("/oauth2/token", byShop("grant_type", "refresh_token", "refresh_token", known.token(q.token))), token(q.token))
	case revoke:
		c.ask(h, client, q, posted("/oauth2/revoke", byShop("token", known.token(q.token))), nil)
	case use:
		c.ask(h, client, q, func(i *instance) (answer, error) {
			a, err := i.ask(http.MethodGet, []string{"/", "/userinfo"}[rand.IntN(2)], "", bearer(known.used(q.token)))
			a.body = ""
			return a, err
		}, nil)
	}
}

// lastUses is how many access tokens are looked at again in the end, the newest: one
// that was minted beside the end of its sign-in is the one to be missed.
const lastUses = 8

// knownChain is the tokens of one sign-in as all its clients know them.
type knownChain struct {
	mu     sync.Mutex
	tokens []string // refresh tokens
	access []string
	odd    int
}

// number says how manieth a refresh token is that was granted for the one before it. A
// second one in the same place is no number that a model knows.
func (c *knownChain) number(before int, got tokens) (number int, again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.access = append(c.access, got.Access)
	switch place := before + 1; {
	case place == len(c.tokens):
		c.tokens = append(c.tokens, got.Refresh)
		return place, false
	case place < len(c.tokens) && c.tokens[place] == got.Refresh:
		return place, true
	}
	c.odd++
	return -c.odd, false
}

func (c *knownChain) last() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.tokens) - 1
}

func (c *knownChain) token(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tokens[n]
}

func (c *knownChain) uses() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.access)
}

func (c *knownChain) used(n int) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.access[n]
}
