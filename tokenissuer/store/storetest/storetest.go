// Package storetest is the contract that a database must keep to hold the
// issuer's records.
package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/store"
)

// Open opens a database: the same one each time, as a restart does.
type Open func(context.Context) (*store.Store, error)

// Run holds a database to the contract. fresh makes an empty database of its
// own for each story.
func Run(t *testing.T, fresh func(*testing.T) Open) {
	stories := []struct {
		claim string
		story func(*fixture)
	}{
		{"OneOfFiftySpendsARefreshToken", oneSpendsRefresh},
		{"OneOfFiftySpendsACode", oneSpendsCode},
		{"OneOfFiftySpendsAOneTimeCode", oneSpendsOneTimeCode},
		{"FiftyGuessesAreNoMoreThanMost", guessesAreCounted},
		{"OneOfFiftyTakesAName", oneTakesName},
		{"OneOfFiftyRenewsASession", oneRenewsSession},
		{"NoMoreThanMostOfFiftyTakeAQuota", fiftyTakeQuota},
		{"NoneOfFiftyConsentsIsLost", fiftyConsent},
		{"OneOfFiftyRetiresAKey", oneRetiresKey},
		{"OneOfFiftyMakesTheNextKey", oneMakesTheNextKey},
		{"AllOrNothing", allOrNothing},
		{"AReadAfterApplySeesIt", readsOwnWrites},
		{"ClosedStoreIsUnavailable", closedIsUnavailable},
		{"EndedContextIsUnavailable", endedContextIsUnavailable},

		{"NothingIsMintedForADeadFamily", nothingForDeadFamily},
		{"NoSignInWithoutAnActiveAccount", noSignInUnlessActive},
		{"FamilyIsRevokedWithItsTokens", familyRevoked},
		{"AccountIsRevokedWithAllItHas", accountRevoked},
		{"ClientIsRevokedUpToNow", clientRevoked},
		{"ClientIsRevokedWithTokensFromAheadOfIt", clientRevokedFromAhead},
		{"RevocationAndMintDoNotMissEachOther", mintRacesRevocation},
		{"SessionIsRevokedWithWhatBeganInIt", sessionRevoked},
		{"SignOutAndCodeDoNotMissEachOther", signOutRacesCode},
		{"OpaqueTokenIsATokenOfItsFamily", opaqueOfFamily},
		{"FollowersKnowBeforeApplyReturns", followersKnow},
		{"FollowersHearNothingOfAFailedApply", followersHearNoFailure},

		{"CodeExpires", codeExpires},
		{"OneTimeCodeExpires", oneTimeCodeExpires},
		{"SessionExpires", sessionExpires},
		{"BurntCodeBeginsNothing", codeBurnt},
		{"OldestOfTooManyCodesGivesWay", codesBounded},
		{"FiftyCodesAtOnceAreNoMoreThanMayWait", codesBoundedAtOnce},
		{"OldestOfTooManySignInsGivesWay", signInsBounded},
		{"SignInsThatGiveWayAreBounded", givenWayBounded},
		{"SignInsAtOnceAreNoMoreThanASessionHas", signInsBoundedAtOnce},
		{"FamilyHasAThousandLivingTokens", tokensBounded},
		{"SpentRefreshTokenIsForgotten", spentForgotten},
		{"NoCodeIsGivenInAnEndedSession", codeOfSession},
		{"CodeThatWasNotSentIsNoCode", unsentCodeIsNoCode},
		{"QuotaIsForAWindow", quotaWindow},
		{"QuotasAreTakenTogether", quotasTogether},
		{"ReturnedQuotaCanBeTakenAgain", quotaReturned},
		{"TooManyWrongTriesRefuseTheRightOne", wrongTriesRefuseTheRight},

		{"AccountIsFoundByEachIdentifier", accountsFound},
		{"IdentifierBelongsToOneAccount", identifiersTaken},
		{"OneOfTwoUpdatesWins", updatesOnOneState},
		{"AccountsArePaged", accountsPaged},
		{"AddressIsVerifiedWhileItIsTheAccounts", identifierVerified},
		{"PasswordIsReplacedOnce", passwordReplaced},
		{"ReplacedPasswordsAreRemembered", passwordsRemembered},
		{"RemovedAccountIsGone", accountRemoved},
		{"SessionIsProvenAgainByItsAccount", sessionProvenAgain},
		{"ClientsOfASessionAreRememberedWithIt", clientsRemembered},
		{"SessionsAreListedAndEndedByTheirAccount", sessionsListed},
		{"ConsentsGrow", consentsAdded},
		{"ConsentIsRequired", consentRequired},
		{"WithdrawalAndCodeDoNotMissEachOther", withdrawalRacesCode},
		{"ClientOfAnAccountIsRevokedWithAllItHas", clientOfAccountRevoked},
		{"WhatIsToldIsWhatEnded", endedIsTold},
		{"EndAndSignInDoNotMissEachOther", endingRacesSignIn},
		{"VeryManySignInsEndInSmallSteps", manyEnd},
		{"WhatIsRefusedEndsNothingOfVeryMany", manyRefused},
		{"VeryManySignInsOfAClientOrSessionEndInSmallSteps", manyOfOneEnd},
		{"VeryManyTokensAreRefusedInSmallSteps", manyTokens},
		{"RefusalOfVeryManyTokensGoesOnWhereItStopped", manyTokensInterrupted},
		{"NoTokenOutlivesTheRoleItSays", changeRacesMint},
		{"ClientOfVeryManySessionsEndsInSmallSteps", manySessionsOfAClient},
		{"SignInsAreAddedUpByClient", signInsAddedUp},
		{"DeliveriesAreDueUntilTheyArrive", deliveriesDue},
		{"ClientThatTakesNothingIsLeftAlone", silentClientRests},
		{"FailuresLockAName", failuresLock},
		{"FloodOfNamesKeepsTheVictimsCounter", floodKeepsCounter},
		{"AnAccountKnowsItsLastAddresses", addressesKnown},

		{"FreezeAndSignInDoNotMissEachOther", freezeRacesSignIn},
		{"EndOfASessionAndItsCodesDoNotMissEachOther", endRacesCode},
		{"NothingIsKeptOfARemovedAccount", removalRacesConsent},
		{"EachReplacedPasswordIsRememberedOnce", fiftySetPasswords},
		{"EachReturnedQuotaCounts", fiftyReturnQuotas},
		{"SweepLeavesTheNextWindow", sweepRacesNextWindow},

		{"RecordsComeBackAsTheyWere", recordsComeBack},
		{"KeysComeAndGo", keysComeAndGo},
		{"ClientGenerationGrows", clientGeneration},
		{"EventsAreTheNewestFirst", eventsNewestFirst},
		{"NothingIsLostByARestart", restartLosesNothing},
		{"SweepRemovesWhatIsOverAndNothingElse", sweepRemoves},
		{"SweepStopsAtMost", sweepStops},
		{"SweepIsWholeThoughManyDoIt", manySweep},
	}
	for _, s := range stories {
		t.Run(s.claim, func(t *testing.T) {
			open := fresh(t)
			s.story(&fixture{T: t, open: open, Store: opened(t, open)})
		})
	}
}

