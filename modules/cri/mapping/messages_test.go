package mapping

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// filler fills messages by their descriptors, so that it knows each field of
// the CRI of today, with those of tomorrow as unknown ones.
type filler struct {
	*rand.Rand
	// all sets every field, instead of some of them.
	all bool
}

func (f filler) fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !f.all && f.IntN(4) == 0 {
			continue
		}
		n := 1
		if !f.all {
			n += f.IntN(3)
		}
		switch {
		case field.IsMap():
			to := m.Mutable(field).Map()
			for range n {
				to.Set(f.value(to.NewValue(), field.MapKey()).MapKey(), f.value(to.NewValue(), field.MapValue()))
			}
		case field.IsList():
			to := m.Mutable(field).List()
			for range n {
				to.Append(f.value(to.NewElement(), field))
			}
		default:
			m.Set(field, f.value(m.NewField(field), field))
		}
	}
	if !f.all {
		unknown := protowire.AppendTag(nil, protowire.Number(1000+f.IntN(1000)), protowire.BytesType)
		m.SetUnknown(protowire.AppendString(unknown, f.text()))
	}
}

func (f filler) value(fresh protoreflect.Value, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.MessageKind:
		f.fill(fresh.Message())
		return fresh
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(f.all || f.IntN(2) == 0)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(f.text())
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte(f.text() + "\xff=\x80"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(f.IntN(field.Enum().Values().Len() + 1))) // one too many
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(f.Int64() - f.Int64())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(f.Int32())
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(f.Uint64())
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(f.Uint32())
	}
	panic(field.FullName())
}

func (f filler) text() string {
	if f.all {
		return "text"
	}
	alphabet := []rune("abc/:=,.-_ ü\n\"{")
	text := make([]rune, f.IntN(12))
	for i := range text {
		text[i] = alphabet[f.IntN(len(alphabet))]
	}
	return string(text)
}

// anyRequest is one of all that there can be.
func anyRequest(seed uint64) *runtime.CreateContainerRequest {
	r := &runtime.CreateContainerRequest{}
	filler{rand.New(rand.NewPCG(seed, 1)), false}.fill(r.ProtoReflect())
	return r
}

// each calls f for the fields below m, with what changes them.
func each(m protoreflect.Message, path string, f func(path string, alter func())) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		name := strings.TrimPrefix(path+"."+string(field.Name()), ".")
		switch {
		case field.Name() == "windows":
		case field.IsMap():
			f(name, func() {
				m.Mutable(field).Map().Set(protoreflect.ValueOfString("altered").MapKey(), protoreflect.ValueOfString("x"))
			})
		case field.IsList() && field.Kind() == protoreflect.MessageKind:
			each(m.Mutable(field).List().Get(0).Message(), name, f)
		case field.IsList():
			f(name, func() {
				to := m.Mutable(field).List()
				to.Append(to.Get(0))
			})
		case field.Kind() == protoreflect.MessageKind && m.Has(field):
			each(m.Mutable(field).Message(), name, f)
		case field.Kind() == protoreflect.MessageKind:
			f(name, func() { m.Mutable(field) })
		default:
			f(name, func() { m.Set(field, other(m.Get(field), field)) })
		}
	}
}

func other(v protoreflect.Value, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch field.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(!v.Bool())
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(v.String() + "x")
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(append(v.Bytes(), 'x'))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum((v.Enum() + 1) % 3)
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(v.Int() + 1)
	case protoreflect.Uint64Kind:
		return protoreflect.ValueOfUint64(v.Uint() + 1)
	case protoreflect.Uint32Kind:
		return protoreflect.ValueOfUint32(uint32(v.Uint()) + 1)
	}
	panic(field.FullName())
}

// testdata/cri.txt says which fields of CRI hooks see; those that they do not
// see go on as they are. A new one of CRI's needs a decision there.
func TestEachFieldOfCRIIsShownOrLeftAlone(t *testing.T) {
	base := func() *runtime.CreateContainerRequest {
		r := &runtime.CreateContainerRequest{}
		filler{rand.New(rand.NewPCG(1, 1)), true}.fill(r.ProtoReflect())
		c := r.Config
		c.StopSignal = runtime.Signal_SIGNAL_SIGABRT
		c.Image.UserSpecifiedImage = ""
		c.Mounts[0].Image, c.Mounts[0].Propagation = nil, 0
		s := c.Linux.SecurityContext
		s.RunAsUsername, s.NamespaceOptions.Pid, s.NamespaceOptions.Network = "", runtime.NamespaceMode_TARGET, 0
		s.Seccomp.ProfileType, s.Apparmor.ProfileType = runtime.SecurityProfile_Localhost, runtime.SecurityProfile_Localhost
		return r
	}
	var table strings.Builder
	var paths []string
	each(base().Config.ProtoReflect(), "", func(path string, _ func()) { paths = append(paths, path) })
	for n, path := range paths {
		r, i := base(), 0
		before := Config(r)
		each(r.Config.ProtoReflect(), "", func(_ string, alter func()) {
			if i == n {
				alter()
			}
			i++
		})
		fate := "left alone"
		if !assert.ObjectsAreEqual(before, Config(r)) {
			fate = "shown"
		}
		fmt.Fprintf(&table, "%-75s %s\n", path, fate)
	}
	const golden = "testdata/cri.txt"
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(table.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), table.String(), "decide about the field, and run the test with -update")
}
