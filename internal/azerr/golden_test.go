package azerr_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/test/golden"
)

// compare compares status, headers and body of every error with a file.
func compare(t *testing.T, file string, errs []*azerr.Error) {
	t.Helper()
	var b strings.Builder
	for _, e := range errs {
		body, err := json.Marshal(map[string]any{"error": e})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%d %s\n", e.Status, e.Code)
		for _, k := range slices.Sorted(maps.Keys(e.Header)) {
			fmt.Fprintf(&b, "%s: %s\n", k, e.Header.Get(k))
		}
		fmt.Fprintf(&b, "%s\n\n", body)
	}
	golden.Compare(t, file, b.String())
}

func TestARMGolden(t *testing.T) {
	t.Parallel()
	const (
		sub    = "0b1f6471-1bf0-4dda-aec3-111122223333"
		tenant = "72f988bf-0000-4000-8000-2d7cd011db47"
		group  = "/subscriptions/" + sub + "/resourceGroups/g"
	)
	compare(t, "arm.golden", []*azerr.Error{
		azerr.MissingAPIVersionParameter(),
		azerr.InvalidAPIVersionParameter("x", []string{"2022-09-01", "2022-06-01"}),
		azerr.NoRegisteredProviderFound("westeurope", "2001-01-01", "clusters", []string{"2023-08-15", "2019-01-21"}, []string{"West Europe", "East US"}),
		azerr.InvalidResourceType("nothing", "Microsoft.Kusto", "2023-08-15", []string{"2023-08-15", "2019-01-21"}),
		azerr.InvalidResourceType("", "Microsoft.Kusto", "2023-08-15", nil),
		azerr.InvalidResourceNamespace("Microsoft.Nothing"),
		azerr.MissingSubscriptionRegistration("Microsoft.Kusto"),
		azerr.ResourceNotFound("Microsoft.Kusto/clusters/c", "g"),
		azerr.ResourceNotFound("Microsoft.KeyVault/locations/x/deletedVaults/v", ""),
		azerr.ParentResourceNotFound("write", "Microsoft.Kusto/clusters/databases", group+"/providers/Microsoft.Kusto/clusters/c"),
		azerr.ResourceGroupNotFound("g"),
		azerr.SubscriptionNotFound(sub),
		azerr.InvalidSubscriptionID("x"),
		azerr.ReadOnlyDisabledSubscription(sub),
		azerr.AuthenticationFailed(tenant),
		azerr.InvalidAuthenticationToken(tenant),
		azerr.ExpiredAuthenticationToken(tenant, "1/2/2026 3:04:05 AM", "1/2/2026 4:04:05 AM"),
		azerr.InvalidAuthenticationTokenTenant(tenant, "https://sts.windows.net/other/"),
		azerr.InvalidAuthenticationTokenAudience(tenant, "https://va\"ult\r\nX: y.azure.net", "'https://management.azure.com/'"),
		azerr.AuthorizationFailed("app", "oid", "Microsoft.Kusto/clusters/write", group),
		azerr.LinkedAuthorizationFailed("app", "oid", "Microsoft.Kusto/clusters/write", group, "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", group+"/providers/x"),
		azerr.InvalidRequestContent("Unexpected end of the content. Path '', line 1, position 3."),
		azerr.LocationRequired(),
		azerr.LocationNotAvailableForResourceType("mars", "Microsoft.Kusto/clusters", []string{"westeurope", "eastus"}),
		azerr.LocationNotAvailableForResourceGroup("mars", []string{"westeurope", "eastus"}),
		azerr.InvalidResourceLocation("c", "westeurope", "g", "eastus"),
		azerr.InvalidResourceGroupLocation("g", "westeurope", "eastus"),
		azerr.ResourceGroupBeingDeleted("g"),
		azerr.ScopeLocked(group, "delete", group),
		azerr.Conflict("The resource is in use."),
		azerr.AnotherOperationInProgress(group),
		azerr.RequestDisallowedByPolicy("c", "no-clusters"),
		azerr.TooManyRequests(17),
		azerr.SubscriptionRequestsThrottled(sub, "read", 9),
		azerr.RequestContentTooLarge(4 << 20),
		azerr.MethodNotAllowed("POST", "Microsoft.Kusto/clusters"),
		azerr.InvalidFilterInQueryString("x eq 1", "the property 'x' is not supported"),
		azerr.InvalidQueryParameter("$top", "-1", "a positive number is needed"),
		azerr.InvalidResourceGroupName("g."),
		azerr.InvalidTag("a%b", "the name may not contain any of <>%&\\?/"),
		azerr.OperationNotSupported("moveResources", "Microsoft.Resources/subscriptions/resourceGroups"),
		azerr.TooManyTags(51, 50),
		azerr.InvalidIdentityName("-"),
		azerr.InvalidFederatedCredentialName("-"),
		azerr.InvalidFederatedCredential("the property 'issuer' must be an https URL"),
		azerr.TooManyFederatedCredentials(20),
		azerr.PreconditionFailed("If-Match", `"1"`, group+"/providers/x"),
		azerr.ResourceMoveNotSupported("Microsoft.Kusto/clusters"),
		azerr.ResourceMoveValidationFailed([]*azerr.Error{azerr.MoveTargetExists(group + "/providers/x")}),
		azerr.InvalidMove("why"),
		azerr.TagNameNotFound("a"),
		azerr.TagInUse("a"),
		azerr.ExportTemplateCompletedWithErrors([]*azerr.Error{azerr.ExportTemplateProviderError("Contoso.Toys/boxes", "the type cannot be exported")}),
		azerr.LockNotFound("l"),
		azerr.InvalidLockName("a/b"),
		azerr.LocksNotSupported("/"),
		azerr.ResourceGroupDeletionFailed("g", []*azerr.Error{{Status: 409, Code: "Conflict", Message: "in use", Target: group + "/providers/x"}}),
	})
}

