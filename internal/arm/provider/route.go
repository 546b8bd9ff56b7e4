package provider

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/authz"
	"github.com/kustos-io/kustos/internal/azerr"
	"github.com/kustos-io/kustos/internal/ids"
)

// Route is a request as a provider's table of routes names it, in lower case
// but for the method: "GET clusters/databases", with a final slash for a
// collection ("GET clusters/") and with its action after a blank ("POST clusters stop").
func Route(req *Request) string {
	route := req.Method + " " + strings.ToLower(req.ID.TypePath())
	if req.ID.IsCollection() {
		route += "/"
	}
	if req.Action != "" {
		route += " " + strings.ToLower(req.Action)
	}
	return route
}

// OK is a 200 with a body.
func OK(body any) (*Response, error) {
	return &Response{Status: http.StatusOK, Body: body}, nil
}

// Demand asks for a right of the caller that is not the one of the request
// itself, which the front door has asked for; the error is AuthorizationFailed.
func Demand(ctx context.Context, authorizer authz.Authorizer, req *Request, action string, at ids.ID) error {
	d, err := authorizer.Authorize(ctx, req.Principal, action, at.String())
	if err != nil {
		return fmt.Errorf("authorize %s: %w", action, err)
	}
	if !d.Allowed {
		return azerr.AuthorizationFailed(req.Principal.AppID, req.Principal.ObjectID, action, at.String())
	}
	return nil
}

// Operation is one entry of a namespace's list of operations.
type Operation struct {
	Name    string           `json:"name"`
	Display OperationDisplay `json:"display"`
}

// OperationDisplay says what an operation is for.
type OperationDisplay struct {
	Provider    string `json:"provider"`
	Resource    string `json:"resource"`
	Operation   string `json:"operation"`
	Description string `json:"description,omitempty"`
}

// OperationList is the answer of GET /providers/{namespace}/operations.
type OperationList struct {
	Value []Operation `json:"value"`
}
