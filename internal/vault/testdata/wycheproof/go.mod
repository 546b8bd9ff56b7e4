// Pins the published test vectors that TestWycheproof reads, apart from the main
// module: they are a hundred megabytes that no build needs.
module github.com/kustos-io/kustos/internal/vault/testdata/wycheproof

go 1.26.4

require github.com/c2sp/wycheproof v0.0.0-20260902155932-3fa63dd0344a
