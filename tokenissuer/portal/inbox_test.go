package portal

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/message"
)

func TestInboxShowsMessagesInTheLanguageOfItsReader(t *testing.T) {
	w := newWorld(t, nil)
	var kept []message.Message
	w.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if err := w.p.Inbox(rw, r, noon, kept); err != nil {
			t.Error(err)
		}
	})
	p := w.person()
	p.once("GET", "/portal/dev/inbox", nil)
	p.sees("/portal/dev/inbox", 200, "Development inbox", "Nothing yet")
	kept = []message.Message{
		{To: "new@example.com", Usage: "signup", Locale: "zh", Text: "验证码：\n\n222222", Time: noon.Add(time.Second)},
		{To: attack, Usage: "login", ClientID: "shop", Locale: "en", Text: "Your code: 111111", Time: noon},
	}
	for n := range p.page.Descendants() {
		if attr(n, "hreflang") == "zh-Hans" {
			p.once("GET", attr(n, "href"), nil)
			break
		}
	}
	clock := noon.In(time.Local).Format("15:04:05")
	p.sees("/portal/dev/inbox", 200, "开发收件箱", "注册账号", clock+" · 登录 · shop", "Your code: 111111")
	if a, b := strings.Index(p.body, "222222"), strings.Index(p.body, "111111"); a < 0 || a > b || strings.Contains(p.body, "<script") {
		t.Errorf("not the newest first, or markup:\n%s", p.body)
	}
	if p.head.Get("Content-Security-Policy") != pagePolicy || p.head.Get("Set-Cookie") != "" || !strings.Contains(p.body, `lang="zh">验证码`) {
		t.Errorf("%v\n%s", p.head, p.body)
	}
}
