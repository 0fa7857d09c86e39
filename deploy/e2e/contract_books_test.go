package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

const csvMedia = "text/csv"

// adminBooks 走完与账有关的：逐条的请求、设置、对账。
func adminBooks(c *contract, r *rig) {
	r.chat(0, "chat")
	eventually(c.t, 10*time.Second, "a request is listed", func() bool {
		return strings.Contains(c.send(sent{method: "GET", path: "/requests", want: 200}).body, `"app":"team-a"`)
	})
	adminRequests(c)
	adminSettings(c)
	adminReconcile(c)
}

func adminRequests(c *contract) {
	page := c.send(sent{method: "GET", path: "/requests?limit=1&app=team-a&model=chat&outcome=ok&stream=false", want: 200})
	var p struct {
		Items []struct{ ID string }
	}
	if err := json.Unmarshal([]byte(page.body), &p); err != nil || len(p.Items) != 1 {
		c.t.Fatalf("%v: %s", err, page.body)
	}
	one := c.send(sent{method: "GET", path: "/requests/" + p.Items[0].ID, want: 200})
	if !strings.Contains(one.body, `"upstream_model"`) || strings.Contains(one.body, "messages") {
		c.t.Errorf("one request is told with its attempts and without its text: %s", one.body)
	}
	c.send(sent{method: "GET", path: "/requests/req_nothing", want: 404})
	for _, query := range []string{"?limit=0", "?outcome=fine", "?colour=red", "?cursor=tampered"} {
		c.send(sent{method: "GET", path: "/requests" + query, invalid: true, want: 400})
	}
}

func adminSettings(c *contract) {
	got := c.send(sent{method: "GET", path: "/settings", want: 200})
	etag := got.header.Get("ETag")
	put := c.send(sent{method: "PUT", path: "/settings", body: `{"retention":{"minutes_days":3},"time_zone":"Asia/Shanghai"}`, header: []string{"If-Match", etag}, want: 200})
	if !strings.Contains(put.body, `"minutes_days":3`) || !strings.Contains(put.body, `"hours_days":400`) {
		c.t.Errorf("settings: %s", put.body)
	}
	c.send(sent{method: "PUT", path: "/settings", body: `{}`, header: []string{"If-Match", etag}, want: 412})
	c.send(sent{method: "PUT", path: "/settings", body: `{"retention":{"minutes_days":0}}`, invalid: true, want: 400})
	c.send(sent{method: "PUT", path: "/settings", body: `{"colour":"red"}`, invalid: true, want: 400})
	c.send(sent{method: "PUT", path: "/settings", body: got.body, want: 200})
}

func adminReconcile(c *contract) {
	bill := fmt.Sprintf("date,model,input_tokens,output_tokens\n%s,unheard-of,10,20\n", time.Now().UTC().Format(time.DateOnly))
	a := c.send(sent{method: "POST", path: "/usage/reconcile?server=up", body: bill, media: csvMedia, want: 200})
	if a.header.Get("X-Vega-Verdict") != "unexplained" || !strings.Contains(a.body, `"missing_ours"`) {
		c.t.Errorf("a model nobody called here is only on the bill: %v %s", a.header, a.body)
	}
	table := c.send(sent{method: "POST", path: "/usage/reconcile", body: bill, media: csvMedia, header: []string{"Accept", csvMedia}, want: 200})
	if !strings.HasPrefix(table.header.Get("Content-Type"), csvMedia) {
		c.t.Errorf("CSV: %v", table.header)
	}
	c.send(sent{method: "POST", path: "/usage/reconcile", body: "day,model\n2026-13-01,m\n", media: csvMedia, want: 400})
	c.send(sent{method: "POST", path: "/usage/reconcile?server=nothing", body: bill, media: csvMedia, want: 400})
}
