package eval

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/kustos-io/kustos/internal/arm/template/value"
)

func uriFunctions() map[string]*builtin {
	return map[string]*builtin{
		"uri":      {least: 2, most: 2, eager: uri},
		"buildUri": {least: 1, most: 1, eager: buildURI},
		"parseUri": {least: 1, most: 1, eager: parseURI},
	}
}

func uri(c *call, args []value.Value) (value.Value, error) {
	base, ok1 := args[0].(string)
	rel, ok2 := args[1].(string)
	if !ok1 || !ok2 {
		return nil, wrongTypes(c.name, "string and string", args)
	}
	b, err := url.Parse(base)
	if err != nil || b.Scheme == "" || b.Host == "" && b.Path == "" && b.Opaque == "" {
		return nil, Errorf("The template language function '%s' expects its first argument to be a uri string. The provided value is '%s'. %s", c.name, base, see(c.name))
	}
	r, err := url.Parse(rel)
	if err != nil {
		return nil, Errorf("The template language function '%s' expects its second argument to be a relative uri string. The provided value is '%s'. %s", c.name, rel, see(c.name))
	}
	out := b.ResolveReference(r)
	out.Host = withoutDefaultPort(out.Scheme, strings.ToLower(out.Host))
	if out.Path == "" && out.Opaque == "" && out.Host != "" {
		out.Path = "/"
	}
	return out.String(), nil
}

func withoutDefaultPort(scheme, host string) string {
	switch strings.ToLower(scheme) {
	case "http":
		return strings.TrimSuffix(host, ":80")
	case "https":
		return strings.TrimSuffix(host, ":443")
	}
	return host
}

func buildURI(c *call, args []value.Value) (value.Value, error) {
	o, ok := args[0].(*value.Object)
	if !ok {
		return nil, wrongType(c.name, "an object", args[0])
	}
	var text [4]string
	for i, name := range []string{"scheme", "host", "path", "query"} {
		v, _ := o.Get(name)
		s, isText := v.(string)
		if !isText && v != nil || v == nil && i < 2 {
			return nil, Errorf("The template language function '%s' expects the member '%s' of its parameter to be of type 'String'. The provided value is of type '%s'. %s", c.name, name, value.TypeName(v), see(c.name))
		}
		text[i] = s
	}
	u := url.URL{Scheme: strings.ToLower(text[0]), Host: text[1]}
	if v, _ := o.Get("port"); v != nil {
		port, ok := v.(int64)
		if !ok || port < -1 || port > 65535 {
			return nil, Errorf("The template language function '%s' expects the member 'port' of its parameter to be an integer from 0 to 65535. %s", c.name, see(c.name))
		}
		if port >= 0 {
			u.Host = withoutDefaultPort(u.Scheme, u.Host+":"+strconv.FormatInt(port, 10))
		}
	}
	path := text[2]
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if p, err := url.PathUnescape(path); err == nil {
		u.Path, u.RawPath = p, path
	} else {
		u.Path = path
	}
	u.RawQuery = strings.TrimPrefix(text[3], "?")
	return u.String(), nil
}

func parseURI(c *call, args []value.Value) (value.Value, error) {
	s, ok := args[0].(string)
	if !ok {
		return nil, wrongType(c.name, "a string", args[0])
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" || u.Host == "" {
		return nil, Errorf("The template language function '%s' expects its parameter to be an absolute uri string. The provided value is '%s'. %s", c.name, s, see(c.name))
	}
	u.Host = withoutDefaultPort(u.Scheme, u.Host)
	out := value.Of(value.Member{Name: "scheme", Value: u.Scheme}, value.Member{Name: "host", Value: strings.ToLower(u.Hostname())})
	if port, err := strconv.ParseInt(u.Port(), 10, 64); err == nil {
		out.Set("port", port)
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	out.Set("path", path)
	if u.RawQuery != "" {
		out.Set("query", "?"+u.RawQuery)
	}
	return out, nil
}
