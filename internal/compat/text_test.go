package compat_test

const intro = `# Compatibility

What runs, what is refused, what differs. This file is written by a test from the
registries of the code (` + "`go test ./internal/compat -update`" + `); edit the test, not the file.

*Supported* means that it does what the service's documentation says. *Refused*
means an error of the service's own shape that names what was asked for; nothing
is answered as done that was not done.

`

const dataPlane = `## Kusto data plane

| What | |
|---|---|
| v1 and v2 query (POST, GET), management commands (POST), streaming ingestion, login metadata, ping | supported |
| fragmented v2 frames, newlines between frames, error placement in data, at the end of the table or of the data set, deferred partial failures | supported |
| gzip and deflate of requests and answers; calls from browsers (CORS) | supported |
| options servertimeout, norequesttimeout, notruncation, truncationmaxrecords, truncationmaxsize, query_take_max_records, request_readonly, query_now | supported |
| options query_language other than kql, query_results_apply_getschema, query_datetimescope_column | refused by name |
| every other request option | ignored |
| streaming ingestion of csv, tsv, psv, scsv, json, multijson, singlejson (4 MB), parquet (64 MB), all after decompression | supported |
| other formats, ingestion from a URL (sourceKind=uri), stored mappings (mappingName) | refused by name |
| queued ingestion | refused by name |

Differs:

- A query or command by GET, or with x-ms-readonly, may not change anything.
- Progressive results are never progressive; the client sees one final answer.
- The resource consumption of an answer gives its duration, rows and bytes; what is not measured is null.
- The error envelope does not repeat the text of the query.
- A table belongs to the database: its creator does not become its administrator, so role User creates tables and cannot change them later.
- Every result table without ` + "`as`" + ` is called PrimaryResult.
- On the host ingest-NAME the same requests are answered; ` + "`.show version`" + ` says DataManagement there.

`

const directoryPlane = `## Sign-in and Microsoft Graph

| What | |
|---|---|
| client credentials by secret, certificate (RS256, PS256; x5t, x5t#S256) and federated credential, at v2.0 and v1 | supported |
| password, device code, authorization code with PKCE, refresh tokens, id_token, at v2.0 | supported |
| scopes {resource}/.default and {resource}/user_impersonation | supported |
| narrower scopes, implicit and hybrid flows, on-behalf-of, SAML, sign-in of people at v1 | refused by name |
| IMDS, IDENTITY_ENDPOINT (2019-08-01), MSI_ENDPOINT (2017-09-01, and the form without a secret), for user-assigned identities | supported |
| Graph v1.0: applications, servicePrincipals, users, me, groups with members and owners, directoryObjects, domains; federatedIdentityCredentials, addPassword, removePassword, memberOf, getMemberGroups, checkMemberGroups, getByIds | supported |
| applications of one tenant or of several (signInAudience AzureADMyOrg, AzureADMultipleOrgs); service principals of the applications of other tenants of the server, which sign in there by secret, certificate or federated credential | supported |
| personal accounts (other values of signInAudience), sign-in of people through an application of another tenant, guests | refused by name |
| Graph beta, addKey, owners of applications, appRoles, oauth2PermissionGrants, dynamic and mail groups, passwords that must be changed at first sign-in, every other property and set | refused by name |

Differs:

- Several tenants in one data folder (` + "`kustos tenant create`" + `): at the segments common and organizations the tenant is found by what the request goes on with, by the domain of
  the person's name (username, login_hint), or by where the application is registered. Else it is the first one: a browser or a device for people of another tenant must
  name that (` + "`az login --tenant`" + `). The keys at common are those of all tenants.
- A federated credential of an issuer that is no tenant of this server needs its key set in the property ` + "`kustosKeySet`" + `: nothing is ever fetched.
- A person signs in with a password each time: there is no session of the browser, no second factor, no consent.
- The device code page is on login.microsoftonline.com: microsoft.com is not served.
- Who has no directory role may read himself and the groups he owns or is in, and nothing else.
- Group membership counts as it is now, not as it was when the token was signed.
- A used refresh token works for another minute; after that its use ends the session.

`
