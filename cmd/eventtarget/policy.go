package main

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/eventtarget-go/toolkit/auth"
	"github.com/eventtarget-go/toolkit/cmd/internal/config"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/eventtarget/hub"
	"github.com/eventtarget-go/toolkit/identity"
)

// policy decides who is let in and what they may, by the configuration of the moment.
type policy struct {
	now     atomic.Pointer[terms]
	refused func() // is told of who was not let in; nil: nobody is
}

// terms are what a configuration says about that. They do not change.
type terms struct {
	ways      []way // to be let in; none: everyone is
	anonymous bool
	parameter string
	tokens    map[tokenSum]string // the identities
	pins      map[identity.Pin]bool
	rules     []config.Rule
	retain    []config.Topic
	bridges   []string
}

// tokenSum is what a spoke keeps of the token that it came with.
type tokenSum [sha256.Size]byte

// tokenKey is under which a spoke keeps it.
type tokenKey struct{}

// way is a way to be let in; the sum is that of a token that is known beforehand.
type way struct {
	authenticate auth.Authenticator
	sum          *tokenSum
}

func (p *policy) set(c *config.Config) {
	t := &terms{
		anonymous: c.Anonymous, parameter: c.TokenParameter, rules: c.Topics, retain: c.Retain, bridges: c.BridgedBy,
		tokens: map[tokenSum]string{}, pins: map[identity.Pin]bool{},
	}
	for _, token := range c.Tokens {
		sum := tokenSum(sha256.Sum256([]byte(token.Secret)))
		if _, twice := t.tokens[sum]; !twice { // the first way is taken
			t.tokens[sum] = token.Identity
		}
		t.ways = append(t.ways, way{auth.Static(map[string]string{token.Secret: token.Identity}), &sum})
	}
	if c.JWT.Authenticate != nil {
		t.ways = append(t.ways, way{c.JWT.Authenticate, nil})
	}
	for _, pin := range c.QUIC.Allow {
		t.pins[pin] = true
	}
	p.now.Store(t)
}

// authenticate says who makes a request.
func (p *policy) authenticate(r *http.Request) (hub.Grant, error) {
	t := p.now.Load()
	if len(t.ways) == 0 {
		return hub.Grant{}, nil
	}
	authenticate := t.grant
	if t.parameter != "" {
		authenticate = auth.FromQuery(t.parameter, authenticate)
	}
	grant, err := authenticate(r)
	if err != nil && p.refused != nil {
		p.refused()
	}
	return grant, err
}

func (t *terms) grant(r *http.Request) (grant hub.Grant, err error) {
	if t.anonymous && r.Header.Get("Authorization") == "" {
		return hub.Grant{}, nil
	}
	for _, w := range t.ways {
		grant, err = w.authenticate(r)
		if err == nil && w.sum != nil {
			grant.Values = map[any]any{tokenKey{}: *w.sum}
		}
		if err == nil {
			return grant, nil
		}
	}
	return hub.Grant{}, err
}

// allow tells whether a key may connect over QUIC.
func (p *policy) allow(pin identity.Pin) bool {
	allowed := p.now.Load().pins[pin]
	if !allowed && p.refused != nil {
		p.refused()
	}
	return allowed
}

// authorize tells a hub whether a spoke may do something.
func (p *policy) authorize(s *hub.Spoke, op hub.Op, topic eventtarget.Topic) error {
	return p.now.Load().may(s.Identity(), op, topic)
}

// authorizePost tells whether who posts may dispatch a topic.
func (p *policy) authorizePost(identity string, topic eventtarget.Topic) error {
	return p.now.Load().may(identity, hub.OpDispatch, topic)
}

func (t *terms) may(identity string, op hub.Op, topic eventtarget.Topic) error {
	if len(t.rules) == 0 {
		return nil
	}
	for _, rule := range t.rules {
		who := rule.Subscribe
		if op == hub.OpDispatch {
			who = rule.Dispatch
		}
		if !config.Covers(rule.Topic.Topic, topic) {
			continue
		}
		if anyLike(identity, who) {
			return nil
		}
	}
	return fmt.Errorf("no rule lets you %s %s", op, topic) // the other end says that this is forbidden
}

// bridgedBy tells whether a spoke may be the end of another hub's bridge.
func (p *policy) bridgedBy(s *hub.Spoke) bool {
	bridges := p.now.Load().bridges
	return len(bridges) == 0 || anyLike(s.Identity(), bridges)
}

func anyLike(text string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return like(text, p) })
}

// like tells whether a text is like a pattern, in which * stands for any characters and ?
// for one byte. Only the last * is ever moved, so that no text takes long.
func like(text, pattern string) bool {
	star, mark := -1, 0 // where the last * stands, and what it stands for ends
	t, p := 0, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			t, p = t+1, p+1
		case star >= 0:
			mark++
			t, p = mark, star+1
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// retained tells whether the last event of a topic is kept.
func (p *policy) retained(topic eventtarget.Topic) bool {
	for _, t := range p.now.Load().retain {
		if config.Covers(t.Topic, topic) {
			return true
		}
	}
	return false
}

// withdrawn tells whether a spoke would not be let in any more as who it is with what it came
// with.
func (t *terms) withdrawn(s *hub.Spoke) bool {
	if s.Transport() == "quic" {
		pin, err := identity.ParsePin(s.Identity())
		return err != nil || !t.pins[pin]
	}
	if s.Identity() == "" { // it came without a token: with one it would be somebody
		return len(t.ways) > 0 && !t.anonymous
	}
	sum, came := s.Value(tokenKey{}).(tokenSum)
	who, known := t.tokens[sum]
	return came && (!known || who != s.Identity())
}

var errWithdrawn = eventtarget.Reason{Code: eventtarget.CodePolicy, Text: "what let you in is withdrawn"}

// connected ends a spoke at once that was let in before a reload, and has become one behind it.
func (p *policy) connected(s *hub.Spoke) {
	if p.now.Load().withdrawn(s) {
		s.Disconnect(errWithdrawn)
	}
}

// enforce ends the spokes that would not be let in any more, and those that hear what they
// may no longer. It returns how many those are.
func (p *policy) enforce(h *hub.Hub) (ended int) {
	t := p.now.Load()
	for s := range h.Spokes() {
		switch {
		case t.withdrawn(s):
			s.Disconnect(errWithdrawn)
			ended++
		case h.Revoke(s):
			ended++
		}
	}
	return ended
}
