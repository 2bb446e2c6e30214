package logfile

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// append adds the entry's line in the file to a buffer. It is what
// encoding/json makes of a wire, and a test compares them; every byte of all
// output comes through here, and this is several times as fast.
func (e Entry) append(to []byte) ([]byte, error) {
	at := e.Time.UTC()
	if y := at.Year(); y < 0 || y > 9999 {
		return to, fmt.Errorf("a log entry cannot be of the year %d", y)
	}
	to = append(to, `{"log":`...)
	to = appendString(to, e.Line)
	to = append(to, `,"stream":"`...)
	to = append(to, e.Stream.String()...)
	to = append(to, '"')
	if len(e.Attrs) > 0 {
		attrs, err := json.Marshal(e.Attrs)
		if err != nil {
			return to, err
		}
		to = append(to, `,"attrs":`...)
		to = append(to, attrs...)
	}
	to = append(to, `,"time":"`...)
	to = at.AppendFormat(to, time.RFC3339Nano)
	to = append(to, '"')
	if e.Taken != (Taken{}) {
		to = append(to, `,"taken":[`...)
		to = strconv.AppendInt(to, e.Taken[0], 10)
		to = append(to, ',')
		to = strconv.AppendInt(to, e.Taken[1], 10)
		to = append(to, ']')
	}
	return append(to, '}', '\n'), nil
}

// plain says which bytes stand for themselves in a JSON string.
var plain = func() (p [256]bool) {
	for b := 0x20; b < utf8.RuneSelf; b++ {
		p[b] = true
	}
	for _, b := range []byte{'"', '\\', '<', '>', '&'} {
		p[b] = false
	}
	return p
}()

// appendString adds text as a JSON string. What is not UTF-8 is replaced.
func appendString(to, text []byte) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	done := 0 // what of text is in to
	for i := 0; i < len(text); {
		b := text[i]
		if plain[b] {
			i++
			continue
		}
		if b < utf8.RuneSelf {
			to = append(to, text[done:i]...)
			switch b {
			case '"', '\\':
				to = append(to, '\\', b)
			case '\n':
				to = append(to, '\\', 'n')
			case '\r':
				to = append(to, '\\', 'r')
			case '\t':
				to = append(to, '\\', 't')
			case '\b':
				to = append(to, '\\', 'b')
			case '\f':
				to = append(to, '\\', 'f')
			default: // control characters, and those that HTML knows
				to = append(to, '\\', 'u', '0', '0', hex[b>>4], hex[b&0xf])
			}
			i++
			done = i
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			to = append(append(to, text[done:i]...), `\ufffd`...)
			done = i + size
		case r == '\u2028' || r == '\u2029': // ends of lines in JavaScript
			to = append(append(to, text[done:i]...), '\\', 'u', '2', '0', '2', hex[r&0xf])
			done = i + size
		}
		i += size
	}
	return append(append(to, text[done:]...), '"')
}
