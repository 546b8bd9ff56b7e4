package azerr

import (
	"fmt"
	"net/http"
	"strings"
)

// The errors of templates and deployments.

// InvalidTemplate: reason is a whole sentence. line and column count from 1 in
// the request as received; path leads to the place
// ("properties.template.parameters.p"). Without a path there is no position.
func InvalidTemplate(reason string, line, column int, path string) *Error {
	e := bad("InvalidTemplate", fmt.Sprintf("Deployment template validation failed: '%s'.", reason))
	if path != "" {
		e.Info = []Info{TemplateViolation(line, column, path)}
	}
	return e
}

// InvalidTemplateParse: a linked template does not have the form of one. reason
// is a whole sentence.
func InvalidTemplateParse(reason string) *Error {
	return bad("InvalidTemplate", fmt.Sprintf("Deployment template parse failed: '%s'.", reason))
}

// InvalidTemplateGroups: one deployment writes to too many resource groups.
func InvalidTemplateGroups(limit, actual int) *Error {
	return InvalidTemplate(fmt.Sprintf("The number of target resource groups limit exceeded. Limit: '%d' and actual: '%d'. Please see https://aka.ms/arm-deploy-resources for usage details.", limit, actual), 0, 0, "")
}

// InvalidTemplateExpression is InvalidTemplate for an expression of one resource.
func InvalidTemplateExpression(resource, reason string, line, column int, path string) *Error {
	e := bad("InvalidTemplate", fmt.Sprintf("Unable to process template language expressions for resource '%s' at line '%d' and column '%d'. '%s'", resource, line, column, reason))
	if path != "" {
		e.Info = []Info{TemplateViolation(line, column, path)}
	}
	return e
}

// TemplateViolation is the additionalInfo that gives a place in a template.
func TemplateViolation(line, column int, path string) Info {
	return Info{Type: "TemplateViolation", Info: templateViolation{line, column, path}}
}

type templateViolation struct {
	LineNumber   int    `json:"lineNumber"`
	LinePosition int    `json:"linePosition"`
	Path         string `json:"path"`
}

// InvalidDeployment: the request around the template is wrong for its scope.
func InvalidDeployment(why string) *Error { return bad("InvalidDeployment", why) }

// InvalidTemplateDeployment wraps what the preflight of a deployment found.
func InvalidTemplateDeployment(deployment, trackingID string, details ...*Error) *Error {
	e := bad("InvalidTemplateDeployment", fmt.Sprintf("The template deployment '%s' is not valid according to the validation procedure. The tracking id is '%s'. See inner errors for details.", deployment, trackingID))
	e.Details = details
	return e
}

// TemplateResourceNotServed stands below the error that refuses a resource's
// type, namespace or version: that one is the front door's and knows neither
// the resource's full type nor its place in the template.
func TemplateResourceNotServed(code, name, typ, version, target string, line, column int, path string) *Error {
	e := bad(code, fmt.Sprintf("The template resource '%s' of type '%s' at line '%d' and column '%d' cannot be deployed: the type is not available with api version '%s'.", name, typ, line, column, version))
	e.Target, e.Info = target, []Info{TemplateViolation(line, column, path)}
	return e
}

// InvalidTemplateDeploymentReason is the form with one reason and no details
// (authorisation of a template resource).
func InvalidTemplateDeploymentReason(reason string) *Error {
	return bad("InvalidTemplateDeployment", fmt.Sprintf("The template deployment failed with error: '%s'.", reason))
}

// InvalidTemplateDeploymentMany is the form for several errors.
func InvalidTemplateDeploymentMany(details ...*Error) *Error {
	e := bad("InvalidTemplateDeployment", "The template deployment failed with multiple errors. Please see details for more information.")
	e.Details = details
	return e
}

const seeVaultParameters = "Please see https://aka.ms/arm-keyvault for usage details."

// KeyVaultParameterNotFound: a parameter refers to a vault that is not there.
func KeyVaultParameterNotFound(vault string) *Error {
	e := bad("KeyVaultParameterReferenceNotFound", fmt.Sprintf("The specified KeyVault '%s' could not be found. %s", vault, seeVaultParameters))
	e.Target = vault
	return e
}

