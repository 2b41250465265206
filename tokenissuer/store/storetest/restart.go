package storetest

import "time"

func restartLosesNothing(f *fixture) {
	f.everything()
	if err := f.Close(); err != nil {
		f.Fatal(err)
	}
	f.Store = opened(f.T, f.open)
	ctx := f.Context()
	must(f.Account(ctx, "ann"))(f)
	must(f.Refresh(ctx, hash("f", 0)))(f)
	must(f.Token(ctx, "t"))(f)
	must(f.Code(ctx, hash("c")))(f)
	must(f.Session(ctx, hash("s")))(f)
	must(f.OneTimeCode(ctx, hash("o")))(f)
	must(f.Client(ctx, "shop"))(f)
	if n := len(f.revocations(now)); n != 2 {
		f.Errorf("%d revocations, want 2", n)
	}
	if f.attempt(now, hash("a")).Failures != 1 {
		f.Error("the failed sign-in is forgotten")
	}
	if !must(f.KnownAddress(ctx, now, "ann", hash("home")))(f) {
		f.Error("the address is forgotten")
	}
	if n := len(must(f.Events(ctx, time.Time{}, 10))(f)); n != 1 {
		f.Errorf("%d events, want 1", n)
	}
	if n := len(must(f.Keys(ctx))(f)); n != 1 {
		f.Errorf("%d keys, want 1", n)
	}
	must(f.SessionByID(ctx, "s"))(f)
	must(f.Consent(ctx, "ann", "shop"))(f)
	must(f.Opaque(ctx, hash("opaque")))(f)
	if must(f.Quota(ctx, now, hash("q")))(f).Taken != 1 {
		f.Error("what was taken of a quota is forgotten")
	}
	if n := len(must(f.PasswordHistory(ctx, "ann", 10))(f)); n != 1 {
		f.Errorf("%d passwords are remembered, want 1", n)
	}
	if n := len(f.due(now, 10)); n != 1 {
		f.Errorf("%d deliveries, want 1", n)
	}
	f.swept(now.Add(time.Hour), sweptInAnHour)
}
