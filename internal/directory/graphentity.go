package directory

import (
	"time"
)

// graphTime prints a time as Graph does.
func graphTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// graphPassword is a password credential; SecretText is there only in the
// answer of addPassword.
type graphPassword struct {
	CustomKeyIdentifier *string `json:"customKeyIdentifier"`
	DisplayName         *string `json:"displayName"`
	EndDateTime         string  `json:"endDateTime"`
	Hint                string  `json:"hint"`
	KeyID               string  `json:"keyId"`
	SecretText          *string `json:"secretText"`
	StartDateTime       string  `json:"startDateTime"`
}

func (pw password) graph() graphPassword {
	g := graphPassword{EndDateTime: graphTime(pw.End), Hint: pw.Hint, KeyID: pw.KeyID, StartDateTime: graphTime(pw.Start)}
	if pw.DisplayName != "" {
		g.DisplayName = &pw.DisplayName
	}
	return g
}

// graphApplication is an application as Graph answers it. Properties that this
// directory does not hold have their empty value, as for an application that
// never had them set.
type graphApplication struct {
	ID                      string            `json:"id"`
	DeletedDateTime         *string           `json:"deletedDateTime"`
	AppID                   string            `json:"appId"`
	ApplicationTemplateID   *string           `json:"applicationTemplateId"`
	CreatedDateTime         string            `json:"createdDateTime"`
	Description             *string           `json:"description"`
	DisplayName             string            `json:"displayName"`
	GroupMembershipClaims   *string           `json:"groupMembershipClaims"`
	IdentifierURIs          []string          `json:"identifierUris"`
	IsFallbackPublicClient  *bool             `json:"isFallbackPublicClient"`
	Notes                   *string           `json:"notes"`
	PublisherDomain         *string           `json:"publisherDomain"`
	SignInAudience          string            `json:"signInAudience"`
	Tags                    []string          `json:"tags"`
	AppRoles                []any             `json:"appRoles"`
	KeyCredentials          []graphKey        `json:"keyCredentials"`
	PasswordCredentials     []graphPassword   `json:"passwordCredentials"`
	RequiredResourceAccess  []any             `json:"requiredResourceAccess"`
	API                     graphAPI          `json:"api"`
	PublicClient            graphRedirectURIs `json:"publicClient"`
	SPA                     graphRedirectURIs `json:"spa"`
	Web                     graphWeb          `json:"web"`
	ServicePrincipalLock    *string           `json:"servicePrincipalLockConfiguration"`
	TokenEncryptionKeyID    *string           `json:"tokenEncryptionKeyId"`
	OptionalClaims          *string           `json:"optionalClaims"`
	ServiceManagementRef    *string           `json:"serviceManagementReference"`
	DefaultRedirectURI      *string           `json:"defaultRedirectUri"`
	IsDeviceOnlyAuthSupport *bool             `json:"isDeviceOnlyAuthSupported"`
}

type graphAPI struct {
	KnownClientApplications []string `json:"knownClientApplications"`
	OAuth2PermissionScopes  []any    `json:"oauth2PermissionScopes"`
	PreAuthorized           []any    `json:"preAuthorizedApplications"`
	TokenVersion            *int     `json:"requestedAccessTokenVersion"`
}

type graphRedirectURIs struct {
	RedirectURIs []string `json:"redirectUris"`
}

type graphWeb struct {
	HomePageURL  *string  `json:"homePageUrl"`
	LogoutURL    *string  `json:"logoutUrl"`
	RedirectURIs []string `json:"redirectUris"`
}

// Values of signInAudience.
const (
	singleTenant = "AzureADMyOrg"
	multiTenant  = "AzureADMultipleOrgs"
)

// signInAudience is how Graph says the audience of an application.
func signInAudience(kept string) string {
	if kept == "" {
		return singleTenant
	}
	return kept
}

func (a application) graph() graphApplication {
	g := graphApplication{ID: a.ID, AppID: a.AppID, DisplayName: a.DisplayName, CreatedDateTime: graphTime(a.Created), SignInAudience: signInAudience(a.Audience),
		IdentifierURIs: []string{}, Tags: []string{}, AppRoles: []any{}, KeyCredentials: []graphKey{}, PasswordCredentials: []graphPassword{}, RequiredResourceAccess: []any{},
		API:          graphAPI{KnownClientApplications: []string{}, OAuth2PermissionScopes: []any{}, PreAuthorized: []any{}},
		PublicClient: graphRedirectURIs{[]string{}}, SPA: graphRedirectURIs{[]string{}}, Web: graphWeb{RedirectURIs: []string{}}}
	for _, pw := range a.Passwords {
		g.PasswordCredentials = append(g.PasswordCredentials, pw.graph())
	}
	for _, cert := range a.Certificates {
		g.KeyCredentials = append(g.KeyCredentials, cert.graph())
	}
	g.IdentifierURIs = append(g.IdentifierURIs, a.IdentifierURIs...)
	g.PublicClient.RedirectURIs = append(g.PublicClient.RedirectURIs, a.PublicRedirects...)
	g.Web.RedirectURIs = append(g.Web.RedirectURIs, a.WebRedirects...)
	if a.PublicClient {
		g.IsFallbackPublicClient = &a.PublicClient
	}
	return g
}

