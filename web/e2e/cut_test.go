package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/faultnet"
)

// TestCut: a page whose network is gone for three seconds, with a word or without, or
// whose hub is killed meanwhile and goes on from its store, hears everything once and in
// order, and so does who listens to it.
func TestCut(t *testing.T) {
	for name, cut := range map[string]func(p *faultnet.Proxy, restart func()){
		"reset":  func(p *faultnet.Proxy, _ func()) { p.Cut() },
		"silent": func(p *faultnet.Proxy, _ func()) { p.Stall() },
		"killed": func(_ *faultnet.Proxy, restart func()) { restart() },
	} {
		t.Run(name, func(t *testing.T) {
			const before, during, after = 100, 300, 100
			dir := t.TempDir()
			at, hub := startHub(t, "127.0.0.1:0", "--store", dir)
			proxy, err := faultnet.NewProxy(at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(proxy.Close)
			spoke := connect(t, at)
			heard := make(chan string, 10_000)
			listener := eventtarget.Func(func(_ context.Context, e eventtarget.Event[raw]) { heard <- string(e.Payload) })
			if _, err := spoke.Add(t.Context(), eventtarget.T("page", "*"), listener); err != nil {
				t.Fatal(err)
			}
			page := open(t, "http://"+proxy.Addr+"/healthz")
			page.run(`(async () => {
				window.remote = new RemoteEventTarget("/ws", {heartbeat: 1000});
				remote.addEventListener("count:up", e => heard.push(e.detail));
				for (const name of ["open", "down", "gap"]) remote.addEventListener(name, e => heard.push(name + JSON.stringify(e.detail)));
				await opened(remote);
				let n = 0;
				window.speak = setInterval(() => remote.dispatchEvent(new CustomEvent("page:up", {detail: n++})), 10);
			})()`)
			n := 0
			say := func(count int) {
				for tick := time.NewTicker(10 * time.Millisecond); count > 0; count-- {
					dispatch(t, spoke, "count", "up", n)
					n++
					<-tick.C
				}
			}
			say(before)
			cut(proxy, func() {
				if err := hub.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				_ = hub.Wait()
				startHub(t, at, "--store", dir)
			})
			say(during)
			proxy.Heal()
			say(after)
			page.run(fmt.Sprintf(`until(() => heard.includes(%d))`, n-1))
			got := eval[[]any](page, `heard`)
			var numbers, resumed int
			for _, v := range got {
				switch v := v.(type) {
				case float64:
					if int(v) != numbers {
						t.Fatalf("heard %v instead of %d", v, numbers)
					}
					numbers++
				case string:
					switch v {
					case `open{"resumed":false}`: // the first
					case `open{"resumed":true}`:
						resumed++
					default:
						if v[:4] != "down" {
							t.Errorf("the page was told %s", v)
						}
					}
				}
			}
			if numbers != n || resumed == 0 {
				t.Errorf("%d of %d were heard, with %d resumed connections", numbers, n, resumed)
			}
			page.run(`clearInterval(speak); remote.dispatchEvent(new CustomEvent("page:last", {detail: -1}))`)
			for want := 0; ; want++ {
				select {
				case v := <-heard:
					if v == "-1" && want > before {
						return
					}
					if v != fmt.Sprint(want) {
						t.Fatalf("the page was heard to say %s instead of %d", v, want)
					}
				case <-deadline(t).Done():
					t.Fatalf("nothing was heard behind %d", want)
				}
			}
		})
	}
}

// TestEventSource: the platform's own EventSource, and ours over it, go on where they
// were: behind a cut with everything, at a hub that is another one with a gap.
func TestEventSource(t *testing.T) {
	at, hub := startHub(t, "127.0.0.1:0")
	proxy, err := faultnet.NewProxy(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	page := open(t, "http://"+proxy.Addr+"/healthz")
	page.run(`(async () => {
		window.native = [];
		const source = new EventSource("/sse?topic=count:*");
		source.addEventListener("count", e => native.push(JSON.parse(e.data).payload));
		source.addEventListener("__gap", e => native.push("gap" + JSON.parse(e.data).payload.count));
		const remote = new RemoteEventTarget("/sse", {sse: true});
		remote.addEventListener("count:*", e => heard.push(e.detail));
		remote.addEventListener("gap", e => heard.push("gap" + e.detail.count));
		await opened(remote);
		await until(() => source.readyState == 1);
	})()`)
	spoke := connect(t, at)
	hears := func(last int, want string) {
		t.Helper()
		page.run(fmt.Sprintf(`until(() => heard.includes(%d) && native.includes(%[1]d))`, last))
		for _, list := range []string{"heard", "native"} {
			if got := eval[string](page, list+`.splice(0).join(" ")`); got != want {
				t.Errorf("%s: %s, want %s", list, got, want)
			}
		}
	}
	dispatch(t, spoke, "count", "up", 1)
	hears(1, "1")
	proxy.Cut()
	for n := 2; n <= 5; n++ {
		dispatch(t, spoke, "count", "up", n)
	}
	proxy.Heal()
	hears(5, "2 3 4 5")
	if err := hub.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = hub.Wait()
	startHub(t, at)
	spoke = connect(t, at)
	page.run(`until(() => heard.length && native.length)`)
	dispatch(t, spoke, "count", "up", 6)
	hears(6, "gap0 6")
}
