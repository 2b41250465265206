package portal

import (
	"testing"
)

func TestPersonSignsInConsentsAndReturnsToTheApp(t *testing.T) {
	w := newWorld(t, nil)
	p := w.person().goes("/authorize")
	p.sees("/portal/login", 200, "Sign in", "to go on to The Shop", "Username or e-mail address")
	p.submits("/portal/login", "username", "ann", "password", right)
	p.sees("/portal/consent", 200, "The Shop asks for access to your account, ann", "See your orders", "Know who you are", "app.example")
	p.allows().arrives("code", w.ann.ID)

	p.goes("/authorize").arrives("code", w.ann.ID) // both are remembered
}
