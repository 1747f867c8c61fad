package redis_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/faultnet"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// memberURL makes the test binary a member of a group, for tests that kill it.
const memberURL = "REDIS_TEST_MEMBER"

func TestMain(m *testing.M) {
	if url := os.Getenv(memberURL); url != "" {
		becomeMember(url)
	}
	os.Exit(m.Run())
}

// becomeMember prints each event that it hears and never returns from an "end".
func becomeMember(url string) {
	target, err := redis.New(url, &redis.Options{Durable: true, Group: "g"})
	if err != nil {
		panic(err)
	}
	_, err = target.Add(context.Background(), eventtarget.T("n", "*"), eventtarget.Func(func(_ context.Context, e event) {
		fmt.Println(e.ID)
		if string(e.Payload) == `"end"` {
			select {}
		}
	}))
	if err != nil {
		panic(err)
	}
	fmt.Println("listens")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
	os.Exit(0)
}

// crowd counts what the members of a group hear.
type crowd struct {
	t      testing.TB
	mu     sync.Mutex
	heard  map[string]int // by event
	marked map[string]int // of those with Redelivered
	by     map[string]int // by member
	more   chan struct{}
}

func newCrowd(t testing.TB) *crowd {
	return &crowd{t: t, heard: map[string]int{}, marked: map[string]int{}, by: map[string]int{}, more: make(chan struct{}, 1)}
}

// listener returns what a member adds.
func (c *crowd) listener(member string) func(context.Context, event) {
	return func(_ context.Context, e event) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.by[member]++
		if c.heard[e.ID]++; e.Redelivered {
			c.marked[e.ID]++
		}
		select {
		case c.more <- struct{}{}:
		default:
		}
	}
}

// await waits until so many different events were heard.
func (c *crowd) await(events int) {
	c.t.Helper()
	timeout := time.After(30 * time.Second)
	for c.different() < events {
		select {
		case <-c.more:
		case <-timeout:
			c.t.Fatalf("%d of %d events were heard", c.different(), events)
		}
	}
}

func (c *crowd) different() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.heard)
}

// shares returns how much each member has heard.
func (c *crowd) shares() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.by)
}

// check tells how many events were heard more than once, of which each further time
// must be marked.
func (c *crowd) check() (repeated, marked int) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, n := range c.heard {
		if n > 1 {
			repeated++
		}
		if c.marked[id] < n-1 {
			c.t.Errorf("%s was heard %d times, of which %d are marked", id, n, c.marked[id])
		}
		marked += c.marked[id]
	}
	return repeated, marked
}

func inGroup(o redis.Options) redis.Options {
	o.Durable, o.Group = true, "g"
	return o
}

func dispatchAll(t testing.TB, from *redis.Target, events int) {
	t.Helper()
	for n := range events {
		if err := from.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
	}
}

