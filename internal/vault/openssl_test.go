package vault

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// openssl runs the command line tool, the judge of these tests, in a folder
// with the key pair in private.pem and public.pem.
type openssl struct {
	*testing.T
	dir string
}

func newOpenSSL(t *testing.T, key crypto.Signer) openssl {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("The openssl command is not installed.")
	}
	o := openssl{t, t.TempDir()}
	private, err := encodePrivate(key)
	if err != nil {
		t.Fatal(err)
	}
	o.write("private.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	o.must(nil, "pkey", "-in", "private.pem", "-pubout", "-out", "public.pem")
	return o
}

func (o openssl) write(name string, data []byte) {
	o.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), data, 0o600); err != nil {
		o.Fatal(err)
	}
}

func (o openssl) run(input []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("openssl", args...)
	cmd.Dir, cmd.Stdin = o.dir, bytes.NewReader(input)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("openssl %v: %w", args, err)
	}
	return out, nil
}

func (o openssl) must(input []byte, args ...string) []byte {
	o.Helper()
	out, err := o.run(input, args...)
	if err != nil {
		o.Fatal(err)
	}
	return out
}

func pkeyopts(opts ...string) (out []string) {
	for _, o := range opts {
		out = append(out, "-pkeyopt", o)
	}
	return out
}

// jwkText is the JWK of a private key.
func jwkText(key crypto.Signer) map[string]any {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return map[string]any{"kty": "RSA", "n": text64(k.N.Bytes()), "e": "AQAB", "d": text64(k.D.Bytes()), "p": text64(k.Primes[0].Bytes()), "q": text64(k.Primes[1].Bytes()),
			"dp": text64(k.Precomputed.Dp.Bytes()), "dq": text64(k.Precomputed.Dq.Bytes()), "qi": text64(k.Precomputed.Qinv.Bytes())}
	case *ecdsa.PrivateKey:
		var kv KeyVersion
		if err := describe(&kv, k.Public()); err != nil {
			panic("BUG: " + err.Error())
		}
		d, err := k.Bytes()
		if err != nil {
			panic("BUG: " + err.Error())
		}
		return map[string]any{"kty": "EC", "crv": k.Params().Name, "x": text64(kv.X), "y": text64(kv.Y), "d": text64(d)}
	case koblitzKey:
		x, y := k.Public().(*koblitzPublic).coordinates()
		return map[string]any{"kty": "EC", "crv": curveKoblitz, "x": text64(x), "y": text64(y), "d": text64(k.key.Serialize())}
	}
	return nil
}

func TestRSAAgainstOpenSSL(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	o := newOpenSSL(t, key)
	f := setup(t)
	f.vault("kv1", nil)
	f.must("PUT", "kv1", "/keys/k", map[string]any{"key": jwkText(key)})
	for alg, opts := range map[string][]string{
		"RSA1_5":       pkeyopts("rsa_padding_mode:pkcs1"),
		"RSA-OAEP":     pkeyopts("rsa_padding_mode:oaep", "rsa_oaep_md:sha1", "rsa_mgf1_md:sha1"),
		"RSA-OAEP-256": pkeyopts("rsa_padding_mode:oaep", "rsa_oaep_md:sha256", "rsa_mgf1_md:sha256"),
	} {
		longest := map[string]int{"RSA1_5": 245, "RSA-OAEP": 214, "RSA-OAEP-256": 190}[alg]
		for _, pair := range [][2]string{{"encrypt", "decrypt"}, {"wrapkey", "unwrapkey"}} {
			for _, size := range []int{0, 1, 32, longest} {
				m := make([]byte, size)
				_, _ = rand.Read(m)
				if size > 0 || alg != "RSA1_5" { // the tool reads no empty input for this padding
					c := bytes64(t, f.must("POST", "kv1", "/keys/k/"+pair[0], map[string]string{"alg": alg, "value": text64(m)}).str("value"))
					if got := o.must(c, append([]string{"pkeyutl", "-decrypt", "-inkey", "private.pem"}, opts...)...); !bytes.Equal(got, m) {
						t.Errorf("%s %s of %d bytes: openssl reads something else", pair[0], alg, size)
					}
				}
				if size == 0 {
					continue
				}
				c := o.must(m, append([]string{"pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem"}, opts...)...)
				if got := bytes64(t, f.must("POST", "kv1", "/keys/k/"+pair[1], map[string]string{"alg": alg, "value": text64(c)}).str("value")); !bytes.Equal(got, m) {
					t.Errorf("%s %s of %d bytes: not what openssl encrypted", pair[1], alg, size)
				}
				c[len(c)/2] ^= 1
				if a := f.do("POST", "kv1", "/keys/k/"+pair[1], map[string]string{"alg": alg, "value": text64(c)}); a.status == 200 && bytes.Equal(bytes64(t, a.str("value")), m) {
					t.Errorf("%s %s: a changed ciphertext reads as before", pair[1], alg)
				}
			}
			f.do("POST", "kv1", "/keys/k/"+pair[0], map[string]string{"alg": alg, "value": text64(make([]byte, longest+1))}).is(t, 400, "BadParameter", "")
			f.do("POST", "kv1", "/keys/k/"+pair[1], map[string]string{"alg": alg, "value": "AAAA"}).is(t, 400, "BadParameter", "")
		}
	}
	for alg, h := range map[string]crypto.Hash{"RS256": crypto.SHA256, "RS384": crypto.SHA384, "RS512": crypto.SHA512, "PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512} {
		opts := pkeyopts(fmt.Sprintf("digest:sha%d", h.Size()*8))
		if alg[0] == 'P' {
			opts = append(opts, pkeyopts("rsa_padding_mode:pss", "rsa_pss_saltlen:digest")...)
		}
		signBothWays(f, o, "k", alg, h, opts, func(sig []byte) []byte { return sig }, func(sig []byte) []byte { return sig })
	}
	digest := text64(make([]byte, 32))
	for _, alg := range []string{"ES256", "RS384", "XX", "", "none"} {
		f.do("POST", "kv1", "/keys/k/sign", map[string]string{"alg": alg, "value": digest}).is(t, 400, "BadParameter", "")
	}
}