// KeyVaultParameterAuthorizationFailed: the deployer may not deploy from the vault.
func KeyVaultParameterAuthorizationFailed(parameter, vault, why string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "KeyVaultParameterReferenceAuthorizationFailed", Target: vault,
		Message: fmt.Sprintf("The secret of KeyVault parameter '%s' cannot be retrieved. %s %s", parameter, why, seeVaultParameters)}
}

// KeyVaultParameterRetrieveFailed: the vault did not give the secret. status is
// its HTTP status, 0 when it was not asked.
func KeyVaultParameterRetrieveFailed(parameter, vault string, status int, why string) *Error {
	shown := ""
	if status != 0 {
		shown = fmt.Sprintf(" Http status code: '%s'.", strings.ReplaceAll(http.StatusText(status), " ", ""))
	}
	e := bad("KeyVaultParameterReferenceSecretRetrieveFailed", fmt.Sprintf("The secret of KeyVault parameter '%s' cannot be retrieved.%s Error message: '%s'. %s", parameter, shown, strings.TrimSuffix(why, "."), seeVaultParameters))
	e.Target = vault
	return e
}

// DeploymentFailed stands in the body of a deployment that failed; target is
// the deployment's id.
func DeploymentFailed(target string, details ...*Error) *Error {
	e := bad("DeploymentFailed", "At least one resource deployment operation failed. Please list deployment operations for details. Please see https://aka.ms/arm-deployment-operations for usage details.")
	e.Target, e.Details = target, details
	return e
}

// ResourceDeploymentFailure is a detail of DeploymentFailed: state is the
// terminal state the resource reached.
func ResourceDeploymentFailure(target, state string, details ...*Error) *Error {
	e := conflict("ResourceDeploymentFailure", fmt.Sprintf("The resource write operation failed to complete successfully, because it reached terminal provisioning state '%s'.", state))
	e.Target, e.Details = target, details
	return e
}

// DeploymentOutputEvaluationFailed: names are the outputs, one detail each.
func DeploymentOutputEvaluationFailed(names []string, details ...*Error) *Error {
	e := bad("DeploymentOutputEvaluationFailed", fmt.Sprintf("Unable to evaluate template outputs: '%s'. Please see error details and deployment operations. Please see https://aka.ms/arm-common-errors for usage details.", strings.Join(names, ",")))
	e.Details = details
	return e
}

// DeploymentNotFound: no deployment of this name in the scope's history.
func DeploymentNotFound(name string) *Error {
	return missing("DeploymentNotFound", fmt.Sprintf("Deployment '%s' could not be found.", name))
}

// DeploymentActive: a deployment of this name runs. started and expires are
// printed as given, in US form ("4/4/2020 2:17:07 AM").
func DeploymentActive(name, started, expires string) *Error {
	return conflict("DeploymentActive", fmt.Sprintf("Unable to edit or replace deployment '%s': previous deployment from '%s' is still active (expiration time is '%s'). Please see https://aka.ms/arm-deploy for usage details.", name, started, expires))
}

// DeploymentCannotBeCancelled: the deployment has ended. (Two l in the code.)
func DeploymentCannotBeCancelled(name, state string) *Error {
	return conflict("DeploymentCannotBeCancelled", fmt.Sprintf("The deployment '%s' cannot be cancelled because it is in the provisioning state '%s'. Only a deployment that is accepted or running can be cancelled.", name, state))
}

// DeploymentNameInvalidCharacters: the rule is in the text.
func DeploymentNameInvalidCharacters(name string) *Error {
	return bad("DeploymentNameInvalidCharacters", fmt.Sprintf("The deployment name '%s' contains invalid characters. It may have letters, digits, '-', '.', '_', '(' and ')' only.", name))
}

// DeploymentNameLengthLimitExceeded: longer than 64 characters.
func DeploymentNameLengthLimitExceeded(name string) *Error {
	return bad("DeploymentNameLengthLimitExceeded", fmt.Sprintf("The deployment name '%s' is longer than the limit of 64 characters: it has %d.", name, len([]rune(name))))
}

