package vault

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// hexText is a byte string in the vectors.
type hexText []byte

func (h *hexText) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// vectorFile is what the test reads of a file of Project Wycheproof.
type vectorFile struct {
	TestGroups []struct {
		PrivateKeyPkcs8, PublicKeyDer hexText
		Sha, MgfSha                   string
		SLen                          int
		Tests                         []struct {
			TcID                int
			Comment, Result     string
			Msg, Ct, Label, Sig hexText
			Flags               []string
		}
	}
}

// vectorDir finds the vectors, which a module of their own pins.
func vectorDir(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", "github.com/c2sp/wycheproof")
	cmd.Dir = filepath.Join("testdata", "wycheproof")
	out, err := cmd.Output()
	var module struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &module)
	}
	if err != nil {
		t.Skipf("The module github.com/c2sp/wycheproof cannot be had: %v.", err)
	}
	return filepath.Join(module.Dir, "testvectors_v1")
}

func readVectors(t *testing.T, dir, name string) vectorFile {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name+"_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var f vectorFile
	if err := json.Unmarshal(data, &f); err != nil || len(f.TestGroups) == 0 {
		t.Fatalf("%s: %v", name, err)
	}
	return f
}

func TestWycheproof(t *testing.T) {
	t.Parallel()
	dir := vectorDir(t)
	for name, alg := range map[string]string{
		"rsa_oaep_2048_sha1_mgf1sha1": algOAEP, "rsa_oaep_2048_sha256_mgf1sha256": algOAEP256, "rsa_oaep_3072_sha256_mgf1sha256": algOAEP256,
		"rsa_oaep_4096_sha256_mgf1sha256": algOAEP256, "rsa_pkcs1_2048": algRSA15, "rsa_pkcs1_3072": algRSA15, "rsa_pkcs1_4096": algRSA15,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); wycheproofDecrypt(t, readVectors(t, dir, name), alg) })
	}
	for name, alg := range map[string]string{
		"ecdsa_secp256r1_sha256_p1363": "ES256", "ecdsa_secp384r1_sha384_p1363": "ES384", "ecdsa_secp521r1_sha512_p1363": "ES512", "ecdsa_secp256k1_sha256_p1363": "ES256K",
		"rsa_signature_2048_sha256": "RS256", "rsa_signature_3072_sha384": "RS384", "rsa_signature_4096_sha512": "RS512",
		"rsa_pss_2048_sha256_mgf1_32": "PS256", "rsa_pss_3072_sha256_mgf1_32": "PS256", "rsa_pss_4096_sha384_mgf1_48": "PS384", "rsa_pss_4096_sha512_mgf1_64": "PS512",
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); wycheproofVerify(t, readVectors(t, dir, name), alg) })
	}
}

// wycheproofDecrypt: what is valid decrypts, everything else is refused, and
// all refusals of an algorithm are the same.
func wycheproofDecrypt(t *testing.T, f vectorFile, alg string) {
	n := 0
	refusals := map[string]bool{}
	for _, g := range f.TestGroups {
		private, err := decodePrivate(bytes.Clone(g.PrivateKeyPkcs8))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Tests {
			n++
			got, err := decrypt(private, keyKind{Type: "RSA"}, alg, c.Ct)
			good := c.Result == "valid" && len(c.Label) == 0 // the service knows no labels
			if good && (err != nil || !bytes.Equal(got, c.Msg)) || !good && err == nil {
				t.Errorf("%d %s (%s): %x, %v", c.TcID, c.Comment, c.Result, got, err)
			}
			if err != nil {
				refusals[err.Error()] = true
			}
		}
	}
	if n == 0 || len(refusals) > 1 {
		t.Errorf("%d vectors, refusals %v", n, refusals)
	}
	t.Logf("%d vectors", n)
}

// publicOf reads a SubjectPublicKeyInfo; the standard library does not know P-256K.
func publicOf(t *testing.T, der []byte) crypto.PublicKey {
	t.Helper()
	if key, err := x509.ParsePKIXPublicKey(der); err == nil {
		return key
	}
	var info struct {
		Algorithm struct{ Key, Curve asn1.ObjectIdentifier }
		Point     asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil || !info.Algorithm.Curve.Equal(oidKoblitz()) || len(info.Point.Bytes) != 65 {
		t.Fatalf("public key: %v", err)
	}
	key, err := parseKoblitzPublic(info.Point.Bytes[1:33], info.Point.Bytes[33:])
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func wycheproofVerify(t *testing.T, f vectorFile, alg string) {
	n := 0
	for _, g := range f.TestGroups {
		public := publicOf(t, g.PublicKeyDer)
		var kv KeyVersion
		if err := describe(&kv, public); err != nil {
			t.Fatal(err)
		}
		kind := keyKind{Type: "RSA", Bits: len(kv.N) * 8}
		if kv.X != nil {
			kind = keyKind{Type: "EC", Curve: map[string]string{"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "ES256K": "P-256K"}[alg]}
		}
		sig, err := signatureOf(alg, kind)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range g.Tests {
			n++
			h := sig.hash.New()
			h.Write(c.Msg)
			got, err := verify(public, kind, alg, h.Sum(nil), c.Sig)
			if err != nil || c.Result == "valid" && !got || c.Result == "invalid" && got || c.Result == "acceptable" && got && slices.Contains(c.Flags, "MissingNull") {
				t.Errorf("%d %s (%s): %v, %v", c.TcID, c.Comment, c.Result, got, err)
			}
		}
	}
	if n == 0 {
		t.Error("no vectors")
	}
	t.Logf("%d vectors", n)
}
