package config

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/eventtarget-go/toolkit/auth"
	"github.com/eventtarget-go/toolkit/eventtarget"
	"github.com/eventtarget-go/toolkit/identity"
)

// Config is everything that a hub can be told. The tags are the one description of it:
// key is the name in the file, doc and default are what the documentation and the JSON
// Schema say, enum lists what may be written, off allows "off" for a time, required is
// for those of an entry that have none, and live marks what a running hub takes over from
// its file when it is told to read that again.
type Config struct {
	HTTP    HTTP       `key:"http" doc:"The listener for WebSocket (/ws), server-sent events (/sse), POST /dispatch and the live page."`
	QUIC    QUIC       `key:"quic" doc:"The listener for QUIC; absent: there is none."`
	More    []Listener `key:"listeners" doc:"More listeners, beside http, quic and metrics."`
	Origins []string   `key:"origins" live:"true" doc:"Origins of web pages that may connect, besides the hub's own; * stands for anything but a slash." example:"https://*.example.com"`
	Hosts   []string   `key:"hosts" doc:"Names, without port, that a request may ask for, or * for any. Absent: any, but on a loopback address only this machine's." example:"hub.example.com"`
	Proxies []Prefix   `key:"trusted-proxies" doc:"Networks whose X-Forwarded-For is believed." example:"10.0.0.0/8"`

	Tokens         []Token `key:"tokens" live:"true" doc:"Bearer tokens that are known beforehand. With tokens or jwt, a request without a good one is refused."`
	JWT            JWT     `key:"jwt" live:"true" doc:"Signed bearer tokens (RFC 7519): the identity is the subject."`
	TokenParameter string  `key:"token-parameter" live:"true" doc:"Parameter of the URL that a token may stand in too, for browsers, which cannot set a header on a WebSocket or an EventSource." example:"token"`
	Anonymous      bool    `key:"anonymous" live:"true" doc:"Let those without a token in too, as nobody; topics says what they may." default:"false"`

	Topics         []Rule   `key:"topics" live:"true" doc:"Who may subscribe to what, and dispatch it. Absent: everyone everything. Otherwise what no rule allows is refused."`
	Relay          bool     `key:"relay" doc:"Pass what one spoke dispatches on to all the others." default:"true"`
	Bridged        bool     `key:"bridged" doc:"Other hubs have bridges to this one: what comes by more than one way is heard once. With bridges of its own it is so in any case." default:"false"`
	BridgedBy      []string `key:"bridged-by" live:"true" doc:"Identities of those bridges; * stands for any characters and ? for one. What another spoke says of bridges is left out, which could keep other events away. Absent: any spoke may be one." example:"hub-*"`
	OnlySubscribed bool     `key:"only-subscribed" doc:"A spoke hears nothing until it subscribes." default:"false"`
	Retain         []Topic  `key:"retain" live:"true" doc:"Topics whose last event is kept for those who subscribe later." example:"price:*"`
	RetainTopics   int      `key:"retain-topics" doc:"How many topics are kept so; the least recently dispatched one gives way." default:"65536"`
	RetainBytes    Size     `key:"retain-bytes" doc:"Bytes of memory that those take; as retain-topics otherwise." default:"64MiB"`
	Overflow       string   `key:"overflow" enum:"disconnect,drop-oldest,conflate,block" doc:"What happens to a spoke that falls behind its bounds: it is ended; loses the oldest events, which a gap tells it; keeps the last event of each topic; or makes everyone wait." default:"disconnect"`
	Duplicates     string   `key:"duplicates" enum:"allow,replace,refuse" doc:"What a second spoke with the same identity does." default:"allow"`
	Limits         Limits   `key:"limits" doc:"Bounds on messages, spokes and memory."`
	SessionTimeout Duration `key:"session-timeout" off:"true" doc:"How long a session outlives its connection; off: there are no sessions." default:"1m"`
	Store          Store    `key:"store" doc:"Where the hub keeps what sessions need to go on when its process has died; absent: they end with it."`
	Heartbeat      Duration `key:"heartbeat" off:"true" doc:"How often a silent spoke is asked for a sign of life. Its answer is one, so that between two questions to an idle one there is twice as long: proxies must bear that." default:"15s"`
	Misses         int      `key:"misses" doc:"How many unanswered heartbeats end a connection." default:"2"`
	WriteTimeout   Duration `key:"write-timeout" doc:"A spoke that takes nothing for so long is ended." default:"5s"`
	FirstMessage   Duration `key:"first-message" off:"true" doc:"A spoke that has sent nothing for so long after it connected is ended; not one that can only listen (server-sent events)." default:"off"`
	DrainTimeout   Duration `key:"drain-timeout" doc:"How long a hub that was told to end brings its spokes what they lack." default:"10s"`

	LogFormat string   `key:"log-format" enum:"text,json" doc:"How the log is written to standard error." default:"text"`
	Metrics   string   `key:"metrics" doc:"Address of a listener for those who run the hub: metrics (Prometheus) and profiles. Absent: there is none." example:"127.0.0.1:9090"`
	Backplane Remote   `key:"backplane" doc:"The bus that joins this hub with others."`
	Bridges   []Bridge `key:"bridges" doc:"Other targets that are joined with the hub."`
	Workers   []Worker `key:"workers" doc:"Programs that are started and joined with the hub: see package worker."`

	origins map[string]Position // of keys, by path
}

