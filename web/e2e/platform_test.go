package e2e_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// platform are scripts that add, remove and dispatch as pages do. say keeps what is
// heard, fire dispatches an event named "chat:1".
var platform = map[string]string{
	"added twice":           `const f = () => say("f"); t.addEventListener("chat:1", f); t.addEventListener("chat:1", f); await fire()`,
	"captures too":          `const f = (e) => say("f" + e.eventPhase); t.addEventListener("chat:1", f); t.addEventListener("chat:1", f, true); await fire(); t.removeEventListener("chat:1", f); await fire(); t.removeEventListener("chat:1", f, {capture: true}); await fire()`,
	"removed":               `const f = () => say("f"); t.addEventListener("chat:1", f); await fire(); t.removeEventListener("chat:1", f); await fire()`,
	"removed and added":     `const f = () => say("f"); t.addEventListener("chat:1", f); t.removeEventListener("chat:1", f); t.addEventListener("chat:1", f); await fire()`,
	"removes itself":        `const f = () => { say("f"); t.removeEventListener("chat:1", f) }; t.addEventListener("chat:1", f); await fire(); await fire()`,
	"removes the next":      `const g = () => say("g"); t.addEventListener("chat:1", () => t.removeEventListener("chat:1", g)); t.addEventListener("chat:1", g); await fire()`,
	"adds another":          `t.addEventListener("chat:1", () => { say("f"); t.addEventListener("chat:1", () => say("g"), {once: true}) }, {once: true}); await fire(); await fire(); await fire()`,
	"once":                  `t.addEventListener("chat:1", () => say("f"), {once: true}); await fire(); await fire()`,
	"once, and again":       `const f = () => say("f"); t.addEventListener("chat:1", f, {once: true}); await fire(); t.addEventListener("chat:1", f, {once: true}); await fire(); await fire()`,
	"once, and dispatches":  `let n = 0; t.addEventListener("chat:1", () => { say("f" + n); if (!n++) t.addEventListener("chat:1", () => say("g")) }, {once: true}); await fire(); await fire()`,
	"signal":                `const c = new AbortController(); t.addEventListener("chat:1", () => say("f"), {signal: c.signal}); await fire(); c.abort(); await fire()`,
	"signal, aborted":       `t.addEventListener("chat:1", () => say("f"), {signal: AbortSignal.abort()}); await fire()`,
	"signal, in a listener": `const c = new AbortController(); t.addEventListener("chat:1", () => c.abort()); t.addEventListener("chat:1", () => say("f"), {signal: c.signal}); await fire()`,
	"signal, null":          `try { t.addEventListener("chat:1", () => {}, {signal: null}) } catch (e) { say(e.name) }`,
	"signal, and once":      `const c = new AbortController(); t.addEventListener("chat:1", () => say("f"), {signal: c.signal, once: true}); await fire(); c.abort(); await fire()`,
	"handleEvent":           `const o = {handleEvent(e) { say("o" + (this === o) + e.detail) }}; t.addEventListener("chat:1", o); await fire(); t.removeEventListener("chat:1", o); await fire()`,
	"handleEvent, late":     `const o = {}; t.addEventListener("chat:1", o); o.handleEvent = () => say("o"); await fire()`,
	"function's this":       `t.addEventListener("chat:1", function (e) { say(this === t && e.currentTarget === t && e.target === t) }); await fire()`,
	"null":                  `t.addEventListener("chat:1", null); t.removeEventListener("chat:1", null); await fire()`,
	"undefined options":     `t.addEventListener("chat:1", () => say("f"), undefined); t.addEventListener("chat:1", () => say("g"), null); t.addEventListener("chat:1", () => say("h"), {}); await fire()`,
	"stops immediately":     `t.addEventListener("chat:1", (e) => { say("f"); e.stopImmediatePropagation() }); t.addEventListener("chat:1", () => say("g"), {once: true}); await fire(); await fire()`,
	"throws":                `t.addEventListener("chat:1", () => { throw new Error("expected") }); t.addEventListener("chat:1", () => say("g")); await fire()`,
	"prevented":             `t.addEventListener("chat:1", (e) => { e.preventDefault(); say(e.defaultPrevented) }, {passive: true}); await fire()`,
	"order":                 `for (const n of [1, 2, 3]) t.addEventListener("chat:1", () => say(n)); await fire()`,
	"detail":                `t.addEventListener("chat:1", (e) => say(e instanceof CustomEvent, e.type, e.detail, e.bubbles, e.cancelable, e.isTrusted)); await fire()`,
	"local":                 `t.addEventListener("mine", (e) => say(e.detail)); say(t.dispatchEvent(new CustomEvent("mine", {detail: 7})))`,
	"no event":              `try { t.dispatchEvent(null) } catch (e) { say(e.name) }`,
	"remove what is not":    `t.removeEventListener("chat:1", () => {}); say("fine")`,
}

