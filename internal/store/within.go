package store

import "context"

// Within is a store whose transactions all happen inside tx: several steps that
// have transactions of their own become one. An Update that fails leaves what
// it wrote in tx, so whoever owns tx must let it fail too. It is valid as long
// as tx is, on its goroutine; closing it does nothing.
func Within(tx Tx) Store { return within{tx} }

type within struct{ tx Tx }

func (w within) View(ctx context.Context, fn func(Tx) error) error { return w.Update(ctx, fn) }

func (w within) Update(ctx context.Context, fn func(Tx) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return fn(w.tx)
}

func (within) Close() error { return nil }
