package portal

import "net/http"

// logoutPage asks whether to sign out: a link from elsewhere must not do it.
func (v *visit) logoutPage() error {
	if !v.signedIn {
		return v.show(http.StatusOK, "bye", view{})
	}
	who, err := v.p.o.Store.Account(v.r.Context(), v.session.Account)
	if err != nil {
		return err
	}
	return v.show(http.StatusOK, "logout", view{Data: nameOf(who)})
}

func (v *visit) logout() error {
	if _, _, err := v.p.SignOut(v.w, v.r, v.now); err != nil {
		return err
	}
	return v.see(v.href("/portal/logout"))
}
