package azerr_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kustos-io/kustos/internal/azerr"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	inner := azerr.KeyNotFound("k", "https://v.vault.azure.net/")
	if got := azerr.From(fmt.Errorf("check key: %w", inner)); got != inner {
		t.Errorf("From lost the wire error: %v", got)
	}
	got := azerr.From(errors.New("disk on fire at /secret/path"))
	if got.Status != 500 || got.Code != "InternalServerError" {
		t.Errorf("From(plain) = %+v", got)
	}
	data, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"code":"InternalServerError","message":` + fmt.Sprintf("%q", got.Message) + `}`; string(data) != want {
		t.Errorf("wire form %s, want %s", data, want)
	}
	if got := azerr.From(fmt.Errorf("commit: %w", syscall.ENOSPC)); got.Status != 503 || got.Code != "ServiceUnavailable" || !strings.Contains(got.Message, "disk of this server is full") {
		t.Errorf("From(no space) = %+v", got)
	}
	if azerr.From(nil) != nil {
		t.Error("From(nil) is not nil")
	}
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	e := &azerr.Error{Status: 400, Code: "DeploymentFailed", Message: "m", Target: "t", Inner: "i",
		Details: []*azerr.Error{azerr.InvalidKeyVaultProperties()},
		Info:    []azerr.Info{{Type: "TemplateViolation", Info: map[string]any{"lineNumber": 1.0}}}}
	data, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var back azerr.Error
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&back)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(data), string(again)); diff != "" {
		t.Errorf("(-first +second)\n%s", diff)
	}
}
