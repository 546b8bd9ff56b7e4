package tour

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kustos-io/kustos/internal/cli"
	"github.com/kustos-io/kustos/internal/client"
)

const (
	apiGroups = "2021-04-01"
	apiDeploy = "2021-04-01"
	apiVault  = "2022-07-01"
	apiKusto  = "2023-08-15"
	apiKeys   = "7.4"

	// pollPause and patience bound the waiting for a refusal or a return.
	pollPause = 40 * time.Millisecond
	patience  = time.Minute

	location = "westeurope"
	group    = "tour"
	database = "demo"
	keyName  = "customer-key"
)

// Run tells the whole story and prints the evidence. It fails at the first
// step that does not hold.
func Run(ctx context.Context, opts cli.TourOptions) error {
	sets, err := dataSets(opts.DataSets)
	if err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "kustos-tour-")
	if err != nil {
		return err
	}
	// The probe interval is short, so that the return of the key is seen within a breath.
	inst := client.NewInstance(opts.Binary, root, "--key-probe-interval", "500ms")
	s := &story{inst: inst, sets: sets, show: newPrinter(opts.Out, opts.Progress), began: time.Now()}
	err = s.run(ctx)
	err = errors.Join(err, inst.Stop())
	if opts.Keep || err != nil {
		s.show.note("The instance's folder is %s", inst.Root)
		return err
	}
	return os.RemoveAll(root)
}

func dataSets(dir string) ([]dataSet, error) {
	if dir != "" {
		return vega(dir)
	}
	d, err := embedded()
	return []dataSet{d}, err
}

// story is one run.
type story struct {
	inst     *client.Instance
	az       *client.Client
	show     *printer
	sets     []dataSet
	began    time.Time
	cluster  string // name
	uri      string // https://{cluster}.{region}.kusto.windows.net
	identity string // principal id
	vault    string // name
	versions []string
	answer   string // what the question was answered at first
	evidence evidence
}

func (s *story) run(ctx context.Context) error {
	for _, step := range []struct {
		title string
		do    func(context.Context) (string, error)
	}{
		{"start a fresh server", s.start},
		{"deploy the cluster by ARM template", s.deployCluster},
		{"give the cluster a system identity", s.assignIdentity},
		{"create a vault with soft delete and purge protection", s.createVault},
		{"create an RSA key", s.createKey},
		{"deploy the template again with keyVaultProperties", s.deployKey},
		{"create database and tables, ingest real rows", s.ingest},
		{"ask a question", s.ask},
		{"stop, and search the disk for the plaintext", s.searchDisk},
		{"disable the key version: the same question is refused", s.revoke},
		{"enable it: the answer is back", s.restore},
		{"create key version 2, deploy the template again: same answer", s.rotate},
	} {
		s.show.begin(step.title)
		detail, err := step.do(ctx)
		if err != nil {
			s.show.end("failed")
			return fmt.Errorf("%s: %w", step.title, err)
		}
		s.show.end(detail)
	}
	return s.print()
}

func (s *story) start(ctx context.Context) (string, error) {
	az, took, err := s.inst.Start(ctx)
	if err != nil {
		return "", err
	}
	s.az = az
	return fmt.Sprintf("ready in %s", took.Round(time.Millisecond)), nil
}

func (s *story) groupPath() string {
	return "/subscriptions/" + s.az.Conn.SubscriptionID + "/resourceGroups/" + group
}

func (s *story) clusterPath() string {
	return s.groupPath() + "/providers/Microsoft.Kusto/clusters/" + s.cluster
}

func (s *story) vaultPath() string {
	return s.groupPath() + "/providers/Microsoft.KeyVault/vaults/" + s.vault
}

func (s *story) vaultURI() string { return "https://" + s.vault + ".vault.azure.net" }

// deploy runs a template and decodes the deployment into out.
func (s *story) deploy(ctx context.Context, name, template string, parameters map[string]string, out any) error {
	values := make([]string, 0, len(parameters))
	for k, v := range parameters {
		values = append(values, fmt.Sprintf(`%q:{"value":%q}`, k, v))
	}
	// az pastes the template's text behind an unquoted key; so does the tour.
	body := fmt.Sprintf(`{"properties":{"mode":"Incremental","parameters":{%s}, template:%s}}`, strings.Join(values, ","), template)
	return s.az.ARM(ctx, http.MethodPut, s.groupPath()+"/providers/Microsoft.Resources/deployments/"+name, apiDeploy, body, out)
}

