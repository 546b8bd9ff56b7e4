package vault

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/audit"
	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/directory"
	"github.com/kustos-io/kustos/internal/wire"
)

// vaultAppID is the application id of the Key Vault service, an audience that
// old clients ask for.
const vaultAppID = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"

// serviceVersion stands in x-ms-keyvault-service-version.
const serviceVersion = "1.9.0.0"

// call is one admitted request of the data plane.
type call struct {
	ctx           context.Context
	vault         *Vault
	base          string // "https://{host}" without a slash
	name, version string
	api           apiVersion
	request       *http.Request
	maxBody       int64
	event         *audit.Event
}

// body reads the request's body; one that is too large is the client's error.
func (c *call) body() ([]byte, error) {
	data, err := wire.ReadBody(c.request, c.maxBody)
	if errors.Is(err, wire.ErrTooLarge) {
		return nil, azerr.BadParameter("The request body is larger than "+strconv.FormatInt(c.maxBody, 10)+" bytes.", "")
	}
	if err != nil {
		return nil, azerr.BadParameter("The request body could not be read.", "").Because(err)
	}
	return data, nil
}

// Handler is the data plane. It serves every host under the suffix; the vault
// is the first label of the host.
func (s *Service) Handler() http.Handler { return http.HandlerFunc(s.serveHTTP) }

func (s *Service) serveHTTP(w http.ResponseWriter, r *http.Request) {
	r, info := wire.WithRequest(r)
	wire.SetCommonHeaders(w.Header(), info)
	address := clientAddress(r)
	w.Header().Set("x-ms-keyvault-service-version", serviceVersion)
	if address.IsValid() {
		family := "InterNetwork"
		kind := "Ipv4"
		if address.Is6() {
			family, kind = "InterNetworkV6", "Ipv6"
		}
		w.Header().Set("x-ms-keyvault-network-info", "conn_type="+kind+";addr="+address.String()+";act_addr_fam="+family+";")
	}
	event := &audit.Event{Operation: "unknown", Actor: audit.Actor{Address: addressText(address)}}
	body, err := s.answer(w.Header(), r, address, event)
	if err = s.record(r.Context(), event, err); err != nil {
		body = nil
	}
	switch {
	case err != nil:
		wire.WriteError(w, r, s.Log, err)
	case body == nil:
		w.WriteHeader(http.StatusNoContent)
	default:
		if v, ok := body.(valueBody); ok {
			data := v.json()
			defer clear(data)
			defer clear(v.Value)
			body = data
		}
		wire.WriteJSON(w, http.StatusOK, body)
	}
}

func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// answer runs the checks in the service's order: token, firewall, permission,
// then whatever the operation itself checks. A nil body is 204. What is found
// out on the way goes into event.
func (s *Service) answer(h http.Header, r *http.Request, address netip.Addr, event *audit.Event) (any, error) {
	ctx := r.Context()
	host := strings.TrimSuffix(strings.ToLower(r.Host), ":443")
	name := s.vaultName(host)
	v, there, err := s.liveByName(ctx, name)
	if err != nil {
		return nil, err
	}
	rt, object, version, routeErr := s.match(r) // known early for the record, an error late
	event.Scope, event.Version = name, version
	if rt != nil {
		event.Operation = string(rt.right.area()) + "/" + rt.right.permission()
	}
	tenant := s.TenantID
	if there {
		tenant = v.TenantID
		event.Scope = v.ResourceID
		if rt != nil {
			event.Scope = objectScope(&v, rt.right.area(), object)
		}
		h.Set("x-ms-keyvault-region", v.Location)
	}
	event.Rule = "token"
	p, err := s.authenticate(ctx, r, tenant, s.resource(host))
	event.Actor = actorEvent(p, event.Actor.Address)
	if err != nil {
		return nil, err
	}
	event.Rule = ""
	if !there {
		return nil, azerr.VaultHostNotFound(name)
	}
	caller := Caller{Principal: p, Address: address, Service: v.closed() && s.Trusted != nil && s.Trusted(ctx)}
	if err := v.firewall(caller); err != nil {
		event.Rule = "firewall"
		return nil, err
	}
	if routeErr != nil {
		return nil, routeErr
	}
	if rt.named && !validObjectName(object) {
		return nil, azerr.BadParameter("The request URI contains an invalid name: "+object, "")
	}
	if event.Rule, err = s.permit(ctx, &v, caller, rt.right, object); err != nil {
		return nil, err
	}
	c := &call{ctx: ctx, vault: &v, base: "https://" + host, name: object, version: version, request: r, maxBody: rt.maxBody, event: event}
	if c.api, err = parseAPIVersion(queryValue(r.URL.Query(), "api-version")); err != nil {
		return nil, err
	}
	if rt.deleted && !v.SoftDelete {
		return nil, azerr.VaultOperationNotEnabled(rt.right.permission())
	}
	if rt.refusal != nil {
		return nil, rt.refusal
	}
	return rt.serve(s, c)
}

