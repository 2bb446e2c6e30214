package podpolicy

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
)

// maxCost bounds the work of one expression, in CEL's units: about one for each
// operation, and for each element of a list that is looked at. It is enough
// for any sensible one, and over in some milliseconds.
const maxCost = 100_000

// Expression is a CEL expression over container and pod that is true or false.
type Expression struct {
	text    string
	program cel.Program
}

// UnmarshalText compiles an expression, or says what is wrong with it. So
// expressions of a configuration file are checked where it is read.
func (e *Expression) UnmarshalText(text []byte) error {
	env, err := environment()
	if err != nil {
		return err
	}
	ast, issues := env.Compile(string(text))
	if issues.Err() != nil {
		return mistakes(issues)
	}
	if ast.OutputType() != cel.BoolType {
		return fmt.Errorf("the expression is neither true nor false, but a %s", cel.FormatCELType(ast.OutputType()))
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxCost))
	if err != nil {
		return err
	}
	e.text, e.program = strings.TrimSpace(string(text)), program
	return nil
}

// MarshalText returns the expression as it was written.
func (e *Expression) MarshalText() ([]byte, error) { return []byte(e.text), nil }

// mistakes puts those of an expression on a line each.
func mistakes(issues *cel.Issues) error {
	var errs []error
	for _, i := range issues.Errors() {
		errs = append(errs, fmt.Errorf("line %d, column %d: %s", i.Location.Line(), i.Location.Column()+1, i.Message))
	}
	return errors.Join(errs...)
}

// holds evaluates the expression.
func (e *Expression) holds(s *subject) (bool, error) {
	result, _, err := e.program.Eval(s)
	if err != nil {
		return false, err
	}
	holds, ok := result.Value().(bool)
	if !ok {
		return false, fmt.Errorf("it is a %s", result.Type().TypeName())
	}
	return holds, nil
}
