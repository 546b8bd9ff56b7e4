package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/config"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/envelope/keyvault"
	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/vault"
)

// Verdict says whether the data of a cluster in a stopped folder can be read.
type Verdict struct {
	Cluster string `json:"cluster"`
	ID      string `json:"id"`
	// Files is the number of its extents and log segments.
	Files int `json:"files"`
	// Recoverable is "yes", "no", or "unknown" when only somebody else can say.
	Recoverable string `json:"recoverable"`
	Why         string `json:"why"`
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
			var v Verdict
			if v, err = verdict(ctx, in, keys, spec); err == nil {
				verdicts = append(verdicts, v)
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
		if _, err := fmt.Fprintf(out, "cluster %s (%s), %d encrypted files\n  recoverable: %s\n  %s\n", v.Cluster, v.ID, v.Files, v.Recoverable, v.Why); err != nil {
			return err
		}
	}
	return nil
}

func verdict(ctx context.Context, in *instance, keys *vault.Service, spec cluster.Spec) (Verdict, error) {
	v := Verdict{Cluster: spec.Name, ID: spec.ID}
	for _, pattern := range []string{"extents/*/*.kxt", "wal/*.kwl"} {
		found, err := filepath.Glob(filepath.Join(in.dir, "clusters", spec.ID, pattern))
		if err != nil {
			return v, err
		}
		v.Files += len(found)
	}
	ring, err := envelope.New(envelope.Config{ClusterID: spec.ID, Store: in.store, Wrappers: envelope.Wrappers{}})
	if err != nil {
		return v, err
	}
	wrapped, err := ring.Wrapped(ctx)
	if err != nil {
		return v, err
	}
	if wrapped.KEK.Kind == envelope.KindPlatform {
		v.Recoverable, v.Why = "yes", "The cluster key is wrapped by the platform's key, which lies in this folder: whoever has the folder and its seal can read the data."
		return v, nil
	}
	key := fmt.Sprintf("version %s of key '%s' in vault %s", wrapped.KeyVersion, wrapped.KEK.KeyName, wrapped.KEK.VaultURI)
	address, err := keyvault.NewHosts(nil).Parse(wrapped.KEK.VaultURI)
	if err != nil || address.Name == "" {
		v.Recoverable, v.Why = "unknown", "The cluster key is wrapped by "+key+". That vault is not in this folder, and only it can say."
		return v, nil
	}
	fate, until, err := keys.KeyFate(ctx, strings.ToLower(address.Name), wrapped.KEK.KeyName, wrapped.KeyVersion)
	if err != nil {
		return v, err
	}
	switch fate {
	case vault.FateThere:
		v.Recoverable, v.Why = "yes", "The cluster key is wrapped by "+key+", which is there: while it is enabled and the cluster's identity may use it, the data can be read."
	case vault.FateDeleted:
		v.Recoverable, v.Why = "yes", "The cluster key is wrapped by "+key+", which is deleted and can be recovered until "+until.UTC().Format(time.RFC3339)+"; until then nothing here can be read, after it never again."
	default:
		v.Recoverable, v.Why = "no", "The one wrap of the cluster key is by "+key+", which does not exist any more: no vault of this folder holds it, no earlier wrap is kept, "+
			"and every database key and data key lies below the cluster key. What was copied before is not affected: a copy of the folder made while the key existed opens with "+
			"that key, and a backup blob of the key, restored into a vault of this folder, brings it back."
	}
	return v, nil
}
