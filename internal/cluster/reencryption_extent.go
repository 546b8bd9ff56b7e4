package cluster

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kustos-io/kustos/internal/aead"
	"github.com/kustos-io/kustos/internal/catalog"
	"github.com/kustos-io/kustos/internal/envelope"
	"github.com/kustos-io/kustos/internal/extent"
	"github.com/kustos-io/kustos/internal/ids"
	"github.com/kustos-io/kustos/internal/store"
)

// located is an extent with its table.
type located struct {
	t *table
	e catalog.Extent
}

// rewriteExtents puts a fresh extent in the place of each that is under an
// older key version, until there is none.
func (s *session) rewriteExtents(ctx context.Context, job *reencryption, db *database, version int) error {
	id := db.id
	young, damaged := make(map[string]bool), make(map[string]error)
	for {
		todo, err := s.olderExtents(ctx, db, version, young, damaged)
		if err != nil {
			return err
		}
		var bytes int64
		for _, l := range todo {
			bytes += l.e.FileSize
		}
		err = s.advance(ctx, job, func(_ store.Tx, now *reencryption) error {
			part := now.part(id)
			part.Extents, part.Bytes, part.Damaged = part.ExtentsDone+int64(len(todo)), part.BytesDone+bytes, len(damaged)
			return nil
		})
		if err != nil {
			return err
		}
		if len(todo) == 0 {
			break
		}
		for _, l := range todo {
			began := time.Now()
			err := s.rewriteExtent(ctx, job, l)
			if err == nil && l.e.FileSize <= payloadBytes { // a larger one has rested in between
				err = s.giveWay(ctx, time.Since(began))
			}
			var broken *ExtentError
			if errors.As(err, &broken) && ctx.Err() == nil {
				damaged[l.e.ID] = err
				s.log.Error("damaged extent is left out of the re-encryption", "extent", broken.ID, "offset", broken.Offset, "error", broken.Cause)
			} else if err != nil {
				return err
			}
		}
	}
	for _, err := range damaged {
		return &damageError{extents: len(damaged), first: err}
	}
	return nil
}

// olderExtents lists the extents of a database whose file is under an older
// key version. young are those that are known not to be, damaged those that
// cannot be read.
func (s *session) olderExtents(ctx context.Context, db *database, version int, young map[string]bool, damaged map[string]error) (out []located, err error) {
	for _, t := range s.tablesOf(db) {
		t.mu.RLock()
		extents := slices.Clone(t.extents)
		t.mu.RUnlock()
		for _, e := range extents {
			if err := ctx.Err(); err != nil {
				return nil, context.Cause(ctx)
			}
			if young[e.ID] || damaged[e.ID] != nil {
				continue
			}
			v, err := s.fileKeyVersion(e)
			switch {
			case err == nil && v >= version:
				young[e.ID] = true
			case err == nil:
				out = append(out, located{t, e})
			case transient(err):
				return nil, err
			case t.has(e.ID):
				damaged[e.ID] = extentError(e.ID, err)
			}
		}
	}
	return out, nil
}

// fileKeyVersion is the version of the database key that an extent's file
// names. It needs no key.
func (s *session) fileKeyVersion(e catalog.Extent) (int, error) {
	f, err := os.Open(s.extentPath(e.DatabaseID, e.ID))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	file, err := extent.Open(f, info.Size())
	if err != nil {
		return 0, err
	}
	return file.Info().KeyVersion, nil
}

// has reports whether an extent is one of the table's.
func (t *table) has(id string) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.ContainsFunc(t.extents, func(e catalog.Extent) bool { return e.ID == id })
}

// transient says that an error of reading an extent says nothing about it.
func transient(err error) bool {
	for _, other := range []error{context.Canceled, context.DeadlineExceeded, aead.ErrWiped, envelope.ErrLocked, envelope.ErrDatabaseLocked, unix.EMFILE, unix.ENFILE} {
		if errors.Is(err, other) {
			return true
		}
	}
	var suspended *SuspendedError
	return errors.As(err, &suspended)
}

// rewriteExtent writes the rows of an extent into a fresh one under the newest
// key version and puts it in its place. Queries see one or the other. An extent
// that is gone meanwhile (merged, expired, dropped) is done. An *ExtentError
// says that it cannot be read.
func (s *session) rewriteExtent(ctx context.Context, job *reencryption, l located) error {
	if err := l.t.db.lease.enter(); err != nil {
		return err
	}
	defer l.t.db.lease.leave()
	if !l.t.has(l.e.ID) {
		return s.exchange(ctx, job, l, nil)
	}
	defer l.t.db.writers.enter()()
	fresh, err := s.copyExtent(ctx, l)
	if errors.Is(err, fs.ErrNotExist) && !l.t.has(l.e.ID) {
		return s.exchange(ctx, job, l, nil)
	} else if err != nil {
		return err
	}
	return s.exchange(ctx, job, l, &fresh)
}

