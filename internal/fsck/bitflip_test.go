package fsck_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/barrier"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
	"github.com/kustos-io/kustos/internal/wal"
)

var stride = flag.Int("bitflip.stride", 97, "TestBitsOfTheState flips one bit of every so many bytes; 1 takes many minutes")

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// folder is a data folder with one extent, one log segment and the state they
// belong to.
type folder struct {
	dir, seal     string
	ring          *envelope.Keyring
	barrier       *barrier.Barrier
	store         store.Store
	cluster, db   string
	extent, log   string // paths
	extentID      string
	payload       []byte
	records       [][]byte
	plain, sealed map[string][]byte // values of the state by bucket and key
}

func newFolder(t testing.TB) *folder {
	t.Helper()
	f := &folder{dir: t.TempDir(), seal: filepath.Join(t.TempDir(), "seal"), cluster: ids.NewGUID(), db: ids.NewGUID(), extentID: ids.NewGUID()}
	fileSeal, err := barrier.CreateFileSeal(f.seal)
	must(t, err)
	f.barrier, err = barrier.Create(ctx, f.dir, fileSeal)
	must(t, err)
	inner, err := sqlstore.Open(ctx, f.state())
	must(t, err)
	s := store.Sealed(inner, f.barrier)
	t.Cleanup(func() { s.Close() })
	platform, err := envelope.NewPlatform(ctx, s)
	must(t, err)
	f.ring, err = envelope.New(envelope.Config{ClusterID: f.cluster, Store: s, Wrappers: envelope.Wrappers{Platform: platform}})
	must(t, err)
	must(t, s.Update(ctx, func(tx store.Tx) error { return f.ring.Create(ctx, tx) }))
	must(t, f.ring.Unlock(ctx))
	must(t, s.Update(ctx, func(tx store.Tx) error { _, err := f.ring.NewDatabaseKey(tx, f.db); return err }))
	f.writeExtent(t)
	f.writeLog(t)
	f.store = s
	f.values(t)
	return f
}

func (f *folder) state() string { return filepath.Join(f.dir, "state.db") }

func (f *folder) writeExtent(t testing.TB) {
	f.payload = bytes.Repeat([]byte("forty-two rows of nothing. "), 150)
	object := envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: f.extentID}
	dek, wrapped, version, err := f.ring.WrapDEK(object)
	must(t, err)
	defer dek.Wipe()
	dir := filepath.Join(f.dir, "clusters", f.cluster, "extents", f.db)
	must(t, os.MkdirAll(dir, 0o700))
	var out bytes.Buffer
	header := extent.Header{ExtentID: f.extentID, DatabaseID: f.db, KeyVersion: version, WrappedDEK: wrapped, Length: int64(len(f.payload)), Section: []byte(`{"rows":42}`)}
	must(t, extent.Write(&out, header, dek, bytes.NewReader(f.payload)))
	f.extent = filepath.Join(dir, f.extentID+".kxt")
	must(t, os.WriteFile(f.extent, out.Bytes(), 0o600))
}

func (f *folder) writeLog(t testing.TB) {
	dir := filepath.Join(f.dir, "clusters", f.cluster, "wal")
	log, err := wal.New(wal.Config{Dir: dir, DatabaseID: f.db, Keys: f.ring})
	must(t, err)
	for i := range 6 {
		f.records = append(f.records, bytes.Repeat([]byte{byte(i)}, 100+i))
		must(t, log.Append(ctx, f.records[i]))
	}
	must(t, log.Close())
	segments, err := wal.Segments(dir, f.db)
	must(t, err)
	f.log = segments[0].Path
}

func (f *folder) values(t testing.TB) {
	f.plain, f.sealed = make(map[string][]byte), make(map[string][]byte)
	problems, err := sqlstore.Check(ctx, f.state(), func(bucket, key string, value []byte) error {
		plain, err := f.barrier.Open(bucket+"\x00"+key, value)
		f.plain[bucket+"\x00"+key], f.sealed[bucket+"\x00"+key] = plain, bytes.Clone(value)
		return err
	})
	must(t, err)
	if len(problems) > 0 || len(f.plain) < 3 {
		t.Fatalf("%d values, %v", len(f.plain), problems)
	}
}

// eachBit gives every variant of data with one bit flipped.
func eachBit(data []byte, try func(bit int, changed []byte)) {
	changed := bytes.Clone(data)
	for bit := range 8 * len(data) {
		changed[bit/8] ^= 1 << (bit % 8)
		try(bit, changed)
		changed[bit/8] ^= 1 << (bit % 8)
	}
}

func TestEveryBitOfAnExtent(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	good, err := os.ReadFile(f.extent)
	must(t, err)
	object := envelope.Object{DatabaseID: f.db, Kind: envelope.Extent, ID: f.extentID}
	read := func(data []byte) ([]byte, error) {
		file, err := extent.Open(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, err
		}
		if file.Info().Object() != object {
			return nil, errors.New("another extent")
		}
		dek, err := f.ring.UnwrapDEK(object, file.Info().KeyVersion, file.Info().WrappedDEK)
		if err != nil {
			return nil, err
		}
		defer dek.Wipe()
		if err := file.Verify(ctx, dek); err != nil {
			return nil, err
		}
		r, err := file.Reader(dek)
		if err != nil {
			return nil, err
		}
		out := make([]byte, r.Size())
		_, err = r.ReadAt(out, 0)
		return out, err
	}
	if got, err := read(good); err != nil || !bytes.Equal(got, f.payload) {
		t.Fatalf("the extent as written: %v", err)
	}
	served := 0
	eachBit(good, func(bit int, changed []byte) {
		if _, err := read(changed); err == nil {
			served++
			t.Errorf("bit %d of byte %d is slack", bit%8, bit/8)
		}
	})
	t.Logf("%d bits, %d not found", 8*len(good), served)
}

