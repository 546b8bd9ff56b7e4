package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kustos-io/kustos/internal/connection"
)

// Client speaks the public APIs as one service principal: tokens by client
// secret, everything through the proxy, trusting the instance's CA alone. It is
// safe for concurrent use.
type Client struct {
	Conn   connection.File
	http   *http.Client
	mu     sync.Mutex
	tokens map[string]string // by audience
}

// Audiences of tokens.
const (
	ARM   = "https://management.azure.com"
	Vault = "https://vault.azure.net"
	Kusto = "https://kusto.kusto.windows.net"
	Graph = "https://graph.microsoft.com"
)

const (
	pollPause   = 40 * time.Millisecond
	opTimeout   = time.Minute
	httpTimeout = time.Minute
)

// New makes a client of the server that wrote conn.
func New(conn connection.File) (*Client, error) {
	ca, err := os.ReadFile(conn.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s holds no certificate", conn.CAFile)
	}
	proxy, err := url.Parse(conn.Proxy)
	if err != nil {
		return nil, err
	}
	return &Client{Conn: conn, tokens: map[string]string{}, http: &http.Client{Timeout: httpTimeout,
		Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}}}}, nil
}

// Answer is one HTTP answer, read whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Refusal is the error an answer carries as a *RefusedError, nil for success.
func (a Answer) Refusal() error {
	if a.Status < 400 {
		return nil
	}
	var e struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
			At      string `json:"@message"`
		} `json:"error"`
	}
	if json.Unmarshal(a.Body, &e) != nil || e.Error.Code == "" {
		return fmt.Errorf("HTTP %d", a.Status)
	}
	if e.Error.At != "" {
		e.Error.Message = e.Error.At
	}
	return &RefusedError{Status: a.Status, Code: e.Error.Code, Message: e.Error.Message}
}

// RefusedError is an Azure error answer.
type RefusedError struct {
	Status        int
	Code, Message string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("HTTP %d %s: %s", e.Status, e.Code, e.Message)
}

