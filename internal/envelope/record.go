package envelope

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

const (
	clusterBucket  = "envelope.clusters"  // key: cluster id
	databaseBucket = "envelope.databases" // key: cluster id / database id
	recordFormat   = 1
	layeredFormat  = 2 // of a doubly encrypted cluster
	gatedFormat    = 2 // of a database with a KEK of its own
	wrapVersion    = 1

	checkAAD    = "kustos cluster key check v1\x00"
	databaseAAD = "kustos database key v1\x00"
)

// clusterRecord is a cluster's one wrap. There is never a second one: a change
// of KEK replaces it.
type clusterRecord struct {
	Format     int     `json:"format"`
	Generation int     `json:"generation"` // +1 with every change of KEK
	Wrapped    Wrapped `json:"wrapped"`
	Check      []byte  `json:"check"` // nothing, sealed by the cluster key: tells the right key
	// Layer is the layer key, wrapped by the platform's KEK whatever wraps the
	// cluster key; it is there, and Format 2, when the cluster is doubly encrypted.
	Layer *Wrapped `json:"layer,omitempty"`
}

// databaseRecord is a database's keys, oldest first; the last wraps new DEKs.
type databaseRecord struct {
	Format int           `json:"format"`
	Keys   []databaseKey `json:"keys"`
	// The rest is there, and Format 2, when the database has a KEK of its own:
	// it wraps the gate, without which Keys cannot be opened.
	KEK        *Wrapped `json:"kek,omitempty"`
	Generation int      `json:"generation,omitempty"` // +1 with every change of KEK
	Check      []byte   `json:"check,omitempty"`      // nothing, sealed by the gate
}

type databaseKey struct {
	Version int    `json:"version"`
	Wrapped []byte `json:"wrapped"` // by the cluster key, and before that by the gate when there is one
}

func loadCluster(tx store.Tx, clusterID string) (clusterRecord, error) {
	r, err := store.GetJSON[clusterRecord](tx, clusterBucket, clusterID)
	if errors.Is(err, store.ErrNotFound) {
		return r, fmt.Errorf("cluster %s: %w", clusterID, ErrNotFound)
	} else if err != nil {
		return r, err
	}
	if r.Format > layeredFormat {
		return r, fmt.Errorf("keys of cluster %s have format %d, this binary knows up to %d: %w", clusterID, r.Format, layeredFormat, ErrNewerFormat)
	}
	if (r.Format == layeredFormat) != (r.Layer != nil) {
		return r, fmt.Errorf("cluster %s: %w", clusterID, ErrLayerKey)
	}
	return r, nil
}

func loadDatabase(tx store.Tx, clusterID, databaseID string) (databaseRecord, error) {
	r, err := store.GetJSON[databaseRecord](tx, databaseBucket, clusterID+"/"+databaseID)
	if errors.Is(err, store.ErrNotFound) {
		return r, fmt.Errorf("database %s: %w", databaseID, ErrNotFound)
	} else if err != nil {
		return r, err
	}
	if r.Format > gatedFormat {
		return r, fmt.Errorf("keys of database %s have format %d, this binary knows up to %d: %w", databaseID, r.Format, gatedFormat, ErrNewerFormat)
	}
	if (r.Format == gatedFormat) != (r.KEK != nil && r.KEK.KEK.Kind == KindCustomer) || r.Format != gatedFormat && r.KEK != nil {
		return r, fmt.Errorf("database %s: %w", databaseID, ErrDatabaseKEK)
	}
	if len(r.Keys) == 0 {
		return r, fmt.Errorf("database %s: %w", databaseID, ErrNotFound)
	}
	return r, nil
}

// pick returns the key of a version; 0 means the newest.
func (r databaseRecord) pick(databaseID string, version int) (databaseKey, error) {
	if version == 0 {
		return r.Keys[len(r.Keys)-1], nil
	}
	for _, k := range r.Keys {
		if k.Version == version {
			return k, nil
		}
	}
	return databaseKey{}, fmt.Errorf("database %s, key version %d: %w", databaseID, version, ErrNotFound)
}

// wrapKey: version byte | nonce | ciphertext | tag; 61 bytes by a key for AES-256-GCM.
func wrapKey(by aead.Key, aad []byte, key aead.Key) (wrapped []byte, err error) {
	err = key.Reveal(func(raw []byte) error {
		sealed, err := by.Seal(aad, raw)
		wrapped = append([]byte{wrapVersion}, sealed...)
		return err
	})
	return wrapped, err
}

// unwrapKey gives a key for an algorithm.
func unwrapKey(by aead.Key, a aead.Algorithm, aad, wrapped []byte) (aead.Key, error) {
	if len(wrapped) == 0 || wrapped[0] == 0 {
		return aead.Key{}, aead.ErrAuthentication
	}
	if wrapped[0] > wrapVersion {
		return aead.Key{}, fmt.Errorf("wrapped key has format %d, this binary knows up to %d: %w", wrapped[0], wrapVersion, ErrNewerFormat)
	}
	raw, err := by.Open(aad, wrapped[1:])
	if err != nil {
		return aead.Key{}, err
	}
	defer clear(raw)
	return aead.KeyFor(a, raw)
}

// databaseKeyAAD: label | cluster id, 16 bytes | database id, 16 | version, 4.
func databaseKeyAAD(clusterID, databaseID string, version int) ([]byte, error) {
	return bindDatabase(databaseAAD, clusterID, databaseID, version)
}

func bindDatabase(label, clusterID, databaseID string, version int) ([]byte, error) {
	c, err := ids.ParseGUID(clusterID)
	if err != nil {
		return nil, fmt.Errorf("cluster id: %w", err)
	}
	d, err := ids.ParseGUID(databaseID)
	if err != nil {
		return nil, fmt.Errorf("database id: %w", err)
	}
	aad := append([]byte(label), c[:]...)
	aad = append(aad, d[:]...)
	return binary.BigEndian.AppendUint32(aad, uint32(version)), nil
}
