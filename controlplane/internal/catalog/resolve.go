package catalog

import (
	"bytes"
	"slices"
)

// Resolve 把只有命令行懂的两栏换成服务端懂的：server 的 ca_file 读成 ca_pem，api_key_env 读成 api_key。
// 输入与输出都是 JSON；其余内容原样（数保持原文）。错误是 vegaerr.Invalid，逐处列出。
func Resolve(document []byte, readFile func(path string) ([]byte, error), getenv func(name string) (string, bool)) ([]byte, error) {
	var p problems
	tree := readTree(document, &p)
	if tree == nil {
		return nil, p.err()
	}
	r := resolver{problems: &p, readFile: readFile, getenv: getenv}
	if servers := tree.get("servers"); servers != nil {
		for i, s := range servers.items {
			r.replace(s, index("servers", i), "ca_file", "ca_pem", r.file)
			r.replace(s, index("servers", i), "api_key_env", "api_key", r.env)
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	tree.encode(&out)
	return out.Bytes(), nil
}

type resolver struct {
	*problems
	readFile func(string) ([]byte, error)
	getenv   func(string) (string, bool)
}

// replace 把 server 里的 from 换成 to，值由 read 给出；null 等于没写。
func (r resolver) replace(server *node, path, from, to string, read func(string) (text, problem string)) {
	i := slices.IndexFunc(server.fields, func(f field) bool { return f.name == from })
	if i < 0 {
		return
	}
	at := join(path, from)
	given := server.fields[i].value
	switch {
	case given.kind == nullNode:
		server.fields = slices.Delete(server.fields, i, i+1)
	case given.kind != stringNode || given.text == "":
		r.add(at, "must be a non-empty string")
	case server.get(to) != nil && server.get(to).kind != nullNode:
		r.add(at, "cannot be given together with %s", to)
	default:
		text, problem := read(given.text)
		if problem != "" {
			r.add(at, "%s", problem)
			return
		}
		server.fields = slices.DeleteFunc(server.fields, func(f field) bool { return f.name == to || f.name == from })
		server.fields = append(server.fields, field{to, &node{kind: stringNode, text: text}})
	}
}

func (r resolver) file(path string) (text, problem string) {
	b, err := r.readFile(path)
	if err != nil {
		return "", "cannot be read: " + err.Error()
	}
	return string(b), ""
}

func (r resolver) env(name string) (text, problem string) {
	v, ok := r.getenv(name)
	switch {
	case !ok:
		return "", "environment variable " + name + " is not set"
	case v == "":
		return "", "environment variable " + name + " is empty; to clear the credential write api_key: \"\""
	}
	return v, ""
}
