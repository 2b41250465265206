package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// oneTimeCode races with one that is sent to an address nobody has had yet.
func (p *person) oneTimeCode() {
	const crowd, inARow = 4, 3
	to := fmt.Sprintf("r%d@example.com", rand.Uint64())
	a, err := p.node().ask(http.MethodPost, "/otp/send", byShop("email", to, "auth_source_id", "mail"))
	right := p.post.code(to)
	_, after, _ := strings.Cut(a.body, `{"otp_token":"`)
	token, _, sent := strings.Cut(after, `"`)
	if err != nil || !sent || right == "" {
		time.Sleep(10 * time.Millisecond) // a client's own pause
		return
	}
	h := p.history("one-time code", oneTimeCodes())
	try := func(client int, v verb) {
		shown := right
		if v == tryWrong {
			n, _ := strconv.Atoi(right)
			shown = fmt.Sprintf("%06d", (n+1+rand.IntN(999_999))%1_000_000)
		}
		p.contest.ask(h, client, question{verb: v}, posted("/oauth2/token", byShop("grant_type", "urn:gatehouse:grant-type:otp:email",
			"auth_source_id", "mail", "email", to, "auto_signup", "true", "otp_token", token, "otp", shown)), nil)
	}
	p.together(crowd, func(client int) {
		for range inARow {
			try(client, map[bool]verb{true: tryRight, false: tryWrong}[rand.IntN(7) == 0])
		}
	})
	try(0, tryRight)
	p.judge(h)
}