// queryValue is the first value of a query parameter. Its name compares without
// case.
func queryValue(q url.Values, name string) string {
	if v, ok := q[name]; ok {
		return v[0]
	}
	for k, v := range q {
		if strings.EqualFold(k, name) {
			return v[0]
		}
	}
	return ""
}

// vaultName is the label before the suffix, "" when the host is no vault's.
func (s *Service) vaultName(host string) string {
	host, _, _ = strings.Cut(host, ":")
	name, ok := strings.CutSuffix(host, "."+s.Suffix)
	if !ok || strings.Contains(name, ".") {
		return ""
	}
	return name
}

// resource is the audience of tokens for a vault at the host. Clients compare it
// with the host as they know it: with the port, where that is not 443.
func (s *Service) resource(host string) string {
	if _, port, ok := strings.Cut(host, ":"); ok {
		return "https://" + s.Suffix + ":" + port
	}
	return "https://" + s.Suffix
}

// authenticate checks the bearer token for a vault of the tenant; its audience
// may lack the port of resource. Every refusal is a 401 with the challenge; who
// was refused is returned when the token is good, but another tenant's.
func (s *Service) authenticate(ctx context.Context, r *http.Request, tenant, resource string) (authz.Principal, error) {
	challenge := `Bearer authorization="` + s.LoginURL + "/" + tenant + `", resource="` + resource + `"`
	token := wire.BearerToken(r)
	if token == "" {
		return authz.Principal{}, azerr.VaultUnauthorized(azerr.AKV10000, challenge)
	}
	p, err := s.Verifier.Verify(ctx, token, resource, "https://"+s.Suffix, vaultAppID)
	if err != nil {
		var refused *directory.TokenError
		if !errors.As(err, &refused) {
			return authz.Principal{}, err
		}
		return authz.Principal{}, azerr.VaultUnauthorized(tokenText(refused, resource, tenant), challenge).Because(err)
	}
	if !strings.EqualFold(p.TenantID, tenant) {
		return p, azerr.VaultUnauthorized(azerr.AKV10032(issuer(tenant), issuer(p.TenantID)), challenge)
	}
	return p, nil
}

func issuer(tenant string) string { return "https://sts.windows.net/" + tenant + "/" }

func tokenText(e *directory.TokenError, resource, tenant string) string {
	switch e.Kind {
	case directory.Missing:
		return azerr.AKV10000
	case directory.Audience:
		return azerr.AKV10022(resource, e.Found)
	case directory.Issuer:
		return azerr.AKV10032(issuer(tenant), e.Found)
	case directory.Expired, directory.NotYetValid:
		return azerr.AKV10021
	}
	return azerr.AKV10001
}

func clientAddress(r *http.Request) netip.Addr {
	if ap, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return ap.Addr().Unmap()
	}
	return netip.Addr{}
}
