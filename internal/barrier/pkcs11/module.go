package pkcs11

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The parts of PKCS #11 v2.40 that are used. CK_ULONG is a machine word on
// Linux and structures are not packed there.
type ulong = uintptr

const (
	fnInitialize        = 0
	fnFinalize          = 1
	fnGetSlotList       = 4
	fnGetTokenInfo      = 6
	fnOpenSession       = 12
	fnCloseSession      = 13
	fnLogin             = 18
	fnFindObjectsInit   = 26
	fnFindObjects       = 27
	fnFindObjectsFinal  = 28
	fnEncryptInit       = 29
	fnEncrypt           = 30
	fnDecryptInit       = 33
	fnDecrypt           = 34
	fnGenerateKey       = 58
	fnCount             = 68
	rvOK                = 0
	rvAlreadyLoggedIn   = 0x100
	rvAlreadyInitialize = 0x191
	osLocking           = 2
	flagSerial          = 4
	flagReadWrite       = 2
	userNormal          = 1

	attrClass       = 0x0
	attrToken       = 0x1
	attrPrivate     = 0x2
	attrLabel       = 0x3
	attrKeyType     = 0x100
	attrSensitive   = 0x103
	attrEncrypt     = 0x104
	attrDecrypt     = 0x105
	attrValueLen    = 0x161
	attrExtractable = 0x162

	classSecret = 4
	typeAES     = 0x1f
	mechAESKey  = 0x1080
	mechAESGCM  = 0x1087
)

// returnValue is a CK_RV that is not CKR_OK.
type returnValue uintptr

func (r returnValue) Error() string {
	names := map[returnValue]string{0x5: "general error", 0x6: "function failed", 0x30: "device error", 0x32: "device removed", 0x40: "encrypted data invalid",
		0x41: "encrypted data length wrong", 0x60: "key handle invalid", 0x68: "key function not permitted", 0x70: "mechanism invalid", 0x71: "mechanism parameter invalid",
		0xa0: "PIN incorrect", 0xa4: "PIN locked", 0xb3: "session handle invalid", 0xe0: "token not present", 0x101: "user not logged in", 0x150: "buffer too small"}
	if name, ok := names[r]; ok {
		return "the token says: " + name
	}
	return fmt.Sprintf("the token says: CKR 0x%x", uintptr(r))
}

// function list: a version, then pointers.
type functionList struct {
	version [2]byte
	_       [6]byte
	fn      [fnCount]uintptr
}

type attribute struct {
	kind  ulong
	value unsafe.Pointer
	size  ulong
}

type mechanism struct {
	kind  ulong
	value unsafe.Pointer
	size  ulong
}

type gcmParams struct {
	iv      unsafe.Pointer
	ivLen   ulong
	ivBits  ulong
	aad     unsafe.Pointer
	aadLen  ulong
	tagBits ulong
}

type initArgs struct {
	create, destroy, lock, unlock uintptr
	flags                         ulong
	reserved                      uintptr
}

// module is a loaded library that is initialised.
type module struct{ list *functionList }

func load(path string) (*module, error) {
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("load PKCS #11 module: %w", err)
	}
	get, err := purego.Dlsym(lib, "C_GetFunctionList")
	if err != nil {
		return nil, fmt.Errorf("%s is not a PKCS #11 module: %w", path, err)
	}
	var list *functionList
	if rv, _, _ := purego.SyscallN(get, uintptr(unsafe.Pointer(&list))); rv != rvOK {
		return nil, fmt.Errorf("function list of %s: %w", path, returnValue(rv))
	}
	if list == nil || list.version[0] != 2 && list.version[0] != 3 {
		return nil, fmt.Errorf("%s speaks an unknown version of PKCS #11", path)
	}
	m := &module{list}
	args := &initArgs{flags: osLocking}
	rv, _, _ := purego.SyscallN(m.list.fn[fnInitialize], uintptr(unsafe.Pointer(args)))
	if rv != rvOK && rv != rvAlreadyInitialize {
		return nil, fmt.Errorf("initialise %s: %w", path, returnValue(rv))
	}
	return m, nil
}

//go:uintptrescapes
func (m *module) call(fn int, args ...uintptr) error {
	if rv, _, _ := purego.SyscallN(m.list.fn[fn], args...); rv != rvOK {
		return returnValue(rv)
	}
	return nil
}

