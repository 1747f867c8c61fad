package conformance

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/eventtarget-go/toolkit/eventtarget"
)

func TestModel(t *testing.T) {
	a1, a2 := eventtarget.T("a", "1"), eventtarget.T("a", "2")
	for name, c := range map[string]struct {
		steps []step
		want  [][]int
	}{
		"nobody listens":        {[]step{{op: "dispatch", topic: a1}}, nil},
		"only what comes later": {[]step{{op: "dispatch", topic: a1}, {op: "add", topic: a1}, {op: "dispatch", topic: a1}}, [][]int{{2}}},
		"only its own topic":    {[]step{{op: "add", topic: a1}, {op: "dispatch", topic: a2}, {op: "dispatch", topic: a1}}, [][]int{{2}}},
		"every id":              {[]step{{op: "add", topic: eventtarget.T("a", "*")}, {op: "dispatch", topic: a2}, {op: "dispatch", topic: a1}}, [][]int{{1, 2}}},
		"removed":               {[]step{{op: "add", topic: a1}, {op: "dispatch", topic: a1}, {op: "remove", n: 0}, {op: "dispatch", topic: a1}}, [][]int{{1}}},
		"twice is two":          {[]step{{op: "add", topic: a1}, {op: "add", topic: a1}, {op: "remove", n: 3}, {op: "dispatch", topic: a1}}, [][]int{{3}, nil}},
		"nothing to remove":     {[]step{{op: "remove", n: 7}, {op: "add", topic: a1}}, [][]int{nil}},
	} {
		if got := model(c.steps); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: heard %v, want %v", name, got, c.want)
		}
	}
}

// TestRandomSteps: a seed that a failing law printed gives the same run again, and
// a run contains every operation.
func TestRandomSteps(t *testing.T) {
	run := func() []step { return randomSteps(rand.New(rand.NewPCG(1, 2)), "x", 200) }
	steps := run()
	if !slices.Equal(steps, run()) {
		t.Error("one seed gives two runs")
	}
	ops := map[string]int{}
	for _, s := range steps {
		ops[s.op]++
		if s.topic.ID == eventtarget.Wildcard {
			ops["wildcard"]++
			if s.op != "add" {
				t.Errorf("%v", s)
			}
		}
	}
	for _, op := range []string{"add", "remove", "dispatch", "wildcard"} {
		if ops[op] == 0 {
			t.Errorf("no %s among 200 steps", op)
		}
	}
}

func TestStepString(t *testing.T) {
	got := fmt.Sprint(step{op: "add", topic: eventtarget.T("a", "*")}, step{op: "remove", n: 3})
	if got != "add a:* remove 3" {
		t.Errorf("got %q", got)
	}
}

// TestShrink: of a long run the steps are left without which it would not fail.
func TestShrink(t *testing.T) {
	steps := randomSteps(rand.New(rand.NewPCG(3, 4)), "x", 60)
	calls := 0
	// A target that is wrong as soon as something is removed and then dispatched.
	differs := func(s []step) bool {
		calls++
		n := slices.IndexFunc(s, func(s step) bool { return s.op == "remove" })
		return n >= 0 && slices.ContainsFunc(s[n:], func(s step) bool { return s.op == "dispatch" })
	}
	if !differs(steps) {
		t.Fatal("the run does not fail to begin with")
	}
	before := slices.Clone(steps)
	got := shrink(steps, differs)
	if len(got) != 2 || got[0].op != "remove" || got[1].op != "dispatch" {
		t.Errorf("left over: %v", got)
	}
	if !slices.Equal(steps, before) {
		t.Error("the run that was given has changed")
	}
	if calls > 60*60 {
		t.Errorf("%d runs to shrink 60 steps", calls)
	}
}

func TestShrinkKeepsWhatIsNeeded(t *testing.T) {
	steps := randomSteps(rand.New(rand.NewPCG(5, 6)), "x", 5)
	all := func(s []step) bool { return len(s) == 5 }
	if got := shrink(steps, all); !slices.Equal(got, steps) {
		t.Errorf("left over: %v", got)
	}
}
