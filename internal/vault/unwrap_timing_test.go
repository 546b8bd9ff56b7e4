package vault

import (
	"crypto"
	"crypto/rsa"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/authz"
)

// BenchmarkUnwrap is unwrapKey with RSA-2048 through the handler, next to the
// private operation alone: the difference is what the house costs.
func BenchmarkUnwrap(b *testing.B) {
	f := setup(b)
	in := Input{TenantID: ptr(testTenant), SKU: &SKU{"A", "standard"}, AccessPolicies: &[]AccessPolicy{grant(owner, "all", "all")}}
	v, _, err := f.Put(b.Context(), Write{ID: vaultID("kv1"), APIVersion: "2022-07-01", Location: "westeurope", Input: in, By: authz.Principal{}})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := f.createKey(b.Context(), &v, "k", KeySpec{Type: "RSA"}, nil); err != nil {
		b.Fatal(err)
	}
	_, c, err := f.transform(b.Context(), &v, "k", "", opWrap, algOAEP256, make([]byte, 32))
	if err != nil {
		b.Fatal(err)
	}
	_, private, err := f.use(b.Context(), &v, "k", "", operationOf(opUnwrap))
	if err != nil {
		b.Fatal(err)
	}
	b.Run("private operation", func(b *testing.B) {
		for b.Loop() {
			if _, err := private.(crypto.Decrypter).Decrypt(nil, c, &rsa.OAEPOptions{Hash: crypto.SHA256, MGFHash: crypto.SHA256}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("handler", func(b *testing.B) {
		body := `{"alg":"RSA-OAEP-256","value":"` + text64(c) + `"}`
		for b.Loop() {
			req := httptest.NewRequest("POST", "https://kv1.vault.azure.net/keys/k/unwrapkey?api-version=7.4", strings.NewReader(body))
			req.Header.Set("Authorization", "Bearer "+owner)
			w := httptest.NewRecorder()
			f.handler.ServeHTTP(w, req)
			if w.Code != http.StatusOK {
				b.Fatal(w.Body)
			}
		}
	})
}
