package kusto

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/cluster"
)

const bodyDouble = `{"location":"westeurope",` + bodySKU + `,"properties":{"enableDoubleEncryption":true}}`

// Double encryption is chosen when a cluster is created, shown, and never changed.
func TestDoubleEncryption(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := clusterPath("double1")
	if a := w.must("PUT", path, v20230815, bodyDouble); a.Status != http.StatusCreated || !strings.Contains(a.text, `"enableDoubleEncryption":true`) {
		t.Errorf("create answered %d %s", a.Status, a.text)
	}
	if !w.specOf("double1").DoubleEncryption {
		t.Error("the runtime was not told")
	}
	w.cluster("demo1")
	if w.specOf("demo1").DoubleEncryption {
		t.Error("a cluster that did not ask for it has two layers")
	}
	for _, version := range versionsSince(v20190907) {
		got, shown := w.get("double1", version)["properties"].(map[string]any)["enableDoubleEncryption"]
		if want := version >= v20200614; shown != want || want && got != true {
			t.Errorf("%s shows %v (%v)", version, got, shown)
		}
	}
	for name, body := range map[string]string{
		"spelled out":    bodyDouble,
		"left out":       bodyPlain,
		"null":           strings.Replace(bodyDouble, "true", "null", 1),
		"PATCH with it":  `{"properties":{"enableDoubleEncryption":true}}`,
		"PATCH of other": `{"properties":{"enablePurge":true}}`,
	} {
		method := "PUT"
		if strings.HasPrefix(name, "PATCH") {
			method = "PATCH"
		}
		if a := w.must(method, path, v20230815, body); a.Status >= 300 || dig(w.get("double1", v20230815), "properties.enableDoubleEncryption") != true {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
	for _, method := range []string{"PUT", "PATCH"} {
		a := w.do(method, path, v20230815, strings.Replace(bodyDouble, "true", "false", 1))
		if a.err == nil || a.err.Code != "BadRequest" || !strings.Contains(a.err.Message, "'properties.enableDoubleEncryption' cannot be changed") {
			t.Errorf("%s that turns it off: %v", method, a.err)
		}
	}
	// An api-version that does not know the member yet neither shows nor loses it.
	w.must("PUT", path, v20190907, w.do("GET", path, v20190907, "").text)
	if dig(w.get("double1", v20230815), "properties.enableDoubleEncryption") != true {
		t.Error("a PUT of an older api-version took it off")
	}
}

// The keys of a cluster whose creation failed are there, in the layers that were
// asked for first.
func TestDoubleEncryptionOfAFailedCreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.runtime.fail = map[string]error{"Start": cluster.ErrEngine}
	w.wait("PUT", clusterPath("double1"), v20230815, bodyDouble)
	a := w.do("PUT", clusterPath("double1"), v20230815, strings.Replace(bodyDouble, "true", "false", 1))
	if a.err == nil || a.err.Code != "BadRequest" {
		t.Errorf("second attempt with one layer: %v", a.err)
	}
	if a := w.must("PUT", clusterPath("double1"), v20230815, bodyDouble); a.Status != http.StatusCreated || !w.specOf("double1").DoubleEncryption {
		t.Errorf("second attempt answered %d", a.Status)
	}
}

// specOf is what the runtime was told of a cluster.
func (w *world) specOf(name string) cluster.Spec {
	w.t.Helper()
	w.runtime.mu.Lock()
	defer w.runtime.mu.Unlock()
	return w.runtime.clusters[w.clusterID(name)].spec
}