// pending returns how many events the group holds that are not confirmed.
func pending(t testing.TB, server *redistest.Server) int64 {
	t.Helper()
	c := server.Client()
	defer c.Close()
	answer, err := c.Do(t.Context(), c.B().Xpending().Key("et:log").Group("g").Build()).ToArray()
	if err != nil {
		t.Fatal(err)
	}
	n, err := answer[0].AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestGroupShares(t *testing.T) {
	server := redistest.Start(t)
	c, all := newCrowd(t), newLedger(t)
	a, b := join(t, server.URL(), inGroup(redis.Options{OnFault: all.fault})), join(t, server.URL(), inGroup(redis.Options{OnFault: all.fault}))
	other := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	listen(t, a, eventtarget.T("n", "*"), c.listener("a"))
	if _, err := b.Add(t.Context(), eventtarget.T("*", "*"), eventtarget.Func(c.listener("b"))); err != nil {
		t.Fatal(err)
	}
	listen(t, other, eventtarget.T("n", "*"), all.handle)
	const events = 2000
	dispatchAll(t, a, events) // which is a member itself
	c.await(events)
	all.await("what everybody hears", func() bool { return all.heard() == events })
	if repeated, marked := c.check(); repeated > 0 || marked > 0 || c.shares()["a"] < events/10 || c.shares()["b"] < events/10 {
		t.Errorf("%d events repeated, %d marked; shares: %v", repeated, marked, c.shares())
	}
	eventually(t, "everything is confirmed", func() bool { return pending(t, server) == 0 })
	if faults := len(all.all()) - all.heard(); faults > 0 {
		t.Errorf("%d faults", faults)
	}
}

// TestGroupMemberKilled kills a process that has events and has not confirmed them.
func TestGroupMemberKilled(t *testing.T) {
	server := redistest.Start(t)
	from := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	member := exec.CommandContext(t.Context(), self)
	member.Env = append(os.Environ(), memberURL+"="+server.URL())
	stdin, err := member.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	out, err := member.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := member.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	says := func(want string) {
		t.Helper()
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("the member says %q, want %q", lines.Text(), want)
		}
	}
	says("listens")
	dispatch := func(id, payload string) {
		t.Helper()
		if err := from.Dispatch(t.Context(), event{Type: "n", ID: id, Payload: raw(strconv.Quote(payload))}); err != nil {
			t.Fatal(err)
		}
	}
	dispatch("first", "")
	says("first")
	eventually(t, "it is confirmed", func() bool { return pending(t, server) == 0 })
	dispatch("last", "end")
	says("last")
	if err := member.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = member.Wait()
	dispatch("meanwhile", "")
	c := newCrowd(t)
	heir := join(t, server.URL(), inGroup(redis.Options{ClaimAfter: 200 * time.Millisecond, OnFault: quiet}))
	listen(t, heir, eventtarget.T("n", "*"), c.listener("heir"))
	c.await(2)
	if c.check(); c.heard["first"] != 0 || c.heard["last"] != 1 || c.marked["last"] != 1 || c.marked["meanwhile"] != 0 {
		t.Errorf("heard %v, of which are marked %v", c.heard, c.marked)
	}
	eventually(t, "everything is confirmed", func() bool { return pending(t, server) == 0 })
}

// TestGroupSlowListener: who takes longer than ClaimAfter, and lives, keeps what it has,
// and leaves the rest to the others.
func TestGroupSlowListener(t *testing.T) {
	server := redistest.Start(t)
	c := newCrowd(t)
	o := inGroup(redis.Options{ClaimAfter: 150 * time.Millisecond, OnFault: quiet})
	slow, quick := join(t, server.URL(), o), join(t, server.URL(), o)
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	listen(t, slow, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		once.Do(func() { close(entered) })
		<-gate
		c.listener("slow")(ctx, e)
	})
	const events = 100
	dispatchAll(t, slow, 1)
	<-entered
	listen(t, quick, eventtarget.T("n", "*"), c.listener("quick"))
	for n := 1; n < events; n++ {
		if err := quick.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(n)}); err != nil {
			t.Fatal(err)
		}
	}
	c.await(events - 1)
	<-time.After(5 * o.ClaimAfter) // in which it could be claimed
	close(gate)
	c.await(events)
	if repeated, marked := c.check(); repeated > 0 || marked > 0 || c.shares()["slow"] != 1 {
		t.Errorf("%d events repeated, %d marked; shares: %v", repeated, marked, c.shares())
	}
	eventually(t, "everything is confirmed", func() bool { return pending(t, server) == 0 })
}

// TestGroupWaits: what comes while no member is there, or none has a listener, is heard
// by the next; who leaves in order has confirmed what it heard.
func TestGroupWaits(t *testing.T) {
	server := redistest.Start(t)
	c := newCrowd(t)
	from := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	first := join(t, server.URL(), inGroup(redis.Options{OnFault: quiet}))
	const events = 300
	dispatchAll(t, from, events)
	if n := pending(t, server); n != 0 {
		t.Errorf("%d events were taken by a member without a listener", n)
	}
	listen(t, first, eventtarget.T("n", "*"), c.listener("first"))
	c.await(events / 10)
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := pending(t, server); n != 0 {
		t.Errorf("%d events were not confirmed by a member that left", n)
	}
	admin := server.Client()
	if members, err := admin.Do(t.Context(), admin.B().XinfoConsumers().Key("et:log").Group("g").Build()).ToArray(); err != nil || len(members) != 0 {
		t.Errorf("the group has %d members: %v", len(members), err)
	}
	second := join(t, server.URL(), inGroup(redis.Options{OnFault: quiet}))
	listen(t, second, eventtarget.T("n", "*"), c.listener("second"))
	c.await(events)
	if repeated, marked := c.check(); repeated > 0 || marked > 0 {
		t.Errorf("%d events repeated, %d marked; shares: %v", repeated, marked, c.shares())
	}
}