func (s *story) deployCluster(ctx context.Context) (string, error) {
	if err := s.az.ARM(ctx, http.MethodPut, s.groupPath(), apiGroups, map[string]string{"location": location}, nil); err != nil {
		return "", err
	}
	var d struct {
		Properties struct {
			Outputs map[string]struct{ Value string } `json:"outputs"`
		} `json:"properties"`
	}
	if err := s.deploy(ctx, "cluster", clusterTemplate, nil, &d); err != nil {
		return "", err
	}
	s.cluster = d.Properties.Outputs["clusterName"].Value
	return s.cluster, nil
}

func (s *story) assignIdentity(ctx context.Context) (string, error) {
	var c struct {
		Identity   struct{ PrincipalID string }
		Properties struct{ URI string }
	}
	if err := s.az.ARM(ctx, http.MethodPatch, s.clusterPath(), apiKusto, map[string]any{"identity": map[string]string{"type": "SystemAssigned"},
		"properties": map[string]any{"enableStreamingIngest": true}}, &c); err != nil {
		return "", err
	}
	s.identity, s.uri = c.Identity.PrincipalID, c.Properties.URI
	return "principal " + s.identity, nil
}

func (s *story) createVault(ctx context.Context) (string, error) {
	me, err := s.az.Subject(ctx)
	if err != nil {
		return "", err
	}
	s.vault = "tour" + strings.TrimPrefix(s.cluster, "kusto")
	policy := func(object string, keys ...string) map[string]any {
		return map[string]any{"tenantId": s.az.Conn.TenantID, "objectId": object, "permissions": map[string]any{"keys": keys}}
	}
	body := map[string]any{"location": location, "properties": map[string]any{
		"tenantId": s.az.Conn.TenantID, "sku": map[string]string{"family": "A", "name": "standard"},
		"enableSoftDelete": true, "enablePurgeProtection": true,
		"accessPolicies": []any{policy(me, "get", "list", "create", "update"), policy(s.identity, "wrapkey", "unwrapkey", "get", "recover")},
	}}
	return s.vault, s.az.ARM(ctx, http.MethodPut, s.vaultPath(), apiVault, body, nil)
}

func (s *story) createKey(ctx context.Context) (string, error) {
	a, err := s.az.Do(ctx, client.Vault, http.MethodPost, s.vaultURI()+"/keys/"+keyName+"/create?api-version="+apiKeys, map[string]any{"kty": "RSA"})
	if err != nil {
		return "", err
	}
	if err := a.Refusal(); err != nil {
		return "", err
	}
	kid, err := keyID(a)
	if err != nil {
		return "", err
	}
	s.versions = append(s.versions, kid[strings.LastIndexByte(kid, '/')+1:])
	return kid, nil
}

func (s *story) deployKey(ctx context.Context) (string, error) {
	version := s.versions[len(s.versions)-1]
	err := s.deploy(ctx, fmt.Sprintf("key-%d", len(s.versions)), keyTemplate, map[string]string{"keyVaultUri": s.vaultURI(), "keyName": keyName, "keyVersion": version}, nil)
	return "version " + version, err
}

func (s *story) ingest(ctx context.Context) (string, error) {
	if err := s.az.ARM(ctx, http.MethodPut, s.clusterPath()+"/databases/"+database, apiKusto,
		map[string]any{"location": location, "kind": "ReadWrite", "properties": map[string]any{}}, nil); err != nil {
		return "", err
	}
	total := 0
	for _, d := range s.sets {
		for _, command := range []string{
			fmt.Sprintf(".create table %s (%s)", d.table, d.schema),
			fmt.Sprintf(`.alter table %s policy streamingingestion '{"IsEnabled": true}'`, d.table),
		} {
			if _, err := s.az.Query(ctx, s.uri, database, command); err != nil {
				return "", err
			}
		}
		if err := s.az.Stream(ctx, s.uri, database, d.table, d.format, d.data); err != nil {
			return "", err
		}
		rows, err := s.az.Query(ctx, s.uri, database, d.table+" | count")
		if err != nil {
			return "", err
		}
		if got := fmt.Sprint(rows[0][0]); got != fmt.Sprint(d.rows) {
			return "", fmt.Errorf("%s has %s rows, %d were ingested", d.table, got, d.rows)
		}
		total += d.rows
	}
	return fmt.Sprintf("%d rows in %d tables", total, len(s.sets)), nil
}

// question has an answer that depends on many rows.
const question = "Earthquakes | where Magnitude >= 4.5 | summarize Quakes=count(), Strongest=max(Magnitude) by Day=bin(Time, 1d) | order by Day asc | top 3 by Quakes | project Day, Quakes, Strongest"

