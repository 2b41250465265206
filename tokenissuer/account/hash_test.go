package account

import (
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
	"golang.org/x/crypto/scrypt"

	"github.com/gatehouse-auth/gatehouse/tokenissuer/oauth"
)

var (
	salt = []byte("saltsaltsaltsalt")
	b64  = base64.RawStdEncoding
)

func pbkdf2Hash[H hash.Hash](t *testing.T, name string, h func() H, password string) string {
	key, err := pbkdf2.Key(h, password, salt, 1000, 32)
	if err != nil {
		t.Fatal(err)
	}
	adapted := strings.NewReplacer("+", ".")
	return fmt.Sprintf("$%s$1000$%s$%s", name, adapted.Replace(b64.EncodeToString(salt)), adapted.Replace(b64.EncodeToString(key)))
}

// imported is one password as other systems hash it, by other implementations
// than the one that verifies.
func imported(t *testing.T, password string) map[string]string {
	b, err := bcrypt.GenerateFromPassword([]byte(password), 4)
	if err != nil {
		t.Fatal(err)
	}
	s, err := scrypt.Key([]byte(password), salt, 16, 8, 1, 32)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"bcrypt a":      "$2a$" + string(b[4:]),
		"bcrypt b":      "$2b$" + string(b[4:]),
		"bcrypt y":      "$2y$" + string(b[4:]),
		"scrypt":        fmt.Sprintf("$scrypt$ln=4,r=8,p=1$%s$%s", b64.EncodeToString(salt), b64.EncodeToString(s)),
		"argon2i":       fmt.Sprintf("$argon2i$v=19$m=64,t=3,p=2$%s$%s", b64.EncodeToString(salt), b64.EncodeToString(argon2.Key([]byte(password), salt, 3, 64, 2, 32))),
		"weak argon2id": fmt.Sprintf("$argon2id$v=19$m=16,t=1,p=1$%s$%s", b64.EncodeToString(salt), b64.EncodeToString(argon2.IDKey([]byte(password), salt, 1, 16, 1, 32))),
		"pbkdf2":        pbkdf2Hash(t, "pbkdf2", sha1.New, password),
		"pbkdf2 sha256": pbkdf2Hash(t, "pbkdf2-sha256", sha256.New, password),
		"pbkdf2 sha512": pbkdf2Hash(t, "pbkdf2-sha512", sha512.New, password),
	}
}

func TestImportedHashesAreVerifiedAndReplaced(t *testing.T) {
	w := newWorld(t, Options{Memory: 64, Passes: 1})
	for name, old := range imported(t, right) {
		user := strings.ReplaceAll(name, " ", "-")
		account := w.create(Create{Username: user, Hash: old})
		w.want(oauth.WrongCredentials, w.try(noon, user, right+" ", home))
		later := noon.Add(time.Hour)
		w.want("", w.try(later, user, right, home))
		after, err := w.st.Account(t.Context(), account.ID)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(after.PasswordHash, "$argon2id$v=19$m=64,t=1,p=1$") || !after.PasswordSet.Equal(account.PasswordSet) {
			t.Errorf("%s: %s, set %v", name, after.PasswordHash, after.PasswordSet)
		}
		w.want("", w.try(later, user, right, home))
		w.want(oauth.WrongCredentials, w.try(later, user, "wrong", home))
		if again, _ := w.st.Account(t.Context(), account.ID); again.PasswordHash != after.PasswordHash {
			t.Errorf("%s: replaced twice", name)
		}
	}
}

// jBCrypt's own vector, which no implementation here has made.
func TestBcryptVector(t *testing.T) {
	w := newWorld(t, Options{})
	w.create(Create{Username: "alice", Hash: "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"})
	w.want(oauth.WrongCredentials, w.try(noon, "alice", "b", home))
	w.want("", w.try(noon, "alice", "a", home))
}

// Other systems hashed what was typed, whatever its normal form.
func TestImportedPasswordIsComparedAsTyped(t *testing.T) {
	const decomposed = "cafe\u0301 au lait"
	w := newWorld(t, Options{})
	for name, old := range imported(t, decomposed) {
		if strings.Contains(name, "argon2") {
			continue // ours, with other parameters
		}
		user := strings.ReplaceAll(name, " ", "-")
		w.create(Create{Username: user, Hash: old})
		w.want("", w.try(noon, user, decomposed, home))
		w.want("", w.try(noon, user, "caf\u00e9 au lait", home)) // and from then on as ours
	}
}

// bcrypt reads 72 bytes. Who types more, right so far, gets in as before; but
// the rest was never compared and must not become the password.
func TestBcryptTailDoesNotBecomeThePassword(t *testing.T) {
	first := strings.Repeat("a", 72)
	hash, err := bcrypt.GenerateFromPassword([]byte(first), 4)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Options{})
	account := w.create(Create{Username: "alice", Hash: string(hash)})
	w.want("", w.try(noon, "alice", first+"tail", home))
	if after, _ := w.st.Account(t.Context(), account.ID); after.PasswordHash != string(hash) {
		t.Fatal("the tail became the password")
	}
	w.want("", w.try(noon, "alice", first, home))
}

func TestStrongerHashIsKept(t *testing.T) {
	w := newWorld(t, Options{Memory: 64, Passes: 1})
	strong := fmt.Sprintf("$argon2id$v=19$m=128,t=2,p=1$%s$%s", b64.EncodeToString(salt), b64.EncodeToString(argon2.IDKey([]byte(right), salt, 2, 128, 1, 32)))
	account := w.create(Create{Username: "alice", Hash: strong})
	w.want("", w.try(noon, "alice", right, home))
	if after, _ := w.st.Account(t.Context(), account.ID); after.PasswordHash != strong {
		t.Errorf("became %s", after.PasswordHash)
	}
}
