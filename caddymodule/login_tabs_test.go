package caddymodule

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

const flowPrefix = "__Host-gatehouse-flow"

// flows are the cookies of the sign-ins that were begun.
func (p *visitor) flows(host string) map[string]string {
	found := p.cookies(host)
	for name := range found {
		if !strings.HasPrefix(name, flowPrefix) {
			delete(found, name)
		}
	}
	return found
}

func (p *visitor) forgetFlows(host string) {
	for name := range p.flows(host) {
		p.set(host, name, "")
	}
}

// A browser that restores its tabs asks for all of them before it has an answer: each
// tab's sign-in is good, and the cookies that they needed go.
func TestTabsThatBeginTogetherDoNotSpoilEachOther(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://wiki.example.com/", "alice") // the portal knows her
	var backs []string
	begun := map[string]string{}
	for range 10 {
		p.forgetFlows("app.example.com") // no answer is here yet
		back := p.visit("https://app.example.com/tab").header.Get("Location")
		for !strings.Contains(back, "/.gatehouse/callback") {
			back = against(t, back, p.visit(back).header.Get("Location"))
		}
		backs = append(backs, back)
		for name, value := range p.flows("app.example.com") {
			begun[name] = value
		}
	}
	if len(begun) != 10 {
		t.Fatalf("ten tabs began by %d cookies", len(begun))
	}
	for n, back := range backs {
		one := w.visitor() // another tab of that browser, at the same moment
		for name, value := range begun {
			one.set("app.example.com", name, value)
		}
		if a := one.visit(back); a.status != http.StatusSeeOther || a.header.Get("Location") != "/tab" {
			t.Errorf("tab %d: %v", n, a)
		}
		if a := one.visit("https://app.example.com/tab"); a.status != http.StatusOK {
			t.Errorf("tab %d, signed in: %v", n, a)
		}
		if left := one.flows("app.example.com"); len(left) != 1 {
			t.Errorf("tab %d: %d cookies are left", n, len(left))
		}
		// What comes back later finds that she is signed in.
		if a := one.visit(backs[(n+1)%len(backs)]); a.status != http.StatusSeeOther || a.header.Get("Location") != "/tab" {
			t.Errorf("after tab %d: %v", n, a)
		}
		// Who begins again is known by the cookie that stays.
		if a := one.visit("https://app.example.com/.gatehouse/login"); a.header["Set-Cookie"] != nil {
			t.Errorf("tab %d begins again with another cookie: %v", n, a)
		}
	}
}

// As many as somebody may have made a browser open: what is beyond the bound is
// passed over, and the answer takes away what it has seen.
func TestManySignInsThatBeganAreBounded(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	back := p.toCallback("https://app.example.com/", "alice")
	for _, first := range "abcdefghij" {
		for _, second := range "abcdefghij" {
			p.set("app.example.com", flowPrefix+"-"+string(first)+string(second), strings.Repeat(string(first), 21)+"A.0.0")
		}
	}
	if a := p.visit(back); a.status != http.StatusSeeOther {
		t.Fatalf("came back: %v", a)
	}
	if left := p.flows("app.example.com"); len(left) != 38 {
		t.Errorf("%d of 101 are left", len(left))
	}
}

func TestTenTabsAtOnce(t *testing.T) {
	w := loginWorld(t)
	p := w.visitor()
	p.signIn("https://wiki.example.com/", "alice")
	var tabs sync.WaitGroup
	for range 10 {
		tabs.Go(func() {
			if a, way := p.follow("https://app.example.com/tab"); a.status != http.StatusOK {
				t.Errorf("by %s: %v", strings.Join(way, "\n"), a)
			}
		})
	}
	tabs.Wait()
	if a := p.visit("https://app.example.com/"); a.status != http.StatusOK {
		t.Errorf("afterwards: %v", a)
	}
}
