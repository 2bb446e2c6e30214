package containers

import (
	"crypto/rand"
	"encoding/hex"
	"math/big"
	"regexp"
	"strings"
	"sync"
)

const namePattern = `[a-zA-Z0-9][a-zA-Z0-9_.-]`

// Both are compiled when they are first needed: not in every shim.
var (
	validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + namePattern + `+$`) })
	validID   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })
)

// cleanName returns a name as it is kept: without the leading slash.
func cleanName(name string) (string, error) {
	bare := strings.TrimPrefix(name, "/")
	if !validName().MatchString(bare) {
		return "", invalid("Invalid container name (%s), only %s are allowed", name, namePattern)
	}
	return bare, nil
}

// newID returns a random id of 64 hexadecimal digits. One whose first twelve
// are all decimal is no host name, so it is not returned.
func newID() string {
	for {
		var b [32]byte
		rand.Read(b[:]) // never fails
		id := hex.EncodeToString(b[:])
		if strings.ContainsAny(id[:12], "abcdef") {
			return id
		}
	}
}

// pick returns one of words.
func pick(words []string) string {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(len(words))))
	if err != nil {
		return words[0] // it never fails
	}
	return words[n.Int64()]
}

// inventName returns a name such as "calm_river".
func inventName() string { return pick(adjectives) + "_" + pick(nouns) }

var adjectives = strings.Fields(`able amber ample ancient apt avid azure bold brave breezy bright brisk calm candid
	careful cheerful civil clear clever cosy crisp curious daring deft eager early easy elegant fair fast fine firm
	fleet fond frank free fresh gentle glad golden good grand great green happy hardy honest humble jolly just keen
	kind lasting lively loyal lucid lucky mellow merry mild modest neat nimble noble open patient placid plain polite
	prime proud pure quick quiet rapid ready robust rosy round serene sharp silver simple sincere sleek smart smooth
	snug soft solid sound steady still sturdy subtle sunny sure swift tender tidy trusty upbeat vivid warm wise witty`)

var nouns = strings.Fields(`acorn alder anchor apple ash badger bay beacon beaver beech birch bloom brook canyon cedar
	cliff cloud clover comet coral cove crane creek dawn delta dune eagle elm ember falcon fern field finch fir fjord
	flint forest fox garden glacier glade grove harbour hare hawk hazel heath heron hill holly island ivy jay juniper
	kestrel lagoon lake larch lark lily linden lynx maple marsh meadow mesa moon moss moth oak ocean orchid osprey otter
	owl pebble pine planet plum pond poplar prairie quartz raven reef ridge river robin rowan sage sky sparrow spring
	spruce star stone storm stream summit swan thistle thrush tide trail tulip valley vine violet wave willow wren yew`)