func TestDeploymentGolden(t *testing.T) {
	t.Parallel()
	const id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Resources/deployments/d"
	inner := azerr.InvalidKeyVaultProperties()
	compare(t, "deployment.golden", []*azerr.Error{
		azerr.InvalidTemplate("The template is empty", 0, 0, ""),
		azerr.InvalidTemplate("The value is missing", 1, 266, "properties.template.parameters.p"),
		azerr.InvalidTemplateExpression("c", "The template function 'x' is not valid.", 3, 9, "properties.template.resources[0]"),
		azerr.InvalidTemplateDeployment("d", "11111111-2222-4333-8444-555555555555", inner),
		azerr.TemplateResourceNotServed("InvalidResourceType", "n", "Microsoft.Kusto/nothing", "2023-08-15", "/providers/Microsoft.Kusto/nothing/n", 3, 5, "properties.template.resources[0]"),
		azerr.KeyVaultParameterNotFound("/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v"),
		azerr.KeyVaultParameterAuthorizationFailed("p", "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v", "No permission."),
		azerr.KeyVaultParameterRetrieveFailed("p", "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v", 404, "A secret with (name/id) s was not found in this key vault."),
		azerr.InvalidTemplateGroups(800, 801),
		azerr.DeploymentLocationQuotaExceeded("d", 10, []string{"EASTUS", "WESTEUROPE"}),
		azerr.InvalidTemplateDeploymentReason("no permission"),
		azerr.InvalidTemplateDeploymentMany(inner, inner),
		azerr.DeploymentFailed(id, azerr.ResourceDeploymentFailure(id+"x", "Failed", inner)),
		azerr.DeploymentOutputEvaluationFailed([]string{"a", "b"}, inner),
		azerr.DeploymentNotFound("d"),
		azerr.DeploymentActive("d", "4/4/2020 2:17:07 AM", "4/11/2020 2:17:01 AM"),
		azerr.DeploymentCannotBeCancelled("d", "Succeeded"),
		azerr.DeploymentNameInvalidCharacters("a b"),
		azerr.DeploymentNameLengthLimitExceeded(strings.Repeat("é", 65)),
		azerr.InvalidDeploymentLocation("d", "westeurope", "eastus"),
		azerr.DeploymentQuotaExceeded("/subscriptions/s", 800),
		azerr.JobSizeExceeded(5<<20, 4<<20),
		azerr.DeploymentJobSizeExceeded(5<<20, 4<<20),
		azerr.InvalidContentLink("https://x/y.json", "11111111-2222-4333-8444-555555555555"),
		azerr.RelativeContentLink(),
		azerr.DeploymentOutputInvalid("o", "The template variable 'v' is not found.", inner),
		azerr.DeploymentFailedCleanUp(id, inner),
		azerr.DeploymentOperationNotFound("0123456789ABCDEF", "d"),
		azerr.DeploymentFeatureNotSupported("TemplateSpecs", "Template specs are not supported."),
		azerr.OperationCanceled(),
	})
}

func TestManagementGolden(t *testing.T) {
	t.Parallel()
	const sub = "0b1f6471-1bf0-4dda-aec3-111122223333"
	compare(t, "management.golden", []*azerr.Error{
		azerr.ManagementGroupNotFound("g"),
		azerr.InvalidManagementGroupName("g."),
		azerr.ManagementGroupNotEmpty("g"),
		azerr.RootManagementGroupImmutable("root"),
		azerr.ManagementGroupCircle("a", "b"),
		azerr.ManagementGroupTooDeep(6),
		azerr.SubscriptionNotUnderManagementGroup(sub, "g"),
		azerr.SubscriptionAliasNotFound("a"),
		azerr.SubscriptionAliasConflict("a", sub),
		azerr.InvalidSubscriptionRequest("why"),
		azerr.SubscriptionStateConflict(sub, "Disabled"),
	})
}
