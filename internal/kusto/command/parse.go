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
		if s.end() {
			return nil, "", s.fail("a query is expected behind the bar")
		}
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

// ends reports whether a .show command is complete here: a bar and a query may follow.
func (s *scanner) ends() bool { return s.end() || s.peek() == "|" || s.peek() == ";" }

// fixed are the .show commands without an entity, longer ones first.
func fixed() []struct {
	words string
	what  What
} {
	return []struct {
		words string
		what  What
	}{
		{"version", Version},
		{"cluster databases details", DatabasesDetails}, {"cluster databases identity", DatabasesIdentity},
		{"cluster databases schema as json", SchemaAsJSON}, {"cluster databases schema", DatabasesSchema},
		{"cluster databases entities", Entities}, {"cluster databases", Databases},
		{"cluster principals", ClusterPrincipals}, {"cluster", Cluster},
		{"schema as json", SchemaAsJSON}, {"schema", DatabasesSchema},
		{"tables details", TablesDetails}, {"tables", Tables},
		{"functions", Functions}, {"materialized-views", MaterializedViews}, {"external tables", ExternalTables},
		{"entity_groups", EntityGroups}, {"principal roles", PrincipalRoles},
	}
}

func show(s *scanner) (Command, error) {
	start := s.pos
	s.accept("show")
	for _, f := range fixed() {
		if s.accept(strings.Fields(f.words)...) {
			return finishShow(s, start, Show{What: f.what})
		}
	}
	switch {
	case s.accept("databases"):
		return showDatabases(s, start)
	case s.accept("table"):
		return showTable(s, start)
	case s.accept("database"):
		return showDatabase(s, start)
	}
	return nil, unknown(s, start)
}

// finishShow takes the with(…) clause of the commands that have one. Its
// properties concern stored functions and secrets in them, which there are none of.
func finishShow(s *scanner, start int, cmd Show) (Command, error) {
	if cmd.What == Entities || cmd.What == SchemaAsJSON {
		if _, err := s.properties(); err != nil {
			return nil, err
		}
	}
	if !s.ends() {
		return nil, unknown(s, start)
	}
	return cmd, nil
}

// showDatabases is .show databases [(['A'], B)] [details | identity | schema [as json] | entities].
func showDatabases(s *scanner, start int) (Command, error) {
	var names []string
	if s.accept("(") {
		for {
			name, err := s.name("database")
			if err != nil {
				return nil, err
			}
			names = append(names, name)
			if !s.accept(",") {
				break
			}
		}
		if err := s.expect(")"); err != nil {
			return nil, err
		}
	}
	what := Databases
	switch {
	case s.accept("details"):
		what = DatabasesDetails
	case s.accept("identity"):
		what = DatabasesIdentity
	case s.accept("entities"):
		what = Entities
	case s.accept("schema", "as", "json"):
		what = SchemaAsJSON
	case s.accept("schema"):
		what = DatabasesSchema
	}
	return finishShow(s, start, Show{What: what, Databases: names})
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
	case s.ends():
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
	switch s.peek() {
	case "schema", "principals", "policy", "details", "identity", "", "|", ";":
	default:
		var err error
		if name, err = s.name("database"); err != nil {
			return nil, err
		}
	}
	if s.accept("policy") {
		return policyOf(s, Entity{Database: true, Name: name})
	}
	for _, form := range []string{"schema as json", "schema as csl script", "schema", "principals", "details", "identity"} {
		if s.accept(strings.Fields(form)...) {
			if !s.ends() {
				return nil, unknown(s, start)
			}
			return ShowDatabase{name, form}, nil
		}
	}
	if !s.ends() {
		return nil, unknown(s, start)
	}
	return ShowDatabase{Name: name}, nil
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
