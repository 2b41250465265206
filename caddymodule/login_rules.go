package caddymodule

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/gatehouse-auth/gatehouse/caddymodule/gate/login"
	"github.com/gatehouse-auth/gatehouse/tokenissuer"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

// checkLogin says what is wrong with where tokens are looked for, and finds the
// client that people sign in to.
func (g *Gate) checkLogin(own *offer, wrong func(word, value, format string, a ...any) error) error {
	for n, word := range g.TokenFrom {
		switch {
		case hasPlaceholder(word):
		case word != "header" && word != "cookie":
			return wrong("token_from", word, "expected header or cookie")
		case slices.Contains(g.TokenFrom[:n], word):
			return wrong("token_from", word, "stands twice")
		}
	}
	if g.Answer != "" && g.tokenFrom() != fromHeader {
		return wrong("answer", g.Answer, "the proxy that asks would keep the cookie of the sign-in; let this server hand the requests on where people sign in")
	}
	if g.Login == nil {
		return nil
	}
	if len(g.TokenFrom) > 0 && !slices.Contains(g.TokenFrom, "cookie") && !slices.ContainsFunc(g.TokenFrom, hasPlaceholder) {
		return wrong("token_from", "header", "login keeps the token in a cookie; write `token_from header cookie`, which is the default with login")
	}
	if g.Login.Issuer != "" || own == nil {
		return g.checkForeignLogin(own)
	}
	if err := g.Login.idle(); err != nil {
		return err
	}
	for _, option := range []string{"client", "grants", "redirect_uris", "scopes", "dialect"} {
		if own.unknown[option] {
			return nil // judged when the configuration is loaded
		}
	}
	if hasPlaceholder(g.Login.ClientID) || slices.ContainsFunc(g.Audience, hasPlaceholder) {
		return nil
	}
	c, mend := g.loginClient(own)
	if mend != "" {
		return placed("token_gate: login: "+mend, g.Login.line("client_id", ""))
	}
	if err := g.checkLoginClient(c); err != nil {
		return err
	}
	return g.checkLoginClaims(own, c)
}

// checkLoginClaims looks whether the tokens of who signs in say what the gate's lines
// ask for. What an expression asks for may also be absent: it is only warned of.
func (g *Gate) checkLoginClaims(own *offer, c tokenissuer.Client) error {
	if own.unknown["claims"] || own.unknown["access_token"] || own.unknown["operator_attribute"] {
		return nil
	}
	says := append(own.claimsOf(c), standing...)
	wrong := func(at, text string) error {
		return placed("token_gate: login: the access tokens of client "+c.ID+" "+text, at)
	}
	for _, rule := range g.Claim {
		if !hasPlaceholder(rule.Name) && !slices.Contains(says, rule.Name) {
			return wrong(rule.At, "do not say "+rule.Name+", so nobody who signs in would pass; add it to the client's claims")
		}
	}
	if g.MaxAge != "" && !slices.Contains(says, "auth_time") {
		return wrong(g.Lines.of("max_age", "", g.At), "do not say when a person signed in, which max_age asks for; write `access_token at+jwt` in the client")
	}
	g.signIn.missing = slices.DeleteFunc(g.claimsOfExpression(), func(name string) bool { return slices.Contains(says, name) })
	return nil
}

// loginClient finds the client that people sign in to, or says how to name it.
func (g *Gate) loginClient(own *offer) (c tokenissuer.Client, mend string) {
	var able, ready []tokenissuer.Client
	var ids []string
	for _, c := range own.config.Clients {
		ids = append(ids, c.ID)
		if !c.HasGrant(oauth.GrantAuthorizationCode) || g.Login.ClientID == "" && len(g.Audience) > 0 && !slices.Contains(g.Audience, c.ID) {
			if c.ID == g.Login.ClientID {
				return c, "client " + c.ID + " has no people who sign in; add `grants authorization_code` to it"
			}
			continue
		}
		if c.ID == g.Login.ClientID {
			return c, ""
		}
		able = append(able, c)
		if slices.ContainsFunc(c.RedirectURIs, isCallback) {
			ready = append(ready, c)
		}
	}
	switch {
	case g.Login.ClientID != "":
		return c, "client_id " + g.Login.ClientID + ": no client has this id" + didYouMean(g.Login.ClientID, ids)
	case len(able) == 1:
		return able[0], ""
	case len(ready) == 1:
		return ready[0], ""
	case len(able) == 0 && len(g.Audience) > 0:
		return c, "none of audience " + list(g.Audience) + " is a client with `grants authorization_code`"
	case len(able) == 0:
		return c, "no client has `grants authorization_code`"
	}
	ids = nil
	for _, c := range able {
		ids = append(ids, c.ID)
	}
	return c, "several clients could be meant; name one as `client_id` in the block of login: expected " + list(ids)
}

