package kusto

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/cluster"
	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/wire"
)

// Error is a data-plane error in the Kusto envelope ("OneApi error").
type Error struct {
	Status    int
	Code      string // "General_BadRequest", "BadRequest_EntityNotFound", "Forbidden" …
	Type      string // .NET exception type, which SDKs print
	Message   string // what SDKs show as @message
	Permanent bool   // false invites a retry
	Inner     *Inner
	cause     error
}

// Inner is a syntax or semantic error with its position.
type Inner struct {
	Code    string // "SYN0002", "SEM0100"
	Type    string
	Message string
	Line    int // 1-based, 0 when unknown
	Pos     int // 0-based offset in the text, -1 when unknown
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func (e *Error) Unwrap() error { return e.cause }

func badRequest(format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "General_BadRequest", Type: "Kusto.Data.Exceptions.KustoBadRequestException",
		Message: "Request is invalid and cannot be processed: " + fmt.Sprintf(format, args...), Permanent: true}
}

func entityNotFound(kind, name string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest_EntityNotFound", Type: "Kusto.DataNode.Exceptions.EntityNotFoundException",
		Message: fmt.Sprintf("Entity ID '%s' of kind '%s' was not found.", name, kind), Permanent: true}
}

func entityExists(kind, name string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest_EntityNameAlreadyExists", Type: "Kusto.Data.Exceptions.EntityNameAlreadyExistsException",
		Message: fmt.Sprintf("Entity name '%s' of kind '%s' already exists.", name, kind), Permanent: true}
}

func databaseNotFound(name string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest_DatabaseNotExist", Type: "Kusto.Data.Exceptions.DatabaseNotFoundException",
		Message: fmt.Sprintf("Database '%s' could not be found.", name), Permanent: true}
}

func forbidden(principal, need, entity string) *Error {
	return &Error{Status: http.StatusForbidden, Code: "Forbidden", Type: "Kusto.DataNode.Exceptions.UnauthorizedAccessException",
		Message: fmt.Sprintf("Principal '%s' is not authorized to %s %s.", principal, need, entity), Permanent: true}
}

func tooLarge(limit int64) *Error {
	return &Error{Status: http.StatusRequestEntityTooLarge, Code: "BadRequest_MessageTooLarge", Type: "Kusto.Data.Exceptions.KustoBadRequestException",
		Message: fmt.Sprintf("The request body is larger than the limit of %d bytes.", limit), Permanent: true}
}

// statusServiceError is the status of a failure inside the service; it is not
// one of HTTP's own.
const statusServiceError = 520

// cancelled is the code of a query that was ended before its time.
const cancelled = "QueryCancelled"