func (s *story) ask(ctx context.Context) (string, error) {
	got, err := s.asked(ctx)
	if err != nil {
		return "", err
	}
	s.answer = got
	s.evidence.answer = got
	return got, nil
}

func (s *story) asked(ctx context.Context) (string, error) {
	rows, err := s.az.Query(ctx, s.uri, database, question)
	if err != nil {
		return "", err
	}
	if len(rows) == 0 {
		return "", errors.New("the question has no answer")
	}
	parts := make([]string, len(rows))
	for i, r := range rows {
		parts[i] = strings.TrimSuffix(fmt.Sprintln(r...), "\n")
	}
	return strings.Join(parts, "; "), nil
}

// searchDisk stops the server, so that everything is in its files, and looks
// into every one of them; a planted sample shows that the search can find.
func (s *story) searchDisk(ctx context.Context) (string, error) {
	if err := s.inst.Stop(); err != nil {
		return "", err
	}
	connection := filepath.Join(s.inst.DataDir(), "connection.json")
	values := append(s.sets[0].telling, s.az.Conn.ClientSecret)
	found, err := search(s.inst.DataDir(), values, func(path string) bool { return path == connection })
	if err != nil {
		return "", err
	}
	if len(found.hits) > 0 {
		return "", fmt.Errorf("plaintext lies in %s", strings.Join(found.hits, ", "))
	}
	planted := filepath.Join(s.inst.Root, "planted")
	if err := os.MkdirAll(planted, 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(planted, "sample"), []byte("xx"+s.sets[0].telling[0]+"yy"), 0o600); err != nil {
		return "", err
	}
	control, err := search(planted, values, func(string) bool { return false })
	if err != nil {
		return "", err
	}
	if len(control.hits) != 1 {
		return "", errors.New("the search does not find a planted sample")
	}
	s.evidence.search = found
	s.evidence.values = len(values)
	if err := s.evidence.readExtent(s.inst.DataDir()); err != nil {
		return "", err
	}
	return fmt.Sprintf("0 hits in %d files, %d bytes", found.files, found.bytes), nil
}

// setEnabled switches the current key version on or off.
func (s *story) setEnabled(ctx context.Context, on bool) error {
	version := s.versions[len(s.versions)-1]
	a, err := s.az.Do(ctx, client.Vault, http.MethodPatch, s.vaultURI()+"/keys/"+keyName+"/"+version+"?api-version="+apiKeys,
		map[string]any{"attributes": map[string]any{"enabled": on}})
	if err != nil {
		return err
	}
	return a.Refusal()
}

// until asks the question again and again until done is content.
func (s *story) until(ctx context.Context, done func(answer string, err error) bool) (time.Duration, error) {
	begin := time.Now()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	for {
		got, err := s.asked(ctx)
		if done(got, err) {
			return time.Since(begin), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("not within %s; the last answer was %q, %w", patience, got, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

func (s *story) revoke(ctx context.Context) (string, error) {
	az, _, err := s.inst.Start(ctx)
	if err != nil {
		return "", err
	}
	s.az = az
	if _, err := s.until(ctx, func(got string, err error) bool { return err == nil && got == s.answer }); err != nil {
		return "", fmt.Errorf("after the restart: %w", err)
	}
	if err := s.setEnabled(ctx, false); err != nil {
		return "", err
	}
	if err := s.inst.Stop(); err != nil {
		return "", err
	}
	if s.az, _, err = s.inst.Start(ctx); err != nil {
		return "", err
	}
	_, err = s.asked(ctx)
	var refused *client.RefusedError
	if !errors.As(err, &refused) || refused.Status != http.StatusPreconditionFailed {
		return "", fmt.Errorf("the question was not refused with 412: %w", err)
	}
	s.evidence.refusal = refused.Error()
	return fmt.Sprintf("HTTP %d %s", refused.Status, refused.Code), nil
}

func (s *story) restore(ctx context.Context) (string, error) {
	if err := s.setEnabled(ctx, true); err != nil {
		return "", err
	}
	took, err := s.until(ctx, func(got string, err error) bool { return err == nil && got == s.answer })
	return fmt.Sprintf("after %s", took.Round(time.Millisecond)), err
}

func (s *story) rotate(ctx context.Context) (string, error) {
	if _, err := s.createKey(ctx); err != nil {
		return "", err
	}
	if _, err := s.deployKey(ctx); err != nil {
		return "", err
	}
	got, err := s.asked(ctx)
	if err != nil {
		return "", err
	}
	if got != s.answer {
		return "", fmt.Errorf("the answer changed to %q", got)
	}
	return "version " + s.versions[len(s.versions)-1], nil
}