func TestEveryBitOfALogSegment(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	good, err := os.ReadFile(f.log)
	must(t, err)
	path := filepath.Join(t.TempDir(), filepath.Base(f.log))
	replay := func(data []byte) (records [][]byte, err error) {
		must(t, os.WriteFile(path, data, 0o600))
		s, err := wal.ReadSegment(path)
		if err != nil {
			return nil, err
		}
		if s.DatabaseID != f.db || s.ID != strings.TrimSuffix(filepath.Base(path), wal.Suffix) {
			return nil, errors.New("another segment")
		}
		_, err = wal.Recover(ctx, []wal.Segment{s}, f.ring, func(_ wal.Segment, record []byte) error {
			records = append(records, bytes.Clone(record))
			return nil
		})
		return records, err
	}
	if got, err := replay(good); err != nil || len(got) != len(f.records) {
		t.Fatalf("the segment as written: %d records, %v", len(got), err)
	}
	missed := 0
	eachBit(good, func(bit int, changed []byte) {
		if _, err := replay(changed); err == nil {
			missed++
			t.Errorf("bit %d of byte %d of %d is not found", bit%8, bit/8, len(good))
		}
	})
	t.Logf("%d bits, %d not found", 8*len(good), missed)
}

func TestEveryBitOfTheSealedRecords(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	bits := 0
	for key, sealed := range f.sealed {
		eachBit(sealed, func(bit int, changed []byte) {
			bits++
			if _, err := f.barrier.Open(key, changed); err == nil {
				t.Errorf("bit %d of value %q is not found", bit, key)
			}
		})
	}
	t.Logf("%d values, %d bits", len(f.sealed), bits)
}

// The keyring and the seal: what is not found must change nothing. That is the
// case of letters in the names of members, of white space in the JSON, and the
// bits that base64 leaves unused.
func TestEveryBitOfKeyringAndSeal(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	var key string
	for key = range f.sealed {
		break
	}
	opens := func(dir, seal string) error {
		s, err := barrier.OpenFileSeal(seal)
		if err != nil {
			return err
		}
		b, err := barrier.Open(ctx, dir, s)
		if err != nil {
			return err
		}
		defer b.Close()
		got, err := b.Open(key, f.sealed[key])
		if err == nil && !bytes.Equal(got, f.plain[key]) {
			t.Error("another value was served")
		}
		return err
	}
	keyring, err := os.ReadFile(filepath.Join(f.dir, barrier.KeyringName))
	must(t, err)
	seal, err := os.ReadFile(f.seal)
	must(t, err)
	dir, sealCopy := t.TempDir(), filepath.Join(t.TempDir(), "seal")
	write := func(path string, data []byte) { must(t, os.WriteFile(path, data, 0o600)) }
	write(filepath.Join(dir, barrier.KeyringName), keyring)
	eachBit(seal, func(bit int, changed []byte) {
		write(sealCopy, changed)
		if err := opens(dir, sealCopy); err == nil {
			t.Errorf("bit %d of byte %d of the seal is not found", bit%8, bit/8)
		}
	})
	slack := 0
	eachBit(keyring, func(bit int, changed []byte) {
		write(filepath.Join(dir, barrier.KeyringName), changed)
		if err := opens(dir, f.seal); err == nil {
			slack++
			if was, is := keyring[bit/8], changed[bit/8]; !harmless(keyring, bit/8, was, is) {
				t.Errorf("byte %d of the keyring, %q instead of %q, is not found", bit/8, is, was)
			}
		}
	})
	t.Logf("seal: %d bits, all found; keyring: %d bits, %d of slack", 8*len(seal), 8*len(keyring), slack)
}

// harmless says that a change of the keyring is one of those above.
func harmless(keyring []byte, at int, was, is byte) bool {
	space := func(b byte) bool { return strings.IndexByte(" \t\r\n", b) >= 0 }
	letter := was|0x20 >= 'a' && was|0x20 <= 'z'
	padded := at+1 < len(keyring) && (keyring[at+1] == '=' || keyring[at+1] == '"')
	return space(was) && space(is) || letter && was^is == 0x20 || padded
}

// One bit of every -bitflip.stride-th byte of the SQLite file. What the database
// itself does not notice must leave every value as it was.
func TestBitsOfTheState(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	must(t, f.store.Close()) // folds the log into the file
	good, err := os.ReadFile(f.state())
	must(t, err)
	path := filepath.Join(t.TempDir(), "state.db")
	found, slack, used := 0, 0, []int(nil)
	for at := 0; at < len(good); at += *stride {
		changed := bytes.Clone(good)
		changed[at] ^= 1 << (at % 8)
		must(t, os.WriteFile(path, changed, 0o600))
		got := make(map[string][]byte)
		problems, err := sqlstore.Check(ctx, path, func(bucket, key string, sealed []byte) error {
			plain, err := f.barrier.Open(bucket+"\x00"+key, sealed)
			got[bucket+"\x00"+key] = plain
			return err
		})
		_ = os.Remove(path + "-wal")
		_ = os.Remove(path + "-shm")
		if err != nil || len(problems) > 0 {
			found++
			continue
		}
		slack++
		if good[at] != 0 {
			used = append(used, at)
		}
		if !maps.EqualFunc(got, f.plain, bytes.Equal) {
			t.Errorf("byte %d: other values were served, and nothing was said", at)
		}
	}
	t.Logf("%d bytes of %d: %d found, %d harmless: zeros, and %v", found+slack, len(good), found, slack, used)
}
