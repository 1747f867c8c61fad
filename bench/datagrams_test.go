package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
)

// datagrams sends each message in one, and tells behind them that these were all.
func datagrams(c *quic.Conn, s *quic.Stream, p parcel) error {
	size := len(p.all) / p.n
	for i := range p.n {
		if err := c.SendDatagram(p.all[i*size : (i+1)*size]); err != nil {
			return err
		}
	}
	_, err := s.Write([]byte{0})
	return err
}

// packets are datagrams, and a stream that has a byte behind those of each burst.
type packets struct {
	*quic.Stream
	conn *quic.Conn
}

// hearDatagrams counts what arrives until all bursts are over.
func hearDatagrams(readers []io.Reader, bursts int) error {
	done := make([]atomic.Int64, bursts)
	failed := make([]error, len(readers))
	var arrived atomic.Int64
	var wg sync.WaitGroup
	for i, r := range readers {
		p := r.(*packets)
		go func() {
			for {
				if _, err := p.conn.ReceiveDatagram(context.Background()); err != nil {
					return
				}
				arrived.Add(1)
			}
		}()
		wg.Go(func() {
			for burst := range bursts {
				if _, failed[i] = io.ReadFull(p, make([]byte, 1)); failed[i] != nil {
					return
				}
				if done[burst].Add(1) == int64(len(readers)) {
					fmt.Println("read")
				}
			}
		})
	}
	wg.Wait()
	fmt.Println("arrived", arrived.Load())
	return errors.Join(failed...)
}