// now is when the stories begin. The milliseconds are there to be lost.
var now = time.Date(2026, 11, 21, 10, 0, 0, 123e6, time.UTC)

type fixture struct {
	*testing.T
	*store.Store
	open Open
}

func opened(t *testing.T, open Open) *store.Store {
	t.Helper()
	st, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() }) // a story may have closed it
	return st
}

// apply makes writes that have to succeed.
func (f *fixture) apply(at time.Time, writes ...store.Write) {
	f.Helper()
	if err := f.Apply(f.Context(), at, writes...); err != nil {
		f.Fatalf("Apply(%T …): %v", writes[0], err)
	}
}

// conflict makes writes that have to be refused.
func (f *fixture) conflict(why string, at time.Time, writes ...store.Write) {
	f.Helper()
	if err := f.Apply(f.Context(), at, writes...); !errors.Is(err, store.ErrConflict) {
		f.Errorf("%s: %v, want ErrConflict", why, err)
	}
}

// ann signs in: an account, a family of an hour and its first refresh token.
func (f *fixture) ann(families ...string) {
	f.Helper()
	f.apply(now, store.PutAccount{Account: store.Account{ID: "ann", Username: "ann", State: store.Active}})
	for _, id := range families {
		f.apply(now, putFamily(id), putRefresh(id, 0))
	}
}

func putFamily(id string) store.PutFamily {
	return store.PutFamily{Family: store.Family{ID: id, Account: "ann", Client: "shop", Expires: now.Add(time.Hour)}}
}

func putRefresh(family string, n int) store.PutRefresh {
	return store.PutRefresh{Refresh: store.Refresh{Hash: hash(family, n), Family: family, N: n}}
}

func putToken(id, family string, expires time.Time) store.PutToken {
	return store.PutToken{Token: store.Token{ID: id, Family: family, Expires: expires}}
}

func hash(parts ...any) store.Hash { return sha256.Sum256([]byte(fmt.Sprintln(parts...))) }

// must is for look-ups that cannot fail.
func must[T any](v T, err error) func(*fixture) T {
	return func(f *fixture) T {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
		return v
	}
}

// absent checks that a look-up says so.
func absent[T any](v T, err error) func(*fixture, string) {
	return func(f *fixture, what string) {
		f.Helper()
		if !errors.Is(err, store.ErrNotFound) {
			f.Errorf("%s: %+v, %v; want ErrNotFound", what, v, err)
		}
	}
}
