// Package plan holds the bound form of a query: typed expressions over numbered columns, and relational nodes.
//
// Rel is a tabular expression with its visible columns and the order it has; Expr is a scalar expression. Columns are
// known by ColumnID, never by the names users give, so that names can shadow, repeat and differ in case only.
//
// The package must never hold unresolved names, and a node must never be changed after another node refers to it.
package plan