// TestGroupGivesBack: what a member had taken when its last listener was removed is not lost when
// the member leaves then: another one hears it.
func TestGroupGivesBack(t *testing.T) {
	server := redistest.Start(t)
	c := newCrowd(t)
	from := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	first := join(t, server.URL(), inGroup(redis.Options{ClaimAfter: 200 * time.Millisecond, OnFault: quiet}))
	const events = 300
	dispatchAll(t, from, events)
	added := make(chan *eventtarget.Registration, 1)
	handle, admin := c.listener("first"), server.Client()
	removed := make(chan struct{})
	taken := 0 // at once, of which it has not heard so many
	added <- listen(t, first, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		handle(ctx, e)
		if taken--; taken > 0 {
			return
		}
		some, err := admin.Do(ctx, admin.B().Xpending().Key("et:log").Group("g").Start("-").End("+").Count(100).Build()).ToArray()
		if taken = len(some); err == nil && taken > 1 {
			first.Remove(<-added)
			close(removed)
		}
	})
	<-removed
	eventually(t, "Redis knows what was given back", func() bool {
		idle, err := admin.Do(t.Context(), admin.B().Xpending().Key("et:log").Group("g").Idle(200).Start("-").End("+").Count(1).Build()).ToArray()
		return err == nil && len(idle) > 0
	})
	if err := first.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	second := join(t, server.URL(), inGroup(redis.Options{ClaimAfter: 200 * time.Millisecond, OnFault: quiet}))
	listen(t, second, eventtarget.T("n", "*"), c.listener("second"))
	c.await(events)
	c.check()
	eventually(t, "everything is confirmed", func() bool { return pending(t, server) == 0 })
}

// TestGroupTellsLoss: what a group never heard because the log was trimmed, or lost by
// the server, is told.
func TestGroupTellsLoss(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	from := join(t, server.URL(), redis.Options{Durable: true, LogEvents: 100, OnFault: quiet})
	b := join(t, server.URL(), inGroup(redis.Options{OnFault: l.fault}))
	const events = 1000
	dispatchAll(t, from, events)
	listen(t, b, eventtarget.T("n", "*"), l.handle)
	l.await("the last event", func() bool { all := l.all(); return len(all) > 0 && all[len(all)-1].number == events-1 })
	gaps := l.faults(eventtarget.FaultGap)
	if l.heard() == events || len(gaps) != 1 || int(gaps[0].Count)+l.heard() != events {
		t.Errorf("%d of %d events heard, and the gaps %v", l.heard(), events, gaps)
	}
	server.Kill()
	server.Restart() // with nothing
	l.await("the loss of the log", func() bool { return len(l.faults(eventtarget.FaultGap)) == 2 })
	heard := l.heard()
	dispatchAll(t, from, 10)
	l.await("ten events more", func() bool { return l.heard() == heard+10 })
}

