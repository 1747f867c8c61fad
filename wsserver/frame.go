package wsserver

import "encoding/binary"

// The frames of RFC 6455 §5.2 as a server writes them: final, unmasked.
const (
	finText  = 0x80 | 0x1
	finClose = 0x80 | 0x8
	finPing  = 0x80 | 0x9

	opcodeMask  = 0x0f
	opcodeClose = 0x8
)

// appendHeader appends the header of a text message of n bytes.
func appendHeader(dst []byte, n int) []byte {
	switch {
	case n < 126:
		return append(dst, finText, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, finText, 126), uint16(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, finText, 127), uint64(n))
	}
}

// frameSize returns the size of the frame at the beginning of b.
func frameSize(b []byte) int {
	switch n := int(b[1]); n {
	case 126:
		return 4 + int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		return 10 + int(binary.BigEndian.Uint64(b[2:]))
	default:
		return 2 + n
	}
}

// frameEnd returns where the frame ends that holds the byte before n: n itself, if
// that is between two frames.
func frameEnd(frames []byte, n int) int {
	end := 0
	for end < n {
		end += frameSize(frames[end:])
	}
	return end
}

// closeFrame returns a close frame with a code and a text of at most 123 bytes.
func closeFrame(code int, text string) []byte {
	f := []byte{finClose, byte(2 + len(text))}
	f = binary.BigEndian.AppendUint16(f, uint16(code))
	return append(f, text...)
}