// TestPlatform runs each script over an EventTarget of the platform's and over two whose
// other half is a hub: a page hears what it dispatches itself, and what another one does,
// as it does from any other EventTarget.
func TestPlatform(t *testing.T) {
	at, _ := startHub(t, "127.0.0.1:0")
	page := open(t, "http://"+at+"/")
	const script = `(async () => {
		const run = async (t, fire) => {
			const said = [];
			const say = (...what) => said.push(what.join(" "));
			%s;
			return said;
		};
		const event = () => new CustomEvent("chat:1", {detail: "d"});
		const local = new EventTarget();
		const result = {local: await run(local, () => local.dispatchEvent(event()))};
		const alone = new RemoteEventTarget("/nowhere"); // what it dispatches, nobody else hears
		result.alone = await run(alone, () => alone.dispatchEvent(event()));
		alone.close();
		const [near, far] = [new RemoteEventTarget("/ws"), new RemoteEventTarget("/ws")];
		far.addEventListener("test:*", () => {});
		near.addEventListener("test:*", () => {});
		await opened(near);
		await opened(far);
		const heard = (t, name) => new Promise(done => t.addEventListener(name, done, {once: true}));
		result.far = await run(near, async () => {
			const [asked, done] = [heard(far, "test:asked"), heard(near, "test:done")];
			near.dispatchEvent(new CustomEvent("test:asked")); // behind what near has asked for
			await asked;
			far.dispatchEvent(event());
			far.dispatchEvent(new CustomEvent("test:done"));
			await done;
		});
		near.close();
		far.close();
		return result;
	})()`
	for name, body := range platform {
		t.Run(name, func(t *testing.T) {
			page.t = t
			got := eval[struct{ Local, Alone, Far []string }](page, fmt.Sprintf(script, body))
			if !slices.Equal(got.Local, got.Alone) || !slices.Equal(got.Local, got.Far) {
				t.Errorf("the platform says %q, ours says %q, and of what comes from elsewhere %q", got.Local, got.Alone, got.Far)
			}
		})
	}
	page.t = t
}

// TestInterest: the first listener subscribes, the last one that goes unsubscribes.
func TestInterest(t *testing.T) {
	at, _ := startHub(t, "127.0.0.1:0")
	page := open(t, "http://"+at+"/healthz")
	page.run(`window.remote = new RemoteEventTarget("/ws"); opened(remote)`)
	topics := func() []string {
		t.Helper()
		// The answer to what is asked for last says that the rest has been done.
		return eval[[]string](page, `(async () => {
			await new Promise(done => {
				remote.addEventListener("test:barrier", done, {once: true});
				remote.dispatchEvent(new CustomEvent("test:barrier"));
			});
			await new Promise(done => { // and that it has been taken back
				remote.addEventListener("test:behind", done);
				remote.dispatchEvent(new CustomEvent("test:behind"));
			});
			return (await (await fetch("/spokes")).json()).spokes[0].topics.filter(t => !t.startsWith("test:"));
		})()`)
	}
	for _, step := range []struct{ script, want string }{
		{``, "[]"},
		{`window.f = () => {}; window.g = () => {}; remote.addEventListener("a:1", f); remote.addEventListener("a:1", g, true); remote.addEventListener("a:1", f, true)`, "[a:1]"},
		{`remote.addEventListener("b:*", f, {once: true}); remote.addEventListener("c:1", f)`, "[a:1 b:* c:1]"},
		{`remote.removeEventListener("a:1", f); remote.removeEventListener("c:1", f)`, "[a:1 b:*]"},
		{`remote.removeEventListener("a:1", g, true); remote.removeEventListener("a:1", f, true)`, "[b:*]"},
		{`remote.dispatchEvent(new CustomEvent("b:7"))`, "[]"},
	} {
		page.run(step.script)
		got := []string{"not asked yet"}
		// The page asks the hub over another connection, which may overtake this one.
		for end := time.Now().Add(10 * time.Second); fmt.Sprint(got) != step.want && time.Now().Before(end); {
			got = topics()
			slices.Sort(got)
		}
		if fmt.Sprint(got) != step.want {
			t.Errorf("after %s the hub knows %v, want %s", step.script, got, step.want)
		}
	}
}

