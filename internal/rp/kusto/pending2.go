package kusto

const (
	kindDatabaseWrite   = "DatabaseCreate"
	kindAssignmentWrite = "PrincipalAssignmentCreate"
)
