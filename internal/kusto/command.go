package kusto

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kustos-io/kustos/internal/kql"
	"github.com/kustos-io/kustos/internal/kql/types"
	"github.com/kustos-io/kustos/internal/kusto/command"
)

// tableResult is a command's answer: one table, cells as values of our making.
type tableResult struct {
	columns []column
	rows    [][]any
}

func (h *Handler) mgmt(w http.ResponseWriter, r *http.Request, c *call) error {
	req, err := readRequest(r)
	if err != nil {
		return err
	}
	if !isCommand(req.Text) {
		return badRequest("Syntax error: SYN0002: a control command begins with a dot; queries are sent to /v2/rest/query")
	}
	return h.command(w, r, c, req)
}

// command runs a control command and answers in v1 shape.
func (h *Handler) command(w http.ResponseWriter, r *http.Request, c *call, req request) error {
	ctx, cancel := context.WithTimeout(r.Context(), req.Options.timeout(commandTimeout))
	defer cancel()
	cmd, pipe, err := command.Parse(req.Text)
	if err != nil {
		return commandError(req.Text, err)
	}
	if _, show := cmd.(command.Show); !show && req.Options.ReadOnly && !isShow(cmd) {
		return badRequest("the request is read-only (request_readonly) and the command is not")
	}
	result, err := h.execute(ctx, c, req, cmd)
	if err != nil {
		return err
	}
	if pipe != "" {
		return h.piped(ctx, w, r, c, req, result, pipe)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	body, closeBody := responseBody(w, r)
	out := newV1Writer(bufio.NewWriterSize(body, writeBuffer))
	t := out.commandTable(result.columns)
	for _, row := range result.rows {
		t.row(mustJSON(row))
	}
	t.close(nil)
	if err := errors.Join(out.finish(), closeBody()); err != nil {
		h.log.DebugContext(ctx, "client left during the answer", "request_id", c.act.ID, "error", err)
	}
	return nil
}

func isShow(cmd command.Command) bool {
	switch cmd.(type) {
	case command.Show, command.ShowTable, command.ShowDatabase, command.ShowPolicy:
		return true
	}
	return false
}

// commandError gives a parser's refusal its place in the text.
func commandError(text string, err error) error {
	var syntax *command.Error
	if !errors.As(err, &syntax) {
		return err
	}
	line, column := place(text, syntax.Offset)
	return &kql.Error{Kind: kql.Syntax, Code: "SYN0002", Message: syntax.Message, Line: line, Column: column, Offset: syntax.Offset}
}

// place is the line and the column, both from 1, of a byte offset.
func place(text string, offset int) (line, column int) {
	before := text[:min(max(offset, 0), len(text))]
	return strings.Count(before, "\n") + 1, len([]rune(before[strings.LastIndexByte(before, '\n')+1:])) + 1
}

// moved gives a compiler's refusal of a query that stands inside a command its
// place in the command's text. skipped is how much the compiled text had in
// front of the query, start where the query begins in text.
func moved(err error, text string, start, skipped int) error {
	var e *kql.Error
	if !errors.As(err, &e) {
		return err
	}
	out := *e
	out.Offset = start + max(e.Offset-skipped, 0)
	out.Line, out.Column = place(text, out.Offset)
	return &out
}

// execute runs one parsed command.
func (h *Handler) execute(ctx context.Context, c *call, req request, cmd command.Command) (tableResult, error) {
	switch cmd := cmd.(type) {
	case command.Show:
		return h.show(ctx, c, req, cmd)
	case command.ShowDatabase:
		return h.showDatabase(ctx, c, req, cmd)
	}
	// Every other command works in the request's database.
	database, err := h.database(ctx, c, req.Database)
	if err != nil {
		return tableResult{}, err
	}
	if database == "" {
		return tableResult{}, badRequest("the command needs a database; name one in the request's 'db'")
	}
	switch cmd := cmd.(type) {
	case command.ShowTable:
		return h.showTable(ctx, c, database, cmd)
	case command.ShowPolicy:
		return h.showPolicy(ctx, c, database, cmd.Entity)
	case command.AlterPolicy:
		return h.alterPolicy(ctx, c, database, cmd.Entity, &cmd.Body)
	case command.DeletePolicy:
		return h.alterPolicy(ctx, c, database, cmd.Entity, nil)
	case command.CreateTable:
		return h.createTable(ctx, c, database, cmd)
	case command.DropTable:
		return h.dropTable(ctx, c, database, cmd)
	case command.IngestInline:
		return h.ingestInline(ctx, c, database, cmd)
	case command.IngestQuery:
		return h.ingestQuery(ctx, c, req, database, cmd)
	}
	panic(fmt.Sprintf("BUG: no executor for %T", cmd))
}

// piped runs a query over a command's result: the rows become a datatable.
func (h *Handler) piped(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, req request, in tableResult, pipe string) error {
	var b strings.Builder
	b.WriteString("datatable (")
	for i, col := range in.columns {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "['%s']:%s", col.Name, col.Type)
	}
	b.WriteString(") [")
	for _, row := range in.rows {
		for j, v := range row {
			b.WriteString(literal(in.columns[j].Type, v))
			b.WriteString(", ")
		}
	}
	b.WriteString("]\n| ")
	command := req.Text
	req.Text = b.String() + pipe
	// The caller was allowed to see what is piped; tables that the query names
	// besides resolve only when he may read them.
	err := h.answerV1(ctx, w, r, c, req, needShow)
	return moved(err, command, len(command)-len(pipe), b.Len())
}

// literal writes a cell as a query literal.
func literal(t types.Type, v any) string {
	if v == nil {
		if t == types.String {
			return `""`
		}
		return t.String() + "(null)"
	}
	switch t {
	case types.String:
		return quoted(fmt.Sprint(v))
	case types.Dynamic:
		return "dynamic(" + string(mustJSON(v)) + ")"
	}
	return fmt.Sprintf("%s(%v)", t, v)
}

// quoted is a string literal of the query language.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t", `\t`).Replace(s) + `"`
}
