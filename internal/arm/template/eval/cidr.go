package eval

import (
	"math/big"
	"net/netip"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func cidrFunctions() map[string]*builtin {
	return map[string]*builtin{
		"parseCidr":  {least: 1, most: 1, eager: parseCidr},
		"cidrSubnet": {least: 3, most: 3, eager: cidrSubnet},
		"cidrHost":   {least: 2, most: 2, eager: cidrHost},
	}
}

func network(c *call, v value.Value) (netip.Prefix, error) {
	s, ok := v.(string)
	if !ok {
		return netip.Prefix{}, wrongArgument(c.name, 0, "String", v)
	}
	p, err := netip.ParsePrefix(s)
	if err != nil || p.Addr().Zone() != "" {
		return netip.Prefix{}, Errorf("The template language function '%s' expects its first parameter to be a network in CIDR notation. The provided value is '%s'. %s", c.name, s, see(c.name))
	}
	return p.Masked(), nil
}

// at is the address n above a; ok is false outside the address family.
func at(a netip.Addr, n *big.Int) (netip.Addr, bool) {
	sum := new(big.Int).SetBytes(a.AsSlice())
	sum.Add(sum, n)
	if sum.Sign() < 0 || sum.BitLen() > a.BitLen() {
		return netip.Addr{}, false
	}
	out, ok := netip.AddrFromSlice(sum.FillBytes(make([]byte, a.BitLen()/8)))
	return out, ok
}

func size(bits int) *big.Int { return new(big.Int).Lsh(big.NewInt(1), uint(bits)) }

func parseCidr(c *call, args []value.Value) (value.Value, error) {
	p, err := network(c, args[0])
	if err != nil {
		return nil, err
	}
	base, width := p.Addr(), p.Addr().BitLen()
	last, _ := at(base, new(big.Int).Sub(size(width-p.Bits()), big.NewInt(1)))
	ones := new(big.Int).Sub(size(width), size(width-p.Bits()))
	mask, _ := netip.AddrFromSlice(ones.FillBytes(make([]byte, width/8)))
	out := value.Of(value.Member{Name: "network", Value: base.String()}, value.Member{Name: "netmask", Value: mask.String()})
	firstUsable, lastUsable := base, last
	if base.Is4() {
		out.Set("broadcast", last.String())
		if p.Bits() < 31 {
			firstUsable, lastUsable = base.Next(), last.Prev()
		}
	}
	out.Set("firstUsable", firstUsable.String())
	out.Set("lastUsable", lastUsable.String())
	out.Set("cidr", int64(p.Bits()))
	return out, nil
}

func cidrSubnet(c *call, args []value.Value) (value.Value, error) {
	p, err := network(c, args[0])
	if err != nil {
		return nil, err
	}
	bits, ok := args[1].(int64)
	if !ok {
		return nil, wrongArgument(c.name, 1, "Integer", args[1])
	}
	i, ok := args[2].(int64)
	if !ok {
		return nil, wrongArgument(c.name, 2, "Integer", args[2])
	}
	if bits < int64(p.Bits()) || bits > int64(p.Addr().BitLen()) {
		return nil, Errorf("The template language function '%s' expects its second parameter to be a prefix length from %d to %d. The provided value is '%d'. %s", c.name, p.Bits(), p.Addr().BitLen(), bits, see(c.name))
	}
	step := size(p.Addr().BitLen() - int(bits))
	addr, ok := at(p.Addr(), step.Mul(step, big.NewInt(i)))
	if i < 0 || !ok {
		return nil, Errorf("The template language function '%s' expects its third parameter to be the index of a subnet. The provided value '%d' is out of range. %s", c.name, i, see(c.name))
	}
	return netip.PrefixFrom(addr, int(bits)).String(), nil
}

func cidrHost(c *call, args []value.Value) (value.Value, error) {
	p, err := network(c, args[0])
	if err != nil {
		return nil, err
	}
	i, ok := args[1].(int64)
	if !ok {
		return nil, wrongArgument(c.name, 1, "Integer", args[1])
	}
	width := p.Addr().BitLen()
	offset := new(big.Int).Add(big.NewInt(i), big.NewInt(1))
	hosts := size(width - p.Bits())
	switch {
	case p.Bits() == width: // a single address is its own host
		offset.SetInt64(i)
	case p.Addr().Is4() && p.Bits() < 31:
		hosts.Sub(hosts, big.NewInt(1)) // not the broadcast address
	case p.Bits() == width-1:
		offset.SetInt64(i) // both addresses of a point-to-point link
	}
	addr, ok := at(p.Addr(), offset)
	if i < 0 || !ok || offset.Cmp(hosts) >= 0 {
		return nil, Errorf("The template language function '%s' expects its second parameter to be the index of a host in '%s'. The provided value '%d' is out of range. %s", c.name, p, i, see(c.name))
	}
	return addr.String(), nil
}
