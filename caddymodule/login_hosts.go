package caddymodule

// warnOfSharedCookies tells of logins to two clients on one host: a browser keeps one
// cookie for the host, so who signs in by the one is signed out of the other.
func (a *App) warnOfSharedCookies() {
	first := map[string]signIn{}
	for _, g := range a.gates {
		if g.signIn.client == "" {
			continue
		}
		for _, site := range g.spot.sites(g) {
			before, known := first[site.address]
			if !known {
				first[site.address] = g.signIn
				continue
			}
			if before.client != g.signIn.client || before.foreign != g.signIn.foreign {
				a.logger.Warn("token_gate: login: another gate of "+site.address+" signs people in to client "+before.client+
					", and this one to "+g.signIn.client+": the cookie is the host's, so each takes the other's away; use one client for both, or a host for each", zapAt(g.Login.At))
				break
			}
		}
	}
}
