package logfile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// parse reads a line of the file. The entry shares nothing with it.
func parse(line []byte) (Entry, error) {
	if e, ok := parseOwn(line); ok {
		return e, nil
	}
	var w wire
	if err := json.Unmarshal(line, &w); err != nil {
		return Entry{}, fmt.Errorf("bad log entry: %w", err)
	}
	e := Entry{Stream: Stdout, Time: w.Time, Line: []byte(w.Log), Attrs: w.Attrs, Taken: w.Taken}
	if w.Stream == "stderr" {
		e.Stream = Stderr
	}
	return e, nil
}

// parseOwn reads a line as append writes it, without attributes, several times
// as fast as encoding/json. What others wrote is not ok, though it may be good
// JSON; a test compares what is with what encoding/json makes of it.
func parseOwn(line []byte) (e Entry, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"log":"`))
	if !ok {
		return e, false
	}
	if e.Line, rest, ok = parseString(rest); !ok {
		return e, false
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(`,"stream":"std`)); !ok {
		return e, false
	}
	e.Stream = Stdout
	var time []byte
	if time, ok = bytes.CutPrefix(rest, []byte(`out","time":"`)); !ok {
		e.Stream = Stderr
		if time, ok = bytes.CutPrefix(rest, []byte(`err","time":"`)); !ok {
			return e, false
		}
	}
	end := bytes.IndexByte(time, '"')
	if end < 0 || e.Time.UnmarshalText(time[:end]) != nil {
		return e, false
	}
	rest = time[end+1:]
	if taken, found := bytes.CutPrefix(rest, []byte(`,"taken":[`)); found {
		if e.Taken[0], rest, ok = parseNumber(taken, ','); !ok {
			return e, false
		}
		if e.Taken[1], rest, ok = parseNumber(rest, ']'); !ok {
			return e, false
		}
	}
	return e, string(rest) == "}\n" || string(rest) == "}"
}

// parseNumber reads a number of a list that is not negative, with what comes
// after it.
func parseNumber(from []byte, end byte) (n int64, rest []byte, ok bool) {
	i := 0
	for ; i < len(from) && from[i] >= '0' && from[i] <= '9'; i++ {
		digit := int64(from[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, nil, false
		}
		n = n*10 + digit
	}
	if i == 0 || i > 1 && from[0] == '0' || i == len(from) || from[i] != end {
		return 0, nil, false
	}
	return n, from[i+1:], true
}

// parseString reads a JSON string behind its first quote.
func parseString(from []byte) (text, rest []byte, ok bool) {
	end := bytes.IndexByte(from, '"') // more, if that one is escaped
	if end < 0 {
		return nil, nil, false
	}
	text = make([]byte, 0, end)
	ascii := byte(0)
	for i := 0; i < len(from); i++ {
		switch b := from[i]; {
		case b == '"':
			return text, from[i+1:], ascii < utf8.RuneSelf || utf8.Valid(text)
		case b < ' ':
			return nil, nil, false
		case b == '\\':
			r, size := unescape(from[i+1:])
			if size == 0 {
				return nil, nil, false
			}
			text = utf8.AppendRune(text, r)
			i += size
		default:
			ascii |= b
			text = append(text, b)
		}
	}
	return nil, nil, false
}

// unescape reads what stands behind a backslash; size is 0 for what cannot, or
// for one half of a character.
func unescape(from []byte) (r rune, size int) {
	if len(from) == 0 {
		return 0, 0
	}
	switch from[0] {
	case '"', '\\', '/':
		return rune(from[0]), 1
	case 'n':
		return '\n', 1
	case 'r':
		return '\r', 1
	case 't':
		return '\t', 1
	case 'b':
		return '\b', 1
	case 'f':
		return '\f', 1
	case 'u':
		if len(from) < 5 {
			return 0, 0
		}
		n, err := strconv.ParseUint(string(from[1:5]), 16, 16)
		if err != nil || !utf8.ValidRune(rune(n)) {
			return 0, 0
		}
		return rune(n), 5
	}
	return 0, 0
}