// HTTP is the listener for everything that begins as an HTTP request.
type HTTP struct {
	Address string `key:"address" doc:"Address to listen at, HOST:PORT." default:"127.0.0.1:8080"`
	TLSCert string `key:"tls-cert" live:"true" doc:"File of the certificate chain, in PEM. It is read again on SIGHUP."`
	TLSKey  string `key:"tls-key" live:"true" doc:"File of its private key, in PEM."`
	Live    bool   `key:"live" doc:"Serve the live page, which shows who is connected, to others than this machine too." default:"false"`

	Certificate *tls.Certificate // nil: no TLS
}

// QUIC is the listener for QUIC.
type QUIC struct {
	Address string         `key:"address" doc:"Address to listen at, HOST:PORT."`
	KeyFile string         `key:"key-file" doc:"File of the hub's private key: see eventtarget keygen."`
	Allow   []identity.Pin `key:"allow" live:"true" doc:"Pins of the spokes that may connect."`

	Key *identity.Key // nil: no QUIC
}

// Token is a bearer token and whose it is.
type Token struct {
	Identity string `key:"identity" required:"true" doc:"Who comes with the token."`
	File     string `key:"token-file" doc:"File that the token stands in, alone."`
	Env      string `key:"token-env" doc:"Environment variable that the token stands in."`

	Secret string // the token
}

// JWT says which signed tokens are good.
type JWT struct {
	Methods  []string `key:"methods" doc:"Algorithms that are accepted, by their names in RFC 7518." example:"EdDSA"`
	KeyFile  string   `key:"key-file" doc:"File of the key that tokens are signed with: a public key in PEM, or for HS256 to HS512 the secret."`
	Issuer   string   `key:"issuer" doc:"Issuer that a token must name."`
	Audience string   `key:"audience" doc:"Audience that a token must name."`
	Leeway   Duration `key:"leeway" doc:"How far clocks may differ." default:"none"`

	Authenticate auth.Authenticator // nil: no signed tokens
}

// Rule says who may have a topic. An entry is an identity, in which * stands for anything;
// "*" alone is everyone, also without an identity, and "?*" is whoever has one.
type Rule struct {
	Topic     Topic    `key:"topic" required:"true" doc:"Topic that the rule is about: chat:42, chat:* or *."`
	Subscribe []string `key:"subscribe" doc:"Identities that may subscribe to it. * stands for any characters and ? for one, so * alone is everyone and ?* is whoever has an identity."`
	Dispatch  []string `key:"dispatch" doc:"Identities that may dispatch it."`
}

