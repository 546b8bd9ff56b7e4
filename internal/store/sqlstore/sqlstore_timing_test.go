package sqlstore_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/kustos-io/kustos/internal/store"
	"github.com/kustos-io/kustos/internal/store/sqlstore"
)

func BenchmarkUpdate(b *testing.B) {
	s, err := sqlstore.Open(context.Background(), b.TempDir()+"/state.db")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	value := make([]byte, 1000)
	for i := 0; b.Loop(); i++ {
		if err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put("b", fmt.Sprint(i), value) }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkView(b *testing.B) {
	s, err := sqlstore.Open(context.Background(), b.TempDir()+"/state.db")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Update(context.Background(), func(tx store.Tx) error { return tx.Put("b", "k", make([]byte, 1000)) }); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if err := s.View(context.Background(), func(tx store.Tx) error { _, err := tx.Get("b", "k"); return err }); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := b.TempDir() + "/state.db"
	for b.Loop() {
		s, err := sqlstore.Open(context.Background(), path)
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