// TestGroupBadEvents: what cannot be delivered, and a listener that does not return in
// order, are told and confirmed: they come back to nobody.
func TestGroupBadEvents(t *testing.T) {
	server := redistest.Start(t)
	l := newLedger(t)
	b := join(t, server.URL(), inGroup(redis.Options{OnFault: l.fault}))
	listen(t, b, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		l.handle(ctx, e)
		if e.ID == "0" {
			panic("on purpose")
		}
	})
	dispatchAll(t, b, 1)
	server.Do("XADD", "et:log", "0-*", "m", "not an envelope")
	server.Do("XADD", "et:log", "0-*", "other", "field")
	if err := b.Dispatch(t.Context(), event{Type: "n", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	l.await("the last event", func() bool { return l.heard() == 2 })
	eventually(t, "everything is confirmed", func() bool { return pending(t, server) == 0 })
	if panics, gaps, bad := len(l.faults(eventtarget.FaultPanic)), len(l.faults(eventtarget.FaultGap)), b.Malformed(); panics != 1 || gaps != 0 || bad != 2 {
		t.Errorf("%d panics, %d gaps, %d malformed", panics, gaps, bad)
	}
}

// TestGroupHearsUnknownOutcomes: an event whose confirmation is lost is stored twice. Who
// is in no group hears it once, and a group at least once with the repeat marked.
func TestGroupHearsUnknownOutcomes(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	c, all := newCrowd(t), newLedger(t)
	from := join(t, "redis://"+proxy.Addr, redis.Options{Durable: true, Timeout: time.Second, OnFault: quiet})
	m, other := join(t, server.URL(), inGroup(redis.Options{OnFault: quiet})), join(t, server.URL(), redis.Options{Durable: true, OnFault: all.fault})
	listen(t, m, eventtarget.T("n", "*"), c.listener("m"))
	listen(t, other, eventtarget.T("n", "*"), all.handle)
	proxy.Stall(faultnet.ToClient)
	accepted := make(chan error, 1)
	go func() { accepted <- from.Dispatch(t.Context(), event{Type: "n", ID: "0"}) }()
	c.await(1)
	proxy.Break()
	proxy.Heal()
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if err := from.Dispatch(t.Context(), event{Type: "n", ID: "1"}); err != nil {
		t.Fatal(err)
	}
	c.await(2)
	all.await("the last event", func() bool { all := all.all(); return len(all) > 0 && all[len(all)-1].number == 1 })
	if repeated, marked := c.check(); repeated != 1 || marked != 1 || all.heard() != 2 {
		t.Errorf("%d events repeated, %d marked; who is in no group heard %d", repeated, marked, all.heard())
	}
}

func TestGroupRefuses(t *testing.T) {
	for want, o := range map[string]redis.Options{
		"takes Durable":        {Group: "g"},
		"NoEcho cannot be had": {Group: "g", Durable: true, NoEcho: true},
		"at least 100 ms":      {Group: "g", Durable: true, ClaimAfter: time.Millisecond},
		`group "a b"`:          {Group: "a b", Durable: true},
	} {
		target, err := redis.New("redis://127.0.0.1", &o)
		if err == nil {
			target.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New with %+v: %v, want %q", o, err, want)
		}
	}
}

// TestGroupBusyClaims: members that always have something to do take over what a dead one
// had nevertheless.
func TestGroupBusyClaims(t *testing.T) {
	server := redistest.Start(t)
	from := join(t, server.URL(), redis.Options{Durable: true, OnFault: quiet})
	c := newCrowd(t)
	heir := join(t, server.URL(), inGroup(redis.Options{ClaimAfter: 400 * time.Millisecond, OnFault: quiet}))
	dispatchAll(t, from, 1)
	server.Do("XREADGROUP", "GROUP", "g", "dead", "STREAMS", "et:log", ">")
	const backlog = 100
	for n := range backlog {
		if err := from.Dispatch(t.Context(), event{Type: "n", ID: strconv.Itoa(1 + n)}); err != nil {
			t.Fatal(err)
		}
	}
	claimed := make(chan int, 1)
	handled := 0
	listen(t, heir, eventtarget.T("n", "*"), func(ctx context.Context, e event) {
		c.listener("heir")(ctx, e)
		if handled++; e.Redelivered {
			claimed <- handled
		}
		<-time.After(30 * time.Millisecond) // this is its work
	})
	c.await(backlog + 1)
	if n := <-claimed; n > backlog/2 {
		t.Errorf("claimed as the %d. of %d events", n, backlog+1)
	}
}
