package aead

import (
	"reflect"
	"unsafe"
)

// scrub zeroes what a cipher of the standard library holds in memory: an
// expanded AES key begins with the key itself. It does so only for a pointer to
// a struct of plain numbers, where zero bytes are a valid value; it reports
// whether it was one. Nobody may use the cipher afterwards.
func scrub(c any) bool {
	v := reflect.ValueOf(c)
	if v.Kind() != reflect.Pointer || v.IsNil() || !plain(v.Type().Elem()) {
		return false
	}
	clear(unsafe.Slice((*byte)(v.UnsafePointer()), v.Type().Elem().Size()))
	return true
}

func plain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			if !plain(t.Field(i).Type) {
				return false
			}
		}
		return true
	case reflect.Array:
		return plain(t.Elem())
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Complex128 && t.Kind() != reflect.Uintptr
}
