package vault_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/kustos-io/kustos/test/harness"
)

var diskKeys = flag.Int("vault.keys", 40, "how many keys are searched for on the disk; docs/benchmarks.md records a run of 1000")

// needles are pieces of private numbers and secrets in every encoding that a
// program might write them in.
type needles struct {
	mu  sync.Mutex
	all map[string]string // piece → what it is
}

// add takes the middle of a number: enough not to meet by chance, and free of
// what encodings add at the ends.
func (n *needles) add(what string, value []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	reversed := bytes.Clone(value)
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	const piece = 12
	for name, b := range map[string][]byte{"big endian": value, "little endian": reversed} {
		n.all[string(b[4:4+piece])] = what + " " + name
		for shift := range 3 { // base64 depends on where a byte stands
			from := b[4+shift : 4+shift+piece]
			text := base64.StdEncoding.EncodeToString(from)
			n.all[text] = what + " " + name + " base64"
			n.all[base64.URLEncoding.EncodeToString(from)] = what + " " + name + " base64url"
		}
		n.all[hex.EncodeToString(b[4:4+piece])] = what + " " + name + " hex"
		n.all[strings.ToUpper(hex.EncodeToString(b[4:4+piece]))] = what + " " + name + " HEX"
	}
	n.all[new(big.Int).SetBytes(value).String()[4:32]] = what + " decimal"
}

// search reads every file below the folders and reports what it finds. Needles
// have few lengths, so one pass with a set for each length is enough.
func (n *needles) search(t *testing.T, roots ...string) (bytesRead int64, found []string) {
	t.Helper()
	byLength := map[int]map[string]string{}
	for piece, what := range n.all {
		if byLength[len(piece)] == nil {
			byLength[len(piece)] = map[string]string{}
		}
		byLength[len(piece)][piece] = what
	}
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			bytesRead += int64(len(data))
			for length, set := range byLength {
				for i := 0; i+length <= len(data); i++ {
					if what, ok := set[string(data[i:i+length])]; ok {
						found = append(found, fmt.Sprintf("%s at %d of %s", what, i, path))
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return bytesRead, found
}

// TestNoPrivatePartOnTheDisk imports keys whose private numbers are known,
// uses, backs up, deletes and restores them, and looks for the numbers in every
// file of the server: data folder, log and seal.
func TestNoPrivatePartOnTheDisk(t *testing.T) {
	inst := harness.New(t, "--debug")
	k := newVault(t, harness.Start(t, inst), "kvdisk")
	n := &needles{all: map[string]string{}}
	rsaKeys := make([]*rsa.PrivateKey, 8) // making a thousand would be the whole test
	for i := range rsaKeys {
		var err error
		if rsaKeys[i], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			t.Fatal(err)
		}
	}
	b64 := base64.RawURLEncoding.EncodeToString
	var wg sync.WaitGroup
	jobs := make(chan int)
	for range 4 {
		wg.Go(func() {
			for i := range jobs {
				name := fmt.Sprintf("k%d", i)
				var jwk map[string]any
				alg := "ES256"
				if i%4 == 0 && i/4 < len(rsaKeys) {
					key := rsaKeys[i/4]
					p := key.Precomputed
					jwk = map[string]any{"kty": "RSA", "n": b64(key.N.Bytes()), "e": "AQAB"}
					for m, v := range map[string]*big.Int{"d": key.D, "p": key.Primes[0], "q": key.Primes[1], "dp": p.Dp, "dq": p.Dq, "qi": p.Qinv} {
						jwk[m] = b64(v.Bytes())
						n.add(name+" "+m, v.Bytes())
					}
					alg = "RS256"
				} else {
					key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
					if err != nil {
						t.Error(err)
						return
					}
					d, err := key.Bytes()
					if err != nil {
						t.Error(err)
						return
					}
					point, err := key.PublicKey.Bytes()
					if err != nil {
						t.Error(err)
						return
					}
					jwk = map[string]any{"kty": "EC", "crv": "P-256", "x": b64(point[1:33]), "y": b64(point[33:]), "d": b64(d)}
					n.add(name+" d", d)
				}
				k.must("PUT", "/keys/"+name, map[string]any{"key": jwk})
				k.must("POST", "/keys/"+name+"/sign", map[string]string{"alg": alg, "value": b64(make([]byte, 32))})
				secret := make([]byte, 32)
				_, _ = rand.Read(secret)
				n.add(name+" secret", secret)
				k.must("PUT", "/secrets/"+name, map[string]string{"value": hex.EncodeToString(secret)})
				if i%8 == 0 {
					blob := k.must("POST", "/keys/"+name+"/backup", nil).Value
					k.must("DELETE", "/keys/"+name, nil)
					k.must("DELETE", "/deletedkeys/"+name, nil)
					k.must("POST", "/keys/restore", map[string]string{"value": blob})
					data, err := base64.RawURLEncoding.DecodeString(blob)
					if err == nil {
						err = os.WriteFile(filepath.Join(inst.Root, name+".backup"), data, 0o600)
					}
					if err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range *diskKeys {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	size, found := n.search(t, inst.Root)
	mustKustos(t, inst, "operator", "rotate")
	if err := inst.Stop(); err != nil { // the store's log is folded into its file
		t.Fatal(err)
	}
	more, again := n.search(t, inst.Root)
	for _, f := range append(found, again...) {
		t.Error(f)
	}
	t.Logf("%d keys and as many secrets, %d needles, %d bytes searched while running and %d after: %d found", *diskKeys, len(n.all), size, more, len(found)+len(again))
	// the search finds what is there
	hit := filepath.Join(t.TempDir(), "hit")
	var one string
	for one = range n.all {
		break
	}
	if err := os.WriteFile(hit, []byte("xx"+one+"yy"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, found := n.search(t, filepath.Dir(hit)); len(found) == 0 {
		t.Error("the search does not find what is there")
	}
}
