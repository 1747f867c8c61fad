package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// look writes what a tab shows to a file among the test's artifacts.
func (p *tab) look(name string) {
	p.t.Helper()
	picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.t.ArtifactDir(), name+".png"), picture, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// dark makes a page think that its reader prefers it so.
func dark() chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
		return err
	})
}

// TestLive: two pages talk, by keyboard alone, and see each other and nothing that runs.
func TestLive(t *testing.T) {
	at, _ := startHub(t, "127.0.0.1:0")
	spoke := connect(t, at)
	light := open(t, "http://"+at+"/", chromedp.EmulateViewport(1280, 1000))
	phone := open(t, "http://"+at+"/", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile), dark())
	for _, p := range []*tab{light, phone} {
		p.run(`until(() => document.getElementById("word").textContent == "open")`)
	}
	const evil = `<img src=x onerror="document.title='run'"><script>document.title='run'</script>`
	err := chromedp.Do(light.ctx,
		chromedp.SetValue(`[name=topic]`, "chat.said:<b>lobby</b>"),
		chromedp.SetValue(`[name=payload]`, evil),
		chromedp.Focus(`[name=payload]`), chromedp.KeyEvent("\t"), chromedp.KeyEvent("\r"))
	if err != nil {
		t.Fatal(err)
	}
	dispatch(t, spoke, "chat.said", "go", map[string]string{"text": "hello, pages"})
	for _, p := range []*tab{light, phone} {
		p.run(`until(() => document.getElementById("total").textContent == "2")`)
		p.run(`until(() => document.getElementById("flow").rows.length == 2 && document.getElementById("spokes").rows.length == 3)`)
		if n := eval[int](p, `document.querySelectorAll("td *").length`); n != 0 {
			t.Errorf("%d elements were made of what others sent", n)
		}
		if title := eval[string](p, `document.title`); title != "eventtarget" {
			t.Errorf("the title is %q", title)
		}
		text := eval[string](p, `document.getElementById("flow").textContent`)
		for _, want := range []string{"chat.said:<b>lobby</b>", `<img src=x onerror=\"document`, `{"text":"hello, pages"}`} {
			if !strings.Contains(text, want) {
				t.Errorf("%q does not show %q", text, want)
			}
		}
	}
	light.look("light")
	phone.look("phone-dark")
	if wide := eval[int](phone, `document.documentElement.scrollWidth - innerWidth`); wide > 0 {
		t.Errorf("the page is %d pixels too wide for a phone", wide)
	}
	// What cannot be said is an error that a reader is told.
	light.run(`document.querySelector("[name=topic]").value = "__hello:"; document.getElementById("dispatch").requestSubmit()`)
	if got := eval[string](light, `document.getElementById("trouble").textContent`); got != "no topic: __hello:" {
		t.Errorf("said %q", got)
	}
	// What is no longer listened to is not shown, and what still is counts once.
	light.run(`document.querySelector("[name=topics]").value = "a:1 a:* b:1"; document.getElementById("listen").requestSubmit()`)
	light.run(`until(async () => (await (await fetch("/spokes")).json()).spokes.some(s => s.topics.join(" ") == "a:* b:1"))`)
	for _, topic := range []string{"a", "c", "b"} {
		dispatch(t, spoke, topic, "1", nil)
	}
	light.run(`until(() => document.getElementById("total").textContent == "4")`)
	phone.run(`until(() => document.getElementById("total").textContent == "5")`)
}

// TestLiveWaits: the page asks for the spokes again when it was answered, and not before.
func TestLiveWaits(t *testing.T) {
	at, _ := startHub(t, "127.0.0.1:0")
	page := open(t, "http://"+at+"/")
	page.run(`window.asked = 0; window.fetch = () => (asked++, new Promise(answer => { window.answer = answer }))`)
	page.run(`until(() => asked)`)
	if n := eval[int](page, `new Promise(done => setTimeout(() => done(asked), 3000))`); n != 1 {
		t.Errorf("it asked %d times before it was answered", n)
	}
	page.run(`answer(Response.json({count: 0, spokes: []})); until(() => asked > 1)`)
}

// TestPolicy: the page asks for nothing that its policy forbids.
func TestPolicy(t *testing.T) {
	at, _ := startHub(t, "127.0.0.1:0")
	page := open(t, "http://"+at+"/")
	page.run(`new Promise(done => {
		document.addEventListener("securitypolicyviolation", done, {once: true});
		const script = document.createElement("script");
		script.textContent = "document.title = 'run'";
		document.head.append(script);
	})`)
	if title := eval[string](page, `document.title`); title != "eventtarget" {
		t.Errorf("a script in the page ran: %q", title)
	}
}

// TestManyEvents: the page keeps up with a thousand events a second, in no task that computes
// for more than 200 ms.
func TestManyEvents(t *testing.T) {
	const rate, seconds, longest = 1000, 10, 200 * time.Millisecond
	at, _ := startHub(t, "127.0.0.1:0")
	spoke := connect(t, at)
	page := open(t, "http://"+at+"/", chromedp.EmulateViewport(1280, 1000))
	page.run(`until(() => document.getElementById("word").textContent == "open")`)
	var says string
	done := page.traced(func() {
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for i := range rate * seconds {
			if i%(rate/100) == 0 {
				<-ticker.C
			}
			dispatch(t, spoke, "load", fmt.Sprint(i%50), map[string]any{"n": i, "text": "a line of some length, as an application would send it"})
		}
		page.run(fmt.Sprintf(`until(() => document.getElementById("total").textContent.replace(/\D/g, "") == %d)`, rate*seconds))
		says = eval[string](page, `document.getElementById("rate").textContent`)
	})
	t.Logf("the longest of %d tasks took %v; the page says %s events/s", done.count, done.longest, says)
	if done.count < seconds || done.longest == 0 || done.longest > longest {
		t.Errorf("the longest of %d tasks of the page took %v", done.count, done.longest)
	}
	page.look("busy")
}