// TestRefusedInPage: what a hub would end the connection for is an error where it is
// said.
func TestRefusedInPage(t *testing.T) {
	at, _ := startHub(t, "127.0.0.1:0")
	page := open(t, "http://"+at+"/healthz")
	page.run(`window.remote = new RemoteEventTarget("/ws"); opened(remote)`)
	for script, want := range map[string]string{
		`remote.addEventListener("__ack:1", () => {})`:                                                                                "TypeError",
		`remote.addEventListener("a*:1", () => {})`:                                                                                   "TypeError",
		`remote.addEventListener(":1", () => {})`:                                                                                     "TypeError",
		`remote.addEventListener("a:\u0000", () => {})`:                                                                               "TypeError",
		`remote.addEventListener("a:" + "ü".repeat(129), () => {})`:                                                                   "TypeError",
		`remote.dispatchEvent(new CustomEvent("a:*"))`:                                                                                "TypeError",
		`remote.dispatchEvent(new CustomEvent("__hello:"))`:                                                                           "TypeError",
		`remote.dispatchEvent(new CustomEvent("ü".repeat(65) + ":1"))`:                                                                "TypeError",
		`remote.dispatchEvent(new CustomEvent("a:1", {detail: 1n}))`:                                                                  "TypeError",
		`remote.dispatchEvent(new CustomEvent("a:1", {detail: "x".repeat(2 ** 20)}))`:                                                 "QuotaExceededError",
		`const r = new RemoteEventTarget("/sse", {sse: true}); try { r.dispatchEvent(new CustomEvent("a:1")) } finally { r.close() }`: "InvalidStateError",
		`const r = new RemoteEventTarget("/ws"); r.close(); r.dispatchEvent(new CustomEvent("a:1"))`:                                  "InvalidStateError",
	} {
		got := eval[string](page, `(() => { try { `+script+`; return "nothing" } catch (e) { return e.name } })()`)
		if got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
	// Nothing of it has reached the hub: the connection is there, and this goes over it.
	heard := eval[[]string](page, `(async () => {
		const hear = (e) => heard.push(e.topic + JSON.stringify(e.detail));
		remote.addEventListener("down", () => heard.push("down"));
		remote.addEventListener("toString:1", hear);
		remote.addEventListener("constructor:*", hear);
		remote.addEventListener("last:1", hear);
		remote.addEventListener("test:asked", () => {});
		const other = new RemoteEventTarget("/ws");
		other.addEventListener("test:asked", () => {
			other.dispatchEvent(new CustomEvent("constructor:\ud800", {detail: "\udc00 \\ud800"}));
			other.dispatchEvent(new CustomEvent("last:1"));
		});
		await opened(other);
		remote.dispatchEvent(new CustomEvent("test:asked"));
		await until(() => heard.length > 1);
		return heard;
	})()`)
	if want := `["constructor:` + "\ufffd" + `\"` + "\ufffd" + ` \\\\ud800\"" "last:1null"]`; fmt.Sprintf("%q", heard) != want {
		t.Errorf("heard %q, want %s", heard, want)
	}
}