// slotOf finds the one token with that label.
func (m *module) slotOf(label string) (ulong, error) {
	slots := make([]ulong, 256)
	n := ulong(len(slots))
	if err := m.call(fnGetSlotList, 1, uintptr(unsafe.Pointer(&slots[0])), uintptr(unsafe.Pointer(&n))); err != nil {
		return 0, fmt.Errorf("list tokens: %w", err)
	}
	var found []ulong
	for _, s := range slots[:n] {
		info := make([]byte, 256) // CK_TOKEN_INFO has 208 bytes and begins with the label
		if err := m.call(fnGetTokenInfo, s, uintptr(unsafe.Pointer(&info[0]))); err != nil {
			continue // a slot whose token was just removed
		}
		if strings.TrimRight(string(info[:32]), " \x00") == label {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("no token is labelled %q", label)
	case 1:
		return found[0], nil
	}
	return 0, fmt.Errorf("%d tokens are labelled %q", len(found), label)
}

// session is a session of a logged-in user.
type session struct {
	*module
	handle ulong
}

func (m *module) open(slot ulong, pin []byte) (*session, error) {
	s := &session{module: m}
	if err := m.call(fnOpenSession, slot, flagSerial|flagReadWrite, 0, 0, uintptr(unsafe.Pointer(&s.handle))); err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	err := m.call(fnLogin, s.handle, userNormal, uintptr(unsafe.Pointer(unsafe.SliceData(pin))), ulong(len(pin)))
	if err != nil && !errors.Is(err, returnValue(rvAlreadyLoggedIn)) {
		s.close()
		return nil, fmt.Errorf("log in: %w", err)
	}
	return s, nil
}

func (s *session) close() { _ = s.call(fnCloseSession, s.handle) }

// text and word are attribute values.
func text(kind ulong, s string) attribute {
	b := []byte(s)
	return attribute{kind, unsafe.Pointer(unsafe.SliceData(b)), ulong(len(b))}
}

func word(kind, value ulong) attribute {
	v := new(ulong)
	*v = value
	return attribute{kind, unsafe.Pointer(v), unsafe.Sizeof(*v)}
}

func flag(kind ulong, on bool) attribute {
	v := new(byte)
	if on {
		*v = 1
	}
	return attribute{kind, unsafe.Pointer(v), 1}
}

// find returns the handles of the AES keys with that label, at most two.
func (s *session) find(label string) ([]ulong, error) {
	template := []attribute{word(attrClass, classSecret), word(attrKeyType, typeAES), text(attrLabel, label)}
	if err := s.call(fnFindObjectsInit, s.handle, uintptr(unsafe.Pointer(&template[0])), ulong(len(template))); err != nil {
		return nil, fmt.Errorf("find key: %w", err)
	}
	runtime.KeepAlive(template)
	found := make([]ulong, 2)
	var n ulong
	err := s.call(fnFindObjects, s.handle, uintptr(unsafe.Pointer(&found[0])), ulong(len(found)), uintptr(unsafe.Pointer(&n)))
	if err = errors.Join(err, s.call(fnFindObjectsFinal, s.handle)); err != nil {
		return nil, fmt.Errorf("find key: %w", err)
	}
	return found[:n], nil
}

// generate makes an AES-256 key that never leaves the token.
func (s *session) generate(label string) (key ulong, err error) {
	template := []attribute{word(attrClass, classSecret), word(attrKeyType, typeAES), word(attrValueLen, 32), text(attrLabel, label), flag(attrToken, true),
		flag(attrPrivate, true), flag(attrSensitive, true), flag(attrExtractable, false), flag(attrEncrypt, true), flag(attrDecrypt, true)}
	m := &mechanism{kind: mechAESKey}
	err = s.call(fnGenerateKey, s.handle, uintptr(unsafe.Pointer(m)), uintptr(unsafe.Pointer(&template[0])), ulong(len(template)), uintptr(unsafe.Pointer(&key)))
	runtime.KeepAlive(template)
	if err != nil {
		return 0, fmt.Errorf("make key: %w", err)
	}
	return key, nil
}

// gcm encrypts or decrypts data in one go.
func (s *session) gcm(encrypt bool, key ulong, iv, aad, data []byte) ([]byte, error) {
	p := &gcmParams{unsafe.Pointer(unsafe.SliceData(iv)), ulong(len(iv)), ulong(len(iv)) * 8, unsafe.Pointer(unsafe.SliceData(aad)), ulong(len(aad)), 128}
	m := &mechanism{mechAESGCM, unsafe.Pointer(p), unsafe.Sizeof(*p)}
	begin, run := fnDecryptInit, fnDecrypt
	if encrypt {
		begin, run = fnEncryptInit, fnEncrypt
	}
	if err := s.call(begin, s.handle, uintptr(unsafe.Pointer(m)), key); err != nil {
		return nil, err
	}
	out := make([]byte, len(data)+64)
	n := ulong(len(out))
	err := s.call(run, s.handle, uintptr(unsafe.Pointer(unsafe.SliceData(data))), ulong(len(data)), uintptr(unsafe.Pointer(&out[0])), uintptr(unsafe.Pointer(&n)))
	runtime.KeepAlive(m)
	runtime.KeepAlive(p)
	runtime.KeepAlive(iv)
	runtime.KeepAlive(aad)
	if err != nil {
		clear(out)
		return nil, err
	}
	return out[:n:n], nil
}
