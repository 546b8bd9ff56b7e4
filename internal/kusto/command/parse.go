package command

import (
	"strings"
)

// Parse reads a control command. pipe is the query text behind the first bar
// of a .show command, "" when there is none. The error is an *Error.
func Parse(text string) (cmd Command, pipe string, err error) {
	s := &scanner{text: text}
	s.space()
	if !s.accept(".") {
		return nil, "", s.fail("a control command begins with a dot")
	}
	start := s.pos
	verb := s.peek()
	parsers := map[string]func(*scanner) (Command, error){
		"show": show, "create": create, "create-merge": create, "drop": drop, "alter": alter, "alter-merge": alter, "delete": deletePolicy,
		"ingest": ingest, "set": ingestQuery, "append": ingestQuery, "set-or-append": ingestQuery,
	}
	parse, ok := parsers[verb]
	if !ok {
		return nil, "", unknown(s, start)
	}
	if cmd, err = parse(s); err != nil {
		return nil, "", err
	}
	if verb == "show" && s.accept("|") {
		s.space()
		return cmd, s.text[s.pos:], nil
	}
	s.accept(";")
	if !s.end() {
		return nil, "", s.fail("the command is expected to end here")
	}
	return cmd, "", nil
}

// unknown names the command by its first words, never by its data.
func unknown(s *scanner, start int) error {
	s.pos = start
	var words []string
	for len(words) < 4 {
		s.space()
		w := s.run()
		if w == "" {
			break
		}
		words = append(words, w)
	}
	s.pos = start
	return s.fail("the control command '.%s' is not supported", strings.Join(words, " "))
}

func show(s *scanner) (Command, error) {
	start := s.pos
	s.accept("show")
	fixed := []struct {
		words []string
		what  What
	}{
		{[]string{"version"}, Version},
		{[]string{"databases", "details"}, DatabasesDetails}, {[]string{"cluster", "databases", "details"}, DatabasesDetails},
		{[]string{"databases", "identity"}, DatabasesIdentity}, {[]string{"cluster", "databases", "identity"}, DatabasesIdentity},
		{[]string{"databases", "schema", "as", "json"}, SchemaAsJSON}, {[]string{"cluster", "databases", "schema", "as", "json"}, SchemaAsJSON},
		{[]string{"databases", "schema"}, DatabasesSchema}, {[]string{"cluster", "databases", "schema"}, DatabasesSchema},
		{[]string{"schema", "as", "json"}, SchemaAsJSON}, {[]string{"schema"}, DatabasesSchema},
		{[]string{"cluster", "databases"}, Databases}, {[]string{"databases"}, Databases},
		{[]string{"tables", "details"}, TablesDetails}, {[]string{"tables"}, Tables},
		{[]string{"functions"}, Functions}, {[]string{"materialized-views"}, MaterializedViews}, {[]string{"external", "tables"}, ExternalTables},
		{[]string{"cluster"}, Cluster},
	}
	for _, f := range fixed {
		if s.accept(f.words...) {
			if !s.end() && s.peek() != "|" && s.peek() != ";" {
				return nil, unknown(s, start)
			}
			return Show{f.what}, nil
		}
	}
	switch {
	case s.accept("table"):
		return showTable(s, start)
	case s.accept("database"):
		return showDatabase(s, start)
	}
	return nil, unknown(s, start)
}

func showTable(s *scanner, start int) (Command, error) {
	name, err := s.name("table")
	if err != nil {
		return nil, err
	}
	switch {
	case s.accept("policy"):
		return policyOf(s, Entity{Name: name})
	case s.accept("details"):
		return ShowTable{name, "details"}, nil
	case s.accept("cslschema"):
		return ShowTable{name, "cslschema"}, nil
	case s.accept("schema", "as", "json"):
		return ShowTable{name, "schema as json"}, nil
	case s.end() || s.peek() == "|":
		return ShowTable{Name: name}, nil
	}
	return nil, unknown(s, start)
}

func policyOf(s *scanner, e Entity) (Command, error) {
	kind, err := s.name("policy")
	e.Policy = strings.ToLower(kind)
	return ShowPolicy{e}, err
}

func showDatabase(s *scanner, start int) (Command, error) {
	name := ""
	if w := s.peek(); w != "schema" && w != "principals" && w != "policy" {
		var err error
		if name, err = s.name("database"); err != nil {
			return nil, err
		}
	}
	switch {
	case s.accept("schema", "as", "json"), s.accept("schema", "as", "csl", "script"), s.accept("schema"), s.accept("principals"), s.accept("policy"):
	default:
		return nil, unknown(s, start)
	}
	words := strings.Fields(strings.ToLower(s.text[start:s.pos]))
	switch words[len(words)-1] {
	case "json":
		return ShowDatabase{name, "schema as json"}, nil
	case "script":
		return ShowDatabase{name, "schema as csl script"}, nil
	case "principals":
		return ShowDatabase{name, "principals"}, nil
	case "policy":
		return policyOf(s, Entity{Database: true, Name: name})
	}
	return ShowDatabase{name, "schema"}, nil
}

