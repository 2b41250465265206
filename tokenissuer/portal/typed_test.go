package portal

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

func TestWhatIsTypedIsReadAsPeopleWriteIt(t *testing.T) {
	const number = "13912345678"
	sent := httptest.NewRequestWithContext(t.Context(), http.MethodPost, loginPath, nil)
	for typed, want := range map[string]string{
		"139 1234 5678": number, "139-1234-5678": number, "(139) 1234.5678": number, "１３９１２３４５６７８": number, "139–1234–5678": number,
		"\u202d139 1234 5678\u202c": number, "(+86)139-1234-5678": "+86" + number, "＋86（139）１２３４－５６７８": "+86" + number, "+852 2345-6789": "+85223456789",
		" ann@example.com ": "ann@example.com", "ａｎｎ＠example.com": "ann@example.com", "a-nn.x@example.com": "a-nn.x@example.com",
		"ann": "ann", "2024-01-15": "2024-01-15", "a-1": "a-1", "12 34": "1234", "": "", "--": "--",
	} {
		form, err := oauth.ParseQuery(url.Values{"username": {typed}}.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if got := (&visit{r: sent, form: form}).typedName("username"); got != want {
			t.Errorf("%q is read as %q, want %q", typed, got, want)
		}
	}
	for _, typed := range []string{"123456", "123 456", "123-456", "１２３４５６", " 12.34.56 ", "１２３－４５６"} {
		if got := digits(typed); got != "123456" {
			t.Errorf("%q is the code %q", typed, got)
		}
	}
}

func TestEveryPageTakesNumbersAndCodesAsTheyAreWritten(t *testing.T) {
	w, sender := reachable(t)
	p := w.home("ann", right).goes("/portal/account/phone")
	p.submits("/portal/account/phone", "phone_number", "(+86) 138-0013-8000").sees("/portal/account/phone/code", 200)
	p.submits("/portal/account/phone/code", "code", "１").sees("/portal/account", 200, "+8613800138000")
	q := w.person().goes("/authorize")
	q.goes("/portal/reset?p_state="+q.stateOf()).submits("/portal/reset", "username", "＋86 138-0013-8000").sees("/portal/reset/password", 200)
	if len(sender.sent) != 2 || sender.sent[1].To != "+8613800138000" || sender.sent[1].Kind != store.ByPhone {
		t.Errorf("sent %+v", sender.sent)
	}
}