// exchange commits that fresh stands in the place of an extent, or, when that
// is gone, that there is nothing to do.
func (s *session) exchange(ctx context.Context, job *reencryption, l located, fresh *catalog.Extent) error {
	s.maintaining.Lock() // a merge that has begun with the old one ends first
	defer s.maintaining.Unlock()
	gone := fresh == nil
	err := s.advance(ctx, job, func(tx store.Tx, now *reencryption) error {
		part := now.part(l.e.DatabaseID)
		part.ExtentsDone++
		part.BytesDone += l.e.FileSize
		if gone {
			return nil
		}
		err := s.cat.RemoveExtents(tx, l.e.DatabaseID, l.e.TableID, []string{l.e.ID})
		if errors.Is(err, catalog.ErrNotFound) {
			gone = true
			return nil
		} else if err != nil {
			return err
		}
		return s.cat.AddExtent(tx, *fresh, 0)
	})
	switch {
	case err != nil && fresh != nil:
		s.withdraw(*fresh)
		return err
	case err != nil:
		return err
	case fresh == nil:
	case gone:
		s.removeExtents([]catalog.Extent{*fresh})
	default:
		s.hot.replace(l.e, *fresh) // the copy was compared
		l.t.swap([]catalog.Extent{l.e}, fresh)
	}
	return nil
}

// withdraw removes a fresh extent whose commit failed, when it is certain that
// the catalogue does not name it; else the next start knows.
func (s *session) withdraw(e catalog.Extent) {
	var named bool
	err := s.store.View(context.WithoutCancel(s.ctx), func(tx store.Tx) (err error) {
		named, err = s.cat.HasExtent(tx, e.DatabaseID, e.TableID, e.ID)
		return err
	})
	if err == nil && !named {
		s.removeExtents([]catalog.Extent{e})
	}
}

// copyExtent decrypts an extent chunk by chunk and encrypts it again, and
// verifies what was written. Until the catalogue names it the file is an orphan.
func (s *session) copyExtent(ctx context.Context, l located) (catalog.Extent, error) {
	in, err := s.openExtent(l.e)
	if err != nil {
		return catalog.Extent{}, unreadable(ctx, l, err)
	}
	defer in.close()
	section, err := in.Section()
	if err != nil {
		return catalog.Extent{}, unreadable(ctx, l, err)
	}
	defer clear(section)
	fresh := l.e
	fresh.ID = ids.NewGUID()
	source := &payload{s: s, ctx: ctx, in: in.Reader, left: in.Size()}
	defer source.wipe()
	sum := sha256.New()
	fresh.FileSize, err = s.encryptExtent(fresh, section, in.Size(), io.TeeReader(source, sum))
	switch {
	case source.err != nil:
		return catalog.Extent{}, unreadable(ctx, l, source.err)
	case err != nil:
		return catalog.Extent{}, fmt.Errorf("write extent: %w", err)
	}
	if err := s.verifyCopy(ctx, fresh, sum.Sum(nil)); err != nil {
		s.removeExtents([]catalog.Extent{fresh})
		return catalog.Extent{}, err
	}
	return fresh, nil
}

// verifyCopy reads a fresh extent back from its file.
func (s *session) verifyCopy(ctx context.Context, fresh catalog.Extent, want []byte) error {
	back, err := s.openExtent(fresh)
	if err != nil {
		return fmt.Errorf("verify extent: %w", err)
	}
	defer back.close()
	source := &payload{s: s, ctx: ctx, in: back.Reader, left: back.Size()}
	defer source.wipe()
	sum := sha256.New()
	for source.left > 0 { // not io.Copy, which has a buffer of its own
		if err := source.fill(); err != nil {
			return fmt.Errorf("verify extent: %w", err)
		}
		sum.Write(source.ready) // a hash never fails
	}
	if !bytes.Equal(sum.Sum(nil), want) {
		return fmt.Errorf("verify extent: extent %s does not hold what was written", fresh.ID)
	}
	return nil
}

// unreadable is what an error of reading an extent means.
func unreadable(ctx context.Context, l located, err error) error {
	if ctx.Err() != nil || transient(err) || errors.Is(err, fs.ErrNotExist) && !l.t.has(l.e.ID) {
		return err
	}
	return extentError(l.e.ID, err)
}

// payloadBytes is how much of an extent is in memory at a time.
const payloadBytes = 256 << 10

// payload reads an extent a piece at a time, and gives way to requests.
type payload struct {
	s     *session
	ctx   context.Context
	in    *extent.Reader
	at    int64
	left  int64
	buf   []byte
	ready []byte // of buf, not given out yet
	since time.Time
	err   error
}

func (p *payload) Read(b []byte) (int, error) {
	if len(p.ready) == 0 {
		if p.left == 0 {
			return 0, io.EOF
		}
		if p.err = p.fill(); p.err != nil {
			return 0, p.err
		}
	}
	n := copy(b, p.ready)
	p.ready = p.ready[n:]
	return n, nil
}

func (p *payload) fill() error {
	if p.buf == nil {
		p.buf = make([]byte, payloadBytes)
	} else if err := p.s.giveWay(p.ctx, time.Since(p.since)); err != nil {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return context.Cause(p.ctx)
	}
	p.since = time.Now()
	n, err := p.in.ReadAt(p.buf[:min(p.left, payloadBytes)], p.at)
	if err != nil {
		return err
	}
	p.ready = p.buf[:n]
	p.at += int64(n)
	p.left -= int64(n)
	return nil
}

func (p *payload) wipe() { clear(p.buf) }

// giveWay pauses the re-encryption while there are requests, three times as
// long as its last piece took: it then has a quarter of one processor.
func (s *session) giveWay(ctx context.Context, took time.Duration) error {
	if s.busy.Load() == 0 {
		return nil
	}
	timer := time.NewTimer(min(3*took, 100*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
