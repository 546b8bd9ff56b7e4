package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/vault"
	"github.com/kustos-io/kustos/internal/wal"
)

// Verdict says whether the data of a cluster in a stopped folder can be read.
type Verdict struct {
	Cluster string `json:"cluster"`
	ID      string `json:"id"`
	// Database and DatabaseID name the database with a key of its own that this
	// is about; "" for the cluster and all databases that follow it.
	Database   string `json:"database,omitempty"`
	DatabaseID string `json:"databaseId,omitempty"`
	// Files is the number of its extents and log segments.
	Files int `json:"files"`
	// Recoverable is "yes", "no", or "unknown" when only somebody else can say.
	Recoverable string `json:"recoverable"`
	Why         string `json:"why"`
	// Keys are the databases of a cluster with the versions of their keys.
	Keys []DatabaseKeys `json:"databaseKeys,omitempty"`
}

// DatabaseKeys says which versions of a database's key there are; what was
// under another cannot be read.
type DatabaseKeys struct {
	Database   string `json:"database"`
	DatabaseID string `json:"databaseId"`
	Versions   []int  `json:"versions"`
}

// clustersBucket is where the runtime keeps its records.
const clustersBucket = "cluster.clusters"

// InspectVerify says for each cluster of a stopped folder whether its data can
// be recovered, and why. It asks no vault but those that lie in the folder.
func InspectVerify(ctx context.Context, cfg config.Config, asJSON bool, out io.Writer) error {
	var verdicts []Verdict
	err := stopped(ctx, cfg, func(in *instance) error {
		clock, err := openClock(ctx, in.store, cfg.Clock)
		if err != nil {
			return err
		}
		keys := vault.New(vault.Config{Store: in.store, Log: slog.New(slog.DiscardHandler), Now: clock.Now})
		var specs []cluster.Spec
		err = in.store.View(ctx, func(tx store.Tx) (err error) {
			specs, err = store.ListJSON[cluster.Spec](tx, clustersBucket, "")
			return err
		})
		for _, spec := range specs {
			if err != nil {
				return err
			}
			var v []Verdict
			if v, err = clusterVerdicts(ctx, in, keys, spec); err == nil {
				verdicts = append(verdicts, v...)
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return enc.Encode(verdicts)
	}
	for _, v := range verdicts {
		if v.Database != "" {
			_, err := fmt.Fprintf(out, "database %s (%s) of cluster %s, which has a key of its own, %d encrypted files\n  recoverable: %s\n  %s\n", v.Database, v.DatabaseID, v.Cluster, v.Files, v.Recoverable, v.Why)
			if err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintf(out, "cluster %s (%s), %d encrypted files\n  recoverable: %s\n  %s\n", v.Cluster, v.ID, v.Files, v.Recoverable, v.Why); err != nil {
			return err
		}
		for _, k := range v.Keys {
			if _, err := fmt.Fprintf(out, "  database %s (%s), versions of its key: %s\n", k.Database, k.DatabaseID, strings.Trim(fmt.Sprint(k.Versions), "[]")); err != nil {
				return err
			}
		}
	}
	return nil
}

// clusterVerdicts is the verdict on a cluster, and on each of its databases
// that has a key of its own.
func clusterVerdicts(ctx context.Context, in *instance, keys *vault.Service, spec cluster.Spec) ([]Verdict, error) {
	ring, err := envelope.New(envelope.Config{ClusterID: spec.ID, Store: in.store, Wrappers: envelope.Wrappers{}})
	if err != nil {
		return nil, err
	}
	of := Verdict{Cluster: spec.Name, ID: spec.ID}
	if of.Files, err = countFiles(in.dir, spec.ID, "extents/*/*.kxt", "wal/*.kwl"); err != nil {
		return nil, err
	}
	wrapped, err := ring.Wrapped(ctx)
	if err != nil {
		return nil, err
	}
	if wrapped.KEK.Kind == envelope.KindPlatform {
		of.Recoverable, of.Why = "yes", "The cluster key is wrapped by the platform's key, which lies in this folder: whoever has the folder and its seal can read the data."
	} else if err := of.judge(ctx, keys, wrapped, "cluster key"); err != nil {
		return nil, err
	}
	own, err := ring.OwnKEKs(ctx)
	if err != nil {
		return nil, err
	}
	var databases []catalog.Database
	err = in.store.View(ctx, func(tx store.Tx) (err error) {
		databases, err = catalog.New(spec.ID, nil, time.Now).Databases(tx)
		for _, db := range databases {
			keys := DatabaseKeys{Database: db.Name, DatabaseID: db.ID}
			if err == nil {
				keys.Versions, err = ring.DatabaseKeyVersions(tx, db.ID)
			}
			of.Keys = append(of.Keys, keys)
		}
		return err
	})
	out := []Verdict{of}
	for _, db := range databases {
		wrapped, ok := own[db.ID]
		if err != nil || !ok {
			continue
		}
		v := Verdict{Cluster: spec.Name, ID: spec.ID, Database: db.Name, DatabaseID: db.ID}
		if v.Files, err = countFiles(in.dir, spec.ID, "extents/"+db.ID+"/*.kxt"); err != nil {
			break
		}
		var segments []wal.Segment
		if segments, err = wal.Segments(filepath.Join(in.dir, "clusters", spec.ID, "wal"), db.ID); err != nil && !errors.Is(err, fs.ErrNotExist) {
			break
		}
		v.Files += len(segments)
		if err = v.judge(ctx, keys, wrapped, "gate of the database"); err != nil {
			break
		}
		if of.Recoverable == "no" {
			v.Recoverable, v.Why = "no", "It takes the cluster key as well, which cannot be had any more. "+v.Why
		}
		out = append(out, v)
	}
	return out, err
}

func countFiles(dir, clusterID string, patterns ...string) (n int, err error) {
	for _, pattern := range patterns {
		found, err := filepath.Glob(filepath.Join(dir, "clusters", clusterID, pattern))
		if err != nil {
			return 0, err
		}
		n += len(found)
	}
	return n, nil
}

// judge asks the vaults in the folder what became of the key that wrapped what.
func (v *Verdict) judge(ctx context.Context, keys *vault.Service, wrapped envelope.Wrapped, what string) error {
	key := fmt.Sprintf("version %s of key '%s' in vault %s", wrapped.KeyVersion, wrapped.KEK.KeyName, wrapped.KEK.VaultURI)
	address, err := keyvault.NewHosts(nil).Parse(wrapped.KEK.VaultURI)
	if err != nil || address.Name == "" {
		v.Recoverable, v.Why = "unknown", "The "+what+" is wrapped by "+key+". That vault is not in this folder, and only it can say."
		return nil
	}
	fate, until, err := keys.KeyFate(ctx, strings.ToLower(address.Name), wrapped.KEK.KeyName, wrapped.KeyVersion)
	if err != nil {
		return err
	}
	switch fate {
	case vault.FateThere:
		v.Recoverable, v.Why = "yes", "The "+what+" is wrapped by "+key+", which is there: while it is enabled and the cluster's identity may use it, the data can be read."
	case vault.FateDeleted:
		v.Recoverable, v.Why = "yes", "The "+what+" is wrapped by "+key+", which is deleted and can be recovered until "+until.UTC().Format(time.RFC3339)+"; until then nothing here can be read, after it never again."
	default:
		v.Recoverable, v.Why = "no", "The one wrap of the "+what+" is by "+key+", which does not exist any more: no vault of this folder holds it, no earlier wrap is kept, "+
			"and every database key and data key below it needs it. What was copied before is not affected: a copy of the folder made while the key existed opens with "+
			"that key, and a backup blob of the key, restored into a vault of this folder, brings it back."
	}
	return nil
}