// asError turns any error into the data plane's wire error; this is the only
// place where that happens. Internal causes stay in the log.
func asError(err error) *Error {
	var own *Error
	var compile *kql.Error
	var suspended *cluster.SuspendedError
	var query *cluster.QueryError
	var extent *cluster.ExtentError
	var log *cluster.LogError
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &compile):
		return compileError(compile)
	case errors.As(err, &suspended) && suspended.Database != "":
		return &Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Type: "Kusto.DataNode.Exceptions.ClusterSuspendedException",
			Message: "The database '" + suspended.Database + "' is suspended because its own customer-managed key is not available: " + suspended.Reason, Permanent: true, cause: err}
	case errors.As(err, &suspended):
		return &Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Type: "Kusto.DataNode.Exceptions.ClusterSuspendedException",
			Message: "The cluster is suspended because its customer-managed key is not available: " + suspended.Reason, Permanent: true, cause: err}
	case errors.Is(err, cluster.ErrNotRunning):
		return &Error{Status: http.StatusPreconditionFailed, Code: "PreconditionFailed", Type: "Kusto.DataNode.Exceptions.ClusterSuspendedException",
			Message: "The cluster is not running.", Permanent: true, cause: err}
	case errors.As(err, &query):
		e := badRequest("%s", query.Message)
		if query.Memory {
			e = &Error{Status: http.StatusBadRequest, Code: "LimitsExceeded", Type: "Kusto.Data.Exceptions.KustoServicePartialQueryFailureLimitsExceededException",
				Message: "Query execution lacks memory resources to complete (80DA0001): " + query.Message, Permanent: false}
		}
		e.cause = err
		return e
	case errors.Is(err, cluster.ErrSchema):
		e := badRequest("%s", err)
		e.cause = err
		return e
	case errors.Is(err, cluster.ErrDiskFull), errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &Error{Status: http.StatusServiceUnavailable, Code: "ServiceUnavailable", Type: "Kusto.Data.Exceptions.KustoServiceUnavailableException",
			Message: "The disk of this cluster is full: it answers queries and takes no data until there is space again. Nothing of this request was stored.", cause: err}
	case errors.Is(err, cluster.ErrEngine):
		return &Error{Status: statusServiceError, Code: "ServiceError", Type: "Kusto.Data.Exceptions.KustoServiceException",
			Message: "The query engine of this cluster stopped while it served the request; it has been started again. Retry the request.", cause: err}
	case errors.As(err, &extent):
		// Retrying does not mend a file: this error is permanent.
		return &Error{Status: statusServiceError, Code: "ServiceError", Type: "Kusto.Data.Exceptions.KustoServiceException",
			Message: "Extent '" + extent.ID + "' cannot be read: its file is missing, damaged or not under the key it should be. Other extents are not concerned." + damagedAt(extent), Permanent: true, cause: err}
	case errors.As(err, &log):
		return &Error{Status: statusServiceError, Code: "ServiceError", Type: "Kusto.Data.Exceptions.KustoServiceException",
			Message: "The database '" + log.Database + "' is closed because its write-ahead log is damaged: segment '" + log.Segment + "' cannot be read." + brokenAt(log) +
				" Other databases are not concerned, and nothing of this one is changed meanwhile. 'kustos fsck' says more. Put the segment, or the folder, back from a backup:" +
				" the database opens by itself when its log can be read, at the latest when the cluster is started again." +
				" A segment that is lost for good is given up, with what only it has, by 'kustos fsck --give-up " + log.Segment + "' on the stopped folder.", Permanent: true, cause: err}
	case errors.Is(err, catalog.ErrExists):
		e := entityExists("Entity", "")
		e.Message, e.cause = "An entity of that name already exists.", err
		return e
	case errors.Is(err, catalog.ErrTypeChange):
		e := badRequest("the type of a column cannot change")
		e.cause = err
		return e
	case errors.Is(err, catalog.ErrNotFound):
		e := entityNotFound("Entity", "")
		e.Message, e.cause = "The entity was not found.", err
		return e
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Status: http.StatusGatewayTimeout, Code: "Timeout", Type: "Kusto.Data.Exceptions.KustoServiceTimeoutException",
			Message: "Request aborted because it ran longer than its server timeout.", Permanent: false, cause: err}
	case errors.Is(err, context.Canceled):
		return &Error{Status: http.StatusBadRequest, Code: cancelled, Type: "Kusto.Data.Exceptions.KustoServicePartialQueryFailureException",
			Message: "Query execution was cancelled (80DA0006).", Permanent: false, cause: err}
	case errors.Is(err, wire.ErrTooLarge):
		return tooLarge(maxBody)
	}
	return &Error{Status: http.StatusInternalServerError, Code: "General_InternalServerError", Type: "Kusto.Data.Exceptions.KustoServiceException",
		Message: "An internal service error occurred. The activity id is in the x-ms-activity-id header.", Permanent: false, cause: err}
}

// damagedAt tells where the damage is, when it is that of one chunk.
func damagedAt(e *cluster.ExtentError) string {
	if e.Offset == 0 {
		return ""
	}
	return fmt.Sprintf(" The damage is in the chunk at offset %d of the file.", e.Offset)
}

// brokenAt tells where the damage is, when it is that of one frame.
func brokenAt(e *cluster.LogError) string {
	if e.Offset == 0 {
		return ""
	}
	return fmt.Sprintf(" The damage is in the frame at offset %d of the file.", e.Offset)
}

// closedAlone reports whether an error says that one database, or the whole
// cluster, is closed for now, because of a key or of a log.
func closedAlone(err error) bool {
	var suspended *cluster.SuspendedError
	var log *cluster.LogError
	return errors.As(err, &suspended) || errors.As(err, &log)
}

