package keyvault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"

	"github.com/kustos-io/kustos/internal/envelope"
)

// Tokens signs access tokens of managed identities; satisfied by the directory.
type Tokens interface {
	// IdentityToken returns a token for resource, or an error that is
	// directory.ErrNotFound when the identity does not exist any more.
	IdentityToken(ctx context.Context, objectID, resource string) (token string, expires time.Time, err error)
}

// Config is what a Vaults is made from.
type Config struct {
	Tokens Tokens
	// Client makes the connections: to our own listener for our vaults, to the
	// network for allowed hosts. Its redirect rule is replaced: none is followed.
	Client *http.Client
	// AllowedHosts are vault hosts outside Suffix, or vaults of the real cloud.
	AllowedHosts []string
	// External gives the tokens for AllowedHosts, which know nothing of our
	// directory. When it is nil they get the identity's token and will refuse it.
	External azcore.TokenCredential
	// Timeout bounds one question with its retries; 0 means 15 s.
	Timeout time.Duration
	Log     *slog.Logger
}

// Vaults reaches keys. It implements envelope.KeyWrappers for customers' KEKs
// and is safe for concurrent use.
type Vaults struct {
	tokens   Tokens
	client   *http.Client
	hosts    Hosts
	external azcore.TokenCredential
	timeout  time.Duration
	log      *slog.Logger

	mu      sync.Mutex
	clients map[clientKey]*azkeys.Client
}

var _ envelope.KeyWrappers = (*Vaults)(nil)

// clientKey is what one client of the SDK is good for: it remembers a vault's
// challenge.
type clientKey struct {
	host     string
	identity envelope.Identity
}

// maxClients bounds the memory of challenges; the addresses come from requests.
const maxClients = 256

// New makes a Vaults. It connects to nothing.
func New(c Config) *Vaults {
	v := &Vaults{tokens: c.Tokens, hosts: NewHosts(c.AllowedHosts), external: c.External, timeout: c.Timeout, log: c.Log, clients: map[clientKey]*azkeys.Client{}}
	if v.timeout == 0 {
		v.timeout = 15 * time.Second
	}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	plain := http.Client{}
	if c.Client != nil {
		plain = *c.Client
	}
	plain.Jar = nil
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	v.client = &plain
	return v
}

// Hosts is the rule for addresses that this Vaults follows.
func (v *Vaults) Hosts() Hosts { return v.hosts }

// For returns the wrapper of a customer's KEK. It makes no call.
func (v *Vaults) For(_ context.Context, kek envelope.KEK) (envelope.KeyWrapper, error) {
	if kek.Kind != envelope.KindCustomer {
		return nil, fmt.Errorf("a KEK of kind %q is not in a vault", kek.Kind)
	}
	if _, err := v.hosts.Parse(kek.VaultURI); err != nil {
		return nil, fmt.Errorf("vault %q: %w", kek.VaultURI, err)
	}
	return &wrapper{vaults: v, kek: kek}, nil
}

// dial returns the SDK's client for a KEK.
func (v *Vaults) dial(kek envelope.KEK) (*azkeys.Client, error) {
	address, err := v.hosts.Parse(kek.VaultURI)
	if err != nil {
		return nil, fmt.Errorf("vault %q: %w", kek.VaultURI, err)
	}
	key := clientKey{address.Host, kek.Identity}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.clients[key]; c != nil {
		return c, nil
	}
	c, err := azkeys.NewClient("https://"+address.Host, v.credential(address, kek.Identity), &azkeys.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport: transport{v.client},
		Retry:     policy.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second, TryTimeout: v.timeout / 2},
		Telemetry: policy.TelemetryOptions{ApplicationID: "kustos"},
	}})
	if err != nil {
		return nil, fmt.Errorf("make client of vault %s: %w", address.Host, err)
	}
	if len(v.clients) >= maxClients {
		clear(v.clients)
	}
	v.clients[key] = c
	return c, nil
}

// transport is the injected client with a bound on answers: the longest honest
// one is a few kilobytes.
type transport struct{ client *http.Client }

const maxAnswer = 1 << 20

func (t transport) Do(r *http.Request) (*http.Response, error) {
	c, _ := r.Context().Value(carriedKey{}).(*carried)
	if c != nil && c.send != nil && r.Method == http.MethodPost && r.ContentLength > 0 {
		c.load(r)
	}
	res, err := t.client.Do(r)
	if err != nil {
		return nil, err
	}
	if c != nil && c.send == nil && res.StatusCode == http.StatusOK {
		return res, c.unload(res)
	}
	return bound(res), nil
}

// answers is a transport that bounds what is read and carries no key, whatever
// the context of a request says.
type answers struct{ client *http.Client }

func (t answers) Do(r *http.Request) (*http.Response, error) {
	res, err := t.client.Do(r)
	if err != nil {
		return nil, err
	}
	return bound(res), nil
}

func bound(res *http.Response) *http.Response {
	res.Body = struct {
		io.Reader
		io.Closer
	}{&bounded{res.Body, maxAnswer}, res.Body}
	return res
}

type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the vault's answer is too long")
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}
