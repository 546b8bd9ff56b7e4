package openapi_test

import "strings"

// difference is where the service itself is known to answer otherwise than its
// document says; we do as the service does.
type difference struct {
	operation string // part of the operation id
	before    string // versions older than this; "" for all
	problem   string // the end of it
	why       string
}

func differences() []difference {
	return []difference{
		{"Subscriptions_List", "", `has no "nextLink"`, "a list without a next page has no link"},
		{"Tenants_List", "", `has no "nextLink"`, "a list without a next page has no link"},
		{"Subscriptions_List", "", `unknown member "count"`, "az shows it in its debug output"},
		{"Operations_List", "", `unknown member "trackingId"`, "clients print it"},
		{"WhatIf", "", `unknown member "correlationId"`, "clients print it"},
		{"Validate", "2024", `unknown member "id"`, "validation answers with a deployment; later documents say so"},
		{"Validate", "2024", `unknown member "name"`, "validation answers with a deployment"},
		{"Validate", "2024", `unknown member "type"`, "validation answers with a deployment"},
		{"Validate", "2024", `unknown member "location"`, "validation answers with a deployment"},
		{"RoleAssignments_", "2016", `unknown member "createdOn"`, "recorded"},
		{"RoleAssignments_", "2016", `unknown member "updatedOn"`, "recorded"},
		{"RoleAssignments_", "2016", `unknown member "createdBy"`, "recorded"},
		{"RoleAssignments_", "2016", `unknown member "updatedBy"`, "recorded"},
		{"Databases_", "2020", `isFollowed is bool, not a string`, "the next document corrects the type"},
		{"Clusters_Update", "2019-09", `status 202 is none of [200 201 default]`, "an update was always asynchronous"},
	}
}

func known(operation, version, problem string) bool {
	for _, d := range differences() {
		if strings.Contains(operation, d.operation) && (d.before == "" || version < d.before) && strings.HasSuffix(problem, d.problem) {
			return true
		}
	}
	return false
}
