package caddymodule

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/intercept"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// answeredFor refuses a gate that answers where its no would get to somebody who makes
// another answer of it, and tells of one where it might.
func answeredFor(server *caddyhttp.Server) (err error) {
	for _, surely := range []bool{true, false} {
		told := map[*Gate]bool{}
		for _, says := range []func(int) bool{isGatesNo, isNo} {
			ofAny := says(http.StatusNotFound)
			f := inFront{server: server, surely: surely, of: intercepting(server, says), meets: func(g *Gate, by string) {
				if g.Answer == "" || g.saysAnyNo() != ofAny || told[g] {
					return
				}
				told[g] = true
				if surely {
					err = placed("token_gate: answer: "+by+" stands in front of this gate and answers for it when it says no; leave it out here: only who asks may say what callers see", g.At)
				} else {
					g.logger.Warn("token_gate: answer: "+by+" may stand in front of this gate, and would answer for it then when it says no; "+
						"give the gate a `handle` of its own that requests to that one do not get to", zapAt(g.At))
				}
			}}
			f.walk()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// saysAnyNo reports whether the gate may say no with any status: one that hands on does, for
// others say it behind it, and one whose matchers fail, which may name a status.
func (g *Gate) saysAnyNo() bool { return g.more || mayFail(g.matchers) }

// mayFail reports whether a matcher may be unable to say anything, as one of the client's
// address before the handshake of HTTP/3 is done, or of a body that is too long.
func mayFail(sets caddyhttp.MatcherSets) bool {
	return slices.ContainsFunc(sets, func(set caddyhttp.MatcherSet) bool {
		return slices.ContainsFunc(set, func(matcher any) bool {
			switch m := matcher.(type) {
			case *caddyhttp.MatchPath, *caddyhttp.MatchPathRE, *caddyhttp.MatchHost, *caddyhttp.MatchMethod, *caddyhttp.MatchQuery,
				*caddyhttp.MatchHeader, *caddyhttp.MatchHeaderRE:
				return false
			case *caddyhttp.MatchNot:
				return mayFail(m.MatcherSets)
			}
			return true
		})
	})
}

// intercepting names what answers in place of a gate that says no so.
func intercepting(server *caddyhttp.Server, says func(status int) bool) func(caddyhttp.MiddlewareHandler) string {
	return func(handler caddyhttp.MiddlewareHandler) string {
		h, ok := handler.(*intercept.Intercept)
		if ok && slices.ContainsFunc(h.HandleResponse, func(page caddyhttp.ResponseHandler) bool {
			yes := chain{server: server} // which nobody may act upon
			yes.walk(page.Routes, 0)
			return catches(page, says) || yes.backend != "" && catches(page, func(status int) bool { return status == http.StatusOK })
		}) {
			return "`intercept`"
		}
		return ""
	}
}

func isNo(status int) bool { return status >= http.StatusMultipleChoices }

func isGatesNo(status int) bool {
	return slices.Contains([]int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusInternalServerError, http.StatusServiceUnavailable,
	}, status)
}

// catches reports whether a page is for an answer with such a status.
func catches(page caddyhttp.ResponseHandler, says func(status int) bool) bool {
	if page.Match == nil || page.Match.StatusCode == nil {
		return true
	}
	for status := http.StatusOK; status < 600; status++ {
		if says(status) && slices.ContainsFunc(page.Match.StatusCode, func(code int) bool { return caddyhttp.StatusCodeMatches(status, code) }) {
			return true
		}
	}
	return false
}

// answersForNo reports whether one of the pages of a proxy makes a yes of a no.
func answersForNo(pages []caddyhttp.ResponseHandler) bool {
	return slices.ContainsFunc(pages, func(page caddyhttp.ResponseHandler) bool {
		status := page.StatusCode.String()
		return catches(page, isNo) && (status != "" && mayBeYes(status) || sayYes(page.Routes, true))
	})
}

// answersForErrors names whoever makes a yes of an error, "" where nobody does. What has no
// status of its own has the error's there.
func answersForErrors(routes caddyhttp.RouteList) string {
	if sayYes(routes, false) {
		return "what answers for errors"
	}
	return ""
}

// sayYes reports whether something in routes may write a yes, as it does, or does not, without
// a status of its own.
func sayYes(routes caddyhttp.RouteList, unsaid bool) bool {
	says := func(code caddyhttp.WeakString) bool {
		return code == "" && unsaid || code != "" && mayBeYes(code.String())
	}
	return slices.ContainsFunc(routes, func(route caddyhttp.Route) bool {
		return slices.ContainsFunc(route.Handlers, func(handler caddyhttp.MiddlewareHandler) bool {
			switch h := handler.(type) {
			case *caddyhttp.Subroute:
				return sayYes(h.Routes, unsaid) || h.Errors != nil && sayYes(h.Errors.Routes, false)
			case *caddyhttp.StaticResponse:
				return !h.Abort && says(h.StatusCode)
			case *fileserver.FileServer:
				return says(h.StatusCode)
			case *reverseproxy.CopyResponseHandler:
				return h.StatusCode != "" && mayBeYes(h.StatusCode.String())
			case *caddyhttp.Invoke:
				return true
			}
			return false
		})
	})
}

// mayBeYes is of a status as it is written.
func mayBeYes(code string) bool {
	if code == "{http.reverse_proxy.status_code}" || code == "{http.error.status_code}" { // the no itself
		return false
	}
	status, err := strconv.Atoi(code)
	return err != nil || status >= http.StatusOK && !isNo(status)
}