// checkLoginClient looks whether signing in to a client can open the gate.
func (g *Gate) checkLoginClient(c tokenissuer.Client) error {
	wrong := func(at, text string) error { return placed("token_gate: login: "+text, at) }
	if !slices.ContainsFunc(c.RedirectURIs, isCallback) {
		return wrong(g.Login.line("client_id", ""), "client "+c.ID+" would not send people back; add `redirect_uris https://YOUR-SITE"+login.CallbackPath+"` to it, one for each site")
	}
	if len(g.Audience) > 0 && !slices.Contains(g.Audience, c.ID) {
		return wrong(g.Lines.of("audience", g.Audience[0], g.At), "the tokens of client "+c.ID+" are for "+c.ID+"; add it to audience")
	}
	can, _ := c.GivableTo()
	g.signIn.client = c.ID
	if slices.Contains(can, "openid") {
		g.signIn.scopes = []string{"openid"}
	}
	for n, s := range slices.Concat(g.Scope, g.Login.Scope) {
		switch {
		case hasPlaceholder(s) || slices.Contains(g.signIn.scopes, s):
		case !slices.Contains(can, s):
			at := g.Lines.of("scope", s, g.At)
			if n >= len(g.Scope) {
				at = g.Login.line("scope", s)
			}
			return wrong(at, "who signs in to client "+c.ID+" cannot get scope "+s+"; add it to the client's scopes"+didYouMean(s, can))
		default:
			g.signIn.scopes = append(g.signIn.scopes, s)
		}
	}
	return nil
}

// warnOfLogin says what a sign-in will lack.
func (g *Gate) warnOfLogin() {
	if g.signIn.client == "" || g.signIn.foreign != "" {
		return
	}
	if len(g.signIn.missing) > 0 {
		g.logger.Warn("token_gate: login: the expression asks for what the access tokens of client "+g.signIn.client+" do not say: "+list(g.signIn.missing)+"; add it to the client's claims, unless the expression holds without", zapAt(g.Lines.of("expression", "", g.At)))
	}
	for _, c := range g.app.resolved.Clients {
		if c.ID == g.signIn.client && c.Disabled {
			g.logger.Warn("token_gate: login: client "+c.ID+" is disabled: nobody can sign in to it", zapAt(g.Login.line("client_id", "")))
		}
		if c.ID == g.signIn.client && !c.HasGrant(oauth.GrantRefreshToken) {
			g.logger.Warn("token_gate: login: client "+c.ID+" has no grant refresh_token: people are sent to sign in anew whenever an access token ends, and a form that is posted then is lost",
				zapAt(g.Login.line("client_id", "")))
		}
	}
}

func isCallback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https" && u.Path == login.CallbackPath
}

// warnOfCallbacks tells the sites that people are not sent back to after they have
// signed in. Which port they see is not looked at: a proxy in front may have another.
func (a *App) warnOfCallbacks() {
	known := map[string]map[string]bool{}
	for _, g := range a.gates {
		if g.signIn.client == "" || g.signIn.foreign != "" {
			continue
		}
		n := slices.IndexFunc(a.resolved.Clients, func(c tokenissuer.Client) bool { return c.ID == g.signIn.client })
		if n < 0 {
			continue // it is not in the configuration
		}
		back := known[g.signIn.client]
		if back == nil { // many sites have one client
			back = callbackHosts(a.resolved.Clients[n])
			known[g.signIn.client] = back
		}
		for _, site := range g.spot.sites(g) {
			if u, err := url.Parse(site.address); err == nil && !back[u.Hostname()] {
				a.logger.Warn("token_gate: login: client "+g.signIn.client+" sends nobody back to "+u.Hostname()+"; add `redirect_uris https://"+u.Host+login.CallbackPath+"` to it, or nobody can sign in there", zapAt(g.Login.line("client_id", "")))
			}
		}
		for _, host := range g.spot.hosts(g) {
			fits := func(name string) bool { return isHostOf(name, host) }
			if strings.Contains(host, "*") && !slices.ContainsFunc(slices.Collect(maps.Keys(back)), fits) {
				a.logger.Warn("token_gate: login: client "+g.signIn.client+" sends nobody back to a host of "+host+"; add `redirect_uris https://HOST"+login.CallbackPath+"` to it for each, or nobody can sign in there", zapAt(g.Login.At))
			}
		}
	}
}

// callbackHosts are the sites that a client sends people back to.
func callbackHosts(c tokenissuer.Client) map[string]bool {
	hosts := map[string]bool{}
	for _, address := range c.RedirectURIs {
		if u, err := url.Parse(address); err == nil && isCallback(address) {
			hosts[strings.ToLower(u.Hostname())] = true
		}
	}
	return hosts
}

// warnOfCookies tells of gates that look for a cookie that nobody sets: it is of one
// host.
func (a *App) warnOfCookies() {
	var set []string
	for _, g := range a.gates {
		if g.signIn.client == "" {
			continue
		}
		hosts := g.spot.hosts(g)
		if len(hosts) == 0 {
			hosts = []string{""} // in a named route, which may be invoked anywhere
		}
		set = append(set, hosts...)
	}
	for _, g := range a.gates {
		comes := func(host string) bool {
			return slices.ContainsFunc(set, func(of string) bool {
				return host == "" || of == "" || isHostOf(host, of) || isHostOf(of, host)
			})
		}
		if g.from == fromHeader || g.signIn.client != "" {
			continue
		}
		// What reads in a named route may be invoked anywhere, too.
		if hosts := g.spot.hosts(g); len(hosts) > 0 && !slices.ContainsFunc(hosts, comes) {
			a.logger.Warn("token_gate: token_from cookie is without effect: no gate of this host has `login`, which sets the cookie", zapAt(g.Lines.of("token_from", "cookie", g.At)))
		}
	}
}
