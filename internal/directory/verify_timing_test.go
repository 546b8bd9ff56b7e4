package directory

import "testing"

// BenchmarkVerify is what every request of every plane pays for its token.
func BenchmarkVerify(b *testing.B) {
	f := open(b)
	token := f.token(b, vaultAudience)
	for b.Loop() {
		if _, err := f.Verify(b.Context(), token, vaultAudience); err != nil {
			b.Fatal(err)
		}
	}
}