func (c *Client) token(ctx context.Context, audience string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.tokens[audience]; t != "" {
		return t, nil
	}
	form := url.Values{"client_id": {c.Conn.ClientID}, "client_secret": {c.Conn.ClientSecret}, "grant_type": {"client_credentials"}, "scope": {audience + "/.default"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://login.microsoftonline.com/"+c.Conn.TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := c.http.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var out struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.AccessToken == "" {
		return "", fmt.Errorf("no token for %s: HTTP %d", audience, resp.StatusCode)
	}
	c.tokens[audience] = out.AccessToken
	return out.AccessToken, nil
}

// Do sends one request with a token for audience. A string body is sent as it
// is, anything else as JSON.
func (c *Client) Do(ctx context.Context, audience, method, address string, body any) (Answer, error) {
	token, err := c.token(ctx, audience)
	if err != nil {
		return Answer{}, err
	}
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case []byte:
		reader = bytes.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, reader)
	if err != nil {
		return Answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	return Answer{resp.StatusCode, resp.Header, data}, nil
}

// Send calls Resource Manager once, does not wait for what that starts, and
// decodes the answer into out, if that is not nil and there is a body.
func (c *Client) Send(ctx context.Context, method, path, api string, body, out any) error {
	a, err := c.Do(ctx, ARM, method, ARM+path+"?api-version="+api, body)
	if err == nil {
		err = a.Refusal()
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if out == nil || len(a.Body) == 0 {
		return nil
	}
	return json.Unmarshal(a.Body, out)
}

// ARM calls Resource Manager, follows a long-running operation to its end
// and decodes the last answer into out, if that is not nil.
func (c *Client) ARM(ctx context.Context, method, path, api string, body, out any) error {
	address := ARM + path + "?api-version=" + api
	a, err := c.Do(ctx, ARM, method, address, body)
	if err != nil {
		return err
	}
	if err := a.Refusal(); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if status := a.Header.Get("Azure-AsyncOperation"); status != "" {
		if err := c.wait(ctx, status); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		if out != nil {
			if a, err = c.Do(ctx, ARM, http.MethodGet, address, nil); err != nil {
				return err
			}
		}
	}
	if location := a.Header.Get("Location"); a.Status == http.StatusAccepted && a.Header.Get("Azure-AsyncOperation") == "" && location != "" {
		if a, err = c.waitLocation(ctx, location); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(a.Body, out)
}

// wait polls an operation until it is terminal.
func (c *Client) wait(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	for {
		a, err := c.Do(ctx, ARM, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		if err := a.Refusal(); err != nil {
			return err
		}
		var op struct {
			Status string          `json:"status"`
			Error  json.RawMessage `json:"error"`
		}
		if err := json.Unmarshal(a.Body, &op); err != nil {
			return err
		}
		switch op.Status {
		case "Succeeded":
			return nil
		case "Failed", "Canceled":
			return fmt.Errorf("operation %s: %s", strings.ToLower(op.Status), op.Error)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// waitLocation polls the result of an operation that has no status of its own.
func (c *Client) waitLocation(ctx context.Context, address string) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	for {
		a, err := c.Do(ctx, ARM, http.MethodGet, address, nil)
		if err == nil {
			err = a.Refusal()
		}
		if err != nil || a.Status != http.StatusAccepted {
			return a, err
		}
		select {
		case <-ctx.Done():
			return a, ctx.Err()
		case <-tick.C:
		}
	}
}

// Query runs a query (or, when it begins with a dot, a command) and returns
// the rows of the first result.
func (c *Client) Query(ctx context.Context, cluster, database, text string) ([][]any, error) {
	path := "/v2/rest/query"
	if strings.HasPrefix(text, ".") {
		path = "/v1/rest/mgmt"
	}
	a, err := c.Do(ctx, Kusto, http.MethodPost, cluster+path, map[string]string{"db": database, "csl": text})
	if err != nil {
		return nil, err
	}
	if err := a.Refusal(); err != nil {
		return nil, err
	}
	if path == "/v1/rest/mgmt" {
		var v1 struct{ Tables []struct{ Rows [][]any } }
		if err := json.Unmarshal(a.Body, &v1); err != nil || len(v1.Tables) == 0 {
			return nil, errors.New("the answer has no table")
		}
		return v1.Tables[0].Rows, nil
	}
	var frames []struct {
		FrameType, TableKind string
		HasErrors            bool
		Rows                 []json.RawMessage
	}
	if err := json.Unmarshal(a.Body, &frames); err != nil {
		return nil, fmt.Errorf("the answer is not a v2 data set: %w", err)
	}
	var rows [][]any
	for _, f := range frames {
		if f.TableKind != "PrimaryResult" {
			if f.HasErrors {
				return nil, errors.New("the query ended with errors")
			}
			continue
		}
		rows = make([][]any, len(f.Rows))
		for i, raw := range f.Rows {
			if bytes.HasPrefix(raw, []byte("{")) {
				return nil, cutOff(raw)
			}
			if err := json.Unmarshal(raw, &rows[i]); err != nil {
				return nil, fmt.Errorf("the answer is not a v2 data set: %w", err)
			}
		}
	}
	return rows, nil
}

// cutOff is the error that stands in the place of a row when a query ends
// after its answer has begun.
func cutOff(raw []byte) error {
	var row struct {
		OneAPIErrors []struct {
			Error struct {
				Code    string `json:"code"`
				Message string `json:"@message"`
			} `json:"error"`
		} `json:"OneApiErrors"`
	}
	if json.Unmarshal(raw, &row) != nil || len(row.OneAPIErrors) == 0 {
		return errors.New("the answer holds a row that is neither values nor an error")
	}
	e := row.OneAPIErrors[0].Error
	return &RefusedError{Status: http.StatusOK, Code: e.Code, Message: e.Message}
}

// Stream ingests a body by streaming ingestion.
func (c *Client) Stream(ctx context.Context, cluster, database, table, format string, data []byte) error {
	a, err := c.Do(ctx, Kusto, http.MethodPost, cluster+"/v1/rest/ingest/"+database+"/"+table+"?streamFormat="+format, data)
	if err != nil {
		return err
	}
	return a.Refusal()
}

// Subject is the object id in the client's own token, for access policies.
func (c *Client) Subject(ctx context.Context) (string, error) {
	token, err := c.token(ctx, ARM)
	if err != nil {
		return "", err
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return "", errors.New("the token is not a JWT")
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return "", err
	}
	var claims struct {
		OID string `json:"oid"`
	}
	err = json.Unmarshal(payload, &claims)
	return claims.OID, err
}
