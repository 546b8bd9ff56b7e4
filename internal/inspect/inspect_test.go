package inspect_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/inspect"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
	"github.com/kustos-io/kustos/internal/wal"
	"github.com/kustos-io/kustos/test/golden"
)

const (
	extentID   = "11111111-2222-4333-8444-555555555555"
	databaseID = "0a0b0c0d-0102-4304-8506-a70809000001"
)

// oneKey wraps every DEK with one database key.
type oneKey struct{ key aead.Key }

func (k oneKey) WrapDEK(o envelope.Object) (envelope.DEK, envelope.WrappedDEK, int, error) {
	dek := envelope.NewDEK()
	wrapped, err := envelope.WrapDEKWith(k.key, aead.Key{}, o, 4, dek)
	return dek, wrapped, 4, err
}

// dataDir is a small data folder with a needle in every place that holds data.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, ctx := t.TempDir(), context.Background()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	seal, err := barrier.CreateFileSeal(filepath.Join(dir, "seal"))
	must(err)
	b, err := barrier.Create(ctx, dir, seal)
	must(err)
	must(b.Rotate())
	s, err := sqlstore.Open(ctx, filepath.Join(dir, "state.db"))
	must(err)
	must(s.Close())
	must(os.WriteFile(filepath.Join(dir, "connection.json"), []byte(`{"clientSecret":"needle"}`), 0o600))

	key := oneKey{aead.NewKey()}
	dek, wrapped, version, err := key.WrapDEK(envelope.Object{DatabaseID: databaseID, Kind: envelope.Extent, ID: extentID})
	must(err)
	payload := bytes.Repeat([]byte("needle "), 20000)
	var out bytes.Buffer
	must(extent.Write(&out, extent.Header{ExtentID: extentID, DatabaseID: databaseID, KeyVersion: version, WrappedDEK: wrapped,
		Length: int64(len(payload)), Section: []byte("needle")}, dek, bytes.NewReader(payload)))
	must(os.WriteFile(filepath.Join(dir, extentID+".kxt"), out.Bytes(), 0o600))
	must(os.WriteFile(filepath.Join(dir, "damaged.kxt"), out.Bytes()[:1000], 0o600))

	l, err := wal.New(wal.Config{Dir: filepath.Join(dir, "wal"), DatabaseID: databaseID, Keys: key})
	must(err)
	must(l.Append(ctx, []byte("needle")))
	must(l.Append(ctx, []byte("needle")))
	segments, err := wal.Segments(filepath.Join(dir, "wal"), "")
	must(err)
	f, err := os.OpenFile(segments[0].Path, os.O_APPEND|os.O_WRONLY, 0)
	must(err)
	_, err = f.WriteString("torn")
	must(err)
	must(f.Close())
	return dir
}

var (
	guid = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
	hash = regexp.MustCompile(`[0-9a-f]{100,}`)
)

func TestTextOfADirectory(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	var out bytes.Buffer
	if err := inspect.Print(dir, false, &out); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(out.String(), dir, "DIR")
	text = hash.ReplaceAllString(text, "HEX")
	text = guid.ReplaceAllStringFunc(text, func(id string) string {
		if id == extentID || id == databaseID {
			return id
		}
		return "GUID"
	})
	golden.Compare(t, "directory.txt", text)
}

// TestNothingInClear: neither form prints data, the seal's key or a secret of
// a file that lies about.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	sealFile, err := os.ReadFile(filepath.Join(dir, "seal"))
	if err != nil {
		t.Fatal(err)
	}
	key := sealFile[len(sealFile)-40 : len(sealFile)-8]
	for _, path := range []string{dir, filepath.Join(dir, "seal"), filepath.Join(dir, "connection.json"), filepath.Join(dir, extentID+".kxt")} {
		for _, asJSON := range []bool{false, true} {
			var out bytes.Buffer
			if err := inspect.Print(path, asJSON, &out); err != nil {
				t.Fatal(err)
			}
			encoded, err := json.Marshal(key)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"needle", hex.EncodeToString(key), string(encoded[1:20]), string(key)} {
				if strings.Contains(out.String(), secret) {
					t.Errorf("%s prints a secret", path)
				}
			}
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	var out bytes.Buffer
	if err := inspect.Print(dir, true, &out); err != nil {
		t.Fatal(err)
	}
	var back inspect.Report
	if err := json.Unmarshal(out.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	kinds := map[inspect.Kind]int{}
	for _, f := range back.Files {
		kinds[f.Kind]++
		switch {
		case f.Path == extentID+".kxt":
			if f.Extent == nil || f.Extent.ExtentID != extentID || f.Extent.KeyVersion != 4 || f.Extent.Chunks != 9 || len(f.Extent.WrappedDEK.Key) != envelope.WrappedDEKSize {
				t.Errorf("extent: %+v", f.Extent)
			}
		case f.Path == "damaged.kxt":
			if f.Error == "" || f.Extent != nil {
				t.Errorf("damaged: %+v", f)
			}
		case f.Kind == inspect.WAL:
			if len(f.WAL.Frames) != 2 || f.WAL.Rest != 4 || f.WAL.DatabaseID != databaseID {
				t.Errorf("wal: %+v", f.WAL)
			}
		}
	}
	want := map[inspect.Kind]int{inspect.Extent: 2, inspect.WAL: 1, inspect.Keyring: 1, inspect.Seal: 1, inspect.Store: 1, inspect.Other: 1}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMissing(t *testing.T) {
	t.Parallel()
	if _, err := inspect.Path(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a missing path was described")
	}
}
