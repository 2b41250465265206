package portal

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/account"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// fact is something of the account that its form does not change.
type fact struct {
	Label, Value string
	Unproved     bool
	Links        []link // of the pages that change it
}

// link is one whose text is too short to say by itself where it leads.
type link struct{ Href, Text, Title string }

// facts are the identifiers, with a way to change those that a code can prove,
// and the attributes that the operator declares.
func (v *visit) facts(who store.Account) (facts []fact) {
	if who.Username != "" {
		facts = append(facts, fact{Label: v.words.T("profile.username"), Value: who.Username})
	}
	for _, kind := range []store.IdentifierKind{store.ByEmail, store.ByPhone} {
		c := v.contactOf(who, kind)
		f := fact{Label: v.words.T("profile." + string(kind)), Value: c.now}
		if slices.Contains(v.p.addressable(), kind) {
			if f.Unproved = c.now != "" && !c.verified; f.Unproved {
				f.Links = append(f.Links, link{v.href(c.path, "confirm", "1"), v.words.T("contact.confirm"), v.words.T("contact.confirm." + string(kind))})
			}
			text := v.words.T("contact.change")
			if c.now == "" {
				text = v.words.T("contact.add")
			}
			f.Links = append(f.Links, link{v.href(c.path), text, v.contactTitle(c, "")})
		}
		if f.Value != "" || len(f.Links) > 0 {
			facts = append(facts, f)
		}
	}
	if v.p.o.Attributes != nil {
		for _, a := range v.p.o.Attributes(&who) {
			facts = append(facts, fact{Label: a[0], Value: a[1]})
		}
	}
	return facts
}

func (v *visit) profilePage() error {
	who, ok, err := v.member()
	if !ok {
		return err
	}
	typed := who
	if v.wrong != nil {
		typed = v.edited(who)
	}
	return v.showProfile(http.StatusOK, who, typed, v.wrong)
}

// texts are what a person writes about themselves, in the order of the form.
func texts(who *store.Account) []struct {
	name, autocomplete string
	value              *string
} {
	return []struct {
		name, autocomplete string
		value              *string
	}{{"name", "name", &who.Name}, {"nickname", "nickname", &who.Nickname}, {"zoneinfo", "off", &who.ZoneInfo}, {"locale", "language", &who.Locale}}
}

// shownBefore begins the name of a hidden field with what the form has shown.
const shownBefore = "was_"

// showProfile shows the form over the account as it is stored, with what was typed.
func (v *visit) showProfile(status int, who, typed store.Account, wrong *problem) error {
	var fields []field
	shown := map[string]string{}
	is := texts(&who)
	for i, text := range texts(&typed) {
		shown[shownBefore+text.name] = *is[i].value
		fields = append(fields, field{
			Name: text.name, Value: *text.value, Autocomplete: text.autocomplete, Type: "text", Optional: true,
			Label: v.words.T("profile." + text.name), Hint: v.words.first("profile." + text.name + ".hint"), Prose: text.autocomplete != "off" && text.autocomplete != "language",
		})
	}
	if wrong != nil {
		mark(fields, wrong, "")
	}
	return v.show(status, "profile", view{Menu: true, Done: v.told("profile"), Problem: wrong, Data: struct {
		Facts  []fact
		Fields []field
		Shown  map[string]string
	}{v.facts(who), fields, shown}})
}

// profile writes what the person changed, and that alone: what has changed
// meanwhile in another tab or by an app, and stands in this form as it was, stays.
func (v *visit) profile() error {
	for try := 0; ; try++ {
		who, ok, err := v.member()
		if !ok {
			return err
		}
		next := v.edited(who)
		if wrong := v.unfitProfile(who, next); wrong != nil {
			return v.showProfile(http.StatusBadRequest, who, next, wrong)
		}
		if was, is := texts(&who), texts(&next); !slices.ContainsFunc([]int{0, 1, 2, 3}, func(i int) bool { return *was[i].value != *is[i].value }) {
			return v.done() // pressed twice
		}
		err = v.update(who, next)
		switch e := oauth.AsError(err); {
		case err == nil:
			return v.done()
		case errors.Is(err, store.ErrConflict) && try < mostEnds:
			continue // the same form again, or an app: what is there now is judged
		case e.Reason == oauth.TooManyRequests && e.Retry > 0:
			v.refused(http.StatusTooManyRequests, e)
			v.w.Header().Set("Retry-After", strconv.Itoa(int((e.Retry+time.Second-1)/time.Second)))
			return v.showProfile(http.StatusTooManyRequests, who, next, &problem{"", v.words.T("code.wait_for", v.span(e.Retry))})
		}
		return err
	}
}

// edited is the account with what the person changed in the form.
func (v *visit) edited(who store.Account) store.Account {
	for _, text := range texts(&who) {
		if typed := strings.TrimSpace(v.typed(text.name)); typed != v.typed(shownBefore+text.name) {
			*text.value = typed
		}
	}
	return who
}

// unfitProfile says what is wrong with the texts of an account, or nil.
func (v *visit) unfitProfile(was, next store.Account) *problem {
	err := account.CheckProfile(next)
	if err == nil {
		err = account.CheckPlace(next)
	}
	if e, wrong := errors.AsType[*account.InputError](err); wrong {
		return &problem{e.Field, v.words.first("profile."+e.Field+".bad", "profile.bad")}
	}
	// A zone that this machine does not know would be taken for UTC without a word.
	if next.ZoneInfo != was.ZoneInfo && next.ZoneInfo != "" && (next.ZoneInfo == "Local" || !knownZone(next.ZoneInfo)) {
		return &problem{"zoneinfo", v.words.T("profile.zoneinfo.bad")}
	}
	return nil
}

func knownZone(name string) bool {
	_, err := time.LoadLocation(name)
	return err == nil
}

// update writes what a person changed of the account. Conflict: it was changed
// meanwhile.
func (v *visit) update(was, next store.Account, proofs ...store.Write) error {
	ctx, accounts := v.r.Context(), v.p.o.Accounts
	writes := accounts.Update(v.now, "", was, next, proofs...)
	err := v.p.o.Store.Apply(ctx, v.now, writes...)
	if errors.Is(err, store.ErrConflict) {
		if refused := accounts.UpdatesUsedUp(ctx, v.now, "", was.ID, writes); refused != nil {
			return refused
		}
	}
	return err
}
