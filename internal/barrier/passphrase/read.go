package passphrase

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// ErrNobodyToAsk: no place was named to read the passphrase from, and there is no
// terminal.
var ErrNobodyToAsk = errors.New("no terminal to ask for the passphrase; name a file in $KUSTOS_PASSPHRASE_FILE, or use --seal passphrase:fd=N")

// Source says where a passphrase is read from.
type Source struct {
	// FD is an open descriptor, when not negative; File a path, when not empty;
	// otherwise the terminal is asked.
	FD   int
	File string
	// Confirm asks twice at a terminal: a new seal is being made.
	Confirm bool
}

// Read takes a passphrase: everything up to a final line end. A file that
// others can read is refused.
func Read(src Source) ([]byte, error) {
	switch {
	case src.FD >= 0:
		f := os.NewFile(uintptr(src.FD), "passphrase")
		if f == nil {
			return nil, fmt.Errorf("descriptor %d is not open", src.FD)
		}
		defer f.Close()
		return readAll(f)
	case src.File != "":
		f, err := os.Open(src.File)
		if err != nil {
			return nil, fmt.Errorf("open passphrase file: %w", err)
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("passphrase file: %w", err)
		}
		if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
			return nil, fmt.Errorf("passphrase file %s has mode %#o: others can read it; set it to 0600", src.File, info.Mode().Perm())
		}
		return readAll(f)
	}
	return prompt(src.Confirm)
}

func readAll(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxPassphrase+3))
	if err != nil {
		clear(data)
		return nil, fmt.Errorf("read passphrase: %w", err)
	}
	return bytes.TrimRight(data, "\r\n"), nil
}

// prompt asks at the controlling terminal with the echo off.
func prompt(confirm bool) ([]byte, error) {
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, ErrNobodyToAsk
	}
	defer tty.Close()
	first, err := ask(tty, "Passphrase: ")
	if err != nil || !confirm {
		return first, err
	}
	second, err := ask(tty, "The same again: ")
	defer clear(second)
	if err == nil && !bytes.Equal(first, second) {
		err = errors.New("the two passphrases differ")
	}
	if err != nil {
		clear(first)
		return nil, err
	}
	return first, nil
}

func ask(tty *os.File, question string) ([]byte, error) {
	fd := int(tty.Fd())
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	quiet := *was
	quiet.Lflag &^= unix.ECHO
	quiet.Lflag |= unix.ICANON | unix.ISIG
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &quiet); err != nil {
		return nil, fmt.Errorf("ask for the passphrase: %w", err)
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was); fmt.Fprintln(tty) }()
	fmt.Fprint(tty, question)
	var line []byte
	one := make([]byte, 1)
	for len(line) <= maxPassphrase {
		n, err := tty.Read(one)
		if n == 0 || err != nil || one[0] == '\n' {
			if err != nil && !errors.Is(err, io.EOF) {
				clear(line)
				return nil, fmt.Errorf("read passphrase: %w", err)
			}
			return bytes.TrimRight(line, "\r"), nil
		}
		line = append(line, one[0])
	}
	clear(line)
	return nil, errors.New("the passphrase is too long")
}
