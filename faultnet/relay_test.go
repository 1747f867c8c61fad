package faultnet_test

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/eventtarget-go/toolkit/faultnet"
)

// packets are few enough for the kernel's buffers.
const packets = 100

// ends are a server and a client with a relay between them.
type ends struct {
	t              *testing.T
	relay          *faultnet.Relay
	server, client *net.UDPConn
}

func newEnds(t *testing.T) *ends {
	t.Helper()
	server, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	relay, err := faultnet.NewRelay(server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(relay.Close)
	client, err := net.Dial("udp", relay.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	e := &ends{t: t, relay: relay, server: server, client: client.(*net.UDPConn)}
	deadline := time.Now().Add(10 * time.Second)
	server.SetDeadline(deadline)
	e.client.SetDeadline(deadline)
	return e
}

// send sends the packets 0 to packets-1 and waits until the relay has had them all.
func (e *ends) send() {
	e.t.Helper()
	before := e.relay.Counts()
	for n := range uint32(packets) {
		if _, err := e.client.Write(binary.BigEndian.AppendUint32(nil, n)); err != nil {
			e.t.Fatal(err)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; {
		c := e.relay.Counts()
		if c.Passed+c.Lost == before.Passed+before.Lost+packets {
			return
		}
		if time.Now().After(end) {
			e.t.Fatalf("the relay has had %+v", c)
		}
	}
}

// receive returns the next n packets at the server, and where the last came from.
func (e *ends) receive(n int) (all []uint32, from *net.UDPAddr) {
	e.t.Helper()
	for range n {
		packet := make([]byte, 10)
		size, addr, err := e.server.ReadFromUDP(packet)
		if err != nil || size != 4 {
			e.t.Fatalf("%d bytes, %v, behind %d packets", size, err, len(all))
		}
		all, from = append(all, binary.BigEndian.Uint32(packet)), addr
	}
	return all, from
}

func inOrder() (all []uint32) {
	for n := range uint32(packets) {
		all = append(all, n)
	}
	return all
}

func TestRelayFaults(t *testing.T) {
	e := newEnds(t)
	e.send()
	if got, _ := e.receive(packets); !slices.Equal(got, inOrder()) {
		t.Errorf("without a fault arrives %v", got)
	}

	e.relay.Lose(50)
	e.send()
	lost := e.relay.Counts().Lost
	if lost < packets/5 || lost > packets*4/5 {
		t.Errorf("of %d packets %d were lost, want about half", packets, lost)
	}
	if got, _ := e.receive(packets - lost); !slices.IsSorted(got) || len(slices.Compact(got)) != packets-lost {
		t.Errorf("with loss arrives %v", got)
	}
	e.relay.Heal()

	e.relay.Duplicate(100)
	e.send()
	got, _ := e.receive(2 * packets)
	if len(slices.Compact(slices.Clone(got))) != packets || !slices.IsSorted(got) {
		t.Errorf("doubled arrives %v", got)
	}
	e.relay.Heal()

	e.relay.Reorder(50)
	e.send()
	got, _ = e.receive(packets)
	if slices.IsSorted(got) {
		t.Error("reordered packets arrive in order")
	}
	if slices.Sort(got); !slices.Equal(got, inOrder()) {
		t.Errorf("reordered arrive %v", got)
	}
	if c := e.relay.Counts(); c.Doubled != packets || c.Reordered == 0 {
		t.Errorf("counted: %+v", c)
	}
}

func TestRelayStall(t *testing.T) {
	e := newEnds(t)
	e.relay.Stall(faultnet.ToServer)
	e.send()
	e.relay.Heal()
	e.client.Write([]byte("heal"))
	if got, _ := e.receive(1); got[0] != binary.BigEndian.Uint32([]byte("heal")) {
		t.Errorf("through a stall came %v", got)
	}
	if c := e.relay.Counts(); c.Lost != packets {
		t.Errorf("counted: %+v", c)
	}
}

// TestRelayRebind: the server sees another port, and its answers arrive; those to the
// old port do not.
func TestRelayRebind(t *testing.T) {
	e := newEnds(t)
	e.client.Write([]byte("1234"))
	_, before := e.receive(1)
	if err := e.relay.Rebind(); err != nil {
		t.Fatal(err)
	}
	e.client.Write([]byte("1234"))
	_, after := e.receive(1)
	if before.Port == after.Port {
		t.Errorf("the port is %d before and after", before.Port)
	}
	e.server.WriteToUDP([]byte("old"), before)
	e.server.WriteToUDP([]byte("new"), after)
	answer := make([]byte, 10)
	if n, err := e.client.Read(answer); err != nil || string(answer[:n]) != "new" {
		t.Errorf("the client gets %q, %v", answer[:n], err)
	}
}

// TestRelayClients: two clients are two ports, and each gets its own answers.
func TestRelayClients(t *testing.T) {
	e := newEnds(t)
	other, err := net.Dial("udp", e.relay.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetDeadline(time.Now().Add(10 * time.Second))
	for i, c := range []net.Conn{e.client, other, e.client} {
		want := []byte{'a', 'n', 's', byte('0' + i)}
		if _, err := c.Write([]byte("1234")); err != nil {
			t.Fatal(err)
		}
		_, from := e.receive(1)
		e.server.WriteToUDP(want, from)
		got := make([]byte, 10)
		if n, err := c.Read(got); err != nil || string(got[:n]) != string(want) {
			t.Errorf("client %d gets %q, %v", i, got[:n], err)
		}
	}
}