// Limits bounds messages, spokes and memory.
type Limits struct {
	Message        Size    `key:"message" doc:"Bytes of a message's type, id, payload and headers together." default:"1MiB"`
	Depth          int     `key:"depth" doc:"How deep a payload nests." default:"1000"`
	Headers        int     `key:"headers" doc:"Headers of a message." default:"16"`
	HeaderBytes    Size    `key:"header-bytes" doc:"Bytes of a header's name and value." default:"256"`
	Subscriptions  int     `key:"subscriptions" doc:"Topics that a spoke may subscribe to." default:"128"`
	Spokes         int     `key:"spokes" live:"true" doc:"Spokes in all; 0: any number." default:"0"`
	SpokesPerAddr  int     `key:"spokes-per-address" live:"true" doc:"Spokes from one IPv4 address or IPv6 /64; 0: any number." default:"0"`
	Rate           float64 `key:"rate" doc:"Messages that a spoke may send in a second, on average; 0: any number." default:"0"`
	Burst          int     `key:"burst" doc:"Messages that it may send at once; needs rate." default:"100"`
	LogEvents      int     `key:"log-events" doc:"Events that the hub's log holds for those who are behind." default:"262144"`
	LogBytes       Size    `key:"log-bytes" doc:"Bytes that it holds." default:"16MiB"`
	SpokeEvents    int     `key:"spoke-events" doc:"Events that wait for one spoke alone." default:"16384"`
	SpokeBytes     Size    `key:"spoke-bytes" doc:"Bytes that wait for one spoke alone." default:"1MiB"`
	InboxBytes     Size    `key:"inbox-bytes" doc:"Bytes that wait so for all spokes together." default:"64MiB"`
	MaxHeaderBytes Size    `key:"request-bytes" doc:"Bytes of an HTTP request's headers." default:"16KiB"`
}

// Store is a folder with what sessions need.
type Store struct {
	Folder string `key:"folder" doc:"The folder; it belongs to one hub at a time."`
	Bytes  Size   `key:"bytes" doc:"Bytes of events that are kept." default:"64MiB"`
	Sync   bool   `key:"sync" doc:"Wait for the disk, so that a crash of the machine loses nothing either." default:"false"`
}

// Remote is a URL, which may have a password only where no configuration shows it.
type Remote struct {
	URL  string `key:"url" doc:"URL, without a password." example:"redis://127.0.0.1:6379"`
	File string `key:"url-file" doc:"File that the URL stands in, if it has a password."`
	Env  string `key:"url-env" doc:"Environment variable that the URL stands in."`
}

// Bridge is a target that is joined with the hub.
type Bridge struct {
	Remote
	Topics   []Topic `key:"topics" doc:"What is carried, in both directions. They must not overlap. Absent: everything."`
	HopLimit int     `key:"hop-limit" doc:"How many bridges an event may have passed." default:"8"`
}

// Worker is a program that is joined with the hub.
type Worker struct {
	Program string   `key:"program" required:"true" doc:"Path of the program, absolute. No shell sees it."`
	Args    []string `key:"args" doc:"Its arguments."`
	Dir     string   `key:"dir" doc:"Where it is started. Absent: where the hub is."`
	SHA256  string   `key:"sha256" doc:"What the program's file must be, in hexadecimal."`
	Env     []string `key:"env" doc:"Variables for it, NAME=value. It gets no others. No secrets: use inherit." example:"LANG=C"`
	Inherit []string `key:"inherit" doc:"Names of variables that it gets from the hub's environment."`
	Restart string   `key:"restart" enum:"never,on-failure,always" doc:"When it is started again." default:"on-failure"`
	Topics  []Topic  `key:"topics" doc:"What is carried, in both directions. They must not overlap. Absent: everything."`
}

// defaults are what a hub does that is told nothing, as far as a zero field does not mean
// that already.
func defaults() Config {
	return Config{
		HTTP: HTTP{Address: "127.0.0.1:8080"}, Relay: true, DrainTimeout: Duration(10 * time.Second),
		Overflow: "disconnect", Duplicates: "allow", LogFormat: "text", Limits: Limits{MaxHeaderBytes: 16 << 10},
	}
}

// Topic is a topic or a selector of topics as it is written: chat:42, chat:*, *.
type Topic struct{ eventtarget.Topic }

// UnmarshalText is [eventtarget.ParseTopic].
func (t *Topic) UnmarshalText(text []byte) (err error) {
	t.Topic, err = eventtarget.ParseTopic(string(text))
	return err
}

// Prefix is a network, or an address, which is a network of one.
type Prefix struct{ netip.Prefix }

// UnmarshalText reads 10.0.0.0/8 or 10.1.2.3.
func (p *Prefix) UnmarshalText(text []byte) (err error) {
	if a, err := netip.ParseAddr(string(text)); err == nil {
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	p.Prefix, err = netip.ParsePrefix(string(text))
	return err
}

// Duration is a time; negative means that there is none ("off").
type Duration time.Duration

// Size is a number of bytes.
type Size int
