package funcs

import "github.com/kustos-io/kustos/internal/kql/types"

func hashFunctions() []Scalar {
	return []Scalar{
		fn("hash_md5", Default, "a", types.String),
		fn("hash_sha1", Default, "a", types.String),
		fn("hash_sha256", Default, "a", types.String),
	}
}
