package kusto

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// move checks and moves as the front door does.
func (w *world) move(from, to string) error {
	w.t.Helper()
	parse := func(text string) ids.ID {
		id, err := ids.Parse(text)
		if err != nil {
			w.t.Fatal(err)
		}
		return id
	}
	if err := w.p.CheckMove(w.t.Context(), parse(from), parse(to)); err != nil {
		return err
	}
	return w.store.Update(w.t.Context(), func(tx store.Tx) error { return w.p.Move(w.t.Context(), tx, parse(from), parse(to)) })
}

func TestMoveKeepsEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.must("PUT", clusterPath("demo1"), v20230815, strings.Replace(bodyPlain, "{", `{"identity":{"type":"SystemAssigned"},"tags":{"a":"b"},`, 1))
	w.must("PUT", clusterPath("demo12"), v20230815, bodyPlain) // its id begins the same
	w.must("PUT", clusterPath("demo1")+"/databases/Db1", v20230815, `{"location":"westeurope","kind":"ReadWrite","properties":{"softDeletePeriod":"P1D"}}`)
	assignment := `{"properties":{"principalId":"` + knownApp + `","principalType":"App","role":"AllDatabasesViewer"}}`
	w.must("PUT", clusterPath("demo1")+"/principalAssignments/a1", v20230815, assignment)
	w.must("PUT", clusterPath("demo1")+"/databases/Db1/principalAssignments/a2", v20230815, strings.Replace(assignment, "AllDatabasesViewer", "Viewer", 1))
	before := w.get("demo1", v20230815)

	other := "/subscriptions/0b1f6471-1bf0-4dda-aec3-000000000002/resourceGroups/Other"
	at := other + "/providers/Microsoft.Kusto/Clusters/demo1"
	if err := w.move(clusterPath("demo1"), at); err != nil {
		t.Fatal(err)
	}
	if a := w.do("GET", clusterPath("demo1"), v20230815, ""); a.err == nil || a.err.Status != 404 {
		t.Errorf("where it was: %v %s", a.err, a.text)
	}
	if got := w.get("demo12", v20230815)["name"]; got != "demo12" {
		t.Errorf("another cluster: %v", got)
	}
	after := w.must("GET", at, v20230815, "").json
	if after["id"] != at || after["etag"] == before["etag"] && before["etag"] != nil {
		t.Errorf("id %v, etag %v (was %v)", after["id"], after["etag"], before["etag"])
	}
	for _, path := range []string{"identity", "tags", "sku", "location", "properties"} {
		if diff := cmp.Diff(before[path], after[path]); diff != "" {
			t.Errorf("%s (-before +after)\n%s", path, diff)
		}
	}
	db := w.must("GET", at+"/databases/db1", v20230815, "")
	if got := dig(db.json, "properties.softDeletePeriod"); db.json["id"] != at+"/Databases/Db1" || got != "P1D" {
		t.Errorf("database: %s", db.text)
	}
	for path, role := range map[string]string{"/principalAssignments/a1": "AllDatabasesViewer", "/databases/db1/principalAssignments/a2": "Viewer"} {
		if a := w.must("GET", at+path, v20230815, ""); dig(a.json, "properties.role") != role {
			t.Errorf("%s: %s", path, a.text)
		}
	}
	// what the data plane grants is one per assignment, under the new ids
	c := w.runtime.clusters[w.idAt(at)]
	for id := range c.grants {
		if strings.HasPrefix(id, "/") && !strings.HasPrefix(id, strings.ToLower(other)) {
			t.Errorf("a grant stays as %s", id)
		}
	}
	w.must("DELETE", at+"/databases/db1/principalAssignments/a2", v20230815, "")
	if id, err := w.p.ResourceID(t.Context(), w.idAt(at)); err != nil || id != at {
		t.Errorf("resource id %q, %v", id, err)
	}
	object, _ := dig(after, "identity.principalId").(string)
	err := w.store.View(t.Context(), func(tx store.Tx) error {
		owner, err := store.GetJSON[string](tx, "fake.owners", object)
		if owner != at {
			t.Errorf("the identity belongs to %q", owner)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// its name stays its own, and it can be written, and deleted, where it is
	if a := w.do("PUT", clusterPath("demo1"), v20230815, bodyPlain); a.err == nil || a.err.Status != 409 {
		t.Errorf("a second of the name: %v", a.err)
	}
	w.must("PATCH", at, v20230815, `{"tags":{"c":"d"}}`)
	w.must("DELETE", at, v20230815, "")
	w.must("PUT", clusterPath("demo1"), v20230815, bodyPlain)
}

func TestMoveWaitsForOperations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runtime.hold = make(chan struct{})
	a := w.do("PUT", clusterPath("demo1"), v20230815, bodyPlain)
	if a.err != nil {
		t.Fatal(a.err)
	}
	to := strings.Replace(clusterPath("demo1"), "/rg1/", "/rg2/", 1)
	if err := w.move(clusterPath("demo1"), to); azerr.From(err).Code != "RequestConflict" {
		t.Errorf("while it is created: %v", err)
	}
	close(w.runtime.hold)
	if _, err := w.ops.Wait(t.Context(), a.OperationID); err != nil {
		t.Fatal(err)
	}
	for from, code := range map[string]string{clusterPath("none1"): "ResourceNotFound", clusterPath("demo1") + "/databases/db1": "ResourceMoveNotSupported"} {
		if err := w.move(from, to); azerr.From(err).Code != code {
			t.Errorf("%s: %v, want %s", from, err, code)
		}
	}
	if err := w.move(clusterPath("demo1"), to); err != nil {
		t.Error(err)
	}
}

// idAt is the runtime's id of the cluster at a path.
func (w *world) idAt(path string) string {
	w.t.Helper()
	id, err := ids.Parse(path)
	if err != nil {
		w.t.Fatal(err)
	}
	rec, err := w.p.load(w.t.Context(), id.Key())
	if err != nil || rec == nil {
		w.t.Fatalf("no record of %s: %v", path, err)
	}
	return rec.ID
}
