// Package wire is the envelope: how an event is written as a message and read back.
//
// One message is one JSON object (RFC 8259):
//
//	{"type":"chat.said","id":"lobby","payload":…,"headers":{"name":"value"}}
//
// Writing splices the members around the payload's own text. Reading is strict
// and one scan: member names are exact and in any order; unknown members are
// checked and left alone, so that a relay that forwards the message keeps them;
// duplicate members, invalid UTF-8, lone surrogates, trailing bytes and a missing
// type or id are refused. What a parser lets pass and the next one reads otherwise
// is how messages are smuggled. Duplicate names inside a payload are the
// application's own text.
package wire
