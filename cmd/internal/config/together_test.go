package config

const ann = "tokens:\n  - identity: ann\n    token-file: DIR/ann.token\n"

// brokenTogether are configurations whose keys do not go together, or whose files do not
// have what they should.
var brokenTogether = []struct {
	name, text string
	want       string
	form       bool
}{
	{"a token of nobody", "tokens:\n  - token-file: DIR/ann.token\n", "2:5: tokens[0]: the identity is missing; write identity: and whose token it is", true},
	{"no token", "tokens:\n  - identity: ann\n", "2:5: tokens[0]: something is missing; write token-file or token-env", true},
	{"two tokens in one entry", ann + "    token-env: BILLING_TOKEN\n", "4:5: tokens[0].token-env: token-file and token-env stand together; write one of them", true},
	{"a token for a path", "tokens:\n  - identity: ann\n    token-file: " + secret + "\n", "3:5: tokens[0].token-file: the file cannot be read: no such file or directory; write the path of a file", false},
	{"a token for a variable", "tokens:\n  - identity: ann\n    token-env: " + secret + "\n", "3:5: tokens[0].token-env: the environment has no such variable; write the name of one that is set", false},
	{"an empty token", "tokens:\n  - identity: ann\n    token-file: DIR/empty\n", "3:5: tokens[0].token-file: there is nothing in it; write what belongs there into it", false},
	{"an empty variable", "tokens:\n  - identity: ann\n    token-env: EMPTY\n", "3:5: tokens[0].token-env: there is nothing in it; write what belongs there into it", false},
	{"a short token", "tokens:\n  - identity: ann\n    token-file: DIR/short.token\n", "3:5: tokens[0].token-file: a token of less than 16 characters can be guessed; write one of openssl rand -hex 32 into it", false},
	{"two tokens in a file", "tokens:\n  - identity: ann\n    token-file: DIR/two.token\n", "3:5: tokens[0].token-file: there is more than a token in it; write one token into it and nothing else", false},
	{"one token for two", ann + "  - identity: bob\n    token-file: DIR/same.token\n", "5:5: tokens[1].token-file: it is the same token as that of tokens[0]; write a token of its own", false},
	{"a parameter without tokens", "token-parameter: token\n", "1:1: token-parameter: there are no tokens; write tokens: or jwt: too, or leave this out", false},
	{"anonymous without tokens", "anonymous: true\n", "1:1: anonymous: there are no tokens, so that everyone is let in; write tokens: or jwt: too", false},

	{"a listener of no kind", "listeners:\n  - address: :1\n", "2:5: listeners[0]: the kind is missing; write kind: http, quic or metrics", true},
	{"a listener of an unknown kind", "listeners:\n  - kind: htp\n    address: :1\n", "2:5: listeners[0].kind: \"htp\" is none of them (did you mean http?); write http, quic or metrics", true},
	{"a listener nowhere", "listeners:\n  - kind: http\n", "2:5: listeners[0]: the address is missing; write address: HOST:PORT", true},
	{"a listener with a bad address", "listeners:\n  - kind: http\n    address: here\n", "3:5: listeners[0].address: \"here\" is no address; write HOST:PORT", false},
	{"two listeners at one address", "http:\n  address: :1\nlisteners:\n  - kind: metrics\n    address: :1\n", "5:5: listeners[0].address: http listens there; write another address", false},
	{"metrics at the address of http", "http:\n  address: :1\nmetrics: :1\n", "3:1: metrics: http listens there; write another address", false},
	{"two listeners of the list at one address", "listeners:\n  - kind: http\n    address: :1\n  - kind: http\n    address: :1\n", "5:5: listeners[1].address: listeners[0] listens there; write another address", false},
	{"TLS for metrics", "listeners:\n  - kind: metrics\n    address: :1\n    tls-cert: DIR/hub.crt\n    tls-key: DIR/hub-tls.key\n", "2:5: listeners[0]: tls-cert, tls-key and live are for kind: http; write that, or leave them out", false},
	{"half of TLS at a listener", "listeners:\n  - kind: http\n    address: :1\n    tls-cert: DIR/hub.crt\n", "2:5: listeners[0]: tls-cert and tls-key go together; write both", false},
	{"a key for http", "listeners:\n  - kind: http\n    address: :1\n    key-file: DIR/hub.key\n", "4:5: listeners[0].key-file: this is for kind: quic; write that, or leave it out", false},
	{"QUIC for nobody", "listeners:\n  - kind: quic\n    address: :1\n    key-file: DIR/hub.key\n", "2:5: listeners[0]: nobody may come over QUIC; write quic: with address, key-file and allow for the first of these", false},
	{"a QUIC listener without key", "quic:\n  address: :1\n  key-file: DIR/hub.key\n  allow: [sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]\nlisteners:\n  - kind: quic\n    address: :2\n", "6:5: listeners[0]: the key is missing; write key-file: FILE", false},
	{"a secret for a key file", "quic:\n  address: :1\n  key-file: DIR/hub.key\n  allow: [sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA]\nlisteners:\n  - kind: quic\n    address: :2\n    key-file: " + secret + "\n", "8:5: listeners[0].key-file: the file cannot be read: no such file or directory; write the path of one that eventtarget keygen made", false},

	{"an issuer alone", "jwt:\n  issuer: a\n", "1:1: jwt: methods and key-file are missing; write both", true},
	{"methods alone", "relay: true\njwt:\n  methods: [EdDSA]\n", "2:1: jwt: methods and key-file go together; write both", true},
	{"no method at all", "jwt:\n  methods: [none]\n  key-file: DIR/jwt.pem\n", "2:13: jwt.methods[0]: this is no algorithm; write some of EdDSA, ES256,", true},
	{"two kinds of methods", "jwt:\n  methods: [HS256, EdDSA]\n  key-file: DIR/hmac.key\n", "2:20: jwt.methods[1]: HS methods and others have different keys; write only the ones or the others", false},
	{"no such key for jwt", "jwt:\n  methods: [EdDSA]\n  key-file: " + secret + "\n", "3:3: jwt.key-file: the file cannot be read: no such file or directory; write the path of a file", false},
	{"a secret for a public key", "jwt:\n  methods: [EdDSA]\n  key-file: DIR/hmac.key\n", "3:3: jwt.key-file: there is no public key in it; write what openssl pkey -pubout prints into it", false},
	{"a private key", "jwt:\n  methods: [EdDSA]\n  key-file: DIR/hub-tls.key\n", "3:3: jwt.key-file: there is no public key in it; write what openssl", false},
	{"a key for another method", "jwt:\n  methods: [RS256]\n  key-file: DIR/jwt.pem\n", "3:3: jwt.key-file: the key in it is not one for RS256; write methods of EdDSA, or another key", false},
	{"a short secret", "jwt:\n  methods: [HS256]\n  key-file: DIR/short.token\n", "3:3: jwt.key-file: a secret of less than 32 bytes can be guessed; write", false},

	{"a rule without topic", "topics:\n  - subscribe: [\"*\"]\n", "2:5: topics[0]: the topic is missing; write topic: \"chat:*\"", true},
	{"a rule for nobody", "topics:\n  - topic: \"a:*\"\n", "2:5: topics[0]: the rule allows nothing; write subscribe: [\"*\"] or dispatch: [ann]", true},
	{"two rules for a topic", "topics:\n  - topic: \"a:*\"\n    subscribe: [\"*\"]\n  - topic: \"a:*\"\n    dispatch: [\"*\"]\n", "4:5: topics[1].topic: topics[0] is about the same topic; write one rule with both lists", false},
	{"a rule for those who cannot come", "topics:\n  - topic: \"a:*\"\n    dispatch: [\"*\", ann]\n", "3:21: topics[0].dispatch[1]: nobody has an identity here; write tokens:, jwt: or quic: too, or \"*\" for everyone", false},
	{"an empty identity", ann + "topics:\n  - topic: \"a:*\"\n    subscribe: [\"\"]\n", "6:17: topics[0].subscribe[0]: the identity is empty; write \"*\" for everyone", true},

	{"bridges of nobody", ann + "bridged-by: [ann]\n", "4:1: bridged-by: there are no bridges; write bridged: true too, or leave this out", false},
	{"bridges of those who cannot come", "bridged: true\nbridged-by: [ann]\n", "2:14: bridged-by[0]: nobody has an identity here; write tokens:", false},

	{"nothing to retain", "retain-topics: 5\n", "1:1: retain-topics: nothing is retained; write retain: with a list of topics, or leave this out", true},
	{"no bytes to retain", "retain-bytes: 5MiB\n", "1:1: retain-bytes: nothing is retained; write retain: with a list of topics, or leave this out", true},
	{"a burst without rate", "limits:\n  burst: 5\n", "2:3: limits.burst: there is no rate; write rate: with messages in a second, or leave this out", true},
	{"a message larger than the log", "limits:\n  depth: 9\n  message: 17MiB\n", "3:3: limits.message: the log, of 16MiB, cannot hold one message; write log-bytes: with at least as much, too", false},
	{"a log smaller than a message", "limits:\n  log-bytes: 1023KiB\n", "2:3: limits.log-bytes: the log cannot hold one message, of 1MiB; write as much, or message: with less, too", false},
	{"a log that is too small", "limits:\n  message: 1MiB\n  log-bytes: 64KiB\n", "3:3: limits.log-bytes: the log cannot hold one message; write at least limits.message", false},

	{"a password in the file", "backplane:\n  url: redis://hub:" + secret + "@h:1\n", "2:3: backplane.url: a password does not stand here; write url-file: FILE or url-env: NAME, and the URL there", false},
	{"no url", "bridges:\n  - topics: [\"a:*\"]\n", "2:5: bridges[0]: something is missing; write url, url-file or url-env", true},
	{"two urls", "backplane:\n  url: redis://h:1\n  url-env: BACKPLANE\n", "3:3: backplane.url-env: url and url-env stand together; write one of them", true},
	{"a store without a folder", "store:\n  sync: true\n", "1:1: store.folder: there is no folder to keep anything in; write folder: PATH, or leave store out", false},
	{"a store without sessions", "session-timeout: off\nstore:\n  folder: /var/lib/hub\n", "3:3: store.folder: there are no sessions; write session-timeout: with a time, or leave store out", false},
	{"a store beside a log", "backplane:\n  url: redis://h:1?durable=true\nstore:\n  folder: /var/lib/hub\n", "4:3: store.folder: a durable backplane keeps what sessions need; leave store out, or write durable=false in its URL", false},
	{"parameters that are none", "backplane:\n  url: redis://h:1?durable=true;prefix=" + secret + "\n", "2:3: backplane.url: its parameters cannot be read; write NAME=VALUE with & in between", false},
	{"metrics nowhere", "metrics: here\n", "1:1: metrics: \"here\" is no address; write HOST:PORT, such as 127.0.0.1:8080 or :8080", false},
	{"a bus that is none", "backplane:\n  url: ws://h/ws\n", "2:3: backplane.url: the scheme cannot be used here; write one of redis, rediss, redis+cluster, rediss+cluster", false},
	{"a secret for a url", "backplane:\n  url: " + secret + "\n", "2:3: backplane.url: this is no URL; write SCHEME://HOST:PORT with one of redis, rediss, redis+cluster, rediss+cluster", false},
	{"a url that cannot be parsed", "bridges:\n  - url: \"ws://" + secret + "%zz\"\n", "2:5: bridges[0].url: this is no URL; write SCHEME://HOST:PORT with one of ws, wss,", false},
	{"an unknown scheme", "bridges:\n  - url: gopher://h\n", "2:5: bridges[0].url: the scheme cannot be used here; write one of ws, wss, quic,", false},
	{"a worker as a bridge", "bridges:\n  - url-file: DIR/worker.url\n", "2:5: bridges[0].url-file: a program is no bridge; write it under workers: with program: FILE", false},
	{"a log from a position on", "bridges:\n  - url: redis://h?durable=true&from=0-0\n", "2:5: bridges[0].url: from would have the hub hear that log again each time it starts; write the URL without it", false},
	{"topics that overlap", "bridges:\n  - url: ws://h/ws\n    topics: [\"a:1\", \"b:*\", \"a:*\"]\n", "3:28: bridges[0].topics[2]: a:* overlaps a:1; write the wider one alone", false},

	{"a worker without program", "workers:\n  - args: [a]\n", "2:5: workers[0]: the program is missing; write program: FILE", true},
	{"a relative program", "workers:\n  - program: bin/x\n", "2:5: workers[0].program: the path is relative; write it from the root on", false},
	{"no such program", "workers:\n  - program: DIR/none\n", "2:5: workers[0].program: the file cannot be read: no such file or directory; write the path of a program", false},
	{"a program that is none", "workers:\n  - program: DIR/ann.token\n", "2:5: workers[0].program: this cannot be run; write the path of a program, and make it executable", false},
	{"no such directory", "workers:\n  - program: DIR/worker\n    dir: DIR/none\n", "3:5: workers[0].dir: there is no such directory; write one, or leave it out", false},
	{"a bad checksum", "workers:\n  - program: DIR/worker\n    sha256: abc\n", "3:5: workers[0].sha256: this is no checksum; write the 64 digits that sha256sum prints", true},
	{"a variable without value", "workers:\n  - program: DIR/worker\n    env: [HOME]\n", "3:11: workers[0].env[0]: this sets no variable; write NAME=value, or the name alone under inherit:", true},
	{"a value that is inherited", "workers:\n  - program: DIR/worker\n    inherit: [A=" + secret + "]\n", "3:15: workers[0].inherit[0]: this is no name; write NAME alone, or NAME=value under env:", true},
}