func create(s *scanner) (Command, error) {
	start := s.pos
	merge := s.accept("create-merge")
	if !merge {
		s.accept("create")
	}
	if !s.accept("table") {
		return nil, unknown(s, start)
	}
	out := CreateTable{Merge: merge}
	var err error
	if out.Name, err = s.name("table"); err != nil {
		return nil, err
	}
	if err := s.expect("("); err != nil {
		return nil, err
	}
	for !s.accept(")") {
		var c Column
		if c.Name, err = s.name("column"); err != nil {
			return nil, err
		}
		if err := s.expect(":"); err != nil {
			return nil, err
		}
		if c.Type, err = s.name("type"); err != nil {
			return nil, err
		}
		out.Columns = append(out.Columns, c)
		if !s.accept(",") && s.peek() != ")" {
			return nil, s.fail("',' or ')' is expected")
		}
	}
	props, err := s.properties()
	if err != nil {
		return nil, err
	}
	out.Folder, out.DocString, err = described(s, props)
	return out, err
}

// described takes folder and docstring; another property is refused by name.
func described(s *scanner, props map[string]string) (folder, doc string, err error) {
	for name := range props {
		if name != "folder" && name != "docstring" {
			return "", "", s.fail("the property '%s' is not supported here", name)
		}
	}
	return props["folder"], props["docstring"], nil
}

func drop(s *scanner) (Command, error) {
	start := s.pos
	s.accept("drop")
	if !s.accept("table") {
		return nil, unknown(s, start)
	}
	name, err := s.name("table")
	return DropTable{name, s.accept("ifexists")}, err
}

// entity takes table|database NAME policy KIND.
func entity(s *scanner, start int) (Entity, error) {
	e := Entity{Database: s.accept("database")}
	what := "database"
	if !e.Database {
		if what = "table"; !s.accept("table") {
			return e, unknown(s, start)
		}
	}
	var err error
	if e.Name, err = s.name(what); err != nil {
		return e, err
	}
	if !s.accept("policy") {
		return e, unknown(s, start)
	}
	kind, err := s.name("policy")
	e.Policy = strings.ToLower(kind)
	return e, err
}

func alter(s *scanner) (Command, error) {
	start := s.pos
	if s.accept("alter-merge") {
		return nil, unknown(s, start)
	}
	s.accept("alter")
	e, err := entity(s, start)
	if err != nil {
		return nil, err
	}
	switch {
	case s.accept("enable"):
		return AlterPolicy{e, `{"IsEnabled":true}`}, nil
	case s.accept("disable"):
		return AlterPolicy{e, `{"IsEnabled":false}`}, nil
	}
	body, err := s.str()
	return AlterPolicy{e, body}, err
}

func deletePolicy(s *scanner) (Command, error) {
	start := s.pos
	s.accept("delete")
	e, err := entity(s, start)
	return DeletePolicy{e}, err
}

func ingest(s *scanner) (Command, error) {
	start := s.pos
	s.accept("ingest")
	if !s.accept("inline", "into") {
		return nil, unknown(s, start)
	}
	s.accept("table")
	name, err := s.name("table")
	if err != nil {
		return nil, err
	}
	props, err := s.properties()
	if err != nil {
		return nil, err
	}
	if !s.accept("<|") {
		return nil, s.fail("'<|' and the data are expected")
	}
	data := s.text[s.pos:]
	s.pos = len(s.text)
	// What stands on the line of the mark may be data; the first line break is not.
	data = strings.TrimLeft(data, " \t")
	data = strings.TrimPrefix(strings.TrimPrefix(data, "\r"), "\n")
	return IngestInline{Table: name, Properties: props, Data: data}, nil
}

func ingestQuery(s *scanner) (Command, error) {
	verb := s.peek()
	s.accept(verb)
	if s.accept("async") {
		return nil, s.fail("'async' is not supported; the command answers when the rows are stored")
	}
	out := IngestQuery{Create: verb != "append", Append: verb != "set"}
	var err error
	if out.Table, err = s.name("table"); err != nil {
		return nil, err
	}
	props, err := s.properties()
	if err != nil {
		return nil, err
	}
	if out.Folder, out.DocString, err = described(s, props); err != nil {
		return nil, err
	}
	if !s.accept("<|") {
		return nil, s.fail("'<|' and a query are expected")
	}
	out.Query = strings.TrimSpace(s.text[s.pos:])
	s.pos = len(s.text)
	return out, nil
}