// InvalidDeploymentLocation: a name above resource-group scope is bound to its first location.
func InvalidDeploymentLocation(name, existing, wanted string) *Error {
	return conflict("InvalidDeploymentLocation", fmt.Sprintf("Invalid deployment location '%s'. The deployment '%s' already exists in location '%s'.", wanted, name, existing))
}

// DeploymentLocationQuotaExceeded: the deployments of one scope above resource
// groups are kept in a few locations only; used are those there are.
func DeploymentLocationQuotaExceeded(deployment string, limit int, used []string) *Error {
	return conflict("DeploymentQuotaExceeded", fmt.Sprintf("Creating the deployment '%s' would exceed the deployment location quota. The current scope allows deployments to be created in at most '%d' locations. The following locations are used for deployments: '%s'. Please create your deployment in other locations. Please see https://aka.ms/arm-deploy-resources for usage details.",
		deployment, limit, strings.Join(used, ",")))
}

// DeploymentQuotaExceeded: the scope's history is full.
func DeploymentQuotaExceeded(scope string, limit int) *Error {
	return conflict("DeploymentQuotaExceeded", fmt.Sprintf("Creating the deployment would exceed the quota of %d deployments in the history of '%s'. Please delete some of them.", limit, scope))
}

// JobSizeExceeded: the template is larger than limit bytes.
func JobSizeExceeded(size, limit int) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "JobSizeExceeded", Message: fmt.Sprintf("The size of the template is '%d' bytes, which exceeds the maximum size of '%d' bytes.", size, limit)}
}

// DeploymentJobSizeExceeded: the expanded deployment is larger than limit bytes.
func DeploymentJobSizeExceeded(size, limit int) *Error {
	return bad("DeploymentJobSizeExceeded", fmt.Sprintf("The size of the deployment after expansion is '%d' bytes, which exceeds the maximum size of '%d' bytes.", size, limit))
}

// InvalidContentLink: a linked template or parameter file cannot be had.
func InvalidContentLink(uri, trackingID string) *Error {
	return bad("InvalidContentLink", fmt.Sprintf("Unable to download deployment content from '%s'. The tracking Id is '%s'. Please see https://aka.ms/arm-deploy for usage details.", uri, trackingID))
}

// RelativeContentLink: a template that came in the request asks for its own
// address, which it has not.
func RelativeContentLink() *Error {
	return bad("InvalidContentLink", "Unable to download deployment content relative to this template: the template was sent in the request itself, so it has no address of its own.")
}

// DeploymentOutputInvalid: one output cannot be computed; details may be nil.
func DeploymentOutputInvalid(name, why string, details ...*Error) *Error {
	e := bad("DeploymentOutputEvaluationFailed", fmt.Sprintf("The template output '%s' is not valid: %s.", name, strings.TrimSuffix(why, ".")))
	e.Target, e.Details = name, details
	return e
}

// DeploymentFailedCleanUp: mode Complete cannot delete a resource.
func DeploymentFailedCleanUp(id string, cause *Error) *Error {
	return &Error{Status: cause.Status, Code: "DeploymentFailedCleanUp", Target: id, Message: "The resource was not part of the template and could not be deleted.", Details: []*Error{cause}}
}

// DeploymentOperationNotFound: no operation of that id.
func DeploymentOperationNotFound(operation, deployment string) *Error {
	return missing("DeploymentOperationNotFound", fmt.Sprintf("The deployment operation '%s' of the deployment '%s' could not be found.", operation, deployment))
}

// DeploymentFeatureNotSupported: a part of a deployment that this server
// refuses by name, the first word of the code.
func DeploymentFeatureNotSupported(feature, message string) *Error {
	return bad(feature+"NotSupported", message)
}

// OperationCanceled: how a long-running operation ends that was canceled.
func OperationCanceled() *Error {
	return conflict("OperationCanceled", "The operation was canceled.")
}
