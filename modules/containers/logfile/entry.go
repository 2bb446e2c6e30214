package logfile

import "time"

// Stream says where output came from.
type Stream byte

// The streams, numbered as on Docker's wire.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// MaxLine is the longest piece of a line in one entry. Longer lines make
// several entries, of which only the last ends with a newline.
const MaxLine = 16 << 10

// Entry is a line of output, or a piece of a long one.
type Entry struct {
	Stream Stream
	Time   time.Time
	// Line includes its newline where there was one.
	Line []byte
	// Attrs are those of the log's options.
	Attrs map[string]string
	// Taken is how many bytes of stdout and stderr the log holds with this
	// entry: where it goes on after a crash.
	Taken Taken
}

// Taken counts the bytes of stdout and stderr.
type Taken [2]int64

// wire is an Entry as it stands in the file.
type wire struct {
	Log    string            `json:"log"`
	Stream string            `json:"stream"`
	Attrs  map[string]string `json:"attrs,omitempty"`
	Time   time.Time         `json:"time"`
	Taken  Taken             `json:"taken,omitzero"` // not Docker's: readers ignore it
}
