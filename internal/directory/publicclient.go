package directory

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/kustos-io/kustos/internal/store"
)

// signInClient is an application through which a person signs in.
type signInClient struct {
	appID string
	name  string
	// family clients share refresh tokens, as those of Microsoft do (foci).
	family bool
	// public clients have no proof of their own; method says what was shown.
	public bool
	method string
	// publicRedirects and webRedirects are where an authorization code may go.
	publicRedirects, webRedirects []string
	assertion                     *assertionUse
}

// nativeRedirect is a page of the sign-in host for clients that read it from a browser they control.
const nativeRedirect = "https://login.microsoftonline.com/common/oauth2/nativeclient"

// knownClients are the public clients that every tenant has.
func knownClients() []signInClient {
	loopback := []string{"http://localhost", nativeRedirect}
	return []signInClient{
		{appID: "04b07795-8ddb-461a-bbee-02f9e1bf7b46", name: "Microsoft Azure CLI", family: true, public: true, method: provedByNothing, publicRedirects: loopback},
		{appID: "1950a258-227b-4e31-a9cf-717495945fc2", name: "Microsoft Azure PowerShell", family: true, public: true, method: provedByNothing, publicRedirects: loopback},
		// What the Kusto SDKs use for people, by the cluster's own metadata.
		{appID: "db662dc1-0cfe-4e1c-a843-19a68e65be58", name: "KustoClient", public: true, method: provedByNothing,
			publicRedirects: append([]string{"https://microsoft/kustoclient"}, loopback...)},
	}
}

// findClient finds a client by its id: a known public one, or an application
// of the tenant, which has proved nothing yet.
func (d *Directory) findClient(tx store.Tx, clientID string) (signInClient, error) {
	for _, c := range knownClients() {
		if strings.EqualFold(c.appID, clientID) {
			return c, nil
		}
	}
	app, err := applicationByAppID(tx, clientID)
	if errors.Is(err, ErrNotFound) {
		return signInClient{}, errClientNotFound(quoted(clientID), d.tenantID)
	}
	if err != nil {
		return signInClient{}, err
	}
	if _, err := principalByAppID(tx, app.AppID); errors.Is(err, ErrNotFound) {
		return signInClient{}, errPrincipalMissing(app.AppID, d.tenantID)
	} else if err != nil {
		return signInClient{}, err
	}
	return signInClient{appID: app.AppID, name: app.DisplayName, public: app.PublicClient, method: provedByNothing,
		publicRedirects: app.PublicRedirects, webRedirects: app.WebRedirects}, nil
}

// clientOf finds the client of a token request and checks its proof, if it
// gives one. What a client without proof may do is for the grant to say.
func (d *Directory) clientOf(tx store.Tx, form tokenForm) (signInClient, error) {
	if form.clientID == "" {
		return signInClient{}, errParameterMissing("client_id")
	}
	c, err := d.findClient(tx, form.clientID)
	if err != nil || form.secret == "" && form.assertion == "" {
		return c, err
	}
	if c.public {
		return signInClient{}, errClientIsPublic()
	}
	proof, err := d.authenticateClient(tx, form, nil) // people sign in through applications of their own tenant alone
	if err != nil {
		return signInClient{}, err
	}
	c.method, c.assertion = proof.method, proof.assertion
	return c, nil
}

// proved reports whether the client may use a grant in which nothing else
// binds the answer to it.
func (c signInClient) proved() error {
	if c.public || c.method != provedByNothing {
		return nil
	}
	return errClientProofMissing()
}

// clientFor is clientOf for a grant in which nothing else binds the answer to
// the client: it has proved itself, or is public, and the tenant has the resource.
func (d *Directory) clientFor(tx store.Tx, form tokenForm, resource string) (signInClient, error) {
	c, err := d.clientOf(tx, form)
	if err != nil {
		return signInClient{}, err
	}
	if err := c.proved(); err != nil {
		return signInClient{}, err
	}
	return c, d.admitAudience(tx, resource)
}

// admitsRedirect reports whether a code may be sent to uri, and whether it is
// a web application's, which must prove itself to redeem the code.
func (c signInClient) admitsRedirect(uri string) (web, ok bool) {
	same := func(registered string) bool { return sameRedirect(registered, uri) }
	switch {
	case slices.ContainsFunc(c.publicRedirects, same):
		return false, true
	case slices.ContainsFunc(c.webRedirects, same):
		return true, true
	}
	return false, false
}

// sameRedirect compares exactly, but for the port on loopback, which a client
// takes as it comes (RFC 8252 §7.3), and an empty path.
func sameRedirect(registered, uri string) bool {
	if registered == uri {
		return true
	}
	a, err := url.Parse(registered)
	if err != nil {
		return false
	}
	b, err := url.Parse(uri)
	if err != nil || a.Scheme != "http" || b.Scheme != "http" || b.User != nil || b.Fragment != "" || b.RawQuery != a.RawQuery {
		return false
	}
	return isLoopback(a.Hostname()) && strings.EqualFold(a.Hostname(), b.Hostname()) && validPort(b.Host) &&
		strings.TrimSuffix(a.EscapedPath(), "/") == strings.TrimSuffix(b.EscapedPath(), "/")
}

func validPort(host string) bool {
	_, port, err := net.SplitHostPort(host)
	return err != nil || port != ""
}
