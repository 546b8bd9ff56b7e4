package openapi_test

import "strings"

// difference is where the service itself is known to answer otherwise than its
// document says; we do as the service does. Each names what shows it: a later
// document, a document's own words, or the recorded facts, by sheet and section,
// in the folder shared/reference beside the repository.
type difference struct {
	operation string // part of the operation id
	before    string // versions older than this; "" for all
	problem   string // part of it
	why       string
}

func differences() []difference {
	return []difference{
		{"Subscriptions_List", "", `has no "nextLink"`, "the document's own x-ms-pageable: the last page has no next link to name"},
		{"Tenants_List", "", `has no "nextLink"`, "the document's own x-ms-pageable: the last page has no next link to name"},
		{"DeploymentOperations_", "", `unknown member "trackingId"`, "arm.md §5 (an operation), clients.md §3 (long-running operations)"},
		{"WhatIf", "", `unknown member "correlationId"`, "clients.md §3 (whatIf result)"},
		{"Validate", "2024", `unknown member "id"`, "arm.md §5: a deployment-like body; the document of 2024-07-01 has it"},
		{"Validate", "2024", `unknown member "name"`, "arm.md §5: a deployment-like body; the document of 2024-07-01 has it"},
		{"Validate", "2024", `unknown member "type"`, "arm.md §5: a deployment-like body; the document of 2024-07-01 has it"},
		{"Validate", "2024", `unknown member "location"`, "arm.md §5: a deployment-like body; the document of 2024-07-01 has it"},
		{"Databases_", "2020", `isFollowed is bool, not a string`, "the document of 2020-02-15 corrects the type"},
		{"Clusters_Update", "2019-09", `status 202 is none of [200 201 default]`, "kusto-resource-provider.md §2: a change is answered with 202; the document calls it long-running"},
		{"OperationsResults_Get", "2022", `unknown member "OperationKind"`, "kusto-resource-provider.md §2: so spelt up to 2021-08-27"},
		{"OperationsResults_Get", "2022", `unknown member "OperationState"`, "kusto-resource-provider.md §2: so spelt up to 2021-08-27"},
		{"OperationsResults_Get", "2022", `unknown member "RootActivityId"`, "kusto-resource-provider.md §2: in the body up to 2021-08-27"},
		{"OperationsResults_Get", "2022", `unknown member "provisioningState"`, "kusto-resource-provider.md §2, recorded body; the document of 2022-02-01 has it"},
		{"OperationsResultsLocation_Get", "", "a body where none is described", "kusto-resource-provider.md §2: the last answer to a PATCH is the resource"},
	}
}

// known reports whether a problem is a known difference, and remembers that it
// was seen.
func (r *recorder) known(op *operation, problem string) bool {
	for i, d := range differences() {
		if strings.Contains(op.id(), d.operation) && (d.before == "" || op.version < d.before) && strings.Contains(problem, d.problem) {
			r.differences[i] = true
			return true
		}
	}
	return false
}
