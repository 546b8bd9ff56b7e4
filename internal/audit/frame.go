package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

const (
	segmentMagic   = "KXAUDIT\n"
	frameMagic     = "KXAF"
	segmentVersion = 1
	guidSize       = 36
	headerSize     = len(segmentMagic) + 2 + 2 + guidSize + 8 + sha256.Size
	frameHead      = len(frameMagic) + 4 + 8 + sha256.Size
	maxBody        = 4 << 20

	chainLabel = "kustos audit frame v1\x00"
	startLabel = "kustos audit start v1\x00"
	bodyLabel  = "audit.frame\x00"

	segmentSuffix = ".kal"
)

// ErrNewerFormat: a segment was written by a newer version.
var ErrNewerFormat = errors.New("written by a newer version of kustos")

// link is a hash of the chain.
type link [sha256.Size]byte

func (l link) String() string { return hex.EncodeToString(l[:]) }

// MarshalText is hex.
func (l link) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads hex of the right length.
func (l *link) UnmarshalText(text []byte) error {
	raw, err := hex.DecodeString(string(text))
	if err != nil || len(raw) != len(l) {
		return errors.New("not a link of the chain")
	}
	copy(l[:], raw)
	return nil
}

// startOf is what the first frame of an instance is chained to.
func startOf(instance string) link { return sha256.Sum256([]byte(startLabel + instance)) }

// next is the link after a frame.
func next(frame []byte) link {
	h := sha256.New()
	h.Write([]byte(chainLabel))
	h.Write(frame)
	return link(h.Sum(nil))
}

// segmentHeader begins a file: which instance, which frame comes first, and
// what it is chained to.
type segmentHeader struct {
	instance string
	first    uint64
	prev     link
}

func (h segmentHeader) encode() []byte {
	out := make([]byte, 0, headerSize)
	out = append(out, segmentMagic...)
	out = binary.BigEndian.AppendUint16(out, segmentVersion)
	out = binary.BigEndian.AppendUint16(out, 0)
	out = append(out, h.instance...)
	out = binary.BigEndian.AppendUint64(out, h.first)
	return append(out, h.prev[:]...)
}

func parseSegmentHeader(data []byte) (segmentHeader, error) {
	rest, ok := bytes.CutPrefix(data, []byte(segmentMagic))
	if !ok || len(rest) < 4 {
		return segmentHeader{}, errors.New("it is not a segment of an audit log")
	}
	if v := binary.BigEndian.Uint16(rest); v > segmentVersion {
		return segmentHeader{}, fmt.Errorf("it has format %d, this binary knows up to %d: %w", v, segmentVersion, ErrNewerFormat)
	} else if v == 0 || binary.BigEndian.Uint16(rest[2:]) != 0 || len(data) < headerSize {
		return segmentHeader{}, errors.New("its header is damaged")
	}
	h := segmentHeader{instance: string(rest[4 : 4+guidSize]), first: binary.BigEndian.Uint64(rest[4+guidSize:])}
	copy(h.prev[:], rest[4+guidSize+8:])
	return h, nil
}

// frame is one batch of events as it lies on the disk.
type frame struct {
	number uint64
	prev   link
	sealed []byte
	raw    []byte // everything, header included
}

// encode makes the lines of as many events as share a frame; n is how many.
func encode(events []Event) (n int, lines []byte, err error) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	for n < len(events) && body.Len() < frameText {
		if err := enc.Encode(events[n]); err != nil {
			return 0, nil, fmt.Errorf("encode event: %w", err)
		}
		n++
	}
	return n, body.Bytes(), nil
}

// sealFrame makes the bytes of a batch.
func sealFrame(sealer Sealer, number uint64, prev link, lines []byte) ([]byte, error) {
	sealed, err := sealer.Seal(bodyContext(number, prev), lines)
	if err != nil {
		return nil, fmt.Errorf("seal events: %w", err)
	}
	out := make([]byte, 0, frameHead+len(sealed))
	out = append(out, frameMagic...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(sealed)))
	out = binary.BigEndian.AppendUint64(out, number)
	out = append(out, prev[:]...)
	return append(out, sealed...), nil
}

// bodyContext binds a body to its place in the chain.
func bodyContext(number uint64, prev link) string {
	return fmt.Sprintf("%s%d\x00%s", bodyLabel, number, prev)
}

// errTorn: the file ends inside a frame.
var errTorn = errors.New("the file ends inside a frame")

// parseFrame reads the frame at the start of data.
func parseFrame(data []byte) (frame, error) {
	if len(data) < frameHead {
		return frame{}, errTorn
	}
	if string(data[:len(frameMagic)]) != frameMagic {
		return frame{}, errors.New("no frame begins here")
	}
	n := binary.BigEndian.Uint32(data[4:])
	if n > maxBody {
		return frame{}, fmt.Errorf("a frame claims %d bytes", n)
	}
	if len(data) < frameHead+int(n) {
		return frame{}, errTorn
	}
	f := frame{number: binary.BigEndian.Uint64(data[8:]), sealed: data[frameHead : frameHead+int(n)], raw: data[:frameHead+int(n)]}
	copy(f.prev[:], data[16:])
	return f, nil
}

// events opens the body.
func (f frame) events(opener Opener) ([]Event, error) {
	body, err := opener.Open(bodyContext(f.number, f.prev), f.sealed)
	if err != nil {
		return nil, fmt.Errorf("open frame %d: %w", f.number, err)
	}
	var out []Event
	for dec := json.NewDecoder(bytes.NewReader(body)); dec.More(); {
		var e Event
		if err := dec.Decode(&e); err != nil {
			return nil, fmt.Errorf("decode frame %d: %w", f.number, err)
		}
		out = append(out, e)
	}
	return out, nil
}
