package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/internal/redistest"
	"github.com/eventtarget-go/toolkit/redis"
)

// TestGroupLeavesLateTake: what Redis has given a member that does not know of it, because the
// command was late and its connection is gone, is heard by another one when that member leaves.
func TestGroupLeavesLateTake(t *testing.T) {
	server := redistest.Start(t)
	m := join(t, server.URL(), inGroup(redis.Options{OnFault: quiet}))
	c, taken := server.Client(), newCrowd(t)
	r := listen(t, m, eventtarget.T("n", "*"), taken.listener("m")) // so that Redis has a name for it
	dispatchAll(t, m, 1)
	taken.await(1)
	blocked := func(n string) func() bool {
		return func() bool {
			clients, err := c.Do(t.Context(), c.B().Info().Section("clients").Build()).ToString()
			return err == nil && strings.Contains(clients, "blocked_clients:"+n) && pending(t, server) == 0
		}
	}
	eventually(t, "the member asks for more", blocked("1"))
	m.Remove(r)
	eventually(t, "the member asks for nothing", blocked("0"))
	members, err := c.Do(t.Context(), c.B().XinfoConsumers().Key("et:log").Group("g").Build()).ToArray()
	if err != nil || len(members) != 1 {
		t.Fatalf("the members are %v: %v", members, err)
	}
	about, _ := members[0].AsMap()
	name := about["name"]
	if err := m.Dispatch(t.Context(), event{Type: "n", ID: "late"}); err != nil {
		t.Fatal(err)
	}
	server.Do("XREADGROUP", "GROUP", "g", text(name), "COUNT", "1", "STREAMS", "et:log", ">")
	if err := m.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	heir := join(t, server.URL(), inGroup(redis.Options{ClaimAfter: 200 * time.Millisecond, OnFault: quiet}))
	heard := newCrowd(t)
	listen(t, heir, eventtarget.T("n", "*"), heard.listener("heir"))
	heard.await(1)
	if heard.check(); heard.heard["late"] != 1 || heard.marked["late"] != 1 {
		t.Errorf("heard %v, of which are marked %v", heard.heard, heard.marked)
	}
}
