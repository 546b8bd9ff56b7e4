// Package template turns a deployment template and its parameters into a
// [Program]: typed parameter values, lazy variables, the expanded list of
// resources with their ids and dependencies, and the outputs that are computed
// at the end.
//
// [Compile] does everything that needs no live resource and reports what is
// wrong the way the service does: *azerr.Error with code InvalidTemplate, the
// service's text, line, column and path. [Program.Body] and [Program.Outputs]
// need the live resources and take an eval.Runtime for it.
//
// It understands language versions 1.0 (an array of resources) and 2.0
// (symbolic names, types, existing resources). What it does not understand it
// refuses by name. The package does no I/O and takes no clock.
package template
