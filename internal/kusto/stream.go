package kusto

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"

	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/internal/kusto/ingest"
	"github.com/kustos-io/kustos/internal/wire"
)

// Limits of one streaming request, uncompressed. Parquet cannot be cut into
// smaller requests by a client, so it has a larger one.
const (
	maxStream        = 4 << 20
	maxStreamParquet = 64 << 20
)

// stream serves streaming ingestion: the rows are durable and visible when it
// answers 200.
func (h *Handler) stream(w http.ResponseWriter, r *http.Request, c *call) error {
	if strings.EqualFold(r.Header.Get("x-ms-readonly"), "true") {
		return badRequest("the request is read-only (x-ms-readonly) and ingestion is not")
	}
	database, err := h.database(r.Context(), c, r.PathValue("database"))
	if err != nil {
		return err
	}
	if err := c.access.require(needIngest, database); err != nil {
		return err
	}
	table, err := h.table(r.Context(), c, database, r.PathValue("table"))
	if err != nil {
		return err
	}
	if err := h.streamingAllowed(r.Context(), c, database, table); err != nil {
		return err
	}
	if kind := parameter(r, "sourceKind"); kind != "" && !strings.EqualFold(kind, "stream") {
		return badRequest("sourceKind '%s' is not supported; send the data in the body", kind)
	}
	if name := parameter(r, "mappingName"); name != "" {
		return entityNotFound("MappingReference", name)
	}
	format, err := ingest.ParseFormat(parameter(r, "streamFormat"))
	if err != nil {
		return badRequest("%s", err)
	}
	data, err := readBody(r, streamLimit(format))
	if err != nil {
		return err
	}
	rows, err := h.ingestBytes(r.Context(), c, database, table, format, data, ingest.Options{})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	var out bytes.Buffer
	v := newV1Buffer(&out)
	t := v.table([]column{{"ConsumedRecordsCount", types.Long}, {"UpdatePolicyStatus", types.String}, {"UpdatePolicyFailureCode", types.String}, {"UpdatePolicyFailureReason", types.String}})
	t.row(mustJSON([]any{rows, "Inactive", "Unknown", ""}))
	t.close(nil)
	if err := v.finish(); err != nil {
		return err
	}
	wire.WriteJSON(w, http.StatusOK, json.RawMessage(bytes.TrimSpace(out.Bytes())))
	return nil
}

func streamLimit(format ingest.Format) int64 {
	if format == ingest.Parquet {
		return maxStreamParquet
	}
	return maxStream
}

// parameter reads a URL parameter whose name clients spell in several ways.
func parameter(r *http.Request, name string) string {
	for have, values := range r.URL.Query() {
		if strings.EqualFold(have, name) {
			return values[0]
		}
	}
	return ""
}

// streamingAllowed checks the cluster flag and the policy of table or database.
func (h *Handler) streamingAllowed(ctx context.Context, c *call, database string, t catalog.Table) error {
	on, err := h.streaming.StreamingIngest(ctx, c.cluster.ID)
	if err != nil {
		return err
	}
	if !on {
		return streamingDisabled(fmt.Sprintf("Streaming ingestion is not enabled on cluster '%s' (enableStreamingIngest).", c.cluster.Name))
	}
	for _, table := range []string{t.Name, ""} { // the table's policy decides; without one the database's
		body, err := h.runtime.TablePolicy(ctx, c.cluster.ID, database, table, catalog.PolicyStreamingIngestion)
		if errors.Is(err, catalog.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		var policy struct{ IsEnabled bool }
		if err := json.Unmarshal(body, &policy); err != nil {
			return fmt.Errorf("read streaming policy: %w", err)
		}
		if policy.IsEnabled {
			return nil
		}
		break
	}
	return streamingDisabled(fmt.Sprintf("Streaming ingestion policy is not enabled for table '%s' of database '%s'.", t.Name, database))
}

func streamingDisabled(message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "BadRequest_StreamingIngestionPolicyNotEnabled", Type: "Kusto.DataNode.Exceptions.StreamingIngestionPolicyNotEnabledException", Message: message, Permanent: true}
}

// table finds a table or says that it is not there.
func (h *Handler) table(ctx context.Context, c *call, database, name string) (catalog.Table, error) {
	t, err := h.runtime.Table(ctx, c.cluster.ID, database, name)
	if errors.Is(err, catalog.ErrNotFound) {
		return t, entityNotFound("Table", name)
	}
	return t, err
}

// ingestBytes parses data and makes its rows durable. It returns their number.
func (h *Handler) ingestBytes(ctx context.Context, c *call, database string, t catalog.Table, f ingest.Format, data []byte, o ingest.Options) (int64, error) {
	if f == ingest.Parquet {
		columns := map[string]string{}
		for _, col := range t.Columns {
			columns[col.Name] = col.Name
		}
		return h.runtime.IngestParquet(ctx, c.cluster.ID, database, t.Name, bytes.NewReader(data), int64(len(data)), columns)
	}
	var batch arrow.RecordBatch
	var err error
	if f == ingest.JSON || f == ingest.MultiJSON {
		batch, err = ingest.ReadJSON(bytes.NewReader(data), t, o)
	} else {
		batch, err = ingest.ReadCSV(bytes.NewReader(data), f, t, o)
	}
	if err != nil {
		return 0, badRequest("%s", err)
	}
	if batch == nil {
		return 0, nil
	}
	defer batch.Release()
	return batch.NumRows(), h.runtime.Ingest(ctx, c.cluster.ID, database, t.Name, batch)
}
