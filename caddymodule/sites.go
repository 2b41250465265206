package caddymodule

import (
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// sites are what the routes of a Caddy say of the whole: which hosts it answers,
// and which of our handlers no request gets to.
type sites struct {
	hosts []string // of its host matchers
	every bool     // some site answers every host
	// unreached are the places of our handlers behind one that answers everything.
	unreached []unreached
	// idle is what stands behind a gate that answers another proxy, by the gate's line.
	idle map[string]string
}

type unreached struct{ name, at, behind string }

// answersAt begins the name of a gate that answers another proxy, before its line.
const answersAt = "the gate with the word answer at "

// look goes through what Caddy has provisioned.
func look(app *caddyhttp.App) *sites {
	s := &sites{idle: map[string]string{}}
	for _, server := range app.Servers {
		for _, route := range server.Routes {
			if !redirects(route) {
				s.every = !s.host(route) || s.every
			}
		}
		s.walk(server.Routes, "")
	}
	return s
}

// redirects reports whether Caddy made a route to send people from http to https.
func redirects(route caddyhttp.Route) bool {
	return slices.ContainsFunc(route.MatcherSets, func(set caddyhttp.MatcherSet) bool {
		return slices.ContainsFunc(set, func(m any) bool { _, ok := m.(caddyhttp.MatchProtocol); return ok })
	})
}

// host takes a site's hosts down; false: it has none, or one that a request decides.
func (s *sites) host(route caddyhttp.Route) (named bool) {
	for _, set := range route.MatcherSets {
		for _, m := range set {
			hosts, ok := m.(*caddyhttp.MatchHost)
			if !ok {
				continue
			}
			named = true
			for _, h := range *hosts {
				s.hosts = append(s.hosts, strings.ToLower(h))
				s.every = s.every || hasPlaceholder(h)
			}
		}
	}
	return named
}

// walk goes through routes in their order, behind a handler that answers
// everything or "", and returns the one that does at their end.
func (s *sites) walk(routes caddyhttp.RouteList, behind string) string {
	ends := map[string]bool{} // whether each route so far of a group is an end
	for _, route := range routes {
		here := behind
		for _, handler := range route.Handlers {
			switch h := handler.(type) {
			case *Gate:
				another := strings.HasPrefix(here, answersAt) // which has let this one know
				if !another {
					s.reached("token_gate", h.At, here)
				}
				if h.Answer != "" && (here == "" || another) {
					here = answersAt + h.At
				}
			case *Issuer:
				s.reached("directive token_issuer", h.At, here)
			case *caddyhttp.Subroute:
				here = s.walk(h.Routes, here)
			case caddy.Module:
				if !answers(h) {
					continue
				}
				if at, ok := strings.CutPrefix(here, answersAt); ok && s.idle[at] == "" {
					s.idle[at] = h.CaddyModule().ID.Name()
				}
				here = orElse(here, h.CaddyModule().ID.Name())
			}
		}
		if group := route.Group; group != "" {
			before, seen := ends[group]
			if ends[group] = here != "" && (before || !seen); !ends[group] {
				continue // a request that came by another of them goes on
			}
		}
		if len(route.MatcherSets) == 0 {
			behind = here
		}
	}
	return behind
}

func (s *sites) reached(name, at, behind string) {
	if behind != "" {
		s.unreached = append(s.unreached, unreached{name, at, behind})
	}
}

// answers reports whether a handler hands no request on.
func answers(h caddy.Module) bool {
	switch h.CaddyModule().ID.Name() {
	case "static_response", "error", "metrics":
		return true
	case "reverse_proxy": // forward_auth is one that hands on what its backend says yes to
		return !says(h, `"handle_response":`)
	case "file_server":
		return !says(h, `"pass_thru":true`)
	}
	return false
}

// says reports whether a handler's configuration has a member.
func says(h caddy.Module, member string) bool {
	text, err := json.Marshal(h)
	return err != nil || strings.Contains(string(text), member)
}

// serves reports whether a site answers for a host.
func (s *sites) serves(host string) bool {
	_, domain, _ := strings.Cut(host, ".")
	return s.every || slices.Contains(s.hosts, host) || slices.Contains(s.hosts, "*."+domain)
}

// near is the hint for a host that is a slip away from one that is served: other
// hosts look alike, too.
func (s *sites) near(host string) string {
	return didYouMean(host, slices.DeleteFunc(slices.Clone(s.hosts), func(h string) bool { return editDistance(h, host) > 2 }))
}

// lookAround joins what stands on one site, refuses what cannot be joined and says what
// the sites leave undone. Caddy has provisioned every handler before it starts the first
// app, or before it gives up what it only validates.
func (a *App) lookAround() error {
	if a.looked {
		return nil
	}
	a.looked = true
	a.lookForMakers()
	err := a.joinAnswers()
	a.warnOfSites()
	return err
}

func (a *App) warnOfSites() {
	module, err := a.ctx.AppIfConfigured("http")
	switch {
	case errors.Is(err, caddy.ErrNotConfigured): // no site at all
		if a.issuing {
			a.warnOfNoSite()
		}
		return
	case err != nil:
		return // it has said itself what is wrong
	}
	s := look(module.(*caddyhttp.App))
	for _, u := range s.unreached {
		a.logger.Warn(u.name+": no request gets here: "+u.behind+" before it answers every one; put "+u.name+" first", zapAt(u.at))
	}
	for at, name := range s.idle {
		a.logger.Warn("token_gate: answer: this gate tells the proxy that asks and hands nothing on, so no request gets to "+name+" behind it; take `answer` out, or give the address at which the proxy asks a site or a `handle` of its own", zapAt(at))
	}
	a.warnOfNames()
	a.warnOfSharedCookies()
	a.warnOfCookies()
	a.warnOfProxies()
	a.warnOfRewrites()
	a.warnOfWays()
	a.warnOfGatesInFront()
	a.warnOfIssuersBeside()
	a.warnOfNamesakes()
	if !a.issuing {
		return
	}
	if !a.served {
		a.warnOfNoSite()
	} else if u, err := url.Parse(a.resolved.Issuer); err == nil && !s.serves(u.Hostname()) {
		a.logger.Warn("token_issuer: issuer: no site answers for "+u.Hostname()+s.near(u.Hostname())+
			": name a site so, or have the proxy in front send this Caddy the requests for it", zapAt(a.Lines.of("issuer", "", a.At)))
	}
	a.warnOfRedirects(s)
	a.warnOfCallbacks()
}

func (a *App) warnOfNoSite() {
	a.logger.Warn("no site serves the issuer; add the directive token_issuer to one", zap.String("issuer", a.resolved.Issuer), zapAt(a.At))
}

// warnedOf is how many addresses are told: of ten thousand applications elsewhere the
// log would hold nothing else.
const warnedOf = 20

// warnOfRedirects tells addresses of applications that are not here. They may be
// elsewhere, or a slip.
func (a *App) warnOfRedirects(s *sites) {
	elsewhere := 0
	defer func() {
		if elsewhere > warnedOf {
			a.logger.Warn("of "+strconv.Itoa(elsewhere-warnedOf)+" further redirect_uris no site of this Caddy answers for the host", zapAt(a.At))
		}
	}()
	for n, c := range a.resolved.Clients {
		for _, address := range c.RedirectURIs {
			u, err := url.Parse(address)
			if err != nil || u.Scheme != "https" || isLoopback(u.Hostname()) || s.serves(strings.ToLower(u.Hostname())) {
				continue
			}
			if elsewhere++; elsewhere > warnedOf {
				continue
			}
			a.logger.Warn("client "+c.ID+": redirect_uris "+address+": no site of this Caddy answers for "+u.Hostname()+s.near(u.Hostname())+
				" (right where the application runs elsewhere)", zapAt(a.Clients[n].Lines.of("redirect_uris", address, a.Clients[n].At)))
		}
	}
}
