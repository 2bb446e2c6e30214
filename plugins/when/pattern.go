package when

import (
	"errors"
	"regexp"
	"strings"
)

// Pattern is a text in which * stands for any characters and ? for one.
// Alternatives are separated by |, and a ! before the whole negates it.
type Pattern struct {
	text string
	not  bool
	re   *regexp.Regexp
}

// NewPattern reads a pattern. An empty one is an error: it would match nothing
// but what has no name.
func NewPattern(text string) (*Pattern, error) {
	p := &Pattern{text: text}
	rest, not := strings.CutPrefix(text, "!")
	p.not = not
	if rest == "" {
		return nil, errors.New("the pattern is empty: leave it out to match everything")
	}
	var alternatives []string
	for a := range strings.SplitSeq(rest, "|") {
		quoted := regexp.QuoteMeta(a)
		quoted = strings.ReplaceAll(quoted, `\*`, `.*`)
		alternatives = append(alternatives, strings.ReplaceAll(quoted, `\?`, `.`))
	}
	var err error
	p.re, err = regexp.Compile(`(?s)^(?:` + strings.Join(alternatives, "|") + `)$`)
	return p, err
}

// UnmarshalText makes a Pattern the value of a key in a configuration file.
func (p *Pattern) UnmarshalText(text []byte) error {
	read, err := NewPattern(string(text))
	if err == nil {
		*p = *read
	}
	return err
}

// MarshalText returns the pattern as it was written.
func (p *Pattern) MarshalText() ([]byte, error) { return []byte(p.text), nil }

// String is the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// Matches reports whether one of values matches; with a negated pattern, that
// none of them is what it excludes. Nothing matches negated patterns alone. A
// nil pattern matches everything.
func (p *Pattern) Matches(values ...string) bool {
	if p == nil {
		return true
	}
	for _, v := range values {
		if p.match(v) != p.not {
			return !p.not
		}
	}
	return p.not
}

func (p *Pattern) negated() bool { return p != nil && p.not }

func (p *Pattern) match(s string) bool { return p == nil || p.re.MatchString(s) != p.not }