func compileError(e *kql.Error) *Error {
	kind, typ := "Semantic error", "Kusto.Data.Exceptions.SemanticException"
	if e.Kind == kql.Syntax {
		kind, typ = "Syntax error", "Kusto.Data.Exceptions.SyntaxException"
	}
	text := fmt.Sprintf("%s: %s: %s", kind, e.Code, e.Message)
	if e.Line > 0 {
		text += fmt.Sprintf(" [line:position=%d:%d]", e.Line, e.Column)
	}
	out := badRequest("%s", text)
	out.Inner = &Inner{Code: e.Code, Type: typ, Message: text, Line: e.Line, Pos: e.Offset}
	return out
}

// hresult is the number and the text by which completion tables name a failure.
func (e *Error) hresult() (code int, name, event string) {
	switch {
	case e.Code == "LimitsExceeded" && strings.Contains(e.Message, "80DA0001"):
		return -2133196799, "Query lacks memory resources to complete (E_RUNAWAY_QUERY). (-2133196799)", "QueryLimitsExceeded"
	case e.Code == "LimitsExceeded":
		return -2133196797, "Query result set too large (E_QUERY_RESULT_SET_TOO_LARGE). (-2133196797)", "QueryLimitsExceeded"
	case e.Code == cancelled:
		return -2133196794, "Query was cancelled (E_QUERY_CANCELLED). (-2133196794)", "QueryCancelled"
	}
	return -2147467259, e.Code + " (E_FAIL). (-2147467259)", "QueryFailed"
}

// oneAPI is the error object of the envelope. Field order follows the service;
// the service's @text, which repeats the query, is left out.
type oneAPI struct {
	Code      string        `json:"code"`
	Message   string        `json:"message"`
	Type      string        `json:"@type"`
	AtMessage string        `json:"@message"`
	Context   oneAPIContext `json:"@context"`
	Permanent bool          `json:"@permanent"`
	Inner     *oneAPIInner  `json:"innererror,omitempty"`
}

type oneAPIContext struct {
	Timestamp        string `json:"timestamp"`
	ServiceAlias     string `json:"serviceAlias"`
	ClientRequestID  string `json:"clientRequestId"`
	ActivityID       string `json:"activityId"`
	SubActivityID    string `json:"subActivityId"`
	ActivityType     string `json:"activityType"`
	ParentActivityID string `json:"parentActivityId"`
	ActivityStack    string `json:"activityStack"`
}

type oneAPIInner struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	Type         string `json:"@type"`
	AtMessage    string `json:"@message"`
	Permanent    bool   `json:"@permanent"`
	ErrorCode    string `json:"@errorCode"`
	ErrorMessage string `json:"@errorMessage"`
	Line         int    `json:"@line,omitempty"`
	Pos          *int   `json:"@pos,omitempty"`
}

func (e *Error) wire(a activity, now time.Time) map[string]oneAPI {
	short := "Request is invalid and cannot be executed."
	if e.Code != "General_BadRequest" {
		short = e.Message
	}
	out := oneAPI{Code: e.Code, Message: short, Type: e.Type, AtMessage: e.Message, Permanent: e.Permanent,
		Context: oneAPIContext{Timestamp: wire.Time(now), ServiceAlias: a.Cluster, ClientRequestID: a.ClientRequestID, ActivityID: a.ID,
			SubActivityID: a.ID, ActivityType: a.Kind, ParentActivityID: a.ID, ActivityStack: "(Activity stack: CRID=" + a.ClientRequestID + " ARID=" + a.ID + ")"}}
	if e.Inner != nil {
		out.Inner = &oneAPIInner{Code: e.Inner.Code, Message: e.Inner.Message, Type: e.Inner.Type, AtMessage: e.Inner.Message, Permanent: true,
			ErrorCode: e.Inner.Code, ErrorMessage: e.Inner.Message, Line: e.Inner.Line}
		if e.Inner.Pos >= 0 {
			out.Inner.Pos = &e.Inner.Pos
		}
	}
	return map[string]oneAPI{"error": out}
}

// activity identifies one request in headers, errors and logs.
type activity struct {
	ID              string // x-ms-activity-id, fresh
	ClientRequestID string
	Cluster         string
	Kind            string // "DN.RunQuery", "DN.AdminCommand", "DN.StreamingIngest"
}