func TestECAgainstOpenSSL(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.vault("kv1", nil)
	for alg, c := range map[string]struct {
		curve string
		size  int
		hash  crypto.Hash
	}{"ES256": {"P-256", 32, crypto.SHA256}, "ES384": {"P-384", 48, crypto.SHA384}, "ES512": {"P-521", 66, crypto.SHA512}, "ES256K": {"P-256K", 32, crypto.SHA256}} {
		key, err := f.generate(t.Context(), keyKind{Type: "EC", Curve: c.curve})
		if err != nil {
			t.Fatal(err)
		}
		o := newOpenSSL(t, key)
		f.must("PUT", "kv1", "/keys/"+alg, map[string]any{"key": jwkText(key)})
		size := c.size
		signBothWays(f, o, alg, alg, c.hash, nil, func(raw []byte) []byte {
			der, err := asn1.Marshal([]*big.Int{new(big.Int).SetBytes(raw[:size]), new(big.Int).SetBytes(raw[size:])})
			if err != nil {
				t.Fatal(err)
			}
			return der
		}, func(der []byte) []byte {
			var rs []*big.Int
			if _, err := asn1.Unmarshal(der, &rs); err != nil {
				t.Fatal(err)
			}
			raw := make([]byte, 2*size)
			rs[0].FillBytes(raw[:size])
			rs[1].FillBytes(raw[size:])
			return raw
		})
		f.do("POST", "kv1", "/keys/"+alg+"/wrapkey", `{"alg":"RSA-OAEP","value":"YQ"}`).is(t, 403, "Forbidden", "KeyOperationForbidden")
	}
}

// signBothWays lets openssl verify the service's signature and the service
// openssl's. out and in convert between the service's form and the tool's.
func signBothWays(f *fixture, o openssl, key, alg string, h crypto.Hash, opts []string, out, in func([]byte) []byte) {
	f.Helper()
	digest := make([]byte, h.Size())
	_, _ = rand.Read(digest)
	sig := bytes64(f.TB, f.must("POST", "kv1", "/keys/"+key+"/sign", map[string]string{"alg": alg, "value": text64(digest)}).str("value"))
	o.write("sig", out(sig))
	if _, err := o.run(digest, append([]string{"pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-sigfile", "sig"}, opts...)...); err != nil {
		f.Errorf("%s: openssl does not verify: %v", alg, err)
	}
	theirs := in(o.must(digest, append([]string{"pkeyutl", "-sign", "-inkey", "private.pem"}, opts...)...))
	other := bytes.Clone(digest)
	other[0] ^= 1
	changed := bytes.Clone(sig)
	changed[len(changed)-1] ^= 1
	for _, c := range []struct {
		digest, sig []byte
		want        bool
	}{{digest, sig, true}, {digest, theirs, true}, {other, sig, false}, {digest, changed, false}, {digest, sig[:len(sig)-1], false}, {digest, nil, false}} {
		if got := f.must("POST", "kv1", "/keys/"+key+"/verify", map[string]string{"alg": alg, "digest": text64(c.digest), "value": text64(c.sig)}).at("value"); got != c.want {
			f.Errorf("%s: verify says %v, wanted %v", alg, got, c.want)
		}
	}
	f.do("POST", "kv1", "/keys/"+key+"/sign", map[string]string{"alg": alg, "value": text64(digest[1:])}).is(f.TB, 400, "BadParameter", "")
}

func TestImportRefusesDamagedRSA(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	f := setup(t)
	f.vault("kv1", nil)
	for _, member := range []string{"n", "e", "d", "p", "q", "dp", "dq", "qi"} {
		jwk := jwkText(key)
		value := bytes64(t, jwk[member].(string))
		value[len(value)-2] ^= 2
		jwk[member] = text64(value)
		f.do("PUT", "kv1", "/keys/bad", map[string]any{"key": jwk}).is(t, 400, "BadParameter", "")
		if member != "dp" && member != "dq" && member != "qi" {
			delete(jwk, member)
			f.do("PUT", "kv1", "/keys/bad", map[string]any{"key": jwk}).is(t, 400, "BadParameter", "")
		}
	}
	f.do("PUT", "kv1", "/keys/bad", map[string]any{"key": jwkText(small)}).is(t, 400, "BadParameter", "")
	f.must("PUT", "kv1", "/keys/good", map[string]any{"key": jwkText(key)})
}
