package redistest_test

import (
	"testing"

	"github.com/eventtarget-go/toolkit/internal/redistest"
)

// TestCluster moves a slot with its key, kills the node that has it and has its replica
// take over.
func TestCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, 3)
	client := cluster.Client()
	const key = "a-key"
	holds := func() {
		t.Helper()
		if got, err := client.Do(t.Context(), client.B().Get().Key(key).Build()).ToString(); got != "here" || err != nil {
			t.Errorf("%s is %q: %v", key, got, err)
		}
	}
	if err := client.Do(t.Context(), client.B().Set().Key(key).Value("here").Build()).Error(); err != nil {
		t.Fatal(err)
	}
	from := cluster.Owner(key)
	to := cluster.Nodes[0]
	if from == to {
		to = cluster.Nodes[1]
	}
	cluster.Move(key, to)
	if cluster.Owner(key) != to {
		t.Error("the slot was not moved")
	}
	holds()
	replica := cluster.AddReplica(to)
	cluster.Failover(to, replica)
	if cluster.Owner(key) != replica {
		t.Error("the replica did not take over")
	}
	holds()
	cluster.Rejoin(to)
	holds()
}