func (a application) property(name string) (values []string, collection, known bool) {
	switch name {
	case "id":
		return []string{a.ID}, false, true
	case "appId":
		return []string{a.AppID}, false, true
	case "displayName":
		return []string{a.DisplayName}, false, true
	case "identifierUris":
		return a.IdentifierURIs, true, true
	}
	return nil, false, false
}

func (a application) objectID() string { return a.ID }

// graphPrincipal is a service principal as Graph answers it.
type graphPrincipal struct {
	ODataType                string   `json:"@odata.type,omitempty"` // only among objects of several types
	ID                       string   `json:"id"`
	DeletedDateTime          *string  `json:"deletedDateTime"`
	AccountEnabled           bool     `json:"accountEnabled"`
	AlternativeNames         []string `json:"alternativeNames"`
	AppDisplayName           *string  `json:"appDisplayName"`
	AppDescription           *string  `json:"appDescription"`
	AppID                    string   `json:"appId"`
	ApplicationTemplateID    *string  `json:"applicationTemplateId"`
	AppOwnerOrganizationID   *string  `json:"appOwnerOrganizationId"`
	AppRoleAssignmentNeeded  bool     `json:"appRoleAssignmentRequired"`
	CreatedDateTime          string   `json:"createdDateTime"`
	Description              *string  `json:"description"`
	DisabledByMicrosoft      *string  `json:"disabledByMicrosoftStatus"`
	DisplayName              string   `json:"displayName"`
	Homepage                 *string  `json:"homepage"`
	LoginURL                 *string  `json:"loginUrl"`
	LogoutURL                *string  `json:"logoutUrl"`
	Notes                    *string  `json:"notes"`
	NotificationEmails       []string `json:"notificationEmailAddresses"`
	PreferredSingleSignOn    *string  `json:"preferredSingleSignOnMode"`
	ReplyURLs                []string `json:"replyUrls"`
	ServicePrincipalNames    []string `json:"servicePrincipalNames"`
	ServicePrincipalType     string   `json:"servicePrincipalType"`
	SignInAudience           *string  `json:"signInAudience"`
	Tags                     []string `json:"tags"`
	TokenEncryptionKeyID     *string  `json:"tokenEncryptionKeyId"`
	AddIns                   []any    `json:"addIns"`
	AppRoles                 []any    `json:"appRoles"`
	KeyCredentials           []any    `json:"keyCredentials"`
	OAuth2PermissionScopes   []any    `json:"oauth2PermissionScopes"`
	PasswordCredentials      []any    `json:"passwordCredentials"`
	ResourceSpecificPermits  []any    `json:"resourceSpecificApplicationPermissions"`
	SAMLSingleSignOnSettings *string  `json:"samlSingleSignOnSettings"`
}

func (p principal) graph(tenantID string) graphPrincipal {
	g := graphPrincipal{ID: p.ObjectID, AccountEnabled: true, AppID: p.AppID, DisplayName: p.DisplayName, CreatedDateTime: graphTime(p.Created),
		AlternativeNames: []string{}, NotificationEmails: []string{}, ReplyURLs: []string{}, ServicePrincipalNames: []string{p.AppID}, Tags: []string{},
		AddIns: []any{}, AppRoles: []any{}, KeyCredentials: []any{}, OAuth2PermissionScopes: []any{}, PasswordCredentials: []any{}, ResourceSpecificPermits: []any{},
		ServicePrincipalType: p.graphType()}
	if p.managed() {
		explicit := "isExplicit=False"
		if p.Kind == kindUserAssigned {
			explicit = "isExplicit=True"
		}
		g.AlternativeNames = []string{explicit, p.ResourceID}
		return g
	}
	if p.OwnerTenantID != "" {
		tenantID = p.OwnerTenantID
	}
	audience := signInAudience(p.Audience)
	g.AppDisplayName, g.AppOwnerOrganizationID, g.SignInAudience = &p.DisplayName, &tenantID, &audience
	return g
}

func (p principal) typed(tenantID string) any {
	g := p.graph(tenantID)
	g.ODataType = "#microsoft.graph.servicePrincipal"
	return g
}

func (p principal) graphType() string {
	if p.managed() {
		return "ManagedIdentity"
	}
	return "Application"
}

func (p principal) property(name string) (values []string, collection, known bool) {
	switch name {
	case "id":
		return []string{p.ObjectID}, false, true
	case "appId":
		return []string{p.AppID}, false, true
	case "displayName":
		return []string{p.DisplayName}, false, true
	case "servicePrincipalType":
		return []string{p.graphType()}, false, true
	case "servicePrincipalNames":
		return []string{p.AppID}, true, true
	case "alternativeNames":
		if p.managed() {
			return []string{p.ResourceID}, true, true
		}
		return nil, true, true
	}
	return nil, false, false
}

func (p principal) objectID() string { return p.ObjectID }
